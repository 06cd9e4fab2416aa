//! The table as Markdown, for the README.

use std::fmt::Write as _;

use super::{PROBES, When};

/// Marks where the table begins in a document that carries it.
const BEGIN: &str = "<!-- probes: begin -->\n";
/// Marks where it ends.
const END: &str = "<!-- probes: end -->\n";

/// The whole table.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "| probe | kind | need | gives | since | without it |\n|---|---|---|---|---|---|\n",
    );
    for probe in PROBES {
        let star = match probe.when {
            When::Always => "",
            When::WhileRegistered => "\\*",
            When::AtSites => "\\*\\*",
        };
        // A tracepoint is found by its subsystem and name, the rest by the row's name alone.
        let name = if probe.kind.is_full() {
            probe.name.to_owned()
        } else {
            format!("{}:{}", probe.subsystem, probe.name)
        };
        let instead = if probe.instead.is_empty() {
            String::new()
        } else {
            format!(" (instead: {})", probe.instead)
        };
        let since = if probe.config.is_empty() {
            probe.since.to_owned()
        } else {
            format!("{}, {}", probe.since, probe.config)
        };
        // Writing to a String can't fail.
        let _ = writeln!(
            text,
            "| `{name}`{star} | {} | {} | {} | {} | {}{instead} |",
            probe.kind.name(),
            probe.need.name(),
            probe.gives,
            since,
            probe.lost_without,
        );
    }
    text.push_str(
        "\n\\* attached only while an mm that is registered for SYNC_CORE exists.\n\\*\\* attached only at \
         instructions that the text audit names.\nKinds: tp_btf and raw_tp are tracepoints; fentry, \
         fexit, percpu_var and kprobe are full mode's.\n\"any\" means every kernel from 5.18 on, the \
         first whose `sched_switch` has all that is needed.\n",
    );
    text
}

/// `document` with its table, which stands between two comments, brought up to date; `None` if
/// the comments aren't there.
#[must_use]
pub fn update_section(document: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{}\n{END}{after}", markdown()))
}
