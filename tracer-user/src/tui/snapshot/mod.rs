//! All that the screens show at one moment, as plain data.
//!
//! A [`Snapshot`] is what a [`Machine`](super::machine::Machine) hands out for its cursor: the state
//! after the last event at or before it. Nothing here knows engines, files or terminals, so that a
//! test can write one down. Where the report has a type for a thing, it is used.
//!
//! Unknown is `None`, never a zero that looks like a number. For an mm, `Some(`[`NO_MM`]`)` is "none".
//!
//! [`NO_MM`]: crate::report::NO_MM

mod calls;
mod cpu;
mod health;
mod ipis;

use std::collections::BTreeMap;

use crate::report::{self, Mode};

pub use calls::{CallKind, CallRow, Cover, MmRow};
pub use cpu::{Asid, CpuRow, LeftAlone, Owed, Place, Relation};
pub use health::{Cost, Health, ProgramCost};
pub use ipis::{IpiCell, IpiSender, Ipis, Received};

/// One moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot {
    /// Where it comes from, and when it is.
    pub moment: Moment,
    /// What was counted from where the window opened until the cursor.
    pub totals: Totals,
    /// The CPUs that may come online, by number.
    pub cpus: Vec<CpuRow>,
    /// The mms that mattered until then.
    pub mms: Vec<MmRow>,
    /// Mms that `mms` leaves out.
    pub mms_omitted: u64,
    /// Whose an mm is, as `comm/tgid`: for every mm that any row names, as far as known.
    pub owners: BTreeMap<u64, String>,
    /// The last calls until then, oldest first; those that are under way among them.
    pub calls: Vec<CallRow>,
    /// Calls before those of `calls`.
    pub calls_omitted: u64,
    /// The findings until then, in the order in which they were found.
    pub findings: Vec<FindingRow>,
    /// Findings until then that were not kept.
    pub findings_omitted: u64,
    /// Findings after the cursor, as far as they are known yet.
    pub findings_ahead: u64,
    /// The last events until then, oldest first; a dozen or so.
    pub recent: Vec<report::ChainLink>,
    /// Who interrupts whom.
    pub ipis: Ipis,
    /// How sure all this is, and what it costs.
    pub health: Health,
    /// The whole span, in short.
    pub timeline: Timeline,
}

/// When a snapshot is, and of what.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Moment {
    /// What is looked at: a file's name, or the host's.
    pub source: String,
    /// The cursor, in nanoseconds of `clock`.
    pub at_ns: u64,
    /// Where the span that can be visited begins.
    pub first_ns: u64,
    /// Where it ends, as far as known.
    pub last_ns: u64,
    /// Which event it is, from 1; 0 before the first. `None` if not known.
    pub event: Option<u64>,
    /// The clock of all times.
    pub clock: String,
    /// What to add for nanoseconds since 1970 (UTC).
    pub to_realtime_ns: Option<i64>,
    /// What the probes could see.
    pub mode: Mode,
    /// The cursor was moved and this is not yet what is there: an earlier snapshot is shown.
    pub seeking: bool,
    /// A word from below for the user: why tracing ended, what was damaged. Empty if all is well.
    pub note: String,
}

/// What was counted until the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Totals {
    /// Events judged.
    pub events: u64,
    /// Events a second, over the last second or so.
    pub events_per_s: Option<f64>,
    /// Events lost.
    pub lost: u64,
    /// Checks that could not be decided.
    pub inconclusive: u64,
    /// Findings, without the self-checks.
    pub findings: u64,
    /// Where the reconstruction and the kernel's own variables disagreed (R7).
    pub divergences: u64,
}

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FindingRow {
    /// Its number, from 1, in the order in which they were found: what
    /// [`Machine::explain`](crate::tui::machine::Machine::explain) takes.
    pub number: u64,
    /// Rule, severity, place, evidence, sentence, and chain.
    pub finding: report::Finding,
}

/// The whole span in a fixed number of slices, for the bar that is scrubbed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Timeline {
    /// Where the first slice begins.
    pub from_ns: u64,
    /// Where the last ends.
    pub to_ns: u64,
    /// Up to where it is known what happened: less than `to_ns` while a recording is being read.
    pub known_to_ns: u64,
    /// Slices of equal length; none if nothing is known yet.
    pub slices: Vec<Slice>,
}

/// What happened in one slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Slice {
    /// Events.
    pub events: u64,
    /// SYNC_CORE calls that began.
    pub calls: u64,
    /// Findings.
    pub findings: u64,
    /// Events lost.
    pub lost: u64,
}
