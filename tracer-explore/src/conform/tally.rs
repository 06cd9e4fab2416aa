//! What came of it.

use std::collections::BTreeMap;

use crate::step::Step;

macro_rules! left {
    ($($name:ident = $text:literal, $why:literal;)*) => {
        /// What a trace tells and the abstract kernel does not have. It is passed by, and counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "each is told by its name in the table")]
        pub enum Left {
            $($name,)*
        }

        impl Left {
            /// Everything that is left out.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// What it is.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What that means.
            #[must_use]
            pub const fn why(self) -> &'static str {
                match self { $(Self::$name => $why,)* }
            }
        }
    };
}

left! {
    Interrupts = "interrupts", "they return, and serialize; what they call is followed by itself";
    Syscalls = "system calls and faults", "a task may be in the kernel at any time";
    Life = "forks, exits, names", "tasks and mms come and go as they like";
    Ipis = "IPIs as they are sent", "what they run is followed, not how they are sent";
    Functions = "other functions by IPI", "only membarrier's and flush_tlb_func do anything";
    FlushTargets = "whom a flush interrupts", "no probe tells when it begins, or it flushes everything; what it does on a CPU is followed";
    BatchFlush = "flushes of everything, and of mms not loaded", "the abstract kernel flushes A alone";
    TemporaryMm = "temporary mms", "use_temporary_mm, efi_enter_mm: loaded and left with interrupts off";
    OtherCalls = "other membarrier commands", "the abstract calls are SYNC_CORE's";
    UserHelper = "processes that the kernel makes", "a thread without mm that calls execve";
    HalfExec = "preempted in exec_mmap", "it switches interrupts off";
    UnseenExec = "execs unseen", "nothing tells when the mm changed";
    Nmis = "NMIs", "there are none";
    Hotplug = "CPU hotplug", "CPUs neither come nor go";
    Readings = "readings in the middle of what is left out", "there is nothing to hold them against";
    Serialized = "serializations of other causes", "they break nothing";
    RqUnseen = "copies of membarrier_state by IPIs that are not traced", "csd_function_entry tells them";
    CallsUnseen = "calls on a kernel that does not tell whom they interrupt", "csd_queue_cpu tells it (6.4)";
    FailedCalls = "calls that returned an error", "they promise nothing";
    Dark = "tasks for which no probes run", "they are seen to be switched in, and no more";
    Ends = "calls that return to nobody", "they began before the trace, or the caller was lost";
}

/// A step that the abstract kernel cannot make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// When, in nanoseconds of the trace's clock.
    pub ts: u64,
    /// Where.
    pub cpu: u32,
    /// Who ran there, as far as that is known.
    pub tid: u32,
    /// What was observed.
    pub observed: String,
    /// What is wrong with it, if that can be said.
    pub why: String,
    /// What the abstract kernel could have done instead.
    pub could: Vec<String>,
}

impl Divergence {
    /// Whether it is the same but for who, where and when.
    fn is_like(&self, other: &Self) -> bool {
        let alike = |one: &str, other: &str| {
            let words = |text| str::split(text, |c: char| !c.is_alphabetic());
            words(one).filter(|word| !word.is_empty()).eq(words(other).filter(|w| !w.is_empty()))
        };
        alike(&self.observed, &other.observed) && alike(&self.why, &other.why)
    }
}

/// Divergences that are kept.
const KEPT: usize = 20;
/// How many of one kind may be among them: many of one must not hide another.
const OF_A_KIND: usize = 4;

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events that were looked at.
    pub events: u64,
    /// Events that a step of the abstract kernel tells, by that step.
    pub matched: BTreeMap<Step, u64>,
    /// Steps without a probe that must have been made.
    pub unseen: BTreeMap<Step, u64>,
    /// Readings at no step that are as they must be.
    pub readings: u64,
    /// Calls that were followed from beginning to end, and registrations.
    pub calls: [u64; 2],
    /// CPUs that they interrupted, and that they left out.
    pub answers: [u64; 2],
    /// Flushes that were followed from beginning to end.
    pub flushes: u64,
    /// CPUs on which nothing changed meanwhile: that they interrupted, and that they left out.
    pub flushed: [u64; 2],
    /// What was left out.
    pub left: BTreeMap<Left, u64>,
    /// Events on a CPU whose state was not known.
    pub unknown: u64,
    /// How often a CPU had to be found again: at first, after a gap, after a divergence.
    pub seeded: u64,
    /// Gaps.
    pub gaps: u64,
    /// The most states that a CPU could have been in at a time.
    pub most: usize,
    /// How many events diverge.
    pub diverged: u64,
    /// The first of them, and of each kind.
    pub divergences: Vec<Divergence>,
}

impl Tally {
    /// Events that were held against the abstract kernel, and passed.
    #[must_use]
    pub fn passed(&self) -> u64 {
        self.matched.values().sum::<u64>() + self.readings
    }

    /// Something was passed by.
    pub(super) fn leave(&mut self, what: Left) {
        *self.left.entry(what).or_default() += 1;
    }

    pub(super) fn matches(&mut self, step: Option<Step>) {
        if let Some(step) = step {
            *self.matched.entry(step).or_default() += 1;
        }
    }

    pub(super) fn diverge(&mut self, divergence: impl FnOnce() -> Divergence) {
        self.diverged += 1;
        if self.divergences.len() < KEPT {
            let divergence = divergence();
            let alike = |kept: &&Divergence| kept.is_like(&divergence);
            if self.divergences.iter().filter(alike).count() < OF_A_KIND {
                self.divergences.push(divergence);
            }
        }
    }
}
