//! The report: what a run found, as data, as JSON and as text.
