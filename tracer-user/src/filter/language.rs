//! The language, told: in `--help`, in `docs/queries.md`, and on the TUI's page of help.

use super::{Field, Subject};
use crate::{explain, report};

/// Queries, and what they mean.
pub const EXAMPLES: [(&str, &str); 7] = [
    ("mm=8 cpu=0-3,7", "both must hold"),
    ("rule=R1 or rule=R2", "either"),
    ("not comm=swapper*", "what does not match; * stands for any characters"),
    ("(cpu=1 or cpu=2) lazy=yes", "in parentheses what belongs together"),
    ("kind=flush latency>100us", "numbers and times compare: = != < <= > >="),
    ("pid=?", "what is not known"),
    ("jit", "part of a name, as comm~jit"),
];

/// Where the language is told.
pub const DOCUMENT: &str = "docs/queries.md";

/// The language in a few lines, for `--help`.
pub fn help() -> String {
    let examples = EXAMPLES.iter().map(|(query, means)| format!("  {query:<26} {means}\n"));
    let fields = Field::ALL.iter().map(|(_, name, what)| format!("  {name:<9} {what}\n"));
    let text = format!(
        "Show only what this query matches. It hides lines of the output and says how many; what is \
         judged and counted stays the same.\n\n{}\n\
         Fields; a thing that has no such field is not judged by it:\n\n{}",
        examples.collect::<String>(),
        fields.collect::<String>()
    );
    text.trim_end().to_owned()
}

/// What of an event, an mm and so on can be asked; in the order of the table's columns.
fn has(field: Field) -> [bool; 5] {
    let of = |thing: &dyn Subject| thing.any(field, &mut |_| false).is_some();
    [
        of(&report::Cpu::default()),
        of(&report::Mm::default()),
        of(&explain::Call::default()),
        of(&report::Finding::default()),
        EVENT.contains(&field),
    ]
}

/// What can be asked of an event.
pub const EVENT: [Field; 6] =
    [Field::Cpu, Field::Mm, Field::Tid, Field::Pid, Field::Comm, Field::Kind];

/// The language as the tables of [`DOCUMENT`].
pub fn markdown() -> String {
    let examples = EXAMPLES.iter().map(|(query, means)| format!("| `{query}` | {means} |\n"));
    let fields = Field::ALL.iter().map(|&(field, name, what)| {
        let marks = has(field).map(|has| if has { "x" } else { "" });
        format!("| `{name}` | {what} | {} |\n", marks.join(" | "))
    });
    format!(
        "| query | shows |\n|---|---|\n{}\n\
         | field | | CPUs | mms | calls | findings | events |\n|---|---|---|---|---|---|---|\n{}",
        examples.collect::<String>(),
        fields.collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::Path};

    use super::*;
    use crate::filter::Filter;

    #[test]
    fn the_examples_are_queries() {
        for (query, _) in EXAMPLES {
            query.parse::<Filter>().expect(query);
        }
    }

    #[test]
    fn help_fits_a_terminal() {
        let mut lines = help();
        lines.drain(..lines.find('\n').expect("several lines"));
        for line in lines.lines() {
            assert!(line.chars().count() <= 90, "{line}");
        }
    }

    #[test]
    fn the_document_has_the_language() {
        const BEGIN: &str = "<!-- language: begin -->\n\n";
        const END: &str = "\n<!-- language: end -->";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(DOCUMENT);
        let there = fs::read_to_string(&path).expect("the document");
        let (before, rest) = there.split_once(BEGIN).expect("where it begins");
        let (_, after) = rest.split_once(END).expect("where it ends");
        let wanted = [before, BEGIN, &markdown(), END, after].concat();
        if env::var_os("UPDATE_QUERIES").is_some() {
            fs::write(&path, wanted).expect("writing the document");
            return;
        }
        assert!(there == wanted, "it is out of date; run with UPDATE_QUERIES=1 to renew it");
    }
}
