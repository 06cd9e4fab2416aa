//! What the kernel's own text said, as a run took it.

use serde::{Deserialize, Serialize};

/// What was taken from the running kernel's text. `unlazy doctor --json` has it in full.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TextAudit {
    /// What the text was read from; `null` if it could not be read.
    pub source: Option<String>,
    /// Why not; empty if it could.
    pub why: String,
    /// Functions whose serialization the rules build on.
    pub functions: Vec<Promised>,
    /// The order of `LOADED_MM_SWITCHING` and the generation's read in `switch_mm_irqs_off`:
    /// `before_tlb_gen` is right, `after_tlb_gen` loses flushes.
    pub loaded_mm_switching: String,
    /// A CPU that was lazy compares generations before it runs on; `null` if that can't be told.
    pub unlazy_checks_tlb_gen: Option<bool>,
}

/// A function that promises to serialize.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Promised {
    /// The function.
    pub name: String,
    /// What the rules hold of it: `assumed` (the source's word), `audited` (the text has it where
    /// the source promises it), `never` (the text has none), `undecided` (it has it under other
    /// conditions), `probed` (a probe sits on each of its serializing instructions).
    pub promise: String,
}
