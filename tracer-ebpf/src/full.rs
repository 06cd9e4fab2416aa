//! Full mode: programs on functions.

use aya_ebpf::{macros::fentry, programs::FEntryContext};

/// Does nothing, on a function that the kernel has for just that
/// (`net/bpf/test_run.c:bpf_fentry_test1`) and calls only from its own tests: shows whether this
/// kernel lets programs sit on functions at all.
#[fentry(function = "bpf_fentry_test1")]
pub(crate) fn fentry_test(_: FEntryContext) -> i32 {
    0
}
