//! A CPU at the cursor, and how its two mms stand to each other.

use crate::report;

/// A CPU at the cursor.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CpuRow {
    /// Number, thread, the two mms, laziness, last serialization. Its `ns_ago` counts from the cursor.
    pub state: report::Cpu,
    /// Hotplug took it away.
    pub offline: bool,
    /// The thread is a kernel thread; the idle task is one.
    pub kthread: Option<bool>,
    /// For how long that thread has been there.
    pub on_cpu_ns: Option<u64>,
    /// Where the thread is.
    pub place: Place,
    /// The logical mm is registered for SYNC_CORE.
    pub registered: Option<bool>,
    /// `switch_mm_irqs_off` is under way, or a temporary mm is loaded: the two mms differ on purpose.
    pub switching: bool,
    /// The slot of the loaded mm's ASID; `None` if not known, or not read in this mode.
    pub asid: Option<Asid>,
    /// What R1 asks of it before it next returns to user mode.
    pub owes: Option<Owed>,
    /// The last SYNC_CORE call that left it alone, if it has not serialized since.
    pub left_alone: Option<LeftAlone>,
    /// Interrupts since the window opened.
    pub interrupts: u64,
    /// Interrupts a second, over the last second or so.
    pub interrupts_per_s: Option<f64>,
    /// Events of it that were lost.
    pub lost: u64,
}

/// Where a CPU's thread is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Place {
    /// Not known.
    #[default]
    Unknown,
    /// The idle task.
    Idle,
    /// In kernel mode.
    Kernel,
    /// In an interrupt.
    Interrupt,
    /// In user mode, or past the last event before it.
    User,
}

/// How far a CPU's TLB has caught up with the flushes of the mm that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asid {
    /// `loaded_mm_asid`; `None` if not read.
    pub number: Option<u16>,
    /// It is a global one, flushed by broadcast: it has no generation of its own.
    pub global: bool,
    /// `ctxs[].tlb_gen`
    pub tlb_gen: u64,
    /// How far that is behind the last flush of the mm that was requested; `None` if not known.
    pub behind: Option<u64>,
}

/// What R1 asks: that the CPU serializes before it runs user code of this mm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owed {
    /// The mm that became the logical mm.
    pub mm: u64,
    /// Since when.
    pub since_ns: u64,
    /// It may have serialized since, unseen.
    pub maybe_paid: bool,
}

/// A SYNC_CORE call did not interrupt a CPU.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeftAlone {
    /// When that was noticed.
    pub ts_ns: u64,
    /// The call's mm.
    pub mm: u64,
    /// Why, as in `unlazy.report/1`: `kthread_lazy`, `idle_lazy`, …
    pub reason: &'static str,
}

impl CpuRow {
    /// How the logical mm stands to the real one.
    pub fn relation(&self) -> Relation {
        let report::Cpu { logical_mm, active_mm, real_mm, lazy, .. } = self.state;
        match (logical_mm, real_mm) {
            _ if self.offline => Relation::Offline,
            (Some(logical), Some(real)) if self.switching && logical != real => Relation::Switching,
            (Some(report::NO_MM), Some(real)) if real != report::INIT_MM => match lazy {
                Some(true) => Relation::Lazy,
                _ => Relation::Borrowed,
            },
            (Some(report::NO_MM), Some(_)) => Relation::Kernel,
            (Some(logical), Some(real)) if logical == real => match lazy {
                Some(true) => Relation::LazySame,
                _ => Relation::Same,
            },
            (Some(_), Some(_)) => Relation::Differ,
            (Some(report::NO_MM), None) if active_mm.is_some() && lazy == Some(true) => {
                Relation::Lazy
            }
            _ => Relation::Unknown,
        }
    }
}

/// How a CPU's logical mm stands to its real one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    /// They differ, and neither a switch nor laziness explains it.
    Differ,
    /// A process's mm is logical and real, and the CPU is lazy all the same: `kthread_use_mm` or a
    /// switch has not cleared it yet.
    LazySame,
    /// No logical mm; the real one is a process's, kept lazily.
    Lazy,
    /// No logical mm; the real one is a process's, and the CPU is not lazy, or that is not known.
    Borrowed,
    /// A switch is under way.
    Switching,
    /// The same process's.
    Same,
    /// No logical mm, and `init_mm` is loaded.
    Kernel,
    /// One of them is not known.
    Unknown,
    /// The CPU is offline.
    Offline,
}
