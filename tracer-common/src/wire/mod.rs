//! The wire: records as the eBPF programs write them and as the daemon reads them.
//!
//! A record is a [`Header`] followed by one payload, whose type [`Kind`] names. Records of one CPU
//! travel through that CPU's own buffer, in the order of their sequence numbers; a hole in the
//! sequence is a loss and nothing else.
//!
//! Fields are little endian (the only byte order of x86-64) and packed without hidden padding, so
//! that a record is exactly its bytes.

mod frame;
mod kind;
mod records;
mod site;
mod vector;

pub use frame::Frame;
pub use kind::Kind;
pub use records::*;
pub use site::Site;
pub use vector::Vector;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Version of everything in this module. A reader refuses a newer one.
pub const VERSION: u32 = 1;

/// Length of a task's name in the kernel, its closing NUL included
/// (`include/linux/sched.h:TASK_COMM_LEN`).
pub const COMM_LEN: usize = 16;

/// Starts every record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// `CLOCK_MONOTONIC`, in nanoseconds, taken on the CPU that wrote the record.
    pub ts: u64,
    /// Counts the records of this CPU, the lost ones included; wraps around.
    pub seq: u32,
    /// A [`Kind`], as a number.
    pub kind: u16,
    /// [`HEADER_CR3_WRITTEN`]; the meaning of the others depends on the kind, see the payload types.
    pub flags: u16,
}

/// Flag of a [`Header`] of any kind: the last context switch of this CPU before this record wrote
/// CR3 (`tlb_flush` with [`tlb_reason::TASK_SWITCH`] while `current` was still the previous task).
/// An [`Nmi`](Kind::Nmi) may come in the middle of a switch; there it means nothing.
pub const HEADER_CR3_WRITTEN: u16 = 1 << 15;

/// Bits of `mm->membarrier_state` (`include/linux/sched/mm.h`).
pub mod membarrier_state {
    /// A private expedited registration is complete.
    pub const PRIVATE_EXPEDITED_READY: u8 = 1 << 0;
    /// A private expedited registration has begun.
    pub const PRIVATE_EXPEDITED: u8 = 1 << 1;
    /// A global expedited registration is complete.
    pub const GLOBAL_EXPEDITED_READY: u8 = 1 << 2;
    /// A global expedited registration has begun.
    pub const GLOBAL_EXPEDITED: u8 = 1 << 3;
    /// A SYNC_CORE registration is complete.
    pub const SYNC_CORE_READY: u8 = 1 << 4;
    /// A SYNC_CORE registration has begun; the scheduler honours it from here on.
    pub const SYNC_CORE: u8 = 1 << 5;
    /// An RSEQ registration is complete.
    pub const RSEQ_READY: u8 = 1 << 6;
    /// An RSEQ registration has begun.
    pub const RSEQ: u8 = 1 << 7;
}

/// Commands of membarrier(2) (`include/uapi/linux/membarrier.h`).
pub mod membarrier_cmd {
    /// Asks which commands exist.
    pub const QUERY: i32 = 0;
    /// Waits for a grace period of RCU.
    pub const GLOBAL: i32 = 1 << 0;
    /// Interrupts every CPU that runs a registered process.
    pub const GLOBAL_EXPEDITED: i32 = 1 << 1;
    /// Registers for [`GLOBAL_EXPEDITED`].
    pub const REGISTER_GLOBAL_EXPEDITED: i32 = 1 << 2;
    /// Interrupts every CPU that runs the caller's process.
    pub const PRIVATE_EXPEDITED: i32 = 1 << 3;
    /// Registers for [`PRIVATE_EXPEDITED`].
    pub const REGISTER_PRIVATE_EXPEDITED: i32 = 1 << 4;
    /// As [`PRIVATE_EXPEDITED`], and each thread serializes its core before it runs user code.
    pub const PRIVATE_EXPEDITED_SYNC_CORE: i32 = 1 << 5;
    /// Registers for [`PRIVATE_EXPEDITED_SYNC_CORE`].
    pub const REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: i32 = 1 << 6;
    /// As [`PRIVATE_EXPEDITED`], and restarts restartable sequences.
    pub const PRIVATE_EXPEDITED_RSEQ: i32 = 1 << 7;
    /// Registers for [`PRIVATE_EXPEDITED_RSEQ`].
    pub const REGISTER_PRIVATE_EXPEDITED_RSEQ: i32 = 1 << 8;
    /// Asks what the caller is registered for.
    pub const GET_REGISTRATIONS: i32 = 1 << 9;

    /// The command of this number as its header file calls it, without the common prefix.
    #[must_use]
    pub const fn name(number: i32) -> Option<&'static str> {
        Some(match number {
            QUERY => "QUERY",
            GLOBAL => "GLOBAL",
            GLOBAL_EXPEDITED => "GLOBAL_EXPEDITED",
            REGISTER_GLOBAL_EXPEDITED => "REGISTER_GLOBAL_EXPEDITED",
            PRIVATE_EXPEDITED => "PRIVATE_EXPEDITED",
            REGISTER_PRIVATE_EXPEDITED => "REGISTER_PRIVATE_EXPEDITED",
            PRIVATE_EXPEDITED_SYNC_CORE => "PRIVATE_EXPEDITED_SYNC_CORE",
            REGISTER_PRIVATE_EXPEDITED_SYNC_CORE => "REGISTER_PRIVATE_EXPEDITED_SYNC_CORE",
            PRIVATE_EXPEDITED_RSEQ => "PRIVATE_EXPEDITED_RSEQ",
            REGISTER_PRIVATE_EXPEDITED_RSEQ => "REGISTER_PRIVATE_EXPEDITED_RSEQ",
            GET_REGISTRATIONS => "GET_REGISTRATIONS",
            _ => return None,
        })
    }
}

/// An mm, if it is told.
#[must_use]
pub const fn told_mm(mm: u64) -> Option<u64> {
    if mm == UNKNOWN_MM { None } else { Some(mm) }
}

/// `init_mm`'s `context.ctx_id` (`arch/x86/include/asm/mmu.h:INIT_MM_CONTEXT`).
pub const INIT_MM: u64 = 1;

/// In place of a `ctx_id`: there may be an mm or none, and the source does not tell. (Another tool's
/// trace never does.) No kernel counts that far, and [`TlbState`] has `u64::MAX` for something else.
///
/// It equals nothing, itself neither: two of them may be one mm or two. A source tells its mms or it
/// does not; it is no way to leave out some of them.
pub const UNKNOWN_MM: u64 = u64::MAX - 1;
