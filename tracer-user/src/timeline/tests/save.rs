//! Spans that are saved.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use super::{
    NEAR,
    live::{MINUTE, one_cpu, turns},
    one, opened, replay, report, settle, wait,
};
use crate::{
    stream::{Closing, Opening, Sink},
    timeline::{Live, Replay, saver::Saver},
    trace::{self, Range},
    tui::machine::{Machine, Saved},
};

/// The times of all records.
#[derive(Default)]
struct Records(Vec<u64>);

impl Sink for Records {
    fn record(&mut self, _: u32, record: &[u8]) {
        self.0.extend(tracer_common::model::header(record).map(|header| header.ts));
    }

    fn syscall_probes(&mut self, _: u64, _: bool) {}
    fn advance(&mut self, _: u64) {}
    fn opened(&mut self, _: &Opening) {}
    fn closed(&mut self, _: &Closing) {}
}

fn records(path: &Path) -> Records {
    let mut records = Records::default();
    let part = trace::open(path).expect("a recording");
    part.play(Range::default(), &mut records).expect("it can be read");
    records
}

/// Saves, and waits for its end.
fn save(machine: &mut impl Machine, span: (u64, u64), path: &Path) -> Result<Saved, String> {
    machine.save(span, path)?;
    let end = wait("it is never saved", || machine.saved());
    assert_eq!((end.path.as_path(), machine.saving()), (path, 0));
    end.result
}

#[test]
fn what_is_saved_is_a_recording_of_that_span() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("span.mcap");
    let mut replay = replay("live");
    settle(&mut replay);
    let (first, last) = replay.span();
    let span = (first + (last - first) / 4, first + (last - first) / 2);
    let saved = save(&mut replay, span, &path).expect("it can be written");
    assert_eq!(saved.bytes, fs::metadata(&path).expect("it is there").len());
    let Records(times) = records(&path);
    assert!(saved.events > 100 && times.len() as u64 == saved.events, "{saved:?}");
    assert!(times.iter().all(|ts| (span.0..=span.1).contains(ts)));
    let judged = report(std::slice::from_ref(&path));
    assert_eq!(judged.events.lost.total, 0, "nothing is lost by cutting");
    let all = folder.path().join("all.mcap");
    save(&mut replay, (first, last), &all).expect("it can be written");
    assert!(report(&[all]).events.total > 1_000);
    let before = fs::read(&path).expect("it is there");
    let why = save(&mut replay, span, &path).expect_err("it is there already");
    assert!(why.contains("span.mcap"), "{why}");
    assert_eq!(fs::read(&path).expect("it is still there"), before);
    assert!(replay.save((span.1, span.0), &folder.path().join("no.mcap")).is_err());
}

/// How long a disk stalls if nobody ends it: then what waited for it fails.
const STALL: Duration = Duration::from_secs(30);

/// A disk that takes nothing until it is told to, and then one byte after the other.
struct Stalled {
    bytes: Arc<Mutex<Vec<u8>>>,
    begun: Sender<()>,
    go_on: Arc<Mutex<Receiver<()>>>,
    goes: bool,
}

impl Write for Stalled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.goes {
            let _ = self.begun.send(());
            let told = self.go_on.lock().expect("no panic beside").recv_timeout(STALL);
            told.map_err(|_| io::Error::other("it stalled for ever"))?;
            self.goes = true;
        }
        // A byte at a time, so that there is always more to come.
        self.bytes.lock().expect("no panic beside").write(&bytes[..1])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The thread that reads the kernel's buffers goes on, and with it all that is on the screen. What is
/// saved is what there was when it was asked for, though the run has forgotten it since.
#[test]
fn a_disk_that_stalls_holds_nobody_up() {
    let (begun, has_begun) = channel();
    let (go_on, may_go_on) = channel();
    let bytes: Arc<Mutex<Vec<u8>>> = Arc::default();
    let may_go_on = Arc::new(Mutex::new(may_go_on));
    let saver = {
        let bytes = Arc::clone(&bytes);
        Saver::to(move |_| {
            Ok(Box::new(Stalled {
                bytes: Arc::clone(&bytes),
                begun: begun.clone(),
                go_on: Arc::clone(&may_go_on),
                goes: false,
            }))
        })
    };
    let mut live = Live::with(&one_cpu(), 100_000, usize::MAX, NEAR);
    live.save_to(saver);
    turns(&mut live, 0..MINUTE);
    let span = live.span();
    assert_eq!(live.save(span, Path::new("one")), Ok(()));
    has_begun.recv_timeout(STALL).expect("it is being written");

    turns(&mut live, MINUTE..3 * MINUTE);
    live.work(Duration::ZERO);
    let snapshot = live.snapshot();
    assert!(snapshot.moment.last_ns > span.1 + 100_000_000_000, "{:?}", snapshot.moment);
    assert!(live.span().0 > span.1, "what is being saved is forgotten by now");
    assert_eq!((live.saved(), live.saving()), (None, 1));
    // Another may wait; each of them takes memory, so a third may not.
    let later = live.span();
    assert_eq!(live.save(later, Path::new("two")), Ok(()));
    let why = live.save(later, Path::new("three")).expect_err("it is too much");
    assert!(why.starts_with("one is still being written"), "{why}");

    go_on.send(()).expect("it waits");
    let end = wait("it is never saved", || live.saved());
    let saved = end.result.expect("it can be written");
    assert_eq!(end.path, Path::new("one"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("one.mcap");
    fs::write(&path, &*bytes.lock().expect("no panic beside")).expect("room");
    let Records(times) = records(&path);
    assert_eq!(times.len() as u64, saved.events);
    let (first, last) = (times.iter().min().copied(), times.iter().max().copied());
    assert!(first >= Some(span.0) && last <= Some(span.1), "{span:?} {first:?} {last:?}");
    assert!(last > first.map(|first| first + 1_000_000_000), "{first:?} {last:?}");

    has_begun.recv_timeout(STALL).expect("the second is being written");
    go_on.send(()).expect("it waits");
    let end = wait("it is never saved", || live.saved());
    assert_eq!((end.path.as_path(), end.result.is_ok()), (Path::new("two"), true));
    assert_eq!(live.saving(), 0);
}

/// What is given up leaves no half a file.
#[test]
fn a_machine_that_ends_leaves_nothing_half_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("half.mcap");
    let (begun, has_begun) = channel();
    let (go_on, may_go_on) = channel();
    let may_go_on = Arc::new(Mutex::new(may_go_on));
    let mut replay = Replay::with(opened(&[one("live")]), usize::MAX, NEAR).expect("a recording");
    replay.save_to(Saver::to(move |path| {
        fs::File::create_new(path)?;
        Ok(Box::new(Stalled {
            bytes: Arc::default(),
            begun: begun.clone(),
            go_on: Arc::clone(&may_go_on),
            goes: false,
        }))
    }));
    settle(&mut replay);
    let span = replay.span();
    replay.save(span, &path).expect("it begins");
    has_begun.recv_timeout(STALL).expect("it is being written");
    assert!(path.exists());
    drop(replay);
    go_on.send(()).expect("it waits");
    wait("half a file stays", || (!path.exists()).then_some(()));
}
