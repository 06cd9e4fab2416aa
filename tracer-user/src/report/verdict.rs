//! What was judged: rules, findings, and how each thing is known.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How a thing is known. Ordered from weakest to strongest, so that the weakest link of a chain is
/// its minimum.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// Known only from the kernel's source.
    #[default]
    Assumed,
    /// A tracepoint that fires only on that path, or two events with nothing possible between.
    Inferred,
    /// A probe sat on it.
    Observed,
}

impl Evidence {
    /// The word the JSON uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Assumed => "assumed",
            Self::Inferred => "inferred",
            Self::Observed => "observed",
        }
    }
}

/// How many checks rested on which evidence; each counts by its weakest link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EvidenceMix {
    /// Checks where every link was observed.
    pub observed: u64,
    /// Checks whose weakest link was inferred.
    pub inferred: u64,
    /// Checks that rest on something known only from source.
    pub assumed: u64,
}

/// How bad it is that a rule is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The discipline was broken; whether harm followed depends on timing.
    #[default]
    Hazard,
    /// A promise of the kernel was broken.
    Violation,
    /// Our own reconstruction and the kernel disagree.
    SelfCheck,
}

impl Severity {
    /// The word the JSON uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hazard => "hazard",
            Self::Violation => "violation",
            Self::SelfCheck => "self-check",
        }
    }
}

/// One rule and how it fared.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Rule {
    /// `R1` … `R7`.
    pub id: String,
    /// Its short name, for example `unlazy-sync`.
    pub name: String,
    /// How bad it is when it is broken.
    pub severity: Severity,
    /// How often it was checked. Zero is "never exercised", which is not "passed".
    pub checked: u64,
    /// How often it was broken.
    pub findings: u64,
    /// How often it could not be decided. Not part of `checked`.
    pub inconclusive: u64,
    /// The same, by reason.
    pub inconclusive_by: BTreeMap<String, u64>,
    /// How often the kernel deviated in a way that stock kernels are known to have, and that was
    /// proven to be just that. Part of none of the numbers above.
    pub excused: u64,
    /// What the checks rested on.
    pub evidence: EvidenceMix,
    /// Why it could not be checked (for example `needs full mode`); empty if it could.
    pub why: String,
    /// R7 only: where reconstruction and kernel disagreed, by what disagreed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub divergences: Option<BTreeMap<String, u64>>,
}

/// One reason for the verdict, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Reason {
    /// What was the matter.
    pub what: String,
    /// What to do next; empty if nothing can be done.
    pub remedy: String,
}

/// A broken rule: where, and the chain of events that led there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Finding {
    /// Its number, from 1, in the order in which they were found: what `explain --finding` takes.
    pub number: u64,
    /// The rule's id.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// The CPU it happened on.
    pub cpu: u32,
    /// The thread, if known.
    pub tid: Option<u32>,
    /// Its process, if known.
    pub tgid: Option<u32>,
    /// Its name.
    pub comm: Option<String>,
    /// The mm that the rule speaks of.
    pub mm: Option<u64>,
    /// When, by the window's clock.
    pub ts_ns: u64,
    /// The weakest link of the chain.
    pub evidence: Evidence,
    /// One plain sentence.
    pub summary: String,
    /// What led there, in order.
    pub chain: Vec<ChainLink>,
}

/// One event of a finding's chain.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ChainLink {
    /// When, by the window's clock.
    pub ts_ns: u64,
    /// On which CPU.
    pub cpu: u32,
    /// What happened.
    pub what: String,
    /// How that is known.
    pub evidence: Evidence,
}
