//! The time machine against what it is measured by: playing from the start, and the report.

mod live;
mod save;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

use super::{
    Replay,
    checkpoint::Checkpoint,
    collect::Collector,
    desk::{Run, lock},
    kept::Kept,
    pass,
    place::{self, Place},
    player::{Goal, Played, Player},
};
use crate::{
    engine::FrozenWriter,
    explain::{Ask, Known},
    judge::{Judge, recorded},
    recorder::{Plan, Recorder, Rotate},
    report::Report,
    stream::Facts,
    trace::{self, Part, Range},
    tui::{
        machine::{Direction, Explained, Machine, Moved, Step},
        snapshot::{CallKind, Snapshot},
    },
};

/// So near to one another that the smallest recording has many.
const NEAR: u64 = 150;

/// How long the thread that reads a recording may take. Far more than it needs.
const PATIENCE: Duration = Duration::from_secs(300);

fn golden() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden");
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("it is there")
        .map(|file| file.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "mcap"))
        .collect();
    files.sort();
    assert!(files.len() > 10, "{files:?}");
    files
}

fn one(name: &str) -> PathBuf {
    let found = golden().into_iter().find(|path| path.file_stem().is_some_and(|stem| stem == name));
    found.unwrap_or_else(|| panic!("no {name}"))
}

fn opened(files: &[PathBuf]) -> Vec<Part> {
    let parts = files.iter().map(|path| trace::open(path).expect("a recording")).collect();
    let mut runs = recorded::runs(parts).expect("parts");
    assert_eq!(runs.len(), 1);
    runs.remove(0)
}

/// A run that was passed over.
fn passed(files: &[PathBuf], budget: usize) -> Run {
    let parts: Arc<[Part]> = opened(files).into();
    let kept = Arc::new(Mutex::new(Kept::new(budget, NEAR)));
    pass::pass(&parts, &kept, &AtomicBool::new(false));
    let facts: Arc<Facts> = Arc::new(parts[0].facts().clone());
    let for_open = Arc::clone(&parts);
    Run { facts, parts: Some(parts), open: Box::new(move |at| place::open(&for_open, at)), kept }
}

/// A player at the very beginning.
fn from_the_start(run: &Run) -> Player {
    let parts = run.parts.clone().expect("a recording");
    let judge = recorded::begin(&parts, Range::default(), Collector::new(&run.facts)).expect("one");
    Player::new(judge, place::open(&parts, Place::default()), Some(parts))
}

/// All that is known, as bytes.
fn state(judge: &Judge<Collector>) -> Vec<u8> {
    let mut bytes = FrozenWriter::default();
    judge.engine().observer().freeze(&mut bytes).expect("bytes");
    judge.freeze(&mut bytes).expect("bytes");
    bytes.into_bytes()
}

fn play(player: &mut Player, goal: Goal) -> Played {
    player.play(goal, &mut || false).expect("it can be read")
}

/// Times from the first to the last, close together.
fn times(run: &Run, count: u64) -> Vec<u64> {
    let reached = lock(&run.kept).reached;
    let from = run.facts.started_ns.saturating_sub(1_000_000);
    (0..=count).map(|one| from + (reached + 2_000_000 - from) * one / count).collect()
}

/// Everywhere, what a seek leads to is what playing from the start leads to.
fn seeks_are_exact(run: &Run, name: &str) {
    let mut player = from_the_start(run);
    for ts in times(run, 14) {
        play(&mut player, Goal::Time(ts));
        let checkpoint = lock(&run.kept).checkpoints.by_time(ts).cloned();
        let first = || lock(&run.kept).checkpoints.first().cloned();
        let checkpoint = checkpoint.or_else(first).expect("one at the beginning");
        let mut sought = run.resume(&checkpoint).expect("a judge");
        play(&mut sought, Goal::Time(ts));
        assert_eq!(sought.index(), player.index(), "{name} at {ts}");
        assert!(state(sought.judge()) == state(player.judge()), "{name} at {ts}");
    }
}

#[test]
fn to_seek_is_to_play_from_the_start() {
    for path in golden() {
        let run = passed(std::slice::from_ref(&path), usize::MAX);
        let count = lock(&run.kept).checkpoints.all().len();
        assert!(count > 2, "{}: {count}", path.display());
        seeks_are_exact(&run, &path.display().to_string());
    }
}

#[test]
fn so_it_is_with_few_checkpoints() {
    let path = one("live");
    let count = |run: &Run| lock(&run.kept).checkpoints.all().len();
    let all = passed(std::slice::from_ref(&path), usize::MAX);
    let run = passed(std::slice::from_ref(&path), lock(&all.kept).checkpoints.bytes() / 2);
    assert!(count(&run) < count(&all), "{}", count(&run));
    seeks_are_exact(&run, "live");
}

#[test]
fn every_single_event_can_be_gone_to() {
    let run = passed(&[one("hole")], usize::MAX);
    let mut player = from_the_start(&run);
    let last = lock(&run.kept).index;
    for index in (0..last).step_by(41) {
        play(&mut player, Goal::Index(index));
        let checkpoint = lock(&run.kept).checkpoints.by_index(index.saturating_sub(1)).cloned();
        let checkpoint = checkpoint.expect("the first");
        let mut sought = run.resume(&checkpoint).expect("a judge");
        play(&mut sought, Goal::Index(index));
        assert!(state(sought.judge()) == state(player.judge()), "{index}");
    }
}

/// The same recording in several parts.
fn rotated(path: &Path, folder: &Path) -> Vec<PathBuf> {
    let part = trace::open(path).expect("a recording");
    let plan = Plan {
        path: folder.join("part.mcap"),
        rotate: Some(Rotate { time: Some(Duration::from_millis(1)), ..Rotate::default() }),
        last: None,
    };
    let mut recorder = Recorder::start(&plan, part.facts()).expect("it starts");
    part.play(Range::default(), &mut recorder).expect("it can be read");
    recorder.finish().expect("it can be written").files
}

#[test]
fn parts_are_one_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = one("live");
    let files = rotated(&path, folder.path());
    assert!(files.len() > 2, "{files:?}");
    let run = passed(&files, usize::MAX);
    seeks_are_exact(&run, "rotated");
    let whole = passed(&[path], usize::MAX);
    assert_eq!(lock(&run.kept).index, lock(&whole.kept).index);
}

fn report(files: &[PathBuf]) -> Report {
    recorded::judge(&opened(files), Range::default()).expect("it can be read").report
}

#[test]
fn the_pass_finds_what_the_report_finds() {
    for path in golden() {
        let files = [path];
        let run = passed(&files, usize::MAX);
        let kept = lock(&run.kept);
        let expected = report(&files);
        assert_eq!(kept.report.as_deref(), Some(&expected), "{files:?}");
        assert_eq!(kept.broken.len() as u64, expected.findings_total, "{files:?}");
        let found: Vec<_> = kept.told.iter().map(|told| told.finding.ts).collect();
        let listed: Vec<_> = expected.findings.iter().map(|finding| finding.ts_ns).collect();
        assert_eq!(found, listed, "{files:?}");
    }
}

/// Asks again until there is an answer. The thread that answers may be starved of a CPU for long,
/// so the patience is time, not a number of tries.
fn wait<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn settle(machine: &mut impl Machine) -> Snapshot {
    wait("it never settles", || {
        machine.work(Duration::from_millis(20));
        if !machine.busy() && machine.progress().is_none() {
            machine.work(Duration::from_millis(1));
            if !machine.busy() {
                return Some(machine.snapshot());
            }
        }
        None
    })
}

fn replay(name: &str) -> Replay {
    Replay::with(opened(&[one(name)]), usize::MAX, NEAR).expect("a recording")
}

#[test]
fn steps_go_from_finding_to_finding_and_back() {
    let mut replay = replay("hole");
    let expected = report(&[one("hole")]);
    let end = settle(&mut replay);
    assert_eq!(end.findings.len(), expected.findings.len());
    for (row, finding) in end.findings.iter().zip(&expected.findings) {
        assert_eq!(&row.finding, finding, "with its story");
    }
    let (first, _) = replay.span();
    replay.seek(first);
    assert_eq!(settle(&mut replay).findings.len(), 0);
    let mut shown = 0;
    while replay.step(Step::Finding, Direction::Forward) == Moved::Yes {
        let snapshot = settle(&mut replay);
        assert!(snapshot.findings.len() > shown, "a step shows one more");
        shown = snapshot.findings.len();
        let all = shown as u64 + snapshot.findings_ahead;
        assert_eq!(all, expected.findings_total);
    }
    assert_eq!(shown, expected.findings.len());
    assert_eq!(replay.step(Step::Finding, Direction::Back), Moved::Yes);
    let snapshot = settle(&mut replay);
    assert!(snapshot.findings.len() < shown, "{}", snapshot.findings.len());
}

#[test]
fn steps_by_event_and_by_call_come_back_to_where_they_began() {
    let mut replay = replay("live");
    settle(&mut replay);
    let (first, last) = replay.span();
    replay.seek(first + (last - first) / 3);
    for step in [Step::Event, Step::Call] {
        let begun = settle(&mut replay);
        assert_eq!(replay.step(step, Direction::Forward), Moved::Yes);
        let there = settle(&mut replay);
        assert!(there.moment.event > begun.moment.event, "{step:?}");
        if step == Step::Call {
            let call = there.calls.iter().rfind(|row| row.kind == CallKind::SyncCore);
            assert_eq!(call.map(|row| row.call.begin_ns), Some(there.moment.at_ns));
        }
        assert_eq!(replay.step(step, Direction::Back), Moved::Yes);
        let back = settle(&mut replay);
        assert!(back.moment.event < there.moment.event, "{step:?}");
        if step == Step::Event {
            assert_eq!(back.moment.event, begun.moment.event);
            assert_eq!(replay.step(step, Direction::Forward), Moved::Yes);
            assert_eq!(settle(&mut replay).cpus, there.cpus);
            assert_eq!(replay.step(step, Direction::Back), Moved::Yes);
            assert_eq!(settle(&mut replay).cpus, back.cpus);
        }
    }
}

#[test]
fn a_filter_says_what_a_step_goes_to() {
    let mut replay = replay("live");
    settle(&mut replay);
    let (first, _) = replay.span();
    replay.seek(first);
    settle(&mut replay);
    replay.set_filter(&"kind=sched_switch cpu=1".parse().expect("a filter"));
    let mut at = 0;
    for _ in 0..5 {
        assert_eq!(replay.step(Step::Event, Direction::Forward), Moved::Yes);
        let snapshot = settle(&mut replay);
        assert!(snapshot.moment.event > Some(at));
        at = snapshot.moment.event.expect("it is known");
        let last = snapshot.recent.last().expect("an event");
        assert!(last.what.starts_with("sched_switch"), "{last:?}");
        assert_eq!(last.cpu, 1);
    }
    assert_eq!(replay.step(Step::Event, Direction::Back), Moved::Yes);
    assert!(settle(&mut replay).moment.event < Some(at));
}

fn explained(machine: &mut impl Machine, ask: Ask) -> Explained {
    wait("it is never explained", || match machine.explain(ask) {
        Explained::Working => {
            machine.work(Duration::from_millis(20));
            None
        }
        told => Some(told),
    })
}

#[test]
fn calls_and_findings_are_explained_as_unlazy_explain_does() {
    for name in ["hole", "ipi-mb", "live"] {
        let mut replay = replay(name);
        settle(&mut replay);
        let parts = opened(&[one(name)]);
        let findings = report(&[one(name)]).findings.len() as u64;
        let asks = [1, 2, 17].map(Ask::Call).into_iter();
        for ask in asks.chain((1..=findings.min(4)).map(Ask::Finding)) {
            let expected = crate::explain::explain(&parts, ask).ok().map(|told| told.explanation);
            let Some(mut expected) = expected else { continue };
            let Explained::Ready(mut told) = explained(&mut replay, ask) else {
                panic!("{name}: {ask:?} is not explained")
            };
            // It stops as soon as all is known of the call.
            (expected.calls_total, told.calls_total) = (0, 0);
            assert_eq!(*told, expected, "{name}: {ask:?}");
        }
    }
}

#[test]
fn what_is_damaged_is_told_and_the_rest_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = fs::read(one("live")).expect("it is there");
    for (case, at) in (1..12).map(|one| (one, bytes.len() * one / 12)) {
        let mut damaged = bytes.clone();
        if case % 3 == 0 {
            damaged.truncate(at);
        } else {
            damaged[at] ^= 0x10;
        }
        let path = folder.path().join(format!("{case}.mcap"));
        fs::write(&path, &damaged).expect("room");
        if trace::open(&path).is_err() {
            continue;
        }
        let run = passed(std::slice::from_ref(&path), usize::MAX);
        seeks_are_exact(&run, &format!("{case}"));
        assert_eq!(lock(&run.kept).report.as_deref(), Some(&report(std::slice::from_ref(&path))));
        let read = recorded::judge(&opened(&[path]), Range::default()).expect("it can be read");
        assert_eq!(lock(&run.kept).note.is_empty(), read.damage.is_empty());
    }
}

#[test]
fn a_snapshot_has_what_the_report_has() {
    for path in golden() {
        let mut replay =
            Replay::with(opened(std::slice::from_ref(&path)), usize::MAX, NEAR).expect("one");
        let snapshot = settle(&mut replay);
        let expected = report(std::slice::from_ref(&path));
        let name = path.display();
        assert_eq!(snapshot.totals.events, expected.events.total, "{name}");
        assert_eq!(snapshot.health.rules, expected.rules, "{name}");
        assert_eq!(snapshot.health.transitions, expected.transitions, "{name}");
        let online = snapshot.cpus.iter().filter(|row| !row.offline);
        let states: Vec<_> = online.map(|row| row.state.clone()).collect();
        assert_eq!(states, expected.cpus, "{name}");
        for row in &snapshot.calls {
            assert_eq!(row.coverage.len(), snapshot.cpus.len());
            assert!(
                row.kind != CallKind::SyncCore
                    || row.call.known_by != Known::Work
                    || row.call.latency_ns.is_none()
            );
        }
        let slices: u64 = snapshot.timeline.slices.iter().map(|slice| slice.events).sum();
        assert!(slices >= expected.events.total, "{name}: those before the window too");
    }
}

#[test]
fn a_checkpoint_is_no_larger_than_what_is_known() {
    let run = passed(&[one("live")], usize::MAX);
    let kept = lock(&run.kept);
    let largest = kept.checkpoints.all().iter().map(|one: &Arc<Checkpoint>| one.bytes()).max();
    assert!(largest < Some(64 << 10), "{largest:?}");
}
