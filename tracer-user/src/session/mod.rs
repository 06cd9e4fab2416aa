//! A live run, from the first probe to the last record.
//!
//! 1. [`Session::attach`] loads and attaches; [`Session::facts`] says what holds from then on.
//! 2. [`Session::prime`] makes every CPU switch once, so that the state of each is known before the
//!    window opens.
//! 3. [`Session::open_window`] opens it.
//! 4. [`Session::pump`], every [`PERIOD`], empties the buffers; it also attaches the system call
//!    probes as long as a SYNC_CORE-registered mm exists.
//! 5. [`Session::close_window`] detaches and empties the buffers for the last time.
//!
//! All that is read goes to a [`Sink`], which judges it or writes it down; a session does neither.

mod clock;
mod facts;
mod lost;
mod prime;
mod promises;
mod syscalls;
mod vitals;
mod watch;

use std::{io, time::Duration};

use crate::{
    kernel,
    probes::{self, LoadError, Missed, Options},
    report::{self, Command, Mode},
    source::{Source, SourceError, live::Live},
    stream::{Closing, Facts, Opening, Sink},
};

pub(crate) use clock::{cpu_time, rss_kib};

use self::{
    clock::now,
    facts::{losses, probe_states},
    lost::{disturbed, lost_by_probe, since},
    syscalls::Syscalls,
    watch::Watch,
};
pub use syscalls::When as SyscallProbes;
pub use vitals::Vitals;

/// How often the buffers are emptied. Nothing wakes the reader, so this is its only clock.
pub const PERIOD: Duration = Duration::from_millis(10);

/// How long after it is attached the CPUs' states may take to become known.
const PRIMING: Duration = Duration::from_millis(500);

/// Records that were being written when a sweep began may still come; they are waited for that
/// long, in nanoseconds. A hypervisor may take the CPU away in the middle of one.
const GRACE: u64 = 200_000_000;
/// The same where programs sit on functions: the kernel may preempt them for another task.
const GRACE_FULL: u64 = 1_000_000_000;

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
    ctxt: Option<u64>,
    cpu_time: Duration,
    lost: [u64; probes::LOST_KINDS],
    missed: Vec<Missed>,
    disturbed: u64,
}

/// A live run.
pub struct Session {
    live: Live,
    facts: Facts,
    watch: Watch,
    syscalls: Syscalls,
    window: Option<Window>,
    known_at: Option<u64>,
    last: Vec<u64>,
}

impl Session {
    /// Loads and attaches everything.
    ///
    /// # Errors
    /// [`SessionError`] says why nothing can be traced, and what to do.
    pub fn attach(options: &Options, syscalls: SyscallProbes) -> Result<Self, SessionError> {
        let mut live = Live::open(options)?;
        let kernel = kernel::facts();
        let possible = live.rings().map(|ring| ring.cpu + 1).max().unwrap_or(1);
        let online = kernel::online_cpus()
            .map_err(|source| SessionError::Machine { what: "the list of CPUs", source })?;
        // Before any probe of ours changes the text that is read.
        let audit = promises::read();
        live.probes().attach()?;
        let promises = promises::keep(audit, live.probes());
        let facts = facts::facts(kernel, live.probes(), &promises, possible, online);
        Ok(Self {
            watch: Watch::new(possible, &facts.cpus_online),
            live,
            facts,
            syscalls: Syscalls::new(syscalls),
            window: None,
            known_at: None,
            last: vec![0; possible as usize],
        })
    }

    /// What holds throughout the run.
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Makes every CPU switch, until all are known: half a second at most. A CPU that refuses to
    /// switch stays unknown, and the report says so.
    ///
    /// # Errors
    /// If the events can't be read.
    pub fn prime(&mut self, sink: &mut dyn Sink) -> Result<(), SessionError> {
        let begun = now();
        loop {
            prime::visit(&self.facts.cpus_online);
            self.sweep(0, sink)?;
            if self.watch.all_known() {
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
    pub fn open_window(
        &mut self,
        probe_syscalls: bool,
        sink: &mut dyn Sink,
    ) -> Result<(), SessionError> {
        if probe_syscalls {
            self.syscalls.expect_registration(now());
        }
        self.attend_syscalls(sink);
        self.sweep(0, sink)?;
        let counters = self.live.probes().counters()?;
        let start = now();
        let ctxt = kernel::proc_stat_ctxt().ok();
        self.sweep_until(start, sink)?;
        sink.opened(&Opening { start_ns: start, known_at_ns: self.known_at });
        self.syscalls.restart(start);
        let mut lost = [0; probes::LOST_KINDS];
        for cpu in &counters {
            for (sum, lost) in lost.iter_mut().zip(cpu.lost) {
                *sum += lost;
            }
        }
        self.window = Some(Window {
            ctxt,
            cpu_time: cpu_time(),
            lost,
            missed: self.live.probes().missed(),
            disturbed: disturbed(&counters),
        });
        Ok(())
    }

    /// Empties the buffers, hands on what is complete, and attends to the system call probes.
    ///
    /// # Errors
    /// If the events can't be read.
    pub fn pump(&mut self, sink: &mut dyn Sink) -> Result<(), SessionError> {
        let grace = match self.facts.mode {
            Mode::Tracepoint => GRACE,
            Mode::Full => GRACE_FULL,
        };
        self.sweep(grace, sink)?;
        self.attend_syscalls(sink);
        Ok(())
    }

    /// Reads until the buffers are empty or it is somebody else's turn; all events older than
    /// `grace` nanoseconds are then complete.
    fn sweep(&mut self, grace: u64, sink: &mut dyn Sink) -> Result<(), SessionError> {
        for _ in 0..SWEEPS {
            let (complete, more) = self.read(sink)?;
            sink.advance(complete.saturating_sub(grace));
            if !more {
                break;
            }
        }
        Ok(())
    }

    /// Hands on all events up to `until`, which has passed. On a machine that writes faster than this
    /// reads, the buffers never get empty; what is older than `until` is read all the same.
    fn sweep_until(&mut self, until: u64, sink: &mut dyn Sink) -> Result<(), SessionError> {
        loop {
            let (complete, _) = self.read(sink)?;
            sink.advance(complete.min(until));
            if complete >= until {
                return Ok(());
            }
        }
    }

    /// Empties the buffers, which nobody writes into any more, and hands on all events up to `until`.
    fn drain(&mut self, until: u64, sink: &mut dyn Sink) -> Result<(), SessionError> {
        loop {
            let (complete, more) = self.read(sink)?;
            sink.advance(complete.min(until));
            if !more {
                return Ok(());
            }
        }
    }

    /// One sweep over all buffers: until when they are now complete, and whether there is more.
    fn read(&mut self, sink: &mut dyn Sink) -> Result<(u64, bool), SessionError> {
        let begun = now();
        self.last.fill(u64::MAX);
        let (watch, last) = (&mut self.watch, &mut self.last);
        let poll = self.live.poll(&mut |cpu, record| {
            sink.record(cpu, record);
            if let (Some(slot), Some(ts)) = (last.get_mut(cpu as usize), watch.see(cpu, record)) {
                *slot = ts;
            }
        })?;
        let complete =
            if poll.more { last.iter().copied().min().unwrap_or(begun).min(begun) } else { begun };
        Ok((complete, poll.more))
    }

    fn attend_syscalls(&mut self, sink: &mut dyn Sink) {
        self.syscalls.attend(&mut self.live, self.watch.registered(), sink);
    }

    /// Closes the window. Nothing stays attached. `command` says how the command that the window was
    /// cut to has ended, as late as possible.
    ///
    /// # Errors
    /// If the last events can't be read.
    pub fn close_window(
        mut self,
        sink: &mut dyn Sink,
        command: impl FnOnce() -> Option<Command>,
    ) -> Result<(), SessionError> {
        let end = now();
        let ctxt_end = kernel::proc_stat_ctxt().ok();
        self.syscalls.close(end);
        self.live.probes().detach();
        self.drain(end, sink)?;
        let counters = self.live.probes().counters()?;
        let probes = self.live.probes();
        let mut closing = Closing {
            end_ns: end,
            next_seq: counters.iter().map(|cpu| cpu.next_seq as u32).collect(),
            syscalls_attached_ns: self.syscalls.attached_for(),
            probes: probe_states(probes),
            losses: losses(probes),
            command: command(),
            preempt: kernel::preempt_in_use(),
            ..Closing::default()
        };
        if let Some(window) = &self.window {
            closing.lost_by_probe = lost_by_probe(&counters, &window.lost);
            closing.ctxt = match (window.ctxt, ctxt_end) {
                (Some(before), Some(after)) => Some(after.saturating_sub(before)),
                _ => None,
            };
            closing.missed = since(&window.missed, self.live.probes().missed());
            closing.disturbed = disturbed(&counters).saturating_sub(window.disturbed);
            closing.overhead = self.overhead(window);
        }
        sink.closed(&closing);
        Ok(())
    }

    fn overhead(&self, window: &Window) -> report::Overhead {
        let used = cpu_time().saturating_sub(window.cpu_time);
        let (ring_bytes_per_cpu, ring_high_water) = self.rings();
        report::Overhead {
            reader_cpu_ns: Some(used.as_nanos() as u64),
            max_rss_kib: clock::max_rss_kib(),
            ring_bytes_per_cpu,
            ring_high_water,
        }
    }
}
