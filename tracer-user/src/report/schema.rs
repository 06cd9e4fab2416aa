//! The report as a whole.

use serde::{Deserialize, Serialize};

use super::{
    Blindness, Command, Cpu, CrossCheck, Events, Filtered, Finding, Kernel, MembarrierTotal, Mm,
    Overhead, Probe, Reason, Rule, SyscallCoverage, Transitions, UserReturns, Window,
    text_audit::TextAudit,
};

/// The name and version of the contract that [`Report`] keeps.
pub const SCHEMA: &str = "unlazy.report/1";

/// What the run as a whole comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every check that was made passed.
    Clean,
    /// A rule was broken.
    Findings,
    /// Something that had to be judged could not be. The default, so that a report that nobody
    /// filled in never reads as clean.
    #[default]
    Inconclusive,
}

impl Verdict {
    /// The word the JSON uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Findings => "findings",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// What the probes could see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// BTF tracepoints only.
    #[default]
    Tracepoint,
    /// Also fentry/fexit, per-CPU variables and the text audit.
    Full,
}

impl Mode {
    /// The word the JSON and `--mode` use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tracepoint => "tracepoint",
            Self::Full => "full",
        }
    }
}

/// Everything a run has to say: `unlazy.report/1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The version of unlazy that wrote it.
    pub unlazy: String,
    /// What the run comes to.
    pub verdict: Verdict,
    /// Why the verdict is not `clean`, most important first, each with what to do about it.
    pub because: Vec<Reason>,
    /// What the probes could see.
    pub mode: Mode,
    /// The kernel and machine.
    pub kernel: Kernel,
    /// Every probe of the table, attached or not.
    pub probes: Vec<Probe>,
    /// What the running kernel's text has where its source promises serialization.
    pub text_audit: TextAudit,
    /// Length of the window in nanoseconds: `window.end_ns - window.start_ns`.
    pub duration_ns: u64,
    /// When it was, by which clock.
    pub window: Window,
    /// The command that the window was cut to; `null` without one.
    pub command: Option<Command>,
    /// What arrived, and what did not.
    pub events: Events,
    /// Every CPU as it was at the end of the window.
    pub cpus: Vec<Cpu>,
    /// Membarrier calls of all mms together.
    pub membarrier: MembarrierTotal,
    /// The mms that mattered: registered ones and those that membarrier was called on.
    pub mms: Vec<Mm>,
    /// How many further mms `mms` leaves out.
    pub mms_omitted: u64,
    /// How logical and real mm moved.
    pub transitions: Transitions,
    /// Returns to user mode.
    pub user_returns: UserReturns,
    /// Every rule, the ones that this mode cannot check included.
    pub rules: Vec<Rule>,
    /// How many findings there were, `findings_omitted` included.
    pub findings_total: u64,
    /// The first findings, in detail.
    pub findings: Vec<Finding>,
    /// How many further findings `findings` leaves out.
    pub findings_omitted: u64,
    /// What this mode, on this kernel, cannot see.
    pub blind_spots: Vec<Blindness>,
    /// Our count of switches against the kernel's own; `null` where it could not be read.
    pub crosscheck: Option<CrossCheck>,
    /// For how long system calls were watched; `null` where that does not apply.
    pub syscall_coverage: Option<SyscallCoverage>,
    /// What watching cost.
    pub overhead: Overhead,
    /// What a query left out of `cpus`, `mms` and `findings`; `null` if nothing was asked to be.
    pub filter: Option<Filtered>,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            unlazy: env!("CARGO_PKG_VERSION").to_owned(),
            verdict: Verdict::default(),
            because: Vec::new(),
            mode: Mode::default(),
            kernel: Kernel::default(),
            probes: Vec::new(),
            text_audit: TextAudit::default(),
            duration_ns: 0,
            window: Window::default(),
            command: None,
            events: Events::default(),
            cpus: Vec::new(),
            membarrier: MembarrierTotal::default(),
            mms: Vec::new(),
            mms_omitted: 0,
            transitions: Transitions::default(),
            user_returns: UserReturns::default(),
            rules: Vec::new(),
            findings_total: 0,
            findings: Vec::new(),
            findings_omitted: 0,
            blind_spots: Vec::new(),
            crosscheck: None,
            syscall_coverage: None,
            overhead: Overhead::default(),
            filter: None,
        }
    }
}
