//! The measuring itself: rounds, interleaved, and then the pass with BPF statistics.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{fs, thread};

use anyhow::{Context as _, Result};
use rustix::thread::sched_getaffinity;

use super::loops::{LOOPS, Loop};
use super::observer::{OBSERVERS, Observer};
use super::programs::{Snapshot, Statistics, held_by};
use super::results::{Programs, Results, Timing};
use super::stats::Spread;
use super::tracepoints::Tracepoints;
use crate::shell::say;

/// The measuring part of `bench`: needs root, prints JSON.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    unlazy: PathBuf,
    #[arg(long)]
    rounds: u32,
    #[arg(long)]
    quick: bool,
}

/// Carries out `bench-measure`.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let bench = Bench {
        tracepoints: Tracepoints::of(&args.unlazy)?,
        unlazy: args.unlazy.clone(),
        cpu: last_cpu()?,
        quick: args.quick,
    };
    for observer in OBSERVERS {
        if let Some(why) = observer.missing() {
            say(format_args!("{}: {why}", observer.title()));
        }
    }
    let load = load()?;
    let mut remarks = Vec::new();
    if load > 0.5 {
        remarks.push(format!("the load was {load} at the start: other work blurs the ratios"));
    }
    let mut samples = vec![[const { Vec::new() }; LOOPS.len()]; OBSERVERS.len()];
    for round in 0..args.rounds {
        say(format_args!("round {} of {}", round + 1, args.rounds));
        bench.round(round as usize, &mut samples)?;
    }
    let programs = bench.programs()?;
    if someone_else_is_registered(&programs) {
        remarks.push(
            "another process on this machine is registered for SYNC_CORE (unlazy watched system \
             calls without a loop that is): the loops without SYNC_CORE are no such loops"
                .to_owned(),
        );
    }
    let results = Results {
        schema: "unlazy.bench/1".to_owned(),
        kernel: release()?,
        cpus: thread::available_parallelism().context("counting CPUs")?.get(),
        load,
        cpu: bench.cpu,
        rounds: args.rounds,
        tracepoints: bench.tracepoints.0.clone(),
        remarks,
        timings: timings(&samples),
        programs,
    };
    println!("{}", serde_json::to_string_pretty(&results).context("writing the results")?);
    Ok(ExitCode::SUCCESS)
}

/// `samples[observer][loop]`: nanoseconds an iteration, a sample a round.
type Samples = Vec<[Vec<f64>; LOOPS.len()]>;

struct Bench {
    unlazy: PathBuf,
    tracepoints: Tracepoints,
    cpu: usize,
    quick: bool,
}

impl Bench {
    /// Every loop under every observer; who begins changes from round to round, so that no
    /// observer always follows the same one.
    fn round(&self, round: usize, samples: &mut Samples) -> Result<()> {
        for turn in 0..OBSERVERS.len() {
            let which = (round + turn) % OBSERVERS.len();
            let observer = OBSERVERS[which];
            if observer.missing().is_some() {
                continue;
            }
            for sync_core in [false, true] {
                let attached = observer
                    .attach(&self.unlazy, &self.tracepoints.while_sync_core(sync_core))
                    .with_context(|| format!("attaching {}", observer.title()))?;
                for (index, looped) in loops(sync_core) {
                    samples[which][index].push(looped.run(self.cpu, self.quick)?);
                }
                attached.detach().with_context(|| format!("detaching {}", observer.title()))?;
            }
        }
        Ok(())
    }

    /// What the BPF programs of those that have any took: a pass of its own, for taking these
    /// times takes time.
    fn programs(&self) -> Result<Vec<Programs>> {
        let mut all = Vec::new();
        for observer in [Observer::Unlazy, Observer::Bpftrace] {
            if observer.missing().is_some() {
                continue;
            }
            say(format_args!("BPF statistics of {}", observer.title()));
            for sync_core in [false, true] {
                let _statistics = Statistics::enable()?;
                let attached = observer
                    .attach(&self.unlazy, &self.tracepoints.while_sync_core(sync_core))
                    .with_context(|| format!("attaching {}", observer.title()))?;
                for (_, looped) in loops(sync_core) {
                    let before = Snapshot::take()?;
                    looped.run(self.cpu, self.quick)?;
                    let after = Snapshot::take()?;
                    let own = attached.pid().map(held_by).transpose()?.unwrap_or_default();
                    let runs = after.since(&before, &own);
                    let iterations = looped.iterations(self.quick);
                    all.push(Programs { looped, observer, iterations, runs });
                }
                attached.detach().with_context(|| format!("detaching {}", observer.title()))?;
            }
        }
        Ok(all)
    }
}

fn loops(sync_core: bool) -> impl Iterator<Item = (usize, Loop)> {
    LOOPS.into_iter().enumerate().filter(move |(_, looped)| looped.sync_core == sync_core)
}

/// Whether unlazy had reason to watch system calls while none of our loops gave it one.
fn someone_else_is_registered(programs: &[Programs]) -> bool {
    programs
        .iter()
        .filter(|one| one.observer == Observer::Unlazy && !one.looped.sync_core)
        .flat_map(|one| &one.runs)
        .any(|run| run.program == "sys_enter")
}

fn timings(samples: &Samples) -> Vec<Timing> {
    let mut all = Vec::new();
    for (index, looped) in LOOPS.into_iter().enumerate() {
        // OBSERVERS begins with `Nothing`.
        let base = &samples[0][index];
        for (which, observer) in OBSERVERS.into_iter().enumerate() {
            let samples_ns = samples[which][index].clone();
            all.push(Timing {
                looped,
                observer,
                missing: observer.missing(),
                ns: Spread::of(&samples_ns),
                ratio: Spread::of_ratios(&samples_ns, base),
                samples_ns,
            });
        }
    }
    all
}

/// The load average of the last minute.
/// The load average of the last minute.
pub(super) fn load() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg").context("reading the load")?;
    text.split(' ')
        .next()
        .and_then(|word| word.parse().ok())
        .with_context(|| format!("/proc/loadavg says `{}`", text.trim()))
}

/// The kernel's release.
pub(super) fn release() -> Result<String> {
    let text =
        fs::read_to_string("/proc/sys/kernel/osrelease").context("reading the kernel's release")?;
    Ok(text.trim().to_owned())
}

/// The last CPU that we may use: the first ones get most of a machine's interrupts.
fn last_cpu() -> Result<usize> {
    let cpus = sched_getaffinity(None).context("asking for our CPUs")?;
    (0..rustix::thread::CpuSet::MAX_CPU)
        .rev()
        .find(|&cpu| cpus.is_set(cpu))
        .context("we may use no CPU at all")
}
