//! Where a kernel's own code can lose its CPU to another task against its will.

/// How much of the kernel's code can be preempted, by an interrupt that ends in a switch
/// (`kernel/entry/common.c:irqentry_exit_cond_resched`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Preemption {
    /// None: what looks like it is the code's own doing (`cond_resched`), and no IRET is left to do.
    Never,
    /// What holds no spinlock.
    Unlocked,
    /// That, too (`PREEMPT_RT`, where most of them sleep); or nobody knows.
    #[default]
    Anywhere,
}

impl Preemption {
    /// Of a model by its name (`uname -v`, `/sys/kernel/debug/sched/preempt`), as
    /// `Kernel::preempt` of a report has it.
    #[must_use]
    pub fn of(model: Option<&str>) -> Self {
        match model {
            Some("none" | "voluntary" | "none or voluntary") => Self::Never,
            Some(word) if word != "rt" => Self::Unlocked,
            _ => Self::Anywhere,
        }
    }
}
