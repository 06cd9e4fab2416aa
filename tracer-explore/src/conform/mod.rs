//! The reverse direction: is what a real kernel did something that the abstract one can do?
//!
//! ```text
//! cast    a real CPU as a stage: who plays A, the next thread, and so on
//! follow  the abstract kernel's steps, until they tell what was observed
//! track   which steps may explain an event, by what was observed
//! call    whom a call interrupts: the answers of the abstract kernel
//! flush   the same of flushes
//! tally   what came of it, and what was left out
//! ```
//!
//! Each CPU is followed by itself, as the set of states that it may be in. There is no second copy of
//! the protocol here: a state goes on by [`kernel::apply`](crate::kernel::apply) alone, and an event is
//! explained by what the abstract kernel tells ([`crate::tell`]). What is here only says which of its
//! steps are worth trying, and passes by what the abstraction leaves out, under its name ([`Left`]).

mod call;
mod calls;
mod cast;
mod flush;
mod flushes;
mod follow;
mod tally;
mod track;
mod words;

use std::collections::{HashMap, HashSet};

use crate::{bug::Flag, protocol::Protocol, setup::World};
use tracer_common::{
    model::{Config, Event, MmId, Promise},
    wire::tlb_reason,
};

pub use tally::{Divergence, Left, Tally};

use self::{
    call::{Answers, Call, Doubt},
    flushes::Flight,
    track::Track,
};
use words::words;

/// What a trace tells wherever it happens.
#[derive(Clone, Copy, Debug)]
pub struct Sees {
    /// That CR3 was written.
    pub cr3: bool,
    /// Functions that CPUs run for one another, and who asked for them.
    pub csd: bool,
    /// Flushes, and the CPUs that they interrupt; no other way to flush a TLB is in use.
    pub flush: bool,
    /// Times of two CPUs that are closer than this, in nanoseconds, are not ordered.
    pub skew: u64,
    /// How it is known that `finish_task_switch` serializes.
    pub finish: Promise,
    /// The same of `ipi_sync_core`.
    pub ipi: Promise,
    /// The same of `kthread_use_mm`.
    pub use_mm: Promise,
}

impl Sees {
    /// What the model core is told of the probes; whether `csd_queue_cpu` is among them, and
    /// `flush_tlb_mm_range`.
    #[must_use]
    pub const fn new(config: &Config, csd_queue: bool, flushes: bool) -> Self {
        let csd = config.sees_csd && csd_queue;
        Self {
            cr3: config.sees_cr3,
            csd,
            flush: csd && flushes && !config.pv_flush && !config.invlpgb,
            skew: config.skew,
            finish: config.finish_task_switch,
            ipi: config.ipi_sync_core,
            use_mm: config.kthread_use_mm,
        }
    }
}

/// Pids are below this (`include/linux/threads.h:PID_MAX_LIMIT`).
const MOST_PIDS: u32 = 4 << 20;
/// How many mms and tasks are remembered; what was known of others is forgotten.
const REMEMBERED: usize = 1 << 16;

/// Follows a trace.
#[derive(Debug)]
pub struct Conform {
    /// One CPU, and the tasks on it.
    world: World,
    sees: Sees,
    tracks: Vec<Track>,
    /// `membarrier_state` of mms that are registered.
    mms: HashMap<MmId, u8>,
    /// The mm of tasks that are off CPU.
    tasks: HashMap<u32, MmId>,
    calls: Vec<Call>,
    doubts: Vec<Doubt>,
    /// For a call, and for a registration; none if the protocol's calls are something else.
    answers: Option<[Answers; 2]>,
    /// What is wrong with the kernel.
    flags: Vec<Flag>,
    flights: Vec<Flight>,
    flush_doubts: Vec<flushes::Doubt>,
    /// For a flush; none yet if there was none.
    flush_answers: Option<flush::Answers>,
    /// A bit for each task that was seen to run.
    ran: Vec<u64>,
    /// Tasks whose calls are not known: they began before anything was.
    strangers: HashSet<u32>,
    /// The time of the event that is looked at.
    now: u64,
    tally: Tally,
}

impl Conform {
    /// Nothing is known of any CPU.
    #[must_use]
    pub fn new(protocol: &Protocol, flags: &[Flag], sees: Sees, cpus: usize) -> Self {
        let world = World::new(protocol, cast::setup(1), flags);
        let pair = World::new(protocol, cast::setup(2), flags);
        let calls = sees.csd && !protocol.call_flushes;
        let sees =
            Sees { flush: sees.flush && !protocol.invlpgb && !protocol.call_flushes, ..sees };
        Self {
            world,
            sees,
            tracks: (0..cpus).map(|_| Track::default()).collect(),
            mms: HashMap::new(),
            tasks: HashMap::new(),
            calls: Vec::new(),
            doubts: Vec::new(),
            answers: calls.then(|| [Answers::new(&pair, false), Answers::new(&pair, true)]),
            flags: flags.to_vec(),
            flights: Vec::new(),
            flush_doubts: Vec::new(),
            flush_answers: None,
            ran: Vec::new(),
            strangers: HashSet::new(),
            now: 0,
            tally: Tally::default(),
        }
    }

    /// An event of the trace, in the order of time.
    pub fn event(&mut self, cpu: u32, ts: u64, event: &Event) {
        let at = cpu as usize;
        if at >= self.tracks.len() {
            return;
        }
        if matches!(event, Event::SyscallProbes(_) | Event::FuncName(_)) {
            return;
        }
        self.tally.events += 1;
        self.now = ts;
        self.who_runs(at, event);
        // A handler that runs late answers its call before that is decided.
        self.track(at, ts, event);
        self.settle_doubts(at, matches!(event, Event::Switch { .. } | Event::Gap { .. }));
        self.watch_calls(at, event);
        self.watch_flushes(at, event);
        self.forget();
    }

    /// What came before does not count. `sound`: it was told in full, so what is known stays known.
    pub fn open(&mut self, sound: bool) {
        self.tally = Tally::default();
        self.doubts.clear();
        self.forget_flushes();
        if !sound {
            (0..self.tracks.len()).for_each(|at| self.lose(at));
            self.tasks.clear();
        }
    }

    /// What came of it.
    #[must_use]
    pub fn finish(mut self) -> Tally {
        for doubt in std::mem::take(&mut self.doubts) {
            self.decide(&doubt);
        }
        for doubt in std::mem::take(&mut self.flush_doubts) {
            self.decide_flush(&doubt);
        }
        self.tally
    }

    /// What came of it so far.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// A kernel may run no probes while certain tasks are current. Such a task is seen to be switched
    /// in, and never to do anything, least of all to be switched out.
    fn who_runs(&mut self, at: usize, event: &Event) {
        let in_switch = match event {
            Event::TlbState(_) => true,
            Event::TlbFlush(w) => w.reason == tlb_reason::TASK_SWITCH,
            _ => false,
        };
        let Some(tid) = event.current().filter(|tid| *tid < MOST_PIDS && !in_switch) else {
            return;
        };
        let track = &self.tracks[at];
        let ran = |tid: u32| {
            self.ran.get(tid as usize / 64).is_some_and(|word| word & 1 << (tid % 64) != 0)
        };
        if !track.stages.is_empty() && ![track.tid, track.tgid].contains(&tid) && !ran(track.tid) {
            self.tally.leave(Left::Dark);
            self.lose(at);
            // It may have run whatever it was asked to; calls that are over do not wait for it.
            self.changed_unseen(at);
            let calls = &self.calls;
            self.tracks[at].asked.retain(|(_, tid, _)| calls.iter().any(|call| call.tid == *tid));
        }
        let word = tid as usize / 64;
        if word >= self.ran.len() {
            self.ran.resize(word + 1, 0);
        }
        self.ran[word] |= 1 << (tid % 64);
    }

    fn forget(&mut self) {
        if self.tasks.len() > REMEMBERED {
            self.tasks.clear();
        }
        if self.mms.len() > REMEMBERED {
            // Who is registered is told again by each switch.
            self.mms.clear();
        }
    }
}
