//! The C library's heap, for a program that runs for weeks.

/// From this size on, in bytes, memory is the kernel's again as soon as it is given back.
///
/// Left to itself, the C library learns from the first large piece that is given back to keep such
/// pieces, and the holes between them (mallopt(3), `M_MMAP_THRESHOLD`): a third of what `live` takes.
const LARGE: libc::c_int = 128 << 10;

/// Has the heap keep no more than what is in use, from now on.
pub fn keep_small() {
    // SAFETY: it changes a setting of the allocator, which any thread may do at any time.
    let set = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
    debug_assert_eq!(set, 1, "a size that the C library takes");
}
