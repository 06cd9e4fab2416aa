//! What the model remembers of mms.

use super::completed::Completed;
use crate::wire::{membarrier_cmd as cmd, membarrier_state as bit};

/// Why a SYNC_CORE call did not interrupt a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[repr(usize)]
pub enum Skip {
    /// A kernel thread ran there, lazy on the caller's mm.
    KthreadLazy = 0,
    /// A kernel thread ran there, on another mm or none.
    KthreadOther = 1,
    /// The CPU was idle, lazy on the caller's mm.
    IdleLazy = 2,
    /// The CPU was idle, on another mm or none.
    IdleOther = 3,
    /// Another process ran there.
    OtherMm = 4,
    /// The CPU was offline.
    Offline = 5,
    /// It ran the caller's mm when the call's work was seen, but not when the call looked.
    Raced = 6,
    /// Not known.
    Unknown = 7,
}

/// How many reasons [`Skip`] has.
pub const SKIPS: usize = 8;

impl Skip {
    /// The words reports use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::KthreadLazy => "it ran a kernel thread, lazy on this mm",
            Self::KthreadOther => "it ran a kernel thread, on another mm",
            Self::IdleLazy => "it was idle, lazy on this mm",
            Self::IdleOther => "it was idle, on another mm",
            Self::OtherMm => "it ran another process",
            Self::Offline => "it was offline",
            Self::Raced => "it ran another mm when the call looked",
            Self::Unknown => "its state was not known",
        }
    }
}

/// Membarrier calls of one mm, by command, those that returned 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CallCounts {
    /// `PRIVATE_EXPEDITED_SYNC_CORE`, the inferred ones included.
    pub sync_core: u64,
    /// Those of `sync_core` whose entry and exit were not seen.
    pub sync_core_inferred: u64,
    /// `PRIVATE_EXPEDITED`.
    pub private: u64,
    /// `GLOBAL` and `GLOBAL_EXPEDITED`.
    pub global: u64,
    /// `PRIVATE_EXPEDITED_RSEQ`.
    pub rseq: u64,
    /// The REGISTER commands.
    pub register: u64,
    /// Calls that failed.
    pub failed: u64,
}

impl CallCounts {
    /// One more call, with what it returned.
    pub(super) const fn count(&mut self, command: i32, ret: i64) {
        if ret < 0 {
            self.failed += 1;
            return;
        }
        match command {
            cmd::PRIVATE_EXPEDITED_SYNC_CORE => self.sync_core += 1,
            cmd::PRIVATE_EXPEDITED => self.private += 1,
            cmd::PRIVATE_EXPEDITED_RSEQ => self.rseq += 1,
            cmd::GLOBAL | cmd::GLOBAL_EXPEDITED => self.global += 1,
            cmd::REGISTER_GLOBAL_EXPEDITED
            | cmd::REGISTER_PRIVATE_EXPEDITED
            | cmd::REGISTER_PRIVATE_EXPEDITED_SYNC_CORE
            | cmd::REGISTER_PRIVATE_EXPEDITED_RSEQ => self.register += 1,
            _ => {}
        }
    }
}

/// The bits of the registrations, without the bits that say that they are complete.
pub(super) const SET: u32 =
    (bit::PRIVATE_EXPEDITED | bit::GLOBAL_EXPEDITED | bit::SYNC_CORE | bit::RSEQ) as u32;
/// For each of them, one bit below, that it is complete.
pub(super) const READY: u32 = SET >> 1;

/// The bits of [`SET`] that a command asks for; 0 if it is no registration
/// (`kernel/sched/membarrier.c:membarrier_register_private_expedited`).
pub(super) const fn registers(command: i32) -> u32 {
    let set = match command {
        cmd::REGISTER_GLOBAL_EXPEDITED => bit::GLOBAL_EXPEDITED,
        cmd::REGISTER_PRIVATE_EXPEDITED => bit::PRIVATE_EXPEDITED,
        cmd::REGISTER_PRIVATE_EXPEDITED_SYNC_CORE => bit::PRIVATE_EXPEDITED | bit::SYNC_CORE,
        cmd::REGISTER_PRIVATE_EXPEDITED_RSEQ => bit::PRIVATE_EXPEDITED | bit::RSEQ,
        _ => 0,
    };
    set as u32
}

/// What is known of one mm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Mm {
    /// `membarrier_state`, when last read.
    pub state: u8,
    /// A process that was seen to use it.
    pub tgid: u32,
    /// Its calls.
    pub calls: CallCounts,
    /// CPUs that its SYNC_CORE calls interrupted, the caller's own included.
    pub targeted: u64,
    /// CPUs that they did not, by [`Skip`].
    pub skipped: [u64; SKIPS],
    /// Starts of SYNC_CORE calls that have returned 0.
    pub completed: Completed,
    /// Generations of flushes that are done.
    pub flushed: Completed,
}
