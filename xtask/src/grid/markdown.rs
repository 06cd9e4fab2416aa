//! The grid as Markdown, for a README or a job's summary.

use std::fmt::Write;

use super::results::Grid;
use super::table::{RULES, foot, number};

/// The whole grid.
pub(super) fn markdown(grid: &Grid) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, grid);
    out
}

fn write(out: &mut String, grid: &Grid) -> std::fmt::Result {
    writeln!(out, "{}\n", foot(grid))?;
    write!(out, "| group | kernel | what | workload | vCPUs | expected | found | runs | s |")?;
    for rule in RULES {
        write!(out, " {rule} |")?;
    }
    writeln!(out, " excused | lost | diverged | verdict |")?;
    writeln!(out, "|{}", "---|".repeat(9 + RULES.len() + 4))?;
    for row in &grid.rows {
        let cells = [
            row.group.to_owned(),
            row.kernel.clone(),
            row.what.clone(),
            row.workload.clone(),
            row.vcpus.to_string(),
            row.expectation(),
            row.finding(),
            format!("{} of {}", row.tries.len(), row.tries_allowed),
            format!("{:.0}", row.seconds),
        ];
        for cell in &cells {
            write!(out, "| {} ", escape(cell))?;
        }
        for rule in RULES {
            write!(out, "| {} ", number(row.checked(rule)))?;
        }
        let lost = row.sum(|run| run.lost);
        let diverged = row.sum(|run| run.divergences);
        let verdict =
            if row.good { escape(&row.verdict) } else { format!("**{}**", escape(&row.verdict)) };
        writeln!(out, "| {} | {lost} | {diverged} | {verdict} |", row.excused())?;
    }
    writeln!(out, "\nR1 to R6: how often each rule was checked, over all runs of the row.")?;
    writeln!(
        out,
        "\n| kernel | release | traced in | verifier: instructions of the dearest program |"
    )?;
    writeln!(out, "|---|---|---|---|")?;
    for kernel in &grid.kernels {
        let release = kernel.release.as_deref().or(kernel.error.as_deref()).unwrap_or("?");
        let mode = kernel.mode.as_str().unwrap_or("?");
        let dearest = kernel
            .verifier
            .iter()
            .filter_map(|(name, cost)| Some((cost.get("instructions")?.as_u64()?, name)))
            .max()
            .map_or_else(|| "not told".to_owned(), |(n, name)| format!("{} (`{name}`)", number(n)));
        let cells = [kernel.kernel.as_str(), release, mode, dearest.as_str()].map(escape);
        writeln!(out, "| {} |", cells.join(" | "))?;
    }
    Ok(())
}

/// Text that stays in its cell.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_a_table_has_as_many_cells_as_its_head() {
        let text = markdown(&super::super::samples::grid());
        let cells = |line: &str| line.replace("\\|", "").matches('|').count();
        for table in text.split("\n\n").filter(|part| part.starts_with('|')) {
            let head = table.lines().next().map(cells);
            for line in table.lines() {
                assert_eq!(Some(cells(line)), head, "{line}");
            }
        }
    }

    #[test]
    fn the_whole_of_it() {
        insta::assert_snapshot!(markdown(&super::super::samples::grid()));
    }
}
