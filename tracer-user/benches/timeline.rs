//! How fast a recording's moments are reached, and how long a snapshot takes.
//!
//! `cargo bench -p tracer-user --bench timeline -- FILE…` takes a recording, or all its parts; without
//! one, only the snapshot of a machine with 256 CPUs is measured.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use tracer_common::wire::{Header, Irq, Kind, Switch, Vector};
use unlazy::{
    judge::recorded,
    stream::{Facts, Opening, Sink},
    timeline::{Live, Replay},
    trace,
    tui::machine::{Direction, Machine, Moved, Step},
};
use zerocopy::IntoBytes;

/// As the screens call it.
const BUDGET: Duration = Duration::from_millis(10);
const CPUS: u32 = 256;
const PROCESSES: u32 = 4000;

/// xorshift64*, from a seed that never changes.
struct Random(u64);

impl Random {
    fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % below.max(1)
    }
}

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

fn record<T: IntoBytes + zerocopy::Immutable>(
    ts: u64,
    seq: u32,
    kind: Kind,
    payload: &T,
) -> Vec<u8> {
    [Header { ts, seq, kind: kind as u16, flags: 0 }.as_bytes(), payload.as_bytes()].concat()
}

/// A machine with many CPUs on which thousands of processes take turns.
fn many_cpus() {
    let facts = Facts { cpus_possible: CPUS, cpus_online: (0..CPUS).collect(), ..Facts::default() };
    let mut live = Live::new(&facts);
    live.opened(&Opening { start_ns: 1, known_at_ns: Some(1) });
    let mut random = Random(7);
    let mut running: Vec<u32> = (0..CPUS).map(|cpu| 100 + cpu).collect();
    let mut seqs = vec![0; CPUS as usize];
    let (mut ts, mut events) = (1_000_000, 0_u64);
    let begun = Instant::now();
    for _ in 0..2_000 {
        for cpu in 0..CPUS {
            let next = 100 + random.below(PROCESSES.into()) as u32;
            let (slot, seq) = (&mut running[cpu as usize], &mut seqs[cpu as usize]);
            ts += 20;
            let switch = Switch {
                prev_mm: u64::from(*slot) + 1000,
                prev_active: u64::from(*slot) + 1000,
                next_mm: u64::from(next) + 1000,
                prev_tid: *slot,
                next_tid: next,
                next_tgid: next,
                prev_state: 0x30,
                next_state: 0x30,
                prev_frame: 1,
                next_frame: 1,
            };
            live.record(cpu, &record(ts, *seq, Kind::Switch, &switch));
            let vector = Vector::CallFunction as u8;
            let irq = Irq { tid: next, vector, frame: 1, state: 0x30, zero: 0 };
            live.record(cpu, &record(ts + 5, *seq + 1, Kind::IrqEntry, &irq));
            live.record(cpu, &record(ts + 9, *seq + 2, Kind::IrqExit, &irq));
            (*slot, *seq, events) = (next, *seq + 3, events + 3);
        }
        live.advance(ts);
    }
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
