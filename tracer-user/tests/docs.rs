//! What `docs/` says of the format is what the code does.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "in an integration test; clippy exempts only what stands under #[test]"
)]

use std::fs;

use tracer_common::{
    model::{Func, decode},
    wire::{Header, Kind},
};
use zerocopy::IntoBytes as _;

fn document(name: &str) -> String {
    let path = format!("{}/../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn record(kind: Kind, len: usize) -> Vec<u8> {
    let header = Header { ts: 1, seq: 0, kind: kind as u16, flags: 0 };
    [header.as_bytes(), &vec![0; len]].concat()
}

#[test]
fn every_kind_of_record_is_documented_with_its_number_and_length() {
    let text = document("trace-format.md");
    for &kind in Kind::ALL {
        let begin = format!("| {} | `{}` | `", kind as u16, kind.name());
        let row = text.lines().find(|line| line.starts_with(&begin));
        let row = row.unwrap_or_else(|| panic!("no row {begin}"));
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        let payload = cells.nth(2).expect("a payload").trim_matches('`');
        let len: usize = cells.next().and_then(|len| len.parse().ok()).expect("a length");
        assert!(decode(&record(kind, len), |_| Func::Other).is_ok(), "{row}");
        assert!(decode(&record(kind, len - 1), |_| Func::Other).is_err(), "{row}: it is shorter");
        // The last field ends where the payload does.
        let (_, table) = text.split_once(&format!("### `{payload}`")).expect("its fields");
        let table = table.split("###").next().unwrap_or_default();
        let last = table.lines().rfind(|line| line.starts_with("| ")).expect("a field");
        let mut cells = last.trim_matches('|').split('|').map(str::trim);
        let at: usize = cells.next().and_then(|at| at.parse().ok()).expect("an offset");
        assert_eq!(at + size(cells.nth(1).expect("a type")), len, "{payload}: {last}");
    }
}

/// Of a type as the document writes it: `u32`, `u8[16]`.
fn size(text: &str) -> usize {
    let (of, count) = text.trim_end_matches(']').split_once('[').unwrap_or((text, "1"));
    let bits: usize = of[1..].parse().expect("a number of bits");
    bits / 8 * count.parse::<usize>().expect("a count")
}
