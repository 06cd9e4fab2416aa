//! The grid as it is written: `unlazy.grid/1`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::observed::Observed;
use super::plan::Row;
use super::trial::Kernel;
use super::verdict::{Surprise, Verdict};

/// The schema's name and version. Keys may be added, never renamed.
pub(super) const SCHEMA: &str = "unlazy.grid/1";

/// The whole grid.
#[derive(Debug, Serialize)]
pub(super) struct Grid {
    pub(super) schema: &'static str,
    /// Whether it was the part that fits a quarter of an hour.
    pub(super) quick: bool,
    /// From the first row's beginning to the last one's end.
    pub(super) seconds: f64,
    pub(super) surprises: usize,
    pub(super) kernels: Vec<KernelFacts>,
    pub(super) rows: Vec<RowResult>,
}

/// A kernel of the grid, as `unlazy doctor` sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct KernelFacts {
    /// As the rows call it.
    pub(super) kernel: String,
    /// `uname -r`; `null` if it never ran.
    pub(super) release: Option<String>,
    /// Why it could not be had.
    pub(super) error: Option<String>,
    /// What unlazy traces it with.
    pub(super) mode: Value,
    /// What each program cost the verifier, by the program's probe.
    pub(super) verifier: BTreeMap<String, Value>,
    /// What the kernel's text has.
    pub(super) text_audit: Value,
}

impl KernelFacts {
    /// Those of a kernel that ran.
    pub(super) fn of(name: &str, kernel: &Kernel) -> Self {
        let doctor = &kernel.doctor;
        let probes = doctor["probes"].as_array().into_iter().flatten();
        let verifier = probes.filter_map(|probe| {
            let cost = probe.get("verifier").filter(|cost| !cost.is_null())?;
            Some((probe["name"].as_str()?.to_owned(), cost.clone()))
        });
        Self {
            kernel: name.to_owned(),
            release: Some(kernel.image.release.clone()),
            error: None,
            mode: doctor["mode"].clone(),
            verifier: verifier.collect(),
            text_audit: doctor["text_audit"].clone(),
        }
    }

    /// Those of a kernel that could not be had.
    pub(super) fn missing(name: &str, error: &anyhow::Error) -> Self {
        Self {
            kernel: name.to_owned(),
            release: None,
            error: Some(format!("{error:#}")),
            mode: Value::Null,
            verifier: BTreeMap::new(),
            text_audit: Value::Null,
        }
    }
}

/// One row and what came of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RowResult {
    pub(super) name: String,
    pub(super) group: &'static str,
    pub(super) kernel: String,
    /// The bug or what else is special.
    pub(super) what: String,
    pub(super) workload: String,
    pub(super) vcpus: u32,
    pub(super) append: Vec<String>,
    pub(super) expected: Vec<String>,
    /// Rules that may be found as well.
    pub(super) may: Vec<String>,
    /// Rules that were found in any run.
    pub(super) found: Vec<String>,
    /// As expected, by whatever means.
    pub(super) good: bool,
    pub(super) verdict: String,
    #[serde(skip)]
    pub(super) surprises: Vec<Surprise>,
    /// How many runs it may take.
    pub(super) tries_allowed: u32,
    /// How often it was begun: again, if only the host was too slow.
    pub(super) rounds: u32,
    /// All runs of the last round together.
    pub(super) seconds: f64,
    /// Every run, the first one first.
    pub(super) tries: Vec<Observed>,
}

impl RowResult {
    /// Puts a row and its runs together.
    pub(super) fn new(row: &Row, tries: Vec<Observed>, verdict: Verdict) -> Self {
        let mut found: Vec<_> = tries.iter().flat_map(|run| run.found.clone()).collect();
        found.sort();
        found.dedup();
        Self {
            name: row.name(),
            group: row.group.name(),
            kernel: row.kernel.name(),
            what: row.what.clone(),
            workload: row.load.name(),
            vcpus: row.smp,
            append: row.append.clone(),
            expected: row.expected.all.iter().cloned().collect(),
            may: row.expected.may.iter().cloned().collect(),
            found,
            good: verdict.is_good(),
            verdict: verdict.to_string(),
            surprises: match verdict {
                Verdict::Surprise(surprises) => surprises,
                Verdict::Expected | Verdict::ByAudit => Vec::new(),
            },
            rounds: 1,
            tries_allowed: row.tries,
            // Not sum(), which begins at -0.
            seconds: tries.iter().fold(0.0, |all, run| all + run.seconds),
            tries,
        }
    }

    /// A count over all runs.
    pub(super) fn sum(&self, count: impl Fn(&Observed) -> u64) -> u64 {
        self.tries.iter().map(count).sum()
    }

    /// How often a rule was checked, over all runs.
    pub(super) fn checked(&self, rule: &str) -> u64 {
        self.sum(|run| run.rules.get(rule).map_or(0, |rule| rule.checked))
    }

    /// How often a rule was broken in a way that the kernel allows, over all runs and rules.
    pub(super) fn excused(&self) -> u64 {
        self.sum(|run| run.rules.values().map(|rule| rule.excused).sum())
    }

    /// What is expected, in a few words.
    pub(super) fn expectation(&self) -> String {
        match (self.expected.is_empty(), self.may.is_empty()) {
            (true, true) => "nothing".to_owned(),
            (_, true) => self.expected.join(" "),
            (_, false) => format!("{} ({})", self.expected.join(" "), self.may.join(" ")),
        }
    }

    /// What was found, in a few words.
    pub(super) fn finding(&self) -> String {
        if self.found.is_empty() { "nothing".to_owned() } else { self.found.join(" ") }
    }
}
