//! `unlazy export`: each format, read again by what does not write it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in an integration test; clippy exempts only what stands under #[test]"
)]

#[path = "export/command.rs"]
mod command;
#[path = "export/lines.rs"]
mod lines;
#[path = "export/perfetto.rs"]
mod perfetto;
#[path = "export/run.rs"]
mod run;
#[path = "export/tables.rs"]
mod tables;
#[path = "export/validate.rs"]
mod validate;
