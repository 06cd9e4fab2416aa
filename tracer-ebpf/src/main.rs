//! unlazy's eBPF programs: BTF tracepoints that write what they see into their CPU's buffer.
//!
//! Each program does as little as it can: load a few fields, take the time, write one record.
//! Nothing is judged here, nothing is looked up that user space can look up, and no program ever
//! wakes the reader: a wake-up is an interrupt on the very CPU that is being watched, and its IRET
//! would serialize it.
//!
//! Every field of a kernel struct is reached through an offset that user space reads from the
//! running kernel's BTF ([`offsets`]); nothing is tied to one build of a kernel.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![expect(
    clippy::inline_always,
    reason = "a call in a BPF program costs, and takes its arguments' types from the verifier"
)]
#![expect(
    clippy::cast_ptr_alignment,
    reason = "kernel pointers arrive as bytes; the fields behind them are loaded as the kernel does"
)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "the attribute macros call a program with its context by value"
)]

mod cpu;
mod csd;
mod emit;
mod fault;
mod full;
mod hotplug;
mod ipi;
mod irq;
mod lifecycle;
mod offsets;
mod pair;
mod sched;
mod syscall;
mod task;
mod tlb;

/// The kernel gates some helpers on this; the object itself is MIT or GPL-2.0, at your choice.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
