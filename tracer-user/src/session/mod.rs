//! A live run, from the first probe to the report.
//!
//! 1. [`Session::start`] loads and attaches, then makes every CPU switch once, so that the state of
//!    each is known before the window opens.
//! 2. [`Session::open_window`] begins to count.
//! 3. [`Session::pump`], every [`PERIOD`], empties the buffers and judges; it also attaches the
//!    system call probes as long as a SYNC_CORE-registered mm exists.
//! 4. [`Session::close_window`] detaches, empties the buffers for the last time, judges up to the
//!    window's end and says what it comes to.

mod blind;
mod clock;
mod prime;
mod promises;
mod reasons;
mod syscalls;

use std::{io, time::Duration};

use tracer_common::{
    model::{Config, Rule},
    wire::Kind,
};

use crate::{
    engine::Engine,
    kernel,
    probes::{self, LoadError, Missed, Options, Probes, State, table::Missing},
    report::{self, Attach, Mode, Report},
    source::{Source, SourceError, live::Live},
};

use self::{clock::now, promises::Promises, syscalls::Syscalls};
pub use syscalls::When as SyscallProbes;

/// How often the buffers are emptied. Nothing wakes the reader, so this is its only clock.
pub const PERIOD: Duration = Duration::from_millis(10);

/// How long after `start` the CPUs' states may take to become known.
const PRIMING: Duration = Duration::from_millis(500);

/// Records that were being written when a sweep began may still come; they are waited for that
/// long, in nanoseconds. A hypervisor or, where the kernel preempts a program on a function, another
/// task may take the CPU away in the middle of one.
const GRACE: u64 = 200_000_000;

/// Sweeps in a row before the reader lets others run.
const SWEEPS: usize = 64;

/// Why a run could not begin, or go on.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// No probes.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// No events.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The machine can't be asked.
    #[error("can't read {what}: {source}")]
    Machine {
        /// What was read.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
}

/// What a window was like when it opened.
struct Window {
    start: u64,
    ctxt: Option<u64>,
    cpu_time: Duration,
    lost: [u64; probes::LOST_KINDS],
    missed: Vec<Missed>,
    disturbed: u64,
}

/// A live run.
pub struct Session {
    live: Live,
    engine: Engine,
    kernel: report::Kernel,
    promises: Promises,
    syscalls: Syscalls,
    window: Option<Window>,
    known_at: Option<u64>,
    last: Vec<u64>,
}

impl Session {
    /// Loads and attaches everything, and waits until every CPU's state is known (half a second at
    /// most: a CPU that refuses to switch stays unknown, and the report says so).
    ///
    /// # Errors
    /// [`SessionError`] says why nothing can be traced, and what to do.
    pub fn start(options: &Options, syscalls: SyscallProbes) -> Result<Self, SessionError> {
        let mut live = Live::open(options)?;
        let kernel = kernel::facts();
        let possible = live.rings().map(|ring| ring.cpu + 1).max().unwrap_or(1);
        let online = kernel::online_cpus()
            .map_err(|source| SessionError::Machine { what: "the list of CPUs", source })?;
        // Before any probe of ours changes the text that is read.
        let audit = promises::read();
        live.probes().attach()?;
        let promises = promises::keep(audit, live.probes());
        let config = config(&kernel, live.probes(), &promises);
        let mut engine = Engine::new(config, possible);
        for cpu in (0..possible).filter(|cpu| !online.contains(cpu)) {
            engine.set_offline(cpu);
        }
        if kernel::in_initial_pid_ns() != Some(false) {
            for task in kernel::tasks().into_iter().flatten() {
                engine.name_task(task.tid, task.tgid, &task.comm);
            }
        }
        let mut session = Self {
            live,
            engine,
            kernel,
            promises,
            syscalls: Syscalls::new(syscalls),
            window: None,
            known_at: None,
            last: vec![0; possible as usize],
        };
        session.prime(&online)?;
        Ok(session)
    }

    /// Makes every CPU switch, until all are known.
    fn prime(&mut self, online: &[u32]) -> Result<(), SessionError> {
        let begun = now();
        loop {
            prime::visit(online);
            self.sweep(0)?;
            if self.engine.all_known() {
                self.known_at = Some(now());
                return Ok(());
            }
            if now() - begun > PRIMING.as_nanos() as u64 {
                return Ok(());
            }
        }
    }

    /// Opens the window: from now on everything counts. With `probe_syscalls`, system calls are
    /// traced from the window's first moment, until it is clear that nobody in it registers.
    ///
    /// # Errors
    /// If the events so far can't be read.
    pub fn open_window(&mut self, probe_syscalls: bool) -> Result<(), SessionError> {
        if probe_syscalls {
            self.syscalls.expect_registration(now());
        }
        self.attend_syscalls();
        self.sweep(0)?;
        let counters = self.live.probes().counters()?;
        let start = now();
        let ctxt = kernel::proc_stat_ctxt().ok();
        self.sweep_until(start)?;
        self.engine.restart_counts();
        self.syscalls.restart(start);
        let mut lost = [0; probes::LOST_KINDS];
        for cpu in &counters {
            for (sum, lost) in lost.iter_mut().zip(cpu.lost) {
                *sum += lost;
            }
        }
        self.window = Some(Window {
            start,
            ctxt,
            cpu_time: clock::cpu_time(),
            lost,
            missed: self.live.probes().missed(),
            disturbed: disturbed(&counters),
        });
        Ok(())
    }

    /// Empties the buffers, judges what is complete, and attends to the system call probes.
    ///
    /// # Errors
    /// If the events can't be read.
    pub fn pump(&mut self) -> Result<(), SessionError> {
        self.sweep(GRACE)?;
        self.attend_syscalls();
        Ok(())
    }

    /// Reads until the buffers are empty or it is somebody else's turn, and judges all events older
    /// than `grace` nanoseconds.
    fn sweep(&mut self, grace: u64) -> Result<(), SessionError> {
        for _ in 0..SWEEPS {
            let (complete, more) = self.read()?;
            self.engine.advance(complete.saturating_sub(grace));
            if !more {
                break;
            }
        }
        Ok(())
    }

    /// Judges all events up to `until`, which has passed. On a machine that writes faster than this
    /// reads, the buffers never get empty; what is older than `until` is read all the same.
    fn sweep_until(&mut self, until: u64) -> Result<(), SessionError> {
        loop {
            let (complete, _) = self.read()?;
            self.engine.advance(complete.min(until));
            if complete >= until {
                return Ok(());
            }
        }
    }

    /// Empties the buffers, which nobody writes into any more, and judges all events up to `until`.
    fn drain(&mut self, until: u64) -> Result<(), SessionError> {
        loop {
            let (complete, more) = self.read()?;
            self.engine.advance(complete.min(until));
            if !more {
                return Ok(());
            }
        }
    }

    /// One sweep over all buffers: until when they are now complete, and whether there is more.
    fn read(&mut self) -> Result<(u64, bool), SessionError> {
        let begun = now();
        self.last.fill(u64::MAX);
        let (engine, last) = (&mut self.engine, &mut self.last);
        let poll = self.live.poll(&mut |cpu, record| {
            // A record that can't be read is counted there; the next one may be fine.
            let _ = engine.push(cpu, record);
            if let (Some(slot), Ok(header)) =
                (last.get_mut(cpu as usize), tracer_common::model::header(record))
            {
                *slot = header.ts;
            }
        })?;
        let complete =
            if poll.more { last.iter().copied().min().unwrap_or(begun).min(begun) } else { begun };
        Ok((complete, poll.more))
    }

    fn attend_syscalls(&mut self) {
        self.syscalls.attend(&mut self.live, &mut self.engine);
    }

    /// Events, lost events and findings so far.
    pub fn progress(&self) -> (u64, u64, u64) {
        (self.engine.events(), self.engine.lost(), self.engine.found())
    }

    /// The first finding of each rule that was broken so far: the rule, and one plain sentence.
    pub fn first_findings(&self) -> impl Iterator<Item = (Rule, String)> {
        self.engine.first_findings()
    }

    /// Closes the window and says what it comes to. Nothing stays attached.
    ///
    /// # Errors
    /// If the last events can't be read.
    pub fn close_window(mut self) -> Result<Report, SessionError> {
        let end = now();
        let ctxt_end = kernel::proc_stat_ctxt().ok();
        self.syscalls.close(end);
        self.live.probes().detach();
        self.drain(end)?;
        let counters = self.live.probes().counters()?;
        for (cpu, counters) in counters.iter().enumerate() {
            self.engine.expect(cpu as u32, counters.next_seq as u32, end);
        }
        self.engine.advance(end);
        let window = self.window.take();
        let start = window.as_ref().map_or(end, |window| window.start);

        let judged = self.engine.judged(end);
        let mut report = Report {
            mode: match self.live.probes().mode() {
                probes::Mode::Tracepoint => Mode::Tracepoint,
                probes::Mode::Full => Mode::Full,
            },
            kernel: std::mem::take(&mut self.kernel),
            probes: probe_states(self.live.probes()),
            text_audit: self.promises.told(),
            duration_ns: end - start,
            window: report::Window {
                start_ns: start,
                end_ns: end,
                known_after_ns: self.known_at.map(|at| at.saturating_sub(start)),
                ..report::Window::default()
            },
            events: judged.events,
            cpus: judged.cpus,
            membarrier: judged.membarrier,
            mms: judged.mms,
            mms_omitted: judged.mms_omitted,
            transitions: judged.transitions,
            user_returns: judged.user_returns,
            rules: judged.rules,
            findings_total: judged.findings_total,
            findings: judged.findings,
            findings_omitted: judged.findings_omitted,
            blind_spots: blind::spots(&mut self.live, &self.engine),
            syscall_coverage: Some(report::SyscallCoverage {
                attached_ns: self.syscalls.attached_for(),
                window_ns: end - start,
            }),
            ..Report::default()
        };
        if let Some(window) = &window {
            report.events.lost.by_probe = lost_by_probe(&counters, &window.lost);
            report.crosscheck = match (window.ctxt, ctxt_end) {
                (Some(before), Some(after)) => Some(report::CrossCheck::new(
                    after.saturating_sub(before),
                    report.transitions.switches,
                )),
                _ => None,
            };
            let missed = since(&window.missed, self.live.probes().missed());
            for Missed { probe, count } in &missed {
                if probe.missing == Missing::Lost {
                    report.events.lost.by_probe.insert(format!("{} (nested)", probe.name), *count);
                    report.events.lost.total += count;
                }
            }
            let disturbed = disturbed(&counters).saturating_sub(window.disturbed);
            report.blind_spots.extend(blind::unchecked(&missed, disturbed));
            report.overhead = self.overhead(window);
        }
        reasons::decide(&mut report, self.engine.never_known());
        Ok(report)
    }

    fn overhead(&self, window: &Window) -> report::Overhead {
        let used = clock::cpu_time().saturating_sub(window.cpu_time);
        report::Overhead {
            reader_cpu_ns: Some(used.as_nanos() as u64),
            max_rss_kib: clock::max_rss_kib(),
            ring_bytes_per_cpu: self.live.rings().map(|ring| u64::from(ring.size)).max(),
            ring_high_water: self.live.rings().map(|ring| ring.high_water).max(),
        }
    }
}

/// What the model must know of this kernel and of the probes, now that they are attached.
fn config(kernel: &report::Kernel, probes: &mut Probes, promises: &Promises) -> Config {
    let states = probes.states();
    let has = |name: &str| {
        states.iter().any(|state| state.probe.name == name && state.state == State::Attached)
    };
    Config {
        pti: kernel.pti.unwrap_or(false),
        fred: kernel.fred.unwrap_or(false),
        invlpgb: kernel.invlpgb.unwrap_or(false),
        // Unknown counts as the kernel's own: without a hypervisor there is no other.
        pv_flush: kernel.flush_tlb_multi.as_deref().is_some_and(|whose| whose != "native"),
        sees_cr3: has("tlb_flush"),
        // Before 6.5 a probe on the handler itself takes the tracepoint's place.
        sees_csd: has("csd_function_entry") || has("ipi_sync_core"),
        syscall_exit: promises.syscall_exit(),
        finish_task_switch: promises.finish_task_switch,
        ipi_sync_core: promises.ipi_sync_core,
        ..Config::default()
    }
}

fn probe_states(probes: &Probes) -> Vec<report::Probe> {
    probes
        .states()
        .into_iter()
        .map(|state| report::Probe {
            name: state.probe.name.to_owned(),
            kind: state.probe.kind.name().to_owned(),
            state: match state.state {
                State::Attached => Attach::Attached,
                State::Skipped => Attach::Skipped,
                State::Failed => Attach::Failed,
            },
            why: state.why,
        })
        .collect()
}

/// What was missed since `before`.
fn since(before: &[Missed], now: Vec<Missed>) -> Vec<Missed> {
    now.into_iter()
        .filter_map(|Missed { probe, count }| {
            let earlier = before.iter().find(|missed| missed.probe.name == probe.name);
            let count = count.saturating_sub(earlier.map_or(0, |missed| missed.count));
            (count > 0).then_some(Missed { probe, count })
        })
        .collect()
}

/// Readings of the kernel's variables that were thrown away.
fn disturbed(counters: &[probes::CpuCounters]) -> u64 {
    counters.iter().map(|cpu| cpu.disturbed).sum()
}

/// Records that found no room since `before`, by the name of their kind.
fn lost_by_probe(
    counters: &[probes::CpuCounters],
    before: &[u64; probes::LOST_KINDS],
) -> std::collections::BTreeMap<String, u64> {
    let mut lost = std::collections::BTreeMap::new();
    for (kind, before) in before.iter().enumerate() {
        let now: u64 = counters.iter().map(|cpu| cpu.lost[kind]).sum();
        if now > *before {
            let name = Kind::from_u16(kind as u16).map_or("unknown", Kind::name);
            lost.insert(name.to_owned(), now - before);
        }
    }
    lost
}
