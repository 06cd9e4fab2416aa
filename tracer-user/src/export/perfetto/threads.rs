//! Threads' own tracks: their membarrier calls and flushes, and whom they asked for what.

use std::io::Write;

use rustc_hash::FxHashMap;
use tracer_common::{
    model::Event,
    wire::{membarrier_cmd, tlb_reason},
};

use super::{
    packets::{On, Packets, note},
    proto::{Annotated, DebugAnnotation, ThreadDescriptor, TrackDescriptor},
};
use crate::{engine::Seen, export::words::reason};

/// The numbers of threads' tracks are above this.
const FIRST: u64 = 1 << 32;

/// How many threads have tracks at once.
const MOST: usize = 1 << 20;

/// What a thread is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Call,
    Private,
    Flush,
}

struct Thread {
    track: u64,
    doing: Vec<Doing>,
}

/// The threads that have tracks.
#[derive(Default)]
pub(super) struct Threads {
    threads: FxHashMap<u32, Thread>,
    tracks: u64,
}

fn uint(name: &str, value: impl Into<u64>) -> DebugAnnotation {
    note(name, Annotated::Uint(value.into()))
}

impl Threads {
    /// The thread, its track declared; none for the idle tasks, which share one pid.
    fn of<W: Write>(
        &mut self,
        seen: &Seen<'_>,
        tid: u32,
        to: &mut Packets<W>,
    ) -> Option<&mut Thread> {
        if tid == 0 || (self.threads.len() >= MOST && !self.threads.contains_key(&tid)) {
            return None;
        }
        let Self { threads, tracks } = self;
        Some(threads.entry(tid).or_insert_with(|| {
            *tracks += 1;
            let track = FIRST + *tracks;
            to.track(TrackDescriptor {
                uuid: Some(track),
                thread: Some(ThreadDescriptor {
                    pid: seen.tgid(tid).and_then(|tgid| tgid.try_into().ok()),
                    tid: Some(tid.into()),
                    thread_name: seen.comm(tid).map(str::to_owned),
                }),
                ..TrackDescriptor::default()
            });
            Thread { track, doing: Vec::new() }
        }))
    }

    fn begin<W: Write>(
        &mut self,
        seen: &Seen<'_>,
        tid: u32,
        what: Doing,
        name: &str,
        notes: Vec<DebugAnnotation>,
        to: &mut Packets<W>,
    ) {
        if let Some(thread) = self.of(seen, tid, to) {
            // An end that went unseen.
            thread.end(seen.ts, what, Vec::new(), to);
            thread.doing.push(what);
            to.begin(seen.ts, On { track: thread.track, name, notes, ..On::default() });
        }
    }

    fn end<W: Write>(
        &mut self,
        seen: &Seen<'_>,
        tid: u32,
        what: Doing,
        notes: Vec<DebugAnnotation>,
        to: &mut Packets<W>,
    ) {
        if let Some(thread) = self.threads.get_mut(&tid) {
            thread.end(seen.ts, what, notes, to);
        }
    }

    /// `tid` asks `target` to run something, `flow` is on its way; `false` if the thread has no
    /// track.
    pub(super) fn send<W: Write>(
        &mut self,
        seen: &Seen<'_>,
        tid: u32,
        (name, target): (&str, u32),
        flow: Option<u64>,
        to: &mut Packets<W>,
    ) -> bool {
        let Some(thread) = self.of(seen, tid, to) else { return false };
        let notes = vec![uint("target_cpu", target)];
        to.instant(seen.ts, On { track: thread.track, name, notes, flow, ..On::default() });
        true
    }

    /// What an event shows on these tracks.
    pub(super) fn see<W: Write>(&mut self, seen: &Seen<'_>, to: &mut Packets<W>) {
        match seen.event {
            Event::MembarrierEnter(w) => {
                let name = match membarrier_cmd::name(w.cmd) {
                    Some(command) => format!("membarrier {command}"),
                    None => format!("membarrier {}", w.cmd),
                };
                let notes = vec![uint("mm", w.mm), uint("cpu", seen.cpu)];
                self.begin(seen, w.tid, Doing::Call, &name, notes, to);
            }
            Event::MembarrierExit(w) => {
                let notes = vec![note("ret", Annotated::Int(w.ret))];
                self.end(seen, w.tid, Doing::Call, notes, to);
            }
            Event::PrivateBegin(w) => {
                let notes = vec![uint("mm", w.mm), uint("cpu", seen.cpu)];
                let name = "membarrier_private_expedited";
                self.begin(seen, w.tid, Doing::Private, name, notes, to);
            }
            Event::PrivateEnd(w) => {
                let notes = vec![note("ret", Annotated::Int(w.ret.into()))];
                self.end(seen, w.tid, Doing::Private, notes, to);
            }
            Event::FlushBegin { freed_tables, flush } => {
                let notes = vec![
                    uint("mm", flush.mm),
                    uint("generation", flush.generation),
                    note("freed_tables", Annotated::Bool(*freed_tables)),
                ];
                self.begin(seen, flush.tid, Doing::Flush, "flush_tlb_mm_range", notes, to);
            }
            Event::FlushEnd { flush, .. } => {
                self.end(seen, flush.tid, Doing::Flush, Vec::new(), to);
            }
            Event::TlbFlush(w) if w.reason == tlb_reason::REMOTE_SEND_IPI => {
                if let Some(thread) = self.of(seen, w.tid, to) {
                    let name = format!("tlb_flush: {}", reason(w.reason));
                    let notes = vec![uint("mm", w.mm)];
                    let on = On { track: thread.track, name: &name, notes, ..On::default() };
                    to.instant(seen.ts, on);
                }
            }
            // The pid may come again, for another thread.
            Event::Free(task) => {
                if let Some(mut thread) = self.threads.remove(&task.tid) {
                    thread.end_all(seen.ts, to);
                }
            }
            Event::Gap { .. } => self.lost(seen.ts, to),
            _ => {}
        }
    }

    /// Ends may have been among what was lost.
    fn lost<W: Write>(&mut self, ts: u64, to: &mut Packets<W>) {
        for thread in self.threads.values_mut() {
            thread.end_all(ts, to);
        }
    }
}

impl Thread {
    fn end<W: Write>(
        &mut self,
        ts: u64,
        what: Doing,
        mut notes: Vec<DebugAnnotation>,
        to: &mut Packets<W>,
    ) {
        let Some(at) = self.doing.iter().rposition(|&one| one == what) else { return };
        let inner = self.doing.len() - at - 1;
        for _ in 0..inner {
            to.end(ts, self.track, Vec::new());
        }
        self.doing.truncate(at);
        to.end(ts, self.track, std::mem::take(&mut notes));
    }

    fn end_all<W: Write>(&mut self, ts: u64, to: &mut Packets<W>) {
        for _ in self.doing.drain(..) {
            to.end(ts, self.track, Vec::new());
        }
    }
}
