//! What the model remembers of mms.

use super::completed::Completed;
use crate::wire::{membarrier_cmd as cmd, membarrier_state as bit};

/// Why a SYNC_CORE call did not interrupt a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// When an mm came to one of its registrations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Registration {
    /// Not known.
    #[default]
    Unseen,
    /// At birth: fork copies the whole `mm_struct` (`kernel/fork.c:dup_mm`).
    Inherited,
    /// By calls that were seen: from the first one's entry to the last one's return, `u64::MAX`
    /// while one is in flight.
    Seen {
        /// Nanoseconds.
        begin: u64,
        /// Nanoseconds.
        end: u64,
    },
}

/// The bits of the registrations, without the bits that say that they are complete.
pub(super) const SET: u32 =
    (bit::PRIVATE_EXPEDITED | bit::GLOBAL_EXPEDITED | bit::SYNC_CORE | bit::RSEQ) as u32;
/// For each of them, one bit below, that it is complete.
pub(super) const READY: u32 = SET >> 1;

/// The bits of [`SET`] that a command sets, and the one of [`READY`] that it waits for
/// (`kernel/sched/membarrier.c:membarrier_register_private_expedited`).
const fn bits_of(command: i32) -> Option<(u32, u32)> {
    let (set, ready) = match command {
        cmd::REGISTER_GLOBAL_EXPEDITED => (bit::GLOBAL_EXPEDITED, bit::GLOBAL_EXPEDITED_READY),
        cmd::REGISTER_PRIVATE_EXPEDITED => (bit::PRIVATE_EXPEDITED, bit::PRIVATE_EXPEDITED_READY),
        cmd::REGISTER_PRIVATE_EXPEDITED_SYNC_CORE => {
            (bit::PRIVATE_EXPEDITED | bit::SYNC_CORE, bit::SYNC_CORE_READY)
        }
        cmd::REGISTER_PRIVATE_EXPEDITED_RSEQ => {
            (bit::PRIVATE_EXPEDITED | bit::RSEQ, bit::RSEQ_READY)
        }
        _ => return None,
    };
    Some((set as u32, ready as u32))
}

/// The registrations that a command asks for, as bits of [`SET`]; 0 if it is no registration.
pub(super) const fn registers(command: i32) -> u32 {
    match bits_of(command) {
        Some((set, _)) => set,
        None => 0,
    }
}

/// The registrations of one mm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registrations {
    /// Private, global, SYNC_CORE, RSEQ, as their bits go upwards.
    each: [Registration; 4],
}

/// The places of some bits of [`SET`].
fn places(bits: u32) -> impl Iterator<Item = usize> {
    (0..4).filter(move |place| bits & bit_at(*place) != 0)
}

const fn bit_at(place: usize) -> u32 {
    2 << (2 * place)
}

impl Registrations {
    /// A registration is entered, with the mm in this state.
    pub(super) fn begin(&mut self, command: i32, state: u8, ts: u64) {
        let Some((set, ready)) = bits_of(command) else { return };
        if u32::from(state) & ready != 0 {
            return; // nothing to do
        }
        for place in places(set) {
            let begin = match self.each[place] {
                Registration::Seen { begin, .. } => begin,
                Registration::Unseen | Registration::Inherited => ts,
            };
            self.each[place] = Registration::Seen { begin, end: u64::MAX };
        }
    }

    /// These bits are surely registered since `ts` at the latest.
    pub(super) fn done(&mut self, bits: u32, ts: u64) {
        for place in places(bits) {
            if let Registration::Seen { end, .. } = &mut self.each[place]
                && *end == u64::MAX
            {
                *end = ts;
            }
        }
    }

    /// A new mm has these bits from its parent.
    pub(super) fn inherit(&mut self, bits: u32) {
        for place in places(bits) {
            self.each[place] = Registration::Inherited;
        }
    }

    /// Which of these bits were being registered at some time from `from` to `to`; and of which
    /// that is not known.
    pub(super) fn within(&self, bits: u32, from: u64, to: u64, skew: u64) -> (u32, u32) {
        let (mut within, mut unknown) = (0, 0);
        for place in places(bits) {
            match self.each[place] {
                Registration::Unseen => unknown |= bit_at(place),
                Registration::Inherited => {}
                Registration::Seen { begin, end } => {
                    if begin <= to.saturating_add(skew) && from <= end.saturating_add(skew) {
                        within |= bit_at(place);
                    }
                }
            }
        }
        (within, unknown)
    }

    /// Which of these bits may have been set by `ts`.
    pub(super) fn begun(&self, bits: u32, ts: u64, skew: u64) -> u32 {
        places(bits)
            .filter(|&place| match self.each[place] {
                Registration::Unseen | Registration::Inherited => true,
                Registration::Seen { begin, .. } => begin <= ts.saturating_add(skew),
            })
            .map(bit_at)
            .sum()
    }
}

/// What is known of one mm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// How it came to its registrations.
    pub registrations: Registrations,
}
