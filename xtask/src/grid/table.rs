//! The grid as a table for people: a line a row, as each is done.

use super::results::{Grid, RowResult};

/// Rules with a column.
pub(super) const RULES: [&str; 6] = ["R1", "R2", "R3", "R4", "R5", "R6"];
/// What each column holds, and how wide it is; numbers stand to the right.
const COLUMNS: [(&str, usize, bool); 15] = [
    ("kernel", 22, false),
    ("what", 18, false),
    ("cpus", 4, true),
    ("expected", 10, false),
    ("found", 10, false),
    ("try", 3, true),
    ("s", 4, true),
    ("R1", 5, true),
    ("R2", 5, true),
    ("R3", 5, true),
    ("R4", 5, true),
    ("R5", 5, true),
    ("R6", 5, true),
    ("lost", 5, true),
    ("div", 5, true),
];

/// The head of the table.
pub(super) fn head() -> String {
    let cells = COLUMNS.map(|(name, ..)| name.to_owned());
    format!("{}  verdict (R1 to R6: how often each was checked)", line(&cells))
}

/// A row's line.
pub(super) fn row(result: &RowResult) -> String {
    let mut cells = vec![
        result.kernel.clone(),
        result.what.clone(),
        result.vcpus.to_string(),
        result.expectation(),
        result.finding(),
        result.tries.len().to_string(),
        format!("{:.0}", result.seconds),
    ];
    cells.extend(RULES.map(|rule| number(result.checked(rule))));
    cells.push(number(result.sum(|run| run.lost)));
    cells.push(number(result.sum(|run| run.divergences)));
    format!("{}  {}", line(&cells), result.verdict)
}

/// The last line.
pub(super) fn foot(grid: &Grid) -> String {
    let rows = grid.rows.len();
    let tries: usize = grid.rows.iter().map(|row| row.tries.len()).sum();
    let verdict = match grid.surprises {
        0 => "everything as expected".to_owned(),
        n => format!("{n} of them with a surprise"),
    };
    format!("{rows} rows in {tries} runs, {:.0} s: {verdict}", grid.seconds)
}

fn line(cells: &[String]) -> String {
    let cells: Vec<_> = COLUMNS
        .iter()
        .zip(cells)
        .map(
            |(&(_, width, right), cell)| {
                if right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            },
        )
        .collect();
    cells.join(" ").trim_end().to_owned()
}

/// A number in at most five characters.
pub(super) fn number(n: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1_000_000_000_000, "T"), (1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")];
    for (unit, name) in UNITS {
        if n >= 10 * unit {
            return format!("{}{name}", n / unit);
        }
        if n >= unit {
            return format!("{}.{}{name}", n / unit, n % unit / (unit / 10));
        }
    }
    n.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_short() {
        for (n, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1.0k"),
            (9_999, "9.9k"),
            (12_345, "12k"),
            (999_999, "999k"),
            (1_500_000, "1.5M"),
            (498_739_230, "498M"),
            (u64::MAX, "18446744T"),
        ] {
            assert_eq!(number(n), text);
        }
    }

    #[test]
    fn columns_are_as_many_as_cells() {
        let result = super::super::samples::grid().rows.remove(0);
        assert!(row(&result).ends_with("as expected"), "{}", row(&result));
        assert_eq!(COLUMNS.len(), 7 + RULES.len() + 2);
    }
}
