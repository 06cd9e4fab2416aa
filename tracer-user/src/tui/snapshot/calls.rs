//! Mms at the cursor, and the calls that were made for them.

use crate::{explain, report};

/// An mm at the cursor.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MmRow {
    /// Owner, registrations, membarrier calls, targets, skips.
    pub state: report::Mm,
    /// It has been freed.
    pub gone: bool,
    /// Nanoseconds that its threads spent in membarrier calls; `None` if no call's length was seen.
    pub membarrier_ns: Option<u64>,
    /// Flushes of it; `None` if this mode can't see them.
    pub flushes: Option<u64>,
    /// IPIs that its threads sent to flush TLBs.
    pub shootdowns_sent: Option<u64>,
    /// IPIs for such flushes that arrived while it was the logical mm.
    pub shootdowns_received: Option<u64>,
}

/// What kind of call it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum CallKind {
    /// `MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE`
    #[default]
    SyncCore,
    /// Another membarrier command that interrupts CPUs.
    Membarrier,
    /// A TLB flush of an mm that was asked of other CPUs.
    Flush,
}

impl CallKind {
    /// The word that is shown, and that a filter's `kind=` takes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SyncCore => "sync_core",
            Self::Membarrier => "membarrier",
            Self::Flush => "flush",
        }
    }
}

/// A membarrier call or a flush.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallRow {
    /// What it is.
    pub kind: CallKind,
    /// The call. Its `number` is what [`Machine::explain`](crate::tui::machine::Machine::explain) takes, for
    /// [`CallKind::SyncCore`]; for the others it counts calls of their kind, and they can't be explained.
    pub call: explain::Call,
    /// What became of each CPU, by number.
    pub coverage: Vec<Cover>,
}

/// What a call did about a CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cover {
    /// Not known.
    #[default]
    Unknown,
    /// The caller's own.
    Own,
    /// It was sent an IPI, or asked to run the function.
    Targeted,
    /// Left alone: a kernel thread ran there, lazy on this mm.
    KthreadLazy,
    /// Left alone: a kernel thread with another mm.
    KthreadOther,
    /// Left alone: idle, lazy on this mm.
    IdleLazy,
    /// Left alone: idle, with another mm.
    IdleOther,
    /// Left alone: another process ran there.
    OtherMm,
    /// It was offline.
    Offline,
    /// Left alone: it changed mm while the call looked.
    Raced,
}
