//! `cargo xtask kernel --list` and `--about`: the table of bugs, as people read it.

use std::fmt::{self, Display};

use super::bugs::{BUGS, Bug};
use super::edit::Change;

/// All bugs, a line each.
pub(crate) struct Table;

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, expect: &str, workload: &str, cpus: &str, odds: &str| {
            writeln!(f, "{name:<18} {expect:<16} {workload:<13} {cpus:>4}  {odds}")
        };
        row("unlazy_bug=", "expected", "workload", "cpus", "provoked")?;
        for bug in BUGS {
            row(
                bug.name,
                &bug.expect.to_string(),
                bug.workload.key(),
                &bug.cpus.to_string(),
                &bug.odds.to_string(),
            )?;
        }
        Ok(())
    }
}

/// One bug in full, with its edits.
pub(crate) struct About(pub(crate) &'static Bug);

impl Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bug { name, what, recreates, expect, workload, cpus, odds, edits } = self.0;
        writeln!(f, "unlazy_bug={name}")?;
        writeln!(f, "  {what}")?;
        writeln!(f, "  history:  {recreates}")?;
        writeln!(f, "  expected: {expect}")?;
        writeln!(f, "  provoked: {odds}, by `{}` on {cpus} CPUs", workload.key())?;
        for edit in *edits {
            let place = match edit.change {
                Change::Before(_) => "before the line of",
                Change::After(_) => "after the line of",
                Change::Replace(_) => "instead of",
            };
            writeln!(f, "\n  {}: {place} `{}`", edit.file, edit.anchor)?;
            for line in edit.change.code().lines() {
                writeln!(f, "    {}", line.replace('\t', "    "))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_bug() {
        let table = Table.to_string();
        for bug in BUGS {
            assert!(table.lines().any(|line| line.starts_with(bug.name)), "{}", bug.name);
        }
    }

    #[test]
    fn a_bug_is_told_with_its_edits() {
        for bug in BUGS {
            let told = About(bug).to_string();
            for edit in bug.edits {
                assert!(told.contains(edit.file) && told.contains(edit.anchor), "{told}");
            }
        }
    }
}
