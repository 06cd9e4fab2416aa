//! The model's storage in user space.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use tracer_common::model::{CallCounts, Cpu, Finding, Mm, MmId, SKIPS, Store, Tally, Task};

use super::{frozen::sorted, totals};
use crate::report::{Membarrier, MembarrierTotal, Skipped};

/// How many mms and tasks are remembered at once. Beyond that the model knows less, and says so.
const MOST: usize = 1 << 20;

/// How many mms that are gone are kept for the report.
const GONE_KEPT: usize = 1024;

/// No pid is larger (`include/linux/threads.h:PID_MAX_LIMIT`).
const PID_LIMIT: u32 = 4 << 20;

/// How many tasks without probes are kept by name.
const DARK_KEPT: usize = 64;

/// What the mms that are gone and not kept come to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Omitted {
    pub(super) mms: u64,
    pub(super) total: MembarrierTotal,
}

/// A [`UserStore`] to be written: what is in it, in an order that is always the same.
#[derive(Serialize)]
pub(super) struct Freezing<'a> {
    cpus: &'a [Box<Cpu>],
    mms: Vec<(&'a MmId, &'a Mm)>,
    tasks: Vec<(&'a u32, &'a Task)>,
    ran: Vec<(u32, u64)>,
    dark: &'a BTreeSet<u32>,
    gone: &'a [(MmId, Mm)],
    omitted: FrozenOmitted,
    tally: &'a Tally,
}

/// The same, read: field by field what [`Freezing`] has.
#[derive(Deserialize)]
pub(super) struct Frozen {
    cpus: Box<[Box<Cpu>]>,
    mms: Vec<(MmId, Mm)>,
    tasks: Vec<(u32, Task)>,
    ran: Vec<(u32, u64)>,
    dark: BTreeSet<u32>,
    gone: Vec<(MmId, Mm)>,
    omitted: FrozenOmitted,
    tally: Tally,
}

/// [`Omitted`], written field by field: its report form has keys.
type FrozenOmitted = (u64, Membarrier, u64, Skipped);

pub(super) struct UserStore {
    /// In boxes, since each is lent and given back for each of its events.
    cpus: Box<[Box<Cpu>]>,
    /// It lies in the place of one that is lent.
    spare: Option<Box<Cpu>>,
    mms: FxHashMap<MmId, Mm>,
    tasks: FxHashMap<u32, Task>,
    /// A bit for each task that was seen running.
    ran: Vec<u64>,
    dark: BTreeSet<u32>,
    gone: Vec<(MmId, Mm)>,
    omitted: Omitted,
    tally: Tally,
    findings: Vec<Finding>,
}

impl UserStore {
    pub(super) fn new(cpus: u32) -> Self {
        Self {
            cpus: (0..cpus).map(|_| Box::default()).collect(),
            spare: None,
            mms: FxHashMap::default(),
            tasks: FxHashMap::default(),
            ran: Vec::new(),
            dark: BTreeSet::new(),
            gone: Vec::new(),
            omitted: Omitted::default(),
            tally: Tally::default(),
            findings: Vec::new(),
        }
    }

    /// All of it but findings that were not taken yet.
    pub(super) fn freeze(&self) -> Freezing<'_> {
        let Omitted { mms, total: MembarrierTotal { calls, targeted, skipped } } = self.omitted;
        let ran = self.ran.iter().zip(0..).filter(|&(&word, _)| word != 0);
        Freezing {
            cpus: &self.cpus,
            mms: sorted(&self.mms),
            tasks: sorted(&self.tasks),
            ran: ran.map(|(&word, index)| (index, word)).collect(),
            dark: &self.dark,
            gone: &self.gone,
            omitted: (mms, calls, targeted, skipped),
            tally: &self.tally,
        }
    }

    pub(super) fn thaw(frozen: Frozen) -> Self {
        let Frozen { cpus, mms, tasks, ran, dark, gone, omitted, tally } = frozen;
        let (omitted_mms, calls, targeted, skipped) = omitted;
        let total = MembarrierTotal { calls, targeted, skipped };
        let words = ran.last().map_or(0, |&(index, _)| index as usize + 1);
        let mut bits = vec![0; words.min(PID_LIMIT as usize / 64)];
        for (index, word) in ran {
            if let Some(slot) = bits.get_mut(index as usize) {
                *slot = word;
            }
        }
        Self {
            cpus,
            spare: None,
            mms: mms.into_iter().collect(),
            tasks: tasks.into_iter().collect(),
            ran: bits,
            dark,
            gone,
            omitted: Omitted { mms: omitted_mms, total },
            tally,
            findings: Vec::new(),
        }
    }

    /// Keeps an mm that is gone, in the place of the one with the fewest calls if there are too many.
    fn keep_gone(&mut self, id: MmId, mm: &Mm) {
        if self.gone.len() < GONE_KEPT {
            self.gone.push((id, *mm));
            return;
        }
        let fewest = self.gone.iter_mut().min_by_key(|(_, kept)| kept.calls.sync_core);
        match fewest {
            Some(kept) if kept.1.calls.sync_core < mm.calls.sync_core => {
                let (_, dropped) = std::mem::replace(kept, (id, *mm));
                self.omitted.add(&dropped);
            }
            _ => self.omitted.add(mm),
        }
    }

    pub(super) fn set_offline(&mut self, cpu: u32) {
        if let Some(cpu) = self.cpus.get_mut(cpu as usize) {
            cpu.offline = true;
        }
    }

    /// Whether there are findings that were not taken yet.
    pub(super) const fn has_findings(&self) -> bool {
        !self.findings.is_empty()
    }

    pub(super) fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    pub(super) fn all_known(&self) -> bool {
        self.cpus.iter().all(|cpu| cpu.known || cpu.offline)
    }

    /// Online CPUs whose state was never known.
    pub(super) fn never_known(&self) -> usize {
        self.cpus.iter().filter(|cpu| !cpu.was_known && !cpu.offline).count()
    }

    pub(super) fn mm_ref(&self, id: MmId) -> Option<&Mm> {
        self.mms.get(&id)
    }

    pub(super) fn task_ref(&self, tid: u32) -> Option<&Task> {
        self.tasks.get(&tid)
    }

    pub(super) fn cpus_iter(&self) -> impl ExactSizeIterator<Item = &Cpu> {
        self.cpus.iter().map(|cpu| &**cpu)
    }

    /// The mms of interest, the gone ones included.
    pub(super) fn mms_iter(&self) -> impl Iterator<Item = (MmId, &Mm)> {
        let alive = self.mms.iter().map(|(&id, mm)| (id, mm));
        alive.chain(self.gone.iter().map(|(id, mm)| (*id, mm)))
    }

    /// Tasks for which the kernel runs no probes.
    pub(super) const fn dark_tasks(&self) -> &BTreeSet<u32> {
        &self.dark
    }

    pub(super) const fn omitted(&self) -> &Omitted {
        &self.omitted
    }

    pub(super) const fn tally_ref(&self) -> &Tally {
        &self.tally
    }

    pub(super) fn reset_counts(&mut self) {
        for mm in self.mms.values_mut() {
            mm.calls = CallCounts::default();
            mm.targeted = 0;
            mm.skipped = [0; SKIPS];
        }
        self.gone.clear();
        self.omitted = Omitted::default();
        for cpu in &mut self.cpus {
            cpu.inconclusive = 0;
        }
        self.findings.clear();
    }
}

impl Omitted {
    fn add(&mut self, mm: &Mm) {
        self.mms += 1;
        self.total.add(&totals::of(mm));
    }
}

impl Store for UserStore {
    type Lent = Box<Cpu>;

    fn cpus(&self) -> u32 {
        self.cpus.len() as u32
    }

    fn cpu(&mut self, cpu: u32) -> Option<&mut Cpu> {
        self.cpus.get_mut(cpu as usize).map(|cpu| &mut **cpu)
    }

    fn lend(&mut self, cpu: u32) -> Option<Box<Cpu>> {
        let cpu = self.cpus.get_mut(cpu as usize)?;
        Some(std::mem::replace(cpu, self.spare.take().unwrap_or_default()))
    }

    fn give_back(&mut self, cpu: u32, lent: Box<Cpu>) {
        if let Some(cpu) = self.cpus.get_mut(cpu as usize) {
            self.spare = Some(std::mem::replace(cpu, lent));
        }
    }

    fn mm(&mut self, id: MmId) -> Option<&mut Mm> {
        if id == 0 || (self.mms.len() >= MOST && !self.mms.contains_key(&id)) {
            return None;
        }
        Some(self.mms.entry(id).or_default())
    }

    fn known_mm(&mut self, id: MmId) -> Option<&mut Mm> {
        self.mms.get_mut(&id)
    }

    fn mm_gone(&mut self, id: MmId) {
        if let Some(mm) = self.mms.remove(&id)
            && mm.calls != CallCounts::default()
        {
            self.keep_gone(id, &mm);
        }
    }

    fn task(&mut self, tid: u32) -> Option<&mut Task> {
        if self.tasks.len() >= MOST && !self.tasks.contains_key(&tid) {
            return None;
        }
        Some(self.tasks.entry(tid).or_default())
    }

    fn known_task(&mut self, tid: u32) -> Option<&mut Task> {
        self.tasks.get_mut(&tid)
    }

    fn task_gone(&mut self, tid: u32) {
        self.tasks.remove(&tid);
        if let Some(word) = self.ran.get_mut(tid as usize / 64) {
            *word &= !(1 << (tid % 64));
        }
    }

    fn ran(&mut self, tid: u32) {
        let index = tid as usize / 64;
        if index >= self.ran.len() && tid < PID_LIMIT {
            self.ran.resize(index + 1, 0);
        }
        if let Some(word) = self.ran.get_mut(index) {
            *word |= 1 << (tid % 64);
        }
    }

    fn has_run(&self, tid: u32) -> bool {
        self.ran.get(tid as usize / 64).is_some_and(|word| word & 1 << (tid % 64) != 0)
    }

    fn dark(&mut self, tid: u32) {
        if self.dark.len() < DARK_KEPT {
            self.dark.insert(tid);
        }
    }

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    fn found(&mut self, finding: &Finding) {
        self.findings.push(*finding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_mms_that_are_gone_those_with_most_calls_are_kept_and_none_is_uncounted() {
        let mut store = UserStore::new(1);
        let most = GONE_KEPT as u64 + 10;
        for id in 1..=most {
            if let Some(mm) = store.mm(id) {
                mm.calls.sync_core = id;
            }
            store.mm_gone(id);
        }
        assert_eq!(store.mms_iter().map(|(id, _)| id).max(), Some(most));
        assert_eq!(store.mms_iter().map(|(id, _)| id).min(), Some(11));
        let kept: u64 = store.mms_iter().map(|(_, mm)| mm.calls.sync_core).sum();
        assert_eq!(kept + store.omitted().total.calls.sync_core, most * (most + 1) / 2);
        assert_eq!(store.omitted().mms, 10);
    }
}
