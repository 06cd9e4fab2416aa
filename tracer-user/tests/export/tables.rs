//! Parquet, read again by its library's reader.

use std::{collections::BTreeMap, fs::File, path::Path};

use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::Field as Cell,
};
use unlazy::export::{
    Exporter, Json,
    parquet::{FILES, Parquet},
};

use super::run::{self, Script};

type Row = BTreeMap<String, Cell>;

fn rows(path: &Path) -> Vec<Row> {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    rows.map(|row| row.unwrap().into_columns().into_iter().collect()).collect()
}

/// The three tables.
fn export(script: &Script) -> [Vec<Row>; 3] {
    let dir = tempfile::tempdir().unwrap();
    let mut tables = Parquet::new(dir.path(), &run::facts(), 0).unwrap();
    let report = run::judge(script, &mut tables);
    tables.finish(&report).unwrap();
    tables.close().unwrap();
    [0, 1, 2].map(|n| rows(&dir.path().join(FILES[n])))
}

fn cell(cell: &Cell) -> serde_json::Value {
    match cell {
        Cell::Null => serde_json::Value::Null,
        Cell::Bool(b) => (*b).into(),
        Cell::Int(n) => (*n).into(),
        Cell::Long(n) => (*n).into(),
        Cell::ULong(n) => (*n).into(),
        Cell::Str(text) => text.clone().into(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_row_has_what_the_line_has() {
    for script in [run::script(), run::every_kind(1), run::every_kind(0xff)] {
        let mut out = Vec::new();
        let mut json = Json::new(&mut out, 0);
        let report = run::judge(&script, &mut json);
        json.finish(&report).unwrap();
        let lines = out.split_inclusive(|&byte| byte == b'\n');
        let lines = lines.map(|line| serde_json::from_slice::<serde_json::Value>(line).unwrap());
        let (findings, lines): (Vec<_>, Vec<_>) = lines.partition(|line| line["kind"] == "finding");
        let [events, _, found] = export(&script);
        assert_eq!((events.len(), found.len()), (lines.len(), findings.len()));
        for (row, line) in events.iter().zip(&lines) {
            for (name, has) in row {
                // A column that the line lacks is null.
                assert_eq!(cell(has), line[name], "{name} in {line}");
            }
        }
        for (row, line) in found.iter().zip(&findings) {
            let chain = cell(&row["chain"]);
            let chain: serde_json::Value = serde_json::from_str(chain.as_str().unwrap()).unwrap();
            assert_eq!(chain, line["chain"]);
            assert_eq!(cell(&row["summary"]), line["summary"]);
        }
    }
}

#[test]
fn calls_have_their_time_their_result_and_their_targets() {
    let [_, calls, _] = export(&run::script());
    let [call] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!(cell(&call["command"]), "PRIVATE_EXPEDITED_SYNC_CORE");
    assert_eq!((cell(&call["ret"]), cell(&call["mm"])), (0.into(), run::MM.into()));
    let [Cell::Long(begin), Cell::Long(end), Cell::Long(took)] =
        ["ts_ns", "end_ns", "duration_ns"].map(|name| call[name].clone())
    else {
        panic!("{call:?}")
    };
    assert!(took > 0 && end - begin == took);
    let Cell::ListInternal(targets) = &call["targets"] else { panic!("{call:?}") };
    assert_eq!(targets.elements(), [Cell::Int(1)]);
    assert_eq!(cell(&call["cpus_targeted"]), 1);
}
