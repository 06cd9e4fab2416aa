//! The engine: takes records as they come, puts them in order, and lets the model judge.
//!
//! ```text
//! push() -> order (per CPU, by sequence number) -> merge (by time) -> model -> findings, state
//! ```
//!
//! It knows no probes, files or screens. Memory is bounded: what has been judged is forgotten, but
//! for a short history of each CPU, from which a finding's chain of events is told.

mod chain;
mod frozen;
mod history;
mod merge;
mod mms;
mod names;
mod narrate;
mod observe;
mod order;
mod sorter;
mod store;
mod summary;
mod totals;
mod waiting;

use std::{collections::BTreeMap, sync::Arc};

use tracer_common::{
    model::{self, Config, DecodeError, Event, Finding, Model, Rule, Tally, decode},
    wire::{FuncName, Header, Kind},
};

pub use frozen::FreezeError;
pub(crate) use frozen::{Reader as FrozenReader, Writer as FrozenWriter, sorted};
pub use mms::Mms;
pub(crate) use names::{named_task, text};
pub use observe::{Observer, Seen};
pub(crate) use sorter::{Sorted, Sorter};
pub use summary::Judged;

use self::{
    history::History,
    merge::Merge,
    names::{Names, Read},
    sorter::Progress,
    store::UserStore,
};

/// How many findings are kept in detail, beside the first of each rule.
const FINDINGS_KEPT: usize = 100;

/// The numbers of kinds are below this.
const KINDS: usize = 64;

/// What was counted beside the model's own tally.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Counts {
    /// Records by the number of their [`Kind`].
    by_kind: [u64; KINDS],
    /// Records that were lost, by CPU.
    lost_by_cpu: Vec<u64>,
    /// Records that came too late to be put in order.
    out_of_order: u64,
    /// Records that could not be read.
    unreadable: u64,
}

impl Counts {
    fn new(cpus: usize) -> Self {
        Self { by_kind: [0; KINDS], lost_by_cpu: vec![0; cpus], out_of_order: 0, unreadable: 0 }
    }

    /// How many records of each kind there were, where there were any.
    fn kinds(&self) -> BTreeMap<String, u64> {
        let count = |&kind: &Kind| {
            let count = self.by_kind.get(kind as usize).copied().filter(|&count| count > 0)?;
            Some((kind.name().to_owned(), count))
        };
        Kind::ALL.iter().filter_map(count).collect()
    }
}

/// A finding with the events that led to it.
#[derive(Clone, Debug)]
pub struct Told {
    /// What the model found.
    pub finding: Finding,
    /// The thread's process.
    pub tgid: Option<u32>,
    /// The thread's name then.
    pub comm: Option<String>,
    /// The story, in order.
    pub chain: Vec<crate::report::ChainLink>,
}

/// What is in a record before its turn comes: its header, and the function that it names.
pub(crate) fn naming(record: &[u8]) -> Result<(Header, Option<FuncName>), DecodeError> {
    let header = model::header(record)?;
    let named = (header.kind == Kind::FuncName as u16)
        .then(|| decode(record, |_| model::Func::Other))
        .and_then(Result::ok);
    let name = named.and_then(|(_, event)| match event {
        Event::FuncName(name) => Some(name),
        _ => None,
    });
    Ok((header, name))
}

/// Orders, merges and judges; an [`Observer`] may look on.
pub struct Engine<O = ()> {
    observer: O,
    model: Model,
    store: UserStore,
    merge: Merge,
    /// Where somebody else sorts: how far that is.
    ahead: Option<Progress>,
    names: Names,
    history: History,
    counts: Counts,
    /// For each CPU: a switch has been seen, and no record after it yet.
    switched: Vec<bool>,
    told: Vec<Arc<Told>>,
    found: u64,
}

impl<O: Observer> Engine<O> {
    /// An engine for CPUs numbered below `cpus`.
    pub fn new(config: Config, cpus: u32, observer: O) -> Self {
        Self {
            observer,
            model: Model::new(config),
            store: UserStore::new(cpus),
            merge: Merge::new(cpus),
            ahead: None,
            names: Names::default(),
            history: History::new(cpus),
            counts: Counts::new(cpus as usize),
            switched: vec![false; cpus as usize],
            told: Vec::new(),
            found: 0,
        }
    }

    /// The records begin in the middle: what each CPU numbered before its first one is not lost.
    pub fn join(&mut self) {
        self.merge.join();
    }

    /// Says what a task is called, as far as that was known before the first event.
    pub fn name_task(&mut self, tid: u32, tgid: u32, comm: &str) {
        self.names.task(tid, tgid, comm);
    }

    /// Says what kernel functions are called, by address, as far as no record will tell.
    pub fn name_funcs(&mut self, functions: &BTreeMap<u64, String>) {
        for (&func, name) in functions {
            self.names.func(func, name);
        }
    }

    /// Marks CPUs that are there but offline.
    pub fn set_offline(&mut self, cpu: u32) {
        self.store.set_offline(cpu);
    }

    /// Takes one record of one CPU. Records of a CPU come in the order of its buffer.
    ///
    /// # Errors
    /// If the record is damaged; it is counted and left out.
    pub fn push(&mut self, cpu: u32, record: &[u8]) -> Result<(), DecodeError> {
        let (header, name) = naming(record).inspect_err(|_| self.counts.unreadable += 1)?;
        if let Some(name) = name {
            // At once: another CPU may use the name sooner than its turn comes.
            self.names.told_func(&name);
        }
        self.merge.push(cpu, header, record);
        Ok(())
    }

    /// Tells the engine, in the stream's own time, that system calls are traced from now on or no
    /// longer.
    pub fn syscall_probes(&mut self, ts: u64, on: bool) {
        self.merge.note_syscall_probes(ts, on);
    }

    /// Judges all events up to `until`, in nanoseconds. Every record written before then must have
    /// been pushed.
    pub fn advance(&mut self, until: u64) {
        self.complete(until);
        while self.judge_next().is_some() {}
        self.settle();
    }

    /// Every record written before `until` has been pushed: until the next push,
    /// [`judge_next`](Self::judge_next) judges them one by one.
    pub(crate) fn complete(&mut self, until: u64) {
        self.merge.complete(until);
    }

    /// Judges the next event; tells when it happened.
    pub(crate) fn judge_next(&mut self) -> Option<u64> {
        let merge::Next { cpu, ts, item, behind } = self.merge.pop()?;
        match item {
            merge::Item::Record(record) => {
                let read = self.names.read(self.merge.bytes(cpu, &record));
                self.record(cpu, ts, &read, record.late, behind);
            }
            merge::Item::Lost(lost) => self.lose(cpu, ts, lost),
            merge::Item::SyscallProbes(on) => self.step(cpu, ts, &Event::SyscallProbes(on)),
        }
        Some(ts)
    }

    /// Whether [`judge_next`](Self::judge_next) has an event.
    pub(crate) fn has_next(&self) -> bool {
        self.merge.has_next()
    }

    /// No event is left: what waited for the other CPUs' events is decided.
    pub(crate) fn settle(&mut self) {
        let until = self.sorted_until();
        self.model.until(&mut self.store, until);
        self.tell();
        self.counts.out_of_order = self.ahead.map_or_else(|| self.merge.late(), |it| it.late());
    }

    /// Until when events are in order, in nanoseconds.
    fn sorted_until(&self) -> u64 {
        self.ahead.map_or_else(|| self.merge.until(), |ahead| ahead.until)
    }

    /// So many records of this CPU are lost.
    fn lose(&mut self, cpu: u32, ts: u64, lost: u64) {
        if let Some(count) = self.counts.lost_by_cpu.get_mut(cpu as usize) {
            *count += lost;
        }
        if let Some(pending) = self.switched.get_mut(cpu as usize) {
            *pending = false;
        }
        self.step(cpu, ts, &Event::Gap { lost });
    }

    /// Records of `cpu` up to, but without, this sequence number were written or lost: what is
    /// still missing at the end of a run is lost.
    pub fn expect(&mut self, cpu: u32, seq: u32, ts: u64) {
        self.merge.expect(cpu, seq, ts);
    }

    /// Takes a record in its turn.
    ///
    /// What a late one tells is out of date, and it may come in the middle of a switch; whatever it
    /// was, other records make up for it, or one check less is made. If its CPU was behind the
    /// others, these may have been judged without what it did, so it is not known again until it
    /// switches.
    fn record(&mut self, cpu: u32, ts: u64, read: &Read, late: bool, behind: bool) {
        match &read.event {
            Ok((header, event)) => {
                if let Some(count) = self.counts.by_kind.get_mut(usize::from(header.kind)) {
                    *count += 1;
                }
                if late {
                    // Only programs on functions are preempted.
                    if header.kind >= Kind::TlbState as u16 {
                        return;
                    }
                } else {
                    // A function that was never named may be any: what it did is not known.
                    if behind || read.nameless {
                        self.step(cpu, ts, &Event::Gap { lost: 0 });
                        self.step(cpu, ts, &Event::Gap { lost: 1 });
                    }
                    self.after_switch(cpu, ts, header, event);
                }
                self.step(cpu, ts, event);
            }
            Err(_) => self.counts.unreadable += 1,
        }
    }

    /// The first record after a switch tells whether that switch wrote CR3.
    fn after_switch(&mut self, cpu: u32, ts: u64, header: &Header, event: &Event) {
        let Some(pending) = self.switched.get_mut(cpu as usize) else { return };
        if *pending && let Some(written) = model::says_cr3_written(header, event) {
            *pending = false;
            if written {
                self.counts.by_kind[Kind::TlbFlush as usize] += 1;
                self.step(cpu, ts, &Event::SwitchCr3);
            }
        }
        if header.kind == Kind::Switch as u16
            && let Some(pending) = self.switched.get_mut(cpu as usize)
        {
            *pending = true;
        }
    }

    fn step(&mut self, cpu: u32, ts: u64, event: &Event) {
        self.names.see(event);
        self.history.push(cpu, ts, event);
        self.model.step(&mut self.store, cpu, ts, event);
        if self.store.has_findings() {
            self.tell();
        }
        let Self { observer, store, names, .. } = self;
        observer.event(&Seen { cpu, ts, event, store, names });
    }

    /// Tells how it came to each new finding.
    fn tell(&mut self) {
        for finding in self.store.take_findings() {
            self.found += 1;
            // A rule that is broken late, and rarely, must not drown in the findings of another.
            let first = self.told.iter().all(|told| told.finding.rule != finding.rule);
            if self.told.len() < FINDINGS_KEPT || first {
                let chain = chain::tell(&finding, &self.history, &self.names);
                let tgid = self.names.tgid(finding.tid);
                let comm = self.names.comm(finding.tid).map(str::to_owned);
                let told = Arc::new(Told { finding, tgid, comm, chain });
                self.observer.found(&told);
                self.told.push(told);
            }
            self.observer.broken(&finding);
        }
    }

    /// All up to here has been judged, in nanoseconds.
    pub(crate) const fn until(&self) -> u64 {
        match self.ahead {
            Some(ahead) => ahead.judged,
            None => self.merge.judged(),
        }
    }

    /// The findings that are told in detail, in order.
    pub(crate) fn told(&self) -> &[Arc<Told>] {
        &self.told
    }

    /// The last events of all CPUs that can be told in a line, oldest first.
    pub(crate) fn recent(&self, most: usize) -> Vec<crate::report::ChainLink> {
        let each = |cpu| self.history.of(cpu).rev().take(4 * most).map(move |one| (cpu, one));
        let mut last: Vec<_> = (0..self.history.cpus()).flat_map(each).collect();
        // Of one CPU the later came first.
        last.sort_by_key(|&(_, &(ts, _))| std::cmp::Reverse(ts));
        let told = last.into_iter().filter_map(|(cpu, &(ts_ns, ref event))| {
            let what = narrate::narrate(event, &self.names)?;
            let evidence = crate::report::Evidence::Observed;
            Some(crate::report::ChainLink { ts_ns, cpu, what, evidence })
        });
        let mut links: Vec<_> = told.take(most).collect();
        links.reverse();
        links
    }

    /// The CPUs as they are now, by number.
    pub(crate) fn cpus_now(&self) -> impl Iterator<Item = &model::Cpu> {
        self.store.cpus_iter()
    }

    /// An mm of interest as it is now; `None` if it is gone, or none.
    pub(crate) fn mm_now(&self, id: u64) -> Option<&model::Mm> {
        self.store.mm_ref(id)
    }

    /// Whether system calls are traced.
    pub(crate) const fn traces_syscalls(&self) -> bool {
        self.model.traces_syscalls()
    }

    /// A thread's name.
    pub(crate) fn comm(&self, tid: u32) -> Option<&str> {
        self.names.comm(tid)
    }

    /// A thread's process.
    pub(crate) fn tgid(&self, tid: u32) -> Option<u32> {
        self.names.tgid(tid)
    }

    /// Records that were lost, by CPU.
    pub(crate) fn lost_by_cpu(&self) -> &[u64] {
        &self.counts.lost_by_cpu
    }

    /// Who looks on.
    pub(crate) const fn observer(&self) -> &O {
        &self.observer
    }

    /// Who looks on.
    pub(crate) const fn observer_mut(&mut self) -> &mut O {
        &mut self.observer
    }

    /// Who looked on.
    pub(crate) fn into_observer(self) -> O {
        self.observer
    }

    /// All threads that have a name: thread, process, name.
    pub(crate) fn named_tasks(&self) -> impl Iterator<Item = (u32, u32, &str)> {
        self.names.tasks()
    }

    /// All kernel functions that have a name, by address.
    pub(crate) fn named_functions(&self) -> impl Iterator<Item = (u64, &str)> {
        self.names.functions()
    }

    /// What the model was told about the kernel and the probes.
    pub const fn config(&self) -> &Config {
        self.model.config()
    }

    /// Whether every online CPU's state is known.
    pub fn all_known(&self) -> bool {
        self.store.all_known()
    }

    /// Online CPUs whose state was never known.
    pub fn never_known(&self) -> usize {
        self.store.never_known()
    }

    /// Tasks for which the kernel runs no probes, by name.
    pub fn dark_tasks(&self) -> Vec<String> {
        let name = |&tid: &u32| {
            self.names
                .comm(tid)
                .map_or_else(|| format!("tid {tid}"), |comm| format!("{comm}/{tid}"))
        };
        self.store.dark_tasks().iter().map(name).collect()
    }

    /// Findings so far.
    pub const fn found(&self) -> u64 {
        self.found
    }

    /// The first finding of each rule that was broken so far: the rule, and one plain sentence.
    pub fn first_findings(&self) -> impl Iterator<Item = (Rule, String)> {
        let told = &self.told;
        told.iter().enumerate().filter_map(|(index, one)| {
            let first = told[..index].iter().all(|before| before.finding.rule != one.finding.rule);
            first.then(|| (one.finding.rule, summary::sentence(&one.finding)))
        })
    }

    /// Events judged so far.
    pub fn events(&self) -> u64 {
        self.counts.by_kind.iter().sum()
    }

    /// Events lost so far.
    pub fn lost(&self) -> u64 {
        self.counts.lost_by_cpu.iter().sum()
    }

    /// Begins to count anew: what came before is kept as knowledge, not as numbers.
    pub fn restart_counts(&mut self) {
        *model::Store::tally(&mut self.store) = Tally::default();
        self.store.reset_counts();
        let cpus = self.counts.lost_by_cpu.len();
        self.counts = Counts::new(cpus);
        self.merge.reset_late();
        if let Some(ahead) = &mut self.ahead {
            ahead.reset_late();
        }
        self.told.clear();
        self.found = 0;
        self.observer.restart(self.sorted_until());
    }
}
