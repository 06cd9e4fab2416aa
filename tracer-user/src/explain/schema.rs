//! The contract `unlazy.explain/1`; `docs/explain.md` says what each key means.
//!
//! Times are nanoseconds of the run's clock. Keys may be added, never renamed; unknown is `null`.

use serde::{Deserialize, Serialize};

use crate::report::{Evidence, Finding, Mode, Verdict};

/// The name and version of the contract that [`Explanation`] keeps.
pub const SCHEMA: &str = "unlazy.explain/1";

/// What was asked for, explained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// [`SCHEMA`]
    pub schema: &'static str,
    /// What the run as a whole comes to.
    pub verdict: Verdict,
    /// What the probes could see.
    pub mode: Mode,
    /// The clock of all times.
    pub clock: String,
    /// Where the window begins.
    pub window_start_ns: u64,
    /// Where it ends.
    pub window_end_ns: u64,
    /// What was before this was left out, as asked for; `null` if nothing was.
    pub from_ns: Option<u64>,
    /// What was after this was left out; `null` if nothing was.
    pub to_ns: Option<u64>,
    /// Two CPUs' times closer than this are not ordered.
    pub skew_ns: u64,
    /// Events that were lost in the window.
    pub lost: u64,
    /// SYNC_CORE calls that began in the window.
    pub calls_total: u64,
    /// Findings in the window.
    pub findings_total: u64,
    /// All of them, if none was asked for.
    pub list: Option<List>,
    /// The finding that was asked for.
    pub finding: Option<ExplainedFinding>,
    /// The call that was asked for, or the one that the finding belongs to.
    pub call: Option<ExplainedCall>,
}

/// What there is to be explained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct List {
    /// The query that calls and findings had to pass; `null` if there was none.
    pub filter: Option<String>,
    /// The first calls.
    pub calls: Vec<Call>,
    /// Further calls that are not in `calls`.
    pub calls_omitted: u64,
    /// Calls that the query left out.
    pub calls_hidden: u64,
    /// Those that took longest, the longest first.
    pub slowest: Vec<Call>,
    /// The findings.
    pub findings: Vec<ListedFinding>,
    /// Findings that were counted and not kept.
    pub findings_omitted: u64,
    /// Findings that the query left out.
    pub findings_hidden: u64,
}

/// How a call is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// Its system call's entry was seen.
    #[default]
    SystemCall,
    /// `membarrier_private_expedited` was seen to begin.
    Function,
    /// Only its work was seen: it began earlier than its time says.
    Work,
}

/// A SYNC_CORE call.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Call {
    /// Its number: calls are counted in the order in which they began in the window, from 1.
    pub number: u64,
    /// How it is known.
    pub known_by: Known,
    /// When it began.
    pub begin_ns: u64,
    /// The caller.
    pub tid: u32,
    /// The caller's process.
    pub tgid: Option<u32>,
    /// The caller's name.
    pub comm: Option<String>,
    /// The caller's mm.
    pub mm: u64,
    /// On which CPU it began.
    pub cpu: u32,
    /// When it returned; `null` if that was not seen.
    pub end_ns: Option<u64>,
    /// On which CPU.
    pub end_cpu: Option<u32>,
    /// From entry to return; `null` unless both were seen.
    pub latency_ns: Option<u64>,
    /// What it returned: 0, or a negative errno.
    pub returned: Option<i64>,
    /// CPUs that it had run `ipi_sync_core`, the caller's own included; `null` if that can't be seen.
    pub targeted: Option<u32>,
    /// CPUs online that it left alone.
    pub skipped: Option<u32>,
}

/// A finding in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedFinding {
    /// Its number, from 1, in the order in which they were found.
    pub number: u64,
    /// The rule's id.
    pub rule: String,
    /// When.
    pub ts_ns: u64,
    /// Where.
    pub cpu: u32,
    /// One plain sentence.
    pub summary: String,
    /// What it belongs to.
    pub belongs_to: BelongsTo,
}

/// What a finding belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum BelongsTo {
    /// A SYNC_CORE call.
    Call {
        /// Its number; `null` if it began before the window, or too long ago to be remembered.
        number: Option<u64>,
        /// When it began.
        begin_ns: u64,
    },
    /// A change of the CPU's logical mm by a context switch.
    Switch {
        /// When.
        ts_ns: u64,
        /// Who was switched out.
        prev_tid: u32,
        /// Its mm, 0 if it had none.
        prev_mm: u64,
        /// Who was switched in.
        next_tid: u32,
        /// Its mm.
        next_mm: u64,
    },
    /// A change of the CPU's logical mm by other means (`kthread_use_mm`, `exec_mmap`), at this time
    /// or later.
    MmChange {
        /// When at the earliest.
        ts_ns: u64,
    },
    /// A flush of the mm.
    Flush {
        /// When.
        ts_ns: u64,
    },
    /// Itself: its chain has it all.
    #[default]
    Nothing,
}

/// A finding, with its chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedFinding {
    /// The finding as `unlazy.report/1` has it.
    #[serde(flatten)]
    pub finding: Finding,
    /// What it belongs to.
    pub belongs_to: BelongsTo,
}

/// A call, CPU by CPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedCall {
    /// The call.
    #[serde(flatten)]
    pub call: Call,
    /// When `membarrier_private_expedited` was seen to begin: only full mode sees that.
    pub function_begin_ns: Option<u64>,
    /// When it was seen to end.
    pub function_end_ns: Option<u64>,
    /// When it was clear whom the call leaves alone: its work on the caller's own CPU or, if that was
    /// not seen, its return.
    pub decided_ns: Option<u64>,
    /// Events of the CPU where it began were lost while it chose its targets.
    pub caller_lost: bool,
    /// Nothing after this was looked at.
    pub looked_until_ns: u64,
    /// Why not.
    pub looked_until: Until,
    /// The online CPUs.
    pub cpus: Vec<ExplainedCpu>,
    /// CPUs that were offline.
    pub cpus_offline: Vec<u32>,
}

/// Why no more was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// All CPUs had run user code of the mm again.
    AllSettled,
    /// The limit: one second after the return, or ten after the beginning.
    Limit,
    /// The call failed, so it promises nothing.
    Failed,
    /// Its thread went on to another call, or ended, and its return was not seen.
    NotSeenToReturn,
    /// The trace ended.
    #[default]
    EndOfTrace,
}

/// What ran on a CPU at some moment. `null`: not known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Ran {
    /// When.
    pub ts_ns: u64,
    /// The thread; 0 is the idle task.
    pub tid: Option<u32>,
    /// Its name.
    pub comm: Option<String>,
    /// Whether it is a kernel thread.
    pub kthread: Option<bool>,
    /// `rq->curr->mm`; 0 is none.
    pub logical_mm: Option<u64>,
    /// `rq->curr->active_mm`.
    pub active_mm: Option<u64>,
    /// `cpu_tlbstate.loaded_mm`.
    pub real_mm: Option<u64>,
    /// `cpu_tlbstate_shared.is_lazy`.
    pub lazy: Option<bool>,
}

/// Why a call left a CPU alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// As in `unlazy.report/1`: `kthread_lazy`, `raced` and so on; and `missed`.
    pub reason: &'static str,
    /// The same in words.
    pub what: &'static str,
}

/// The call's function on one CPU.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Work {
    /// By a direct call on the caller's own CPU, not by an interrupt.
    pub direct: bool,
    /// When it was queued for this CPU.
    pub queued_ns: Option<u64>,
    /// Functions of other membarrier calls that were queued here before it and had not run.
    pub behind: Option<u32>,
    /// When an interrupt was sent for it; `null` also where none was needed.
    pub ipi_ns: Option<u64>,
    /// When the interrupt began in which it ran; `null` also where it ran without one.
    pub arrived_ns: Option<u64>,
    /// That interrupt.
    pub vector: Option<&'static str>,
    /// What ran: `ipi_sync_core`, unless the kernel sent another function in its place.
    pub handler: Option<&'static str>,
    /// When it began.
    pub handler_begin_ns: Option<u64>,
    /// When it ended.
    pub handler_end_ns: Option<u64>,
    /// Whether this run of `ipi_sync_core` serialized; `null` where no probe sits on the instruction.
    pub handler_serialized: Option<bool>,
}

/// A serialization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Serialized {
    /// When, at the earliest.
    pub ts_ns: u64,
    /// When that became certain; `null` where that was not noted.
    pub known_ns: Option<u64>,
    /// What it was.
    pub cause: &'static str,
    /// How it is known.
    pub evidence: Evidence,
}

/// User code of the mm that ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// The thread.
    pub tid: u32,
    /// Its name.
    pub comm: Option<String>,
    /// When it returned to user mode, at the earliest.
    pub since_ns: Option<u64>,
    /// When it became certain that it was in user mode.
    pub seen_ns: u64,
    /// By which way it returned: `sysret`, `iret`, `compat` (SYSEXIT or SYSRETL).
    pub way: Option<&'static str>,
    /// How that is known.
    pub evidence: Evidence,
    /// It was on its way back by IRET, and need not have arrived.
    pub on_its_way: bool,
}

/// What the call came to on a CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It serialized after the call began, before it ran user code of the mm again.
    Covered,
    /// It ran user code of the mm without.
    NotCovered,
    /// That can't be decided.
    Undecided,
    /// It neither serialized nor ran user code of the mm, as far as was looked.
    NotRun,
    /// The call failed, or was not seen to return: it promises nothing.
    NoPromise,
}

/// One CPU's part in a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedCpu {
    /// The CPU.
    pub cpu: u32,
    /// As the call began.
    pub at_begin: Ran,
    /// When the function was queued for it, or else when it was clear that it would not be.
    pub at_decision: Option<Ran>,
    /// Whether the call had it run `ipi_sync_core`; `null` if that can't be seen.
    pub targeted: Option<bool>,
    /// Why not.
    pub skipped: Option<Skipped>,
    /// The function's way there.
    pub work: Option<Work>,
    /// The first serialization after the call began.
    pub serialized: Option<Serialized>,
    /// The last one before the model decided, if it is another.
    pub serialized_last: Option<Serialized>,
    /// The first time that user code of the mm ran after the call had returned.
    pub user: Option<User>,
    /// Events of this CPU that were lost meanwhile.
    pub lost: u64,
    /// What it comes to.
    pub outcome: Outcome,
    /// When the model decided; `null` if it had nothing to decide.
    pub decided_ns: Option<u64>,
    /// Why it can't be decided, or why nothing was owed; empty otherwise.
    pub why: String,
    /// The number of the finding.
    pub finding: Option<u64>,
}
