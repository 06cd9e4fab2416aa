//! Mappings: the shared count page and the regions that scenarios map, protect and drop.

use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use rustix::io;
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap, mmap_anonymous};

/// Bytes in a page on x86-64.
pub(in crate::stress) const PAGE: usize = 4096;
/// 64-bit words in a page.
pub(in crate::stress) const PAGE_WORDS: usize = PAGE / size_of::<u64>();

/// Maps the first `words` words of the file `fd` for the rest of the process's life.
///
/// The mapping is `MAP_SHARED`, so it stays the same memory in every forked child.
pub(in crate::stress) fn map_shared(
    fd: BorrowedFd<'_>,
    words: usize,
) -> io::Result<&'static [AtomicU64]> {
    let len = words * size_of::<u64>();
    // The file must be long enough, or a later access would end in SIGBUS.
    if rustix::fs::fstat(fd)?.st_size < len as i64 {
        return Err(io::Errno::INVAL);
    }
    // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
    let at = unsafe {
        mmap(
            std::ptr::null_mut(),
            len,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED,
            fd,
            0,
        )?
    };
    // SAFETY: the mapping is page aligned, `len` bytes long, readable and writable, and never
    // unmapped; any bits are a valid AtomicU64, and only atomics reach the memory.
    Ok(unsafe { std::slice::from_raw_parts(at.cast::<AtomicU64>(), words) })
}

/// A private anonymous mapping of whole pages, unmapped when dropped.
///
/// Its words are atomics, so threads may read them while another thread discards the pages (they
/// then read as zero) or takes the right to write away (a write then is fatal, a read is not).
pub(in crate::stress) struct Region {
    at: NonNull<AtomicU64>,
    len: usize,
}

// SAFETY: the region owns its mapping, and the memory is only reached through atomics.
unsafe impl Send for Region {}
// SAFETY: as above; madvise and mprotect may run beside atomic accesses.
unsafe impl Sync for Region {}

impl Region {
    /// Maps `pages` readable and writable pages, never as huge pages (which would leave no small
    /// pages, and no page tables, to flush).
    pub(in crate::stress) fn new(pages: usize) -> io::Result<Self> {
        let len = pages * PAGE;
        // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
        let at = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )?
        };
        let region = Self { at: NonNull::new(at.cast()).ok_or(io::Errno::NOMEM)?, len };
        // A kernel without huge pages says EINVAL, which is as good.
        // SAFETY: the range is the region's own, and the advice changes no content.
        let _ = unsafe { madvise(at, len, Advice::LinuxNoHugepage) };
        Ok(region)
    }

    /// Every word of the region.
    pub(in crate::stress) fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is `len` bytes, page aligned and lives as long as `self`; it stays
        // readable, and any bits are a valid AtomicU64.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.len / size_of::<u64>()) }
    }

    /// The first word of page `page`.
    pub(in crate::stress) fn page(&self, page: usize) -> &AtomicU64 {
        &self.words()[page * PAGE_WORDS]
    }

    /// `madvise(MADV_DONTNEED)`: drops the first `pages` pages; they read as zero afterwards.
    pub(in crate::stress) fn discard(&self, pages: usize) -> io::Result<()> {
        let len = (pages * PAGE).min(self.len);
        // SAFETY: the range is the region's own; to readers the loss of its content is a store of
        // zeroes, which atomics allow.
        unsafe { madvise(self.at.as_ptr().cast(), len, Advice::LinuxDontNeed) }
    }

    /// `mprotect`: lets the first `pages` pages be written, or only read.
    pub(in crate::stress) fn protect(&self, pages: usize, writable: bool) -> io::Result<()> {
        let len = (pages * PAGE).min(self.len);
        let flags =
            if writable { MprotectFlags::READ | MprotectFlags::WRITE } else { MprotectFlags::READ };
        // SAFETY: the range is the region's own and stays readable.
        unsafe { rustix::mm::mprotect(self.at.as_ptr().cast(), len, flags) }
    }

    /// The first address past the region: where a stack in it begins.
    pub(super) fn end(&self) -> *mut core::ffi::c_void {
        // SAFETY: one past the end of the region's own mapping.
        unsafe { self.at.as_ptr().cast::<u8>().add(self.len).cast() }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the range is the region's own, and nobody holds a borrow of it any more. The
        // only error, a bad range, is ruled out by construction.
        let _ = unsafe { rustix::mm::munmap(self.at.as_ptr().cast(), self.len) };
    }
}
