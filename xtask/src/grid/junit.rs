//! The grid as `JUnit` XML: a test suite for each group, a test case for each row.
//!
//! A wrong finding, or a missing one, is a failure; a row that could not be run, an error.

use std::fmt::Write as _;
use std::io::{self, Write};

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::observed::plain;
use super::results::{Grid, RowResult};
use super::table;
use super::verdict::Surprise;

/// Writes the whole grid.
///
/// # Errors
/// Whatever `to` refuses.
pub(super) fn write(grid: &Grid, mut to: impl Write) -> io::Result<()> {
    let mut groups: Vec<&str> = grid.rows.iter().map(|row| row.group).collect();
    groups.sort_unstable();
    groups.dedup();
    let mut xml = Writer::new_with_indent(&mut to, b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let all: Vec<_> = grid.rows.iter().collect();
    let counts = counts(&all, grid.seconds);
    let attributes = counts.iter().map(|(name, value)| (*name, value.as_str()));
    xml.create_element("testsuites")
        .with_attribute(("name", "unlazy grid"))
        .with_attributes(attributes)
        .write_inner_content(|xml| groups.iter().try_for_each(|group| suite(xml, grid, group)))?;
    to.write_all(b"\n")
}

fn suite<W: Write>(xml: &mut Writer<W>, grid: &Grid, group: &str) -> io::Result<()> {
    let rows: Vec<_> = grid.rows.iter().filter(|row| row.group == group).collect();
    let counts = counts(&rows, rows.iter().map(|row| row.seconds).sum());
    xml.create_element("testsuite")
        .with_attribute(("name", group))
        .with_attributes(counts.iter().map(|(name, value)| (*name, value.as_str())))
        .write_inner_content(|xml| rows.iter().try_for_each(|row| case(xml, row)))?;
    Ok(())
}

/// Whether a row could not be run, rather than went wrong.
fn is_error(row: &RowResult) -> bool {
    row.surprises.iter().any(|surprise| {
        matches!(surprise, Surprise::NotRun(_) | Surprise::Died(_) | Surprise::Workload(_))
    })
}

fn counts(rows: &[&RowResult], seconds: f64) -> [(&'static str, String); 4] {
    let errors = rows.iter().filter(|row| is_error(row)).count();
    let bad = rows.iter().filter(|row| !row.good).count();
    [
        ("tests", rows.len().to_string()),
        ("failures", (bad - errors).to_string()),
        ("errors", errors.to_string()),
        ("time", format!("{seconds:.1}")),
    ]
}

fn case<W: Write>(xml: &mut Writer<W>, row: &RowResult) -> io::Result<()> {
    let name = format!("{}, {}, {} vCPUs", row.kernel, row.what, row.vcpus);
    let seconds = format!("{:.1}", row.seconds);
    let class = format!("grid.{}", row.group);
    xml.create_element("testcase")
        .with_attribute(("classname", class.as_str()))
        .with_attribute(("name", name.as_str()))
        .with_attribute(("time", seconds.as_str()))
        .write_inner_content(|xml| {
            if !row.good {
                let element = if is_error(row) { "error" } else { "failure" };
                xml.create_element(element)
                    .with_attribute(("message", plain(&row.verdict).as_str()))
                    .write_text_content(BytesText::new(&plain(&runs(row))))?;
            }
            xml.create_element("system-out")
                .write_text_content(BytesText::new(&plain(&table::row(row))))?;
            Ok(())
        })?;
    Ok(())
}

/// How each run ended.
fn runs(row: &RowResult) -> String {
    let mut text = String::new();
    for (number, run) in row.tries.iter().enumerate() {
        let verdict = run.verdict.as_deref().unwrap_or("no report");
        let because = run.because.join("; ");
        // Writing to a String cannot fail.
        let _ = writeln!(text, "run {}: {}; {verdict}: {because}", number + 1, run.end);
        if !run.console.is_empty() {
            let _ = writeln!(text, "the console's last lines:\n{}", run.console);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_of_it() {
        let mut out = Vec::new();
        write(&super::super::samples::grid(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains('\u{1b}'), "a console's escape sequences cannot stand in XML");
        insta::assert_snapshot!(text);
    }
}
