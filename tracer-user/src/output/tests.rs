use std::{
    io::Read,
    os::{fd::AsRawFd, unix::fs::symlink},
};

use super::*;

fn target(path: &Path) -> Target {
    Target::from(path)
}

pub(super) fn entries(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn hello(to: &mut dyn Write) -> io::Result<()> {
    to.write_all(b"hello\n")
}

#[test]
fn a_dash_is_standard_output() {
    assert_eq!(Target::from(OsStr::new("-")), Target::Stdout);
    assert_eq!(Target::from(OsStr::new("./-")), Target::File("./-".into()));
    assert!(Sink::open(&Target::Stdout).expect("always there").is_stdout());
}

#[test]
fn nothing_appears_under_the_name_before_all_is_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("r.json");
    let sink = Sink::open(&target(&path)).expect("writable");
    assert!(!path.exists());
    sink.write(|to| {
        to.write_all(b"half")?;
        assert!(!path.exists());
        hello(to)
    })
    .expect("written");
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "halfhello\n");
    assert_eq!(entries(dir.path()), ["r.json"]);
}

#[test]
fn a_failure_keeps_the_old_file_and_removes_the_partial_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("r.json");
    fs::write(&path, "old").expect("written");
    let sink = Sink::open(&target(&path)).expect("writable");
    let err = sink
        .write(|to| {
            to.write_all(&vec![b'x'; 100_000])?;
            Err(io::ErrorKind::StorageFull.into())
        })
        .expect_err("full");
    assert!(err.to_string().contains("free some space"), "{err}");
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "old");
    assert_eq!(entries(dir.path()), ["r.json"]);
}

#[test]
fn a_sink_that_is_never_written_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(Sink::open(&target(&dir.path().join("r.json"))).expect("writable"));
    assert!(entries(dir.path()).is_empty());
}

#[test]
fn mode_and_links_stay() {
    let dir = tempfile::tempdir().expect("a directory");
    let real = dir.path().join("real");
    fs::write(&real, "old").expect("written");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).expect("set");
    let link = dir.path().join("link");
    symlink("real", &link).expect("linked");
    Sink::open(&target(&link)).expect("writable").write(hello).expect("written");
    assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
    assert_eq!(fs::read_to_string(&real).expect("there"), "hello\n");
    assert_eq!(fs::metadata(&real).expect("there").mode() & 0o777, 0o640);

    let dangling = dir.path().join("dangling");
    symlink("later", &dangling).expect("linked");
    Sink::open(&target(&dangling)).expect("writable").write(hello).expect("written");
    assert_eq!(fs::read_to_string(dir.path().join("later")).expect("there"), "hello\n");
}

#[test]
fn the_full_device_is_an_error_with_a_remedy() {
    let sink = Sink::open(&target(Path::new("/dev/full"))).expect("opens");
    let err = sink.write(hello).expect_err("it is always full");
    assert!(matches!(err, OutputError::Write { .. }));
    assert!(err.to_string().contains("free some space"), "{err}");
    assert!(Path::new("/dev/full").exists());
}

#[test]
fn devices_are_written_directly() {
    let sink = Sink::open(&target(Path::new("/dev/null"))).expect("opens");
    assert_eq!(sink.write(hello).expect("written"), Written::All);
    assert!(!fs::metadata("/dev/null").expect("still there").is_file());
}

#[test]
fn a_pipe_is_written_and_a_reader_that_left_is_no_error() {
    let (mut reader, writer) = io::pipe().expect("a pipe");
    let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
    let sink = Sink::open(&target(Path::new(&path))).expect("opens");
    sink.write(hello).expect("written");
    let again = Sink::open(&target(Path::new(&path))).expect("opens");
    drop(writer);
    let mut got = [0; 6];
    reader.read_exact(&mut got).expect("readable");
    assert_eq!(&got, b"hello\n");
    drop(reader);
    assert_eq!(again.write(hello).expect("no error"), Written::ReaderGone);
}

#[test]
fn what_cannot_be_written_is_known_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let err = Sink::open(&target(dir.path())).expect_err("a directory");
    assert!(err.to_string().contains("name a file in it"), "{err}");
    let err = Sink::open(&target(&dir.path().join("no/such"))).expect_err("no directory");
    assert!(err.to_string().contains("create its directory"), "{err}");
    assert!(entries(dir.path()).is_empty());
}

#[test]
fn two_results_need_two_files() {
    let dir = tempfile::tempdir().expect("a directory");
    let one = target(&dir.path().join("r"));
    assert!(matches!(Places::open(Some(&one), Some(&one)), Err(OutputError::Twice { .. })));
    let null = target(Path::new("/dev/null"));
    assert_eq!(Places::open(Some(&null), Some(&null)).expect("both").text(), TextTo::Stdout);
    let both = Places::open(Some(&Target::Stdout), None).expect("always there");
    assert_eq!(both.text(), TextTo::Nowhere);
}
