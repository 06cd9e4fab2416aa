//! A page of machine code, mapped twice: once to write it, once to run it.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::MemfdFlags;
use rustix::io;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::memory::PAGE;

/// Bytes per function; one cache line each.
const CELL: usize = 64;
/// How many functions a page holds.
pub(in crate::stress) const CELLS: usize = PAGE / CELL;
/// Where the aligned 32-bit immediate of a cell lies. The opcode stands just before it, so the
/// function's entry is at `IMM - 1`.
const IMM: usize = 4;

/// `mov eax, imm32`
const MOV_EAX: u8 = 0xb8;
/// `ret`
const RET: u8 = 0xc3;

/// The two ways a rewritten function may be put together, of different length and instructions, so
/// that old and new code share no layout but the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::stress) enum Shape {
    /// `mov eax, value; ret`
    Move,
    /// `mov eax, !value; not eax; nop; ret`
    MoveNot,
}

/// A page of functions `extern "C" fn() -> u32`, each returning the number it was last given.
///
/// The page is a memfd mapped twice: writable but not executable, and executable but not writable.
pub(in crate::stress) struct CodePage {
    /// Aligned to a page, so to a word as well.
    write: *mut u32,
    run: *const u8,
}

// SAFETY: the two mappings belong to the value and live until it drops. The write side is reached
// through atomics (`patch`) or under `rewrite`'s contract.
unsafe impl Send for CodePage {}
// SAFETY: as above.
unsafe impl Sync for CodePage {}

impl CodePage {
    /// Maps a page whose functions all return `value`.
    pub(in crate::stress) fn new(value: u32) -> io::Result<Self> {
        // Kernels before 6.3 don't know MFD_EXEC; later ones may be set up to want it.
        let name = c"unlazy-jit";
        let file = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::EXEC)
            .or_else(|_| rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC))?;
        rustix::fs::ftruncate(&file, PAGE as u64)?;
        let map = |prot| {
            // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
            unsafe { mmap(std::ptr::null_mut(), PAGE, prot, MapFlags::SHARED, file.as_fd(), 0) }
        };
        let write = map(ProtFlags::READ | ProtFlags::WRITE)?;
        let run = match map(ProtFlags::READ | ProtFlags::EXEC) {
            Ok(run) => run,
            Err(errno) => {
                // SAFETY: the mapping was made above and nothing refers to it.
                let _ = unsafe { munmap(write, PAGE) };
                return Err(errno);
            }
        };
        let page = Self { write: write.cast(), run: run.cast_const().cast() };
        for cell in 0..CELLS {
            // SAFETY: no other thread knows the page yet.
            unsafe { page.rewrite(cell, Shape::Move, value) };
        }
        Ok(page)
    }

    /// Runs function `cell` and returns its result.
    #[inline]
    pub(in crate::stress) fn call(&self, cell: usize) -> u32 {
        assert!(cell < CELLS, "cell {cell} is outside the page");
        // SAFETY: from construction on each cell holds a whole function that takes nothing, follows
        // the C calling convention and returns a u32 in eax; `patch` changes only its immediate, by
        // one aligned store within one instruction, and `rewrite` is only used while nobody runs it.
        unsafe {
            let entry = self.run.add(cell * CELL + IMM - 1);
            let function = std::mem::transmute::<*const u8, extern "C" fn() -> u32>(entry);
            function()
        }
    }

    /// Makes function `cell`, which must be in [`Shape::Move`], return `value`, while other threads
    /// may be running it: one aligned 32-bit store into the immediate of its first instruction.
    pub(in crate::stress) fn patch(&self, cell: usize, value: u32) {
        assert!(cell < CELLS, "cell {cell} is outside the page");
        const { assert!(CELL.is_multiple_of(4) && IMM.is_multiple_of(4)) };
        let imm = self.write.cast::<AtomicU32>();
        // SAFETY: within the writable mapping, which is page aligned, so this is aligned as well;
        // any bits are a valid u32.
        let imm = unsafe { &*imm.add((cell * CELL + IMM) / size_of::<AtomicU32>()) };
        imm.store(value, Ordering::SeqCst);
    }

    /// Replaces the whole function `cell`.
    ///
    /// # Safety
    /// From before this call until a SYNC_CORE membarrier that began after it has returned, no
    /// thread may run `cell`.
    pub(in crate::stress) unsafe fn rewrite(&self, cell: usize, shape: Shape, value: u32) {
        assert!(cell < CELLS, "cell {cell} is outside the page");
        let code = assemble(shape, value);
        // SAFETY: `cell` lies within the writable mapping; by contract nobody runs or reads it, and
        // the caller is the only writer.
        unsafe {
            std::ptr::copy_nonoverlapping(
                code.as_ptr(),
                self.write.cast::<u8>().add(cell * CELL + IMM - 1),
                code.len(),
            );
        }
    }
}

impl Drop for CodePage {
    fn drop(&mut self) {
        // SAFETY: both mappings are the value's own; no thread can run the code through it now.
        unsafe {
            let _ = munmap(self.write.cast(), PAGE);
            let _ = munmap(self.run.cast_mut().cast(), PAGE);
        }
    }
}

/// The machine code of one function.
fn assemble(shape: Shape, value: u32) -> [u8; 9] {
    let [a, b, c, d] = match shape {
        Shape::Move => value.to_le_bytes(),
        Shape::MoveNot => (!value).to_le_bytes(),
    };
    match shape {
        Shape::Move => [MOV_EAX, a, b, c, d, RET, RET, RET, RET],
        // f7 d0: not eax; 90: nop
        Shape::MoveNot => [MOV_EAX, a, b, c, d, 0xf7, 0xd0, 0x90, RET],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_return_what_they_were_given() {
        let page = CodePage::new(7).expect("a code page");
        assert_eq!(page.call(0), 7);
        assert_eq!(page.call(CELLS - 1), 7);
        page.patch(3, 0xdead_beef);
        assert_eq!(page.call(3), 0xdead_beef);
        assert_eq!(page.call(4), 7);
        // SAFETY: this thread alone knows the page.
        unsafe { page.rewrite(5, Shape::MoveNot, 0x1234_5678) };
        assert_eq!(page.call(5), 0x1234_5678);
        assert_eq!(page.call(6), 7);
    }
}
