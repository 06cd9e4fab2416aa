//! The command: places, exit codes, damage.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

use super::run;

/// A recording in a directory of its own.
fn recording() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("t.mcap");
    run::write(&run::script(), &trace);
    (dir, trace)
}

fn export(trace: &Path, format: &str, to: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_unlazy"))
        .arg("export")
        .arg(trace)
        .args(["--format", format, "-o"])
        .arg(to)
        .args(more)
        .stdin(Stdio::null())
        .output()
        .expect("unlazy starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn each_format_is_written_and_nothing_is_left_beside_it() {
    let (dir, trace) = recording();
    for format in ["perfetto", "json", "parquet"] {
        let to = dir.path().join(format);
        for _ in 0..2 {
            let output = export(&trace, format, &to, &[]);
            assert_eq!(output.status.code(), Some(0), "{}", said(&output));
            assert!(output.stdout.is_empty());
        }
        assert!(to.exists());
    }
    let mut names: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["json", "parquet", "perfetto", "t.mcap"]);
}

#[test]
fn standard_output_is_the_same_as_a_file() {
    let (dir, trace) = recording();
    for format in ["perfetto", "json"] {
        let to = dir.path().join("out");
        assert_eq!(export(&trace, format, &to, &[]).status.code(), Some(0));
        let output = export(&trace, format, Path::new("-"), &[]);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        assert!(output.stdout == fs::read(&to).unwrap(), "{format}");
    }
    let output = export(&trace, "parquet", Path::new("-"), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("directory"), "{}", said(&output));
}

#[test]
fn what_was_there_stays_if_not_all_can_be_written() {
    let (dir, trace) = recording();
    let output = export(&trace, "json", Path::new("/dev/full"), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("/dev/full"), "{}", said(&output));
    // A file where a directory should be, and a directory that holds something else.
    let kept = dir.path().join("kept");
    fs::create_dir(&kept).unwrap();
    fs::write(kept.join("notes"), "mine").unwrap();
    for to in [kept.join("notes"), kept.clone()] {
        let output = export(&trace, "parquet", &to, &[]);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(to.to_str().unwrap()), "{}", said(&output));
    }
    assert_eq!(fs::read_to_string(kept.join("notes")).unwrap(), "mine");
    assert_eq!(fs::read_dir(&kept).unwrap().count(), 1);
    // A recording that can't be read leaves what was there.
    let to = dir.path().join("out");
    fs::write(&to, "before").unwrap();
    let output = export(&kept.join("notes"), "perfetto", &to, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(fs::read_to_string(&to).unwrap(), "before");
}

#[test]
fn damage_is_said_and_what_can_be_read_is_written() {
    let (dir, trace) = recording();
    let whole = fs::read(&trace).unwrap();
    let damaged = dir.path().join("damaged.mcap");
    let mut found = false;
    // Wherever it hits: never a panic, and never silence about what is left out.
    for at in (0..whole.len()).step_by(97) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        fs::write(&damaged, bytes).unwrap();
        let to = dir.path().join("out");
        let output = export(&damaged, "json", &to, &[]);
        assert!(matches!(output.status.code(), Some(0 | 2 | 3)), "{at}: {}", said(&output));
        assert!(!said(&output).contains("panicked"), "{at}: {}", said(&output));
        if output.status.code() == Some(3) {
            found = true;
            assert!(said(&output).contains("damaged at byte"), "{at}: {}", said(&output));
        }
    }
    assert!(found, "none of the damage was found");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let (_dir, trace) = recording();
    let script = "{ \"$0\" export \"$1\" --format json -o -; echo $? >&2; } | true";
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_unlazy")])
        .arg(&trace)
        .output()
        .unwrap();
    assert_eq!(said(&output), "0\n");
}

#[test]
fn a_part_is_cut_out() {
    let (_dir, trace) = recording();
    let lines = |more: &[&str]| {
        let output = export(&trace, "json", Path::new("-"), more);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect::<Vec<serde_json::Value>>()
    };
    let all = lines(&[]);
    let part = lines(&["--from", "10us"]);
    let from = run::START + 10_000;
    let wanted: Vec<_> = all
        .iter()
        .filter(|line| line["kind"] != "finding" && line["ts_ns"].as_u64() >= Some(from))
        .collect();
    let has: Vec<_> = part.iter().filter(|line| line["kind"] != "finding").collect();
    assert!(!has.is_empty() && has.len() < all.len());
    assert_eq!(has, wanted);
    let output = export(&trace, "json", Path::new("-"), &["--from", "2s", "--to", "1s"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn runs_are_not_mixed() {
    let (dir, trace) = recording();
    let other = dir.path().join("other.mcap");
    let facts = unlazy::stream::Facts { run: "another".to_owned(), ..run::facts() };
    let file = fs::File::create(&other).unwrap();
    unlazy::trace::Writer::new(file, &facts, run::START).unwrap().finish().unwrap();
    let output = export(&trace, "json", Path::new("-"), &[other.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("2 runs"), "{}", said(&output));
}
