//! A recording held against the abstract kernel of `unlazy explore`.
//!
//! ```text
//! recording -> judge (order, time) -> Conformer (an Observer) -> Tally -> text | JSON (unlazy.conform/1)
//! ```

mod json;
mod text;

use tracer_explore::{
    bug::Bug,
    conform::{Conform, Sees, Tally},
    protocol::{self, Protocol},
};

use crate::{
    engine::{Observer, Seen},
    exit::Exit,
    judge::recorded,
    report::Attach,
    stream::{Facts, Origin},
    trace::{Damage, Part, Range, TraceError},
};

pub use json::Conformity;
pub use text::lines;

/// What it comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All that could be held against the abstract kernel is something that it does.
    Conforms,
    /// Something is not.
    Diverges,
    /// Too little could be held against it.
    Inconclusive,
}

impl Verdict {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Conforms => "conforms",
            Self::Diverges => "diverges",
            Self::Inconclusive => "inconclusive",
        }
    }

    fn of(tally: &Tally, damaged: bool) -> Self {
        if tally.diverged > 0 {
            Self::Diverges
        } else if damaged || tally.unknown >= tally.passed() {
            Self::Inconclusive
        } else {
            Self::Conforms
        }
    }
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Conforms => Self::Clean,
            Verdict::Diverges => Self::Findings,
            Verdict::Inconclusive => Self::Inconclusive,
        }
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Conformed {
    /// The verdict.
    pub verdict: Verdict,
    /// What was counted.
    pub tally: Tally,
    /// When the recording began.
    pub started_ns: u64,
    /// What could not be read, by the number of the part.
    pub damage: Vec<(usize, Damage)>,
}

/// The protocol of the kernel that was recorded.
#[must_use]
pub fn protocol_of(facts: &Facts) -> &'static Protocol {
    if let Origin::Explored { protocol } = &facts.origin
        && let Some(known) = protocol::find(protocol)
    {
        return known;
    }
    let release = facts.kernel.release.as_deref().unwrap_or_default();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let version = match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor),
        _ => (6, 12),
    };
    let name = match version {
        (..=5, _) | (6, ..=11) => "linux-6.1",
        (6, 12..=15) => "linux-6.12",
        _ if facts.judging.invlpgb => "linux-6.18-invlpgb",
        _ => "linux-6.18",
    };
    protocol::find(name).unwrap_or(&protocol::PROTOCOLS[0])
}

/// Hands a run's events on.
struct Conformer {
    conform: Conform,
    explored: bool,
}

impl Observer for Conformer {
    fn event(&mut self, seen: &Seen<'_>) {
        self.conform.event(seen.cpu, seen.ts, seen.event);
    }

    fn restart(&mut self, _: u64) {
        // Before the window opens not every probe is there.
        self.conform.open(self.explored);
    }
}

/// Holds one run against an abstract kernel.
///
/// # Errors
/// [`TraceError`] if it can't be read.
pub fn conform(
    parts: &[Part],
    range: Range,
    protocol: &Protocol,
    bugs: &[&Bug],
) -> Result<Conformed, TraceError> {
    let Some(first) = parts.first() else {
        return Err(TraceError::Parts("there is no file to read".to_owned()));
    };
    let facts = first.facts();
    let explored = matches!(facts.origin, Origin::Explored { .. });
    let attached = |name: &str| {
        let mut probes = facts.probes.iter();
        explored || probes.any(|probe| probe.name == name && probe.state == Attach::Attached)
    };
    let config = facts.config();
    let flags: Vec<_> = bugs.iter().flat_map(|bug| bug.flags).copied().collect();
    let sees = Sees::new(&config, attached("csd_queue_cpu"), attached("flush_tlb_mm_range"));
    let cpus = facts.cpus_possible as usize;
    let mut conformer = Conformer { conform: Conform::new(protocol, &flags, sees, cpus), explored };
    let recorded = recorded::observe(parts, range, &mut conformer)?;
    let tally = conformer.conform.finish();
    let verdict = Verdict::of(&tally, !recorded.damage.is_empty());
    Ok(Conformed { verdict, tally, started_ns: facts.started_ns, damage: recorded.damage })
}
