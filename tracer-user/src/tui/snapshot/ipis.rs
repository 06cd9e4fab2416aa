//! Who interrupted whom until the cursor.

/// Who interrupted whom until the cursor.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ipis {
    /// The length of time that the counts are of, ending at the cursor.
    pub window_ns: u64,
    /// Interprocessor interrupts by source and target, where there were any.
    pub cells: Vec<IpiCell>,
    /// Who sent most, the most first.
    pub senders: Vec<IpiSender>,
    /// Interrupts by CPU and vector (`local_timer`, `reschedule`, …), where there were any.
    pub received: Vec<Received>,
}

/// IPIs from one CPU to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IpiCell {
    /// The CPU that sent them; `None` if that was not seen.
    pub from: Option<u32>,
    /// The CPU that they went to.
    pub to: u32,
    /// How many.
    pub count: u64,
}

/// IPIs by one task for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IpiSender {
    /// The thread that was running; 0 is the idle task.
    pub tid: u32,
    /// Its process.
    pub tgid: Option<u32>,
    /// Its name.
    pub comm: Option<String>,
    /// Its mm.
    pub mm: Option<u64>,
    /// Why: the function that was to run (`ipi_sync_core`, `flush_tlb_func`), or `reschedule`.
    pub reason: String,
    /// How many interrupts.
    pub count: u64,
    /// The same by target CPU, where that was seen: CPU and how many, in the order of the CPUs.
    pub targets: Vec<(u32, u64)>,
}

/// Interrupts of one CPU by one vector.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Received {
    /// The CPU.
    pub cpu: u32,
    /// The vector's name.
    pub vector: String,
    /// How many.
    pub count: u64,
}
