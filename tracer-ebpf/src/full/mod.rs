//! Full mode: programs on functions and instructions, and the kernel's own variables as they stand
//! there.
//!
//! A program on a function's entry or exit has that function's arguments with their types, as a
//! tracepoint's. Nothing here is an int3 but [`sync`], which is attached only where the kernel is
//! about to serialize anyway.

mod flush;
mod handler;
mod kthread;
mod lifetime;
mod membarrier;
mod percpu;
mod returns;
mod switch;
mod sync;

use aya_ebpf::{macros::fentry, programs::FEntryContext};

/// Does nothing, on a function that the kernel has for just that
/// (`net/bpf/test_run.c:bpf_fentry_test1`) and calls only from its own tests: shows whether this
/// kernel lets programs sit on functions at all.
#[fentry(function = "bpf_fentry_test1")]
pub(crate) fn fentry_test(_: FEntryContext) -> i32 {
    0
}
