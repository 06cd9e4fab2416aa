//! Who sends interprocessor interrupts, and what for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tracer_common::model::{Event, Func};

use crate::engine::Seen;

/// How many senders are counted, by thread and reason; of more, those that sent least are forgotten.
const SENDERS: usize = 512;

/// What an IPI is for, as it is written down.
const REASONS: [(Option<Func>, &str); 8] = [
    (None, "reschedule"),
    (Some(Func::SyncCore), "ipi_sync_core"),
    (Some(Func::Mb), "ipi_mb"),
    (Some(Func::Rseq), "ipi_rseq"),
    (Some(Func::SyncRqState), "ipi_sync_rq_state"),
    (Some(Func::FlushTlb), "flush_tlb_func"),
    (Some(Func::TextPoke), "do_sync_core"),
    (Some(Func::Other), "another function"),
];

/// What one thread sent for one reason.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::timeline) struct Sender {
    pub(in crate::timeline) mm: u64,
    pub(in crate::timeline) count: u64,
    pub(in crate::timeline) targets: BTreeMap<u32, u64>,
}

/// Counts senders.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::timeline) struct Senders {
    by_thread: BTreeMap<(u32, u8), Sender>,
    /// What each CPU queued last for another.
    queued: BTreeMap<u32, u8>,
}

fn reason(func: Option<Func>) -> u8 {
    let found = REASONS.iter().position(|(known, _)| *known == func);
    found.unwrap_or(REASONS.len() - 1) as u8
}

impl Senders {
    /// Notes what is queued: the IPI for it comes next.
    pub(in crate::timeline) fn event(&mut self, seen: &Seen<'_>) {
        match seen.event {
            Event::CsdQueue { func, .. } | Event::CallMask { func, .. } => {
                self.queued.insert(seen.cpu, reason(Some(*func)));
            }
            // What was queued before is done with, or sent for.
            Event::Switch { .. } | Event::Gap { .. } => {
                self.queued.remove(&seen.cpu);
            }
            _ => {}
        }
    }

    pub(in crate::timeline) fn sent(
        &mut self,
        seen: &Seen<'_>,
        tid: u32,
        callback: u64,
        targets: impl IntoIterator<Item = u32>,
    ) {
        let why = if callback == 0 {
            reason(None)
        } else {
            self.queued.get(&seen.cpu).copied().unwrap_or(reason(Some(Func::Other)))
        };
        let key = (tid, why);
        if self.by_thread.len() >= SENDERS && !self.by_thread.contains_key(&key) {
            self.forget();
        }
        let sender = self.by_thread.entry(key).or_default();
        if let Some(cpu) = seen.state(seen.cpu).filter(|cpu| cpu.known && cpu.tid == tid) {
            sender.mm = cpu.logical;
        }
        for target in targets {
            sender.count += 1;
            *sender.targets.entry(target).or_default() += 1;
        }
    }

    /// Forgets the half that sent least.
    fn forget(&mut self) {
        let mut counts: Vec<u64> = self.by_thread.values().map(|sender| sender.count).collect();
        let (_, &mut median, _) = counts.select_nth_unstable(SENDERS / 2);
        let mut over = SENDERS / 2;
        self.by_thread.retain(|_, sender| {
            let keep = sender.count > median || over == 0;
            over -= usize::from(!keep);
            keep
        });
    }

    /// Thread, reason, what it sent; the most first.
    pub(in crate::timeline) fn top(&self, most: usize) -> Vec<(u32, &'static str, &Sender)> {
        let name = |why: u8| REASONS.get(usize::from(why)).map_or("?", |(_, name)| name);
        let mut all: Vec<_> =
            self.by_thread.iter().map(|(&(tid, why), sender)| (tid, name(why), sender)).collect();
        all.sort_by_key(|&(tid, why, sender)| (std::cmp::Reverse(sender.count), tid, why));
        all.truncate(most);
        all
    }
}
