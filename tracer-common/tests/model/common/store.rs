//! Where the tests' model keeps what it remembers.

use std::collections::{BTreeMap, BTreeSet};
use tracer_common::model::{Cpu, Finding, Mm, MmId, Store, Tally, Task};

/// Maps with a limit: what doesn't fit is not remembered.
#[derive(Clone, Debug)]
pub(crate) struct Maps {
    cpus: Vec<Cpu>,
    mms: BTreeMap<MmId, Mm>,
    tasks: BTreeMap<u32, Task>,
    limit: usize,
    ran: BTreeSet<u32>,
    pub(crate) dark: BTreeSet<u32>,
    pub(crate) tally: Tally,
    pub(crate) findings: Vec<Finding>,
}

impl Maps {
    pub(crate) fn new(cpus: usize) -> Self {
        Self::limited(cpus, usize::MAX)
    }

    /// At most `limit` mms and as many tasks.
    pub(crate) fn limited(cpus: usize, limit: usize) -> Self {
        Self {
            cpus: vec![Cpu::default(); cpus],
            mms: BTreeMap::new(),
            tasks: BTreeMap::new(),
            limit,
            ran: BTreeSet::new(),
            dark: BTreeSet::new(),
            tally: Tally::default(),
            findings: Vec::new(),
        }
    }
}

/// The entry for `key`, made if there is room.
fn entry<K: Ord, V: Default>(map: &mut BTreeMap<K, V>, key: K, limit: usize) -> Option<&mut V> {
    if map.contains_key(&key) || map.len() < limit {
        return Some(map.entry(key).or_default());
    }
    None
}

impl Store for Maps {
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
        entry(&mut self.mms, id, self.limit)
    }
    fn known_mm(&mut self, id: MmId) -> Option<&mut Mm> {
        self.mms.get_mut(&id)
    }
    fn mm_gone(&mut self, id: MmId) {
        self.mms.remove(&id);
    }
    fn task(&mut self, tid: u32) -> Option<&mut Task> {
        entry(&mut self.tasks, tid, self.limit)
    }
    fn known_task(&mut self, tid: u32) -> Option<&mut Task> {
        self.tasks.get_mut(&tid)
    }
    fn task_gone(&mut self, tid: u32) {
        self.tasks.remove(&tid);
    }
    fn ran(&mut self, tid: u32) {
        if self.ran.len() < self.limit {
            self.ran.insert(tid);
        }
    }
    fn has_run(&self, tid: u32) -> bool {
        self.limit == 0 || self.ran.contains(&tid)
    }
    fn dark(&mut self, tid: u32) {
        self.dark.insert(tid);
    }
    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }
    fn found(&mut self, finding: &Finding) {
        self.findings.push(*finding);
    }
}
