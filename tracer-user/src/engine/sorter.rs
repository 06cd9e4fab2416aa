//! Putting records in order on another thread, ahead of the one that judges.
//!
//! ```text
//! thread A: Sorter (order, merge) -> Sorted, a sweep's events in order -> thread B: Engine (model)
//! ```
//!
//! What is judged, and all that is counted, is as if one engine did both.

use tracer_common::{model::Event, wire::FuncName};

use super::{
    Engine, Observer,
    merge::{self, Merge},
    naming,
    waiting::append,
};

/// What an engine does before it judges.
pub(crate) struct Sorter {
    merge: Merge,
    next: Sorted,
}

/// What one sweep brought, in order.
#[derive(Default)]
pub(crate) struct Sorted {
    items: Vec<Item>,
    /// The records, one after the other.
    bytes: Vec<u8>,
    /// Names of functions that were told by the end of the sweep.
    named: Vec<FuncName>,
    /// Records that could not be read.
    unreadable: u64,
    progress: Progress,
}

impl Sorted {
    fn clear(&mut self) {
        self.items.clear();
        self.bytes.clear();
        self.named.clear();
        self.unreadable = 0;
    }
}

/// How far the sorting is.
#[derive(Clone, Copy, Default)]
pub(super) struct Progress {
    /// As [`Merge::until`].
    pub(super) until: u64,
    /// As [`Merge::judged`].
    pub(super) judged: u64,
    /// Records that came too late since the run began.
    late: u64,
    /// How many of those are not counted.
    before: u64,
}

impl Progress {
    /// Records that came too late, since that was counted anew.
    pub(super) const fn late(&self) -> u64 {
        self.late - self.before
    }

    pub(super) const fn reset_late(&mut self) {
        self.before = self.late;
    }
}

struct Item {
    cpu: u32,
    ts: u64,
    what: What,
}

enum What {
    Record { at: usize, len: u8, late: bool, behind: bool },
    Lost(u64),
    SyscallProbes(bool),
}

impl Sorter {
    /// Takes one record of one CPU, as [`Engine::push`] does.
    pub(crate) fn push(&mut self, cpu: u32, record: &[u8]) {
        match naming(record) {
            Ok((header, name)) => {
                self.next.named.extend(name);
                self.merge.push(cpu, header, record);
            }
            Err(_) => self.next.unreadable += 1,
        }
    }

    /// As [`Engine::syscall_probes`].
    pub(crate) fn syscall_probes(&mut self, ts: u64, on: bool) {
        self.merge.note_syscall_probes(ts, on);
    }

    /// As [`Engine::expect`].
    pub(crate) fn expect(&mut self, cpu: u32, seq: u32, ts: u64) {
        self.merge.expect(cpu, seq, ts);
    }

    /// Records that came too late since the run began.
    pub(crate) fn late(&self) -> u64 {
        self.merge.late()
    }

    /// All events up to `until`, in order. Every record written before then must have been pushed.
    /// The room of `used` is used again.
    pub(crate) fn advance(&mut self, until: u64, mut used: Sorted) -> Sorted {
        let Self { merge, next } = self;
        merge.complete(until);
        while let Some(merge::Next { cpu, ts, item, behind }) = merge.pop() {
            let what = match item {
                merge::Item::Record(record) => {
                    let bytes = merge.bytes(cpu, &record);
                    let at = next.bytes.len();
                    append(&mut next.bytes, bytes);
                    What::Record { at, len: bytes.len() as u8, late: record.late, behind }
                }
                merge::Item::Lost(lost) => What::Lost(lost),
                merge::Item::SyscallProbes(on) => What::SyscallProbes(on),
            };
            next.items.push(Item { cpu, ts, what });
        }
        let (until, judged, late) = (merge.until(), merge.judged(), merge.late());
        next.progress = Progress { until, judged, late, before: 0 };
        used.clear();
        std::mem::replace(next, used)
    }
}

impl<O: Observer> Engine<O> {
    /// Lets somebody else sort: from now on this engine only [takes](Self::take) what that one has
    /// sorted.
    pub(crate) fn sort_ahead(&mut self) -> Sorter {
        self.ahead = Some(Progress::default());
        let merge = std::mem::replace(&mut self.merge, Merge::new(0));
        Sorter { merge, next: Sorted::default() }
    }

    /// Judges a sweep, as [`Engine::advance`] does.
    pub(crate) fn take(&mut self, sorted: &Sorted) {
        self.counts.unreadable += sorted.unreadable;
        for name in &sorted.named {
            self.names.told_func(name);
        }
        for &Item { cpu, ts, ref what } in &sorted.items {
            match *what {
                What::Record { at, len, late, behind } => {
                    let bytes = sorted.bytes.get(at..at + usize::from(len)).unwrap_or_default();
                    let read = self.names.read(bytes);
                    self.record(cpu, ts, &read, late, behind);
                }
                What::Lost(lost) => self.lose(cpu, ts, lost),
                What::SyscallProbes(on) => self.step(cpu, ts, &Event::SyscallProbes(on)),
            }
        }
        let before = self.ahead.map_or(0, |ahead| ahead.before);
        self.ahead = Some(Progress { before, ..sorted.progress });
        self.settle();
    }

    /// So many records had come too late when what follows was read.
    pub(crate) fn sorted_late(&mut self, late: u64) {
        if let Some(ahead) = &mut self.ahead {
            ahead.late = late;
        }
    }
}
