//! `unlazy.doctor/1`.

use serde::Serialize;

use crate::{
    audit::Audit,
    probes::{self, State, privileges::Privileges},
};

/// The name and version of the contract that [`Doctor`] keeps.
pub const SCHEMA: &str = "unlazy.doctor/1";

/// Everything that `doctor` found out.
#[derive(Clone, Debug, Serialize)]
pub struct Doctor {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// The mode that a run would use; `null` if none works.
    pub mode: Option<Mode>,
    /// The kernel and CPU, as reports have it.
    pub kernel: serde_json::Value,
    /// What this process may do.
    pub privileges: Privilege,
    /// The BTF that fields and tracepoints were looked up in.
    pub btf: BtfFile,
    /// Every probe of the table.
    pub probes: Vec<ProbeLine>,
    /// Which modes work.
    pub modes: Modes,
    /// What the running kernel's text has where its source promises serialization.
    pub text_audit: Audit,
    /// What to do, most important first.
    pub advice: Vec<String>,
}

/// A way of tracing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Tracepoints alone.
    Tracepoint,
    /// Also functions and per-CPU variables.
    Full,
}

impl From<probes::Mode> for Mode {
    fn from(mode: probes::Mode) -> Self {
        match mode {
            probes::Mode::Tracepoint => Self::Tracepoint,
            probes::Mode::Full => Self::Full,
        }
    }
}

/// What this process may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "capabilities are independent of each other")]
pub struct Privilege {
    /// They suffice to trace.
    pub ok: bool,
    /// The effective user is root.
    pub root: bool,
    /// `CAP_BPF` is effective.
    pub cap_bpf: bool,
    /// `CAP_PERFMON` is effective.
    pub cap_perfmon: bool,
    /// `CAP_SYS_ADMIN` is effective.
    pub cap_sys_admin: bool,
}

impl From<Privileges> for Privilege {
    fn from(privileges: Privileges) -> Self {
        let Privileges { root, bpf, perfmon, sys_admin } = privileges;
        Self {
            ok: privileges.suffice(),
            root,
            cap_bpf: bpf,
            cap_perfmon: perfmon,
            cap_sys_admin: sys_admin,
        }
    }
}

/// The BTF that was used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BtfFile {
    /// The file.
    pub path: String,
    /// Its size; `null` if it could not be read.
    pub bytes: Option<usize>,
    /// Why it could not be read; empty if it could.
    pub why: String,
}

/// What became of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tried {
    /// It was attached, and taken away again.
    Attached,
    /// It was not tried.
    Skipped,
    /// The kernel refused it.
    Failed,
}

impl From<State> for Tried {
    fn from(state: State) -> Self {
        match state {
            State::Attached => Self::Attached,
            State::Skipped => Self::Skipped,
            State::Failed => Self::Failed,
        }
    }
}

/// A probe of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProbeLine {
    /// The program's or variable's name.
    pub name: &'static str,
    /// The tracefs directory that holds the tracepoint, or the part of the kernel.
    pub subsystem: &'static str,
    /// `tp_btf`, `raw_tp`, …
    pub kind: &'static str,
    /// `required`, `important` or `optional`.
    pub need: &'static str,
    /// What became of it.
    pub state: Tried,
    /// Why it wasn't attached; empty if it was.
    pub why: String,
    /// What it gives.
    pub gives: &'static str,
    /// Whether something is lost because it isn't there: not if another probe takes its place, or if
    /// it belongs to a mode that is left out as a whole.
    pub lost: bool,
    /// What is lost without it.
    pub lost_without: &'static str,
    /// What its program cost the verifier; `null` if it was not loaded, or the kernel doesn't tell.
    pub verifier: Option<Verifier>,
}

/// What a program cost the verifier; `null` where it doesn't tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Verifier {
    /// Instructions that it processed.
    pub instructions: u32,
    /// States that it went through.
    pub states: Option<u32>,
    /// The most of them that it had to keep at a time.
    pub peak_states: Option<u32>,
    /// The most of them for one instruction.
    pub max_states_per_instruction: Option<u32>,
}

impl From<probes::Verifier> for Verifier {
    fn from(cost: probes::Verifier) -> Self {
        let probes::Verifier { instructions, states, peak_states, max_states_per_instruction } =
            cost;
        Self { instructions, states, peak_states, max_states_per_instruction }
    }
}

/// Which modes work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Modes {
    /// Tracepoints alone.
    pub tracepoint: Works,
    /// Also functions and per-CPU variables.
    pub full: Works,
}

/// Whether something works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Works {
    /// It does.
    pub ok: bool,
    /// Why not, or in what way not completely; empty if there is nothing to say.
    pub why: String,
}
