//! The model core beside the search: it hears what probes would have told, and nothing else.
//!
//! The search itself asks its rules of the abstract kernel's state, which has a few bits for what is
//! owed ([`ghost`](crate::state::ghost)). That both judge alike is not taken for granted: every way
//! that is printed or written has been judged by the model core, and [`agree`] holds them against each
//! other at every step from every state of a space.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    kernel,
    path::{self, Told, Walk},
    rules::{RULES, Rule},
    search::Symmetry,
    setup::World,
    state::State,
};
use tracer_common::model::{Cpu, Finding, Mm, MmId, Model, Store, Tally, Task};

/// The model core's storage.
#[derive(Clone, Debug)]
pub struct Memory {
    cpus: Vec<Cpu>,
    mms: BTreeMap<MmId, Mm>,
    tasks: BTreeMap<u32, Task>,
    ran: BTreeSet<u32>,
    tally: Tally,
    findings: Vec<Finding>,
}

impl Store for Memory {
    type Lent = Box<Cpu>;

    fn cpus(&self) -> u32 {
        self.cpus.len() as u32
    }
    fn cpu(&mut self, cpu: u32) -> Option<&mut Cpu> {
        self.cpus.get_mut(cpu as usize)
    }
    fn lend(&mut self, cpu: u32) -> Option<Box<Cpu>> {
        self.cpus.get(cpu as usize).map(|&cpu| Box::new(cpu))
    }
    fn give_back(&mut self, cpu: u32, lent: Box<Cpu>) {
        self.cpus[cpu as usize] = *lent;
    }
    fn mm(&mut self, id: MmId) -> Option<&mut Mm> {
        Some(self.mms.entry(id).or_default())
    }
    fn known_mm(&mut self, id: MmId) -> Option<&mut Mm> {
        self.mms.get_mut(&id)
    }
    fn mm_gone(&mut self, id: MmId) {
        self.mms.remove(&id);
    }
    fn task(&mut self, tid: u32) -> Option<&mut Task> {
        Some(self.tasks.entry(tid).or_default())
    }
    fn known_task(&mut self, tid: u32) -> Option<&mut Task> {
        self.tasks.get_mut(&tid)
    }
    fn task_gone(&mut self, tid: u32) {
        self.tasks.remove(&tid);
    }
    fn ran(&mut self, tid: u32) {
        self.ran.insert(tid);
    }
    fn has_run(&self, tid: u32) -> bool {
        self.ran.contains(&tid)
    }
    fn dark(&mut self, _: u32) {}
    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }
    fn found(&mut self, finding: &Finding) {
        self.findings.push(*finding);
    }
}

/// A judge in the middle of a way.
#[derive(Clone, Debug)]
pub struct Judge {
    model: Model,
    memory: Memory,
    now: u64,
}

impl Judge {
    /// One that has heard how the world begins.
    #[must_use]
    pub fn new(world: &World) -> Self {
        let memory = Memory {
            cpus: vec![Cpu::default(); world.setup.cpus.into()],
            mms: BTreeMap::new(),
            tasks: BTreeMap::new(),
            ran: BTreeSet::new(),
            tally: Tally::default(),
            findings: Vec::new(),
        };
        let mut judge = Self { model: Model::new(path::config(world)), memory, now: 1_000_000 };
        let told = path::stamp(path::prologue(world), &mut judge.now);
        judge.hear(&told);
        judge
    }

    /// Hears events, and knows that nothing else happened until well after them.
    pub fn hear(&mut self, told: &[Told]) {
        for (cpu, ts, event) in told {
            self.model.step(&mut self.memory, *cpu, *ts, event);
        }
        if let Some((_, ts, _)) = told.last() {
            self.model.until(&mut self.memory, ts + 500);
        }
    }

    /// What it has found.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.memory.findings
    }

    /// What it has counted.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.memory.tally
    }

    fn counts(&self) -> [(u64, u64); RULES] {
        Rule::ALL.map(|rule| {
            let rule = rule.model().map(|rule| self.memory.tally.rules[rule as usize]);
            rule.map_or((0, 0), |tally| (tally.findings, tally.inconclusive + tally.excused))
        })
    }
}

/// Judges a whole way.
#[must_use]
pub fn judge(world: &World, walk: &Walk) -> Judge {
    let mut judge = Judge::new(world);
    judge.hear(&walk.events[walk.prologue..]);
    judge
}

/// How the two judged, over many steps.
#[derive(Clone, Debug, Default)]
pub struct Agreement {
    /// States that were stepped from.
    pub states: u64,
    /// Steps that both have judged.
    pub steps: u64,
    /// By rule: both say that a step breaks it.
    pub both: [u64; RULES],
    /// The search says so, and the model core says that it can't tell.
    pub doubted: [u64; RULES],
    /// The search says so, and the model core does not (yet: by what is told up to this step).
    pub only_search: [u64; RULES],
    /// The model core says so, and the search does not.
    pub only_model: [u64; RULES],
    /// The model core's own check of itself (R7) failed.
    pub r7: u64,
    /// The first way to each disagreement, by rule: who said so, and the steps.
    pub examples: Vec<(Rule, &'static str, Vec<crate::step::Action>)>,
}

/// Steps from every state of a world, breadth first, with the search's rules and the model core side
/// by side, up to so many states. Each state is judged by one way that leads to it.
#[must_use]
pub fn agree(world: &World, most: usize) -> Agreement {
    let symmetry = Symmetry::new(world);
    let mut agreement = Agreement::default();
    let mut seen = BTreeSet::new();
    let first = world.begin();
    seen.insert(symmetry.number(&first));
    let mut level: Vec<(State, Judge, Vec<crate::step::Action>)> =
        vec![(first, Judge::new(world), Vec::new())];
    let mut actions = Vec::new();
    while !level.is_empty() {
        let mut next = Vec::new();
        for (state, judge, path) in level {
            agreement.states += 1;
            kernel::actions(world, &state, &mut actions);
            for &action in &actions {
                let mut to = state;
                let mut told = Vec::new();
                let marks = kernel::apply(world, &mut to, action, &mut told);
                let mut heard = judge.clone();
                let told = path::stamp(told, &mut heard.now);
                heard.hear(&told);
                let mut way = path.clone();
                way.push(action);
                agreement.compare(marks.broken, &judge, &heard, &way);
                if seen.len() < most && seen.insert(symmetry.number(&to)) {
                    next.push((to, heard, way));
                }
            }
        }
        level = next;
    }
    agreement
}

impl Agreement {
    fn compare(&mut self, broken: u8, before: &Judge, after: &Judge, way: &[crate::step::Action]) {
        self.steps += 1;
        self.r7 += after.tally().rules[6].findings - before.tally().rules[6].findings;
        let (before, after) = (before.counts(), after.counts());
        for rule in Rule::ALL.into_iter().filter(|rule| rule.model().is_some()) {
            let n = rule as usize;
            let found = after[n].0 > before[n].0;
            let doubted = after[n].1 > before[n].1;
            let (kind, who) = match (broken & rule.bit() != 0, found, doubted) {
                (true, true, _) => (&mut self.both[n], ""),
                (true, false, true) => (&mut self.doubted[n], ""),
                (true, false, false) => (&mut self.only_search[n], "search"),
                (false, true, _) => (&mut self.only_model[n], "model"),
                (false, false, _) => continue,
            };
            *kind += 1;
            if !who.is_empty() && !self.examples.iter().any(|(r, w, _)| (*r, *w) == (rule, who)) {
                self.examples.push((rule, who, way.to_vec()));
            }
        }
    }
}
