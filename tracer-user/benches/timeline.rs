//! How fast a recording's moments are reached, and how long a snapshot takes.
//!
//! `cargo bench -p tracer-user --bench timeline -- FILE…` takes a recording, or all its parts; without
//! one, only the snapshot of a machine with 256 CPUs is measured.

mod busy;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use busy::{Busy, CPUS, PROCESSES, Random};
use unlazy::{
    judge::recorded,
    timeline::{Live, Replay},
    trace,
    tui::machine::{Direction, Machine, Moved, Step},
};

/// As the screens call it.
const BUDGET: Duration = Duration::from_millis(10);

fn status(key: &str) -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.unwrap_or("?").trim().to_owned()
}

fn memory() -> String {
    format!("RSS {}, at most {}", status("VmRSS:"), status("VmHWM:"))
}

fn tell(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: f64| times.get(((times.len() - 1) as f64 * share) as usize).copied();
    if let (Some(median), Some(most), Some(max)) = (at(0.5), at(0.95), times.last()) {
        println!(
            "{what:<34} {:>5} times: median {median:.1?}, 95 % {most:.1?}, max {max:.1?}",
            times.len()
        );
    }
}

/// CPU time of this thread: what a jump takes where nobody else wants the CPU.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Until what was asked for is there, with its snapshot.
fn arrive(replay: &mut Replay) -> Duration {
    let begun = Instant::now();
    while replay.busy() {
        replay.work(BUDGET);
    }
    std::hint::black_box(replay.snapshot());
    begun.elapsed()
}

fn recording(files: &[PathBuf]) -> anyhow::Result<()> {
    let begun = Instant::now();
    let parts = files.iter().map(|file| trace::open(file)).collect::<Result<Vec<_>, _>>()?;
    let run = recorded::runs(parts)?.into_iter().next().unwrap_or_default();
    let mut replay = Replay::new(run)?;
    println!("opened                             in {:.1?}", begun.elapsed());
    println!("the end is shown                   after {:.1?}", arrive(&mut replay));
    let (first, last) = replay.span();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut jump = |replay: &mut Replay| {
        replay.seek(first + random.below(last - first));
        arrive(replay)
    };
    let early = (0..20).map(|_| jump(&mut replay)).collect();
    tell("jumps while it is being read", early);
    while replay.progress().is_some() {
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("all of it is read                  after {:.1?}; {}", begun.elapsed(), memory());
    while replay.work(BUDGET) || replay.busy() {}
    let mut spent = Vec::new();
    let jumps = (0..200).map(|_| {
        let begun = cpu();
        let took = jump(&mut replay);
        spent.push(cpu().saturating_sub(begun));
        took
    });
    tell("jumps", jumps.collect());
    tell("jumps, CPU time", spent);
    for (step, name) in [(Step::Event, "event"), (Step::Call, "call")] {
        for (direction, way) in [(Direction::Forward, "forward"), (Direction::Back, "back")] {
            let mut times = Vec::new();
            for _ in 0..20 {
                jump(&mut replay);
                let begun = Instant::now();
                if replay.step(step, direction) == Moved::Yes {
                    arrive(&mut replay);
                    times.push(begun.elapsed());
                }
            }
            if !times.is_empty() {
                tell(&format!("steps {way} by {name}"), times);
            }
        }
    }
    println!("in the end                         {}", memory());
    let snapshot = replay.snapshot();
    println!(
        "its last snapshot                  {:?} events, note {:?}",
        snapshot.moment.event, snapshot.moment.note
    );
    Ok(())
}

/// A live run of a machine with many CPUs.
fn many_cpus() {
    let mut live = Live::new(&busy::facts());
    let mut busy = Busy::begin(&mut live);
    let begun = Instant::now();
    for _ in 0..2_000 {
        busy.round(&mut live);
    }
    let events = busy.events;
    let took = begun.elapsed();
    println!(
        "{CPUS} CPUs, {PROCESSES} processes: {events} events taken in {took:.1?}, {:.0} a second; {}",
        events as f64 / took.as_secs_f64(),
        memory()
    );
    let times = (0..100).map(|_| {
        let begun = Instant::now();
        std::hint::black_box(live.snapshot());
        begun.elapsed()
    });
    tell("snapshots", times.collect());
    live.pause();
    let begun = Instant::now();
    while live.busy() {
        live.work(BUDGET);
    }
    println!("paused                             after {:.1?}", begun.elapsed());
}

fn main() -> anyhow::Result<()> {
    // cargo passes options of its own.
    let files: Vec<PathBuf> =
        std::env::args_os().skip(1).map(PathBuf::from).filter(|file| file.is_file()).collect();
    if !files.is_empty() {
        recording(&files)?;
    }
    many_cpus();
    Ok(())
}
