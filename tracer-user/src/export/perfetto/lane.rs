//! One CPU's tracks.

use std::io::Write;

use tracer_common::{
    model::{Event, SyncCause},
    wire::{INIT_MM, Vector, tlb_reason},
};

use super::{
    packets::{On, Packets, note},
    proto::{Annotated, EXPLICIT, TrackDescriptor},
};
use crate::{engine::Mms, engine::Seen, export::words::reason};

/// More than any kernel nests.
const DEEPEST: usize = 32;

/// The group that all tracks are in.
pub(super) const ROOT: u64 = 1;

/// The first of the numbers that the CPUs' tracks have; each CPU has [`STEP`] of them.
const FIRST: u64 = 16;
const STEP: u64 = 4;

/// What began on the track of interrupts and has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Running {
    /// By its number.
    Interrupt(u8),
    Function,
}

/// A CPU: its tracks, and what is open on them.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    cpu: u32,
    declared: bool,
    mms: Mms,
    running: Vec<Running>,
}

/// The name of an mm's slices.
pub(super) fn mm_name(mm: u64) -> String {
    match mm {
        0 => "no mm".to_owned(),
        INIT_MM => "init_mm".to_owned(),
        mm => format!("mm {mm}"),
    }
}

impl Lane {
    pub(super) fn new(cpu: u32) -> Self {
        Self { cpu, declared: false, mms: Mms::default(), running: Vec::new() }
    }

    const fn group(&self) -> u64 {
        FIRST + self.cpu as u64 * STEP
    }

    const fn logical(&self) -> u64 {
        self.group() + 1
    }

    const fn real(&self) -> u64 {
        self.group() + 2
    }

    /// The track of interrupts and IPIs.
    pub(super) const fn interrupts(&self) -> u64 {
        self.group() + 3
    }

    /// Declares the tracks, before their first event.
    pub(super) fn declare<W: Write>(&mut self, to: &mut Packets<W>) {
        if self.declared {
            return;
        }
        self.declared = true;
        to.track(TrackDescriptor {
            uuid: Some(self.group()),
            name: Some(format!("cpu {}", self.cpu)),
            parent_uuid: Some(ROOT),
            child_ordering: Some(EXPLICIT),
            sibling_order_rank: Some(16 + self.cpu as i32),
            ..TrackDescriptor::default()
        });
        let tracks = [
            (self.logical(), "logical mm", "rq->curr->mm; nothing where it is not known"),
            (self.real(), "real mm", "cpu_tlbstate.loaded_mm; nothing where it is not known"),
            (self.interrupts(), "interrupts and IPIs", "handlers, and functions they run"),
        ];
        for (rank, (uuid, name, description)) in (0..).zip(tracks) {
            to.track(TrackDescriptor {
                uuid: Some(uuid),
                name: Some(name.to_owned()),
                parent_uuid: Some(self.group()),
                sibling_order_rank: Some(rank),
                description: Some(description.to_owned()),
                ..TrackDescriptor::default()
            });
        }
    }

    fn mm_begins<W: Write>(ts: u64, track: u64, mm: u64, to: &mut Packets<W>) {
        let name = mm_name(mm);
        let notes = vec![note("ctx_id", Annotated::Uint(mm))];
        to.begin(ts, On { track, name: &name, notes, ..On::default() });
    }

    /// From `ts` on its mms are these.
    pub(super) fn mms<W: Write>(&mut self, ts: u64, now: Mms, to: &mut Packets<W>) {
        let before = std::mem::replace(&mut self.mms, now);
        if before.logical != now.logical {
            if before.logical.is_some() {
                to.end(ts, self.logical(), Vec::new());
            }
            if let Some(mm) = now.logical {
                Self::mm_begins(ts, self.logical(), mm, to);
            }
        }
        // Laziness is a slice inside the real mm's.
        let lazy = |mms: Mms| mms.real.is_some() && mms.lazy == Some(true);
        let other = before.real != now.real;
        if lazy(before) && (other || !lazy(now)) {
            to.end(ts, self.real(), Vec::new());
        }
        if other {
            if before.real.is_some() {
                to.end(ts, self.real(), Vec::new());
            }
            if let Some(mm) = now.real {
                Self::mm_begins(ts, self.real(), mm, to);
            }
        }
        if lazy(now) && (other || !lazy(before)) {
            to.begin(ts, On { track: self.real(), name: "lazy", ..On::default() });
        }
    }

    /// Nothing is known any more, or nothing follows: all slices end.
    pub(super) fn close<W: Write>(&mut self, ts: u64, to: &mut Packets<W>) {
        self.mms(ts, Mms::default(), to);
        self.leave_from(ts, 0, to);
    }

    /// Begins what never nests in its like: if one is open, its end went unseen, as it does before
    /// the probe on that end is there.
    fn enter<W: Write>(&mut self, ts: u64, what: Running, on: On<'_>, to: &mut Packets<W>) {
        let again = self.running.iter().position(|&one| one == what);
        self.leave_from(ts, again.unwrap_or(usize::MAX), to);
        if self.running.len() < DEEPEST {
            self.running.push(what);
            to.begin(ts, on);
        }
    }

    /// Ends the innermost of these, and what is left open inside of it.
    fn leave<W: Write>(&mut self, ts: u64, which: fn(&Running) -> bool, to: &mut Packets<W>) {
        let at = self.running.iter().rposition(which);
        self.leave_from(ts, at.unwrap_or(usize::MAX), to);
    }

    /// Ends what is open from this depth on.
    fn leave_from<W: Write>(&mut self, ts: u64, at: usize, to: &mut Packets<W>) {
        for _ in at..self.running.len() {
            self.running.pop();
            to.end(ts, self.interrupts(), Vec::new());
        }
    }

    /// What an event shows on these tracks, beside the mms; `arrived` is the flow that ends with it.
    pub(super) fn see<W: Write>(
        &mut self,
        seen: &Seen<'_>,
        arrived: Option<u64>,
        to: &mut Packets<W>,
    ) {
        let ts = seen.ts;
        let here =
            |name| On { track: self.interrupts(), name, flow_ends: arrived, ..On::default() };
        match seen.event {
            // No switch in the middle of an interrupt: an end went unseen.
            Event::Switch { .. } => self.leave_from(ts, 0, to),
            Event::IrqEntry(irq) => {
                let name = Vector::from_u8(irq.vector).map_or("unknown", Vector::name);
                let on = here(name);
                self.enter(ts, Running::Interrupt(irq.vector), on, to);
            }
            Event::IrqExit(_) => self.leave(ts, |one| matches!(one, Running::Interrupt(_)), to),
            Event::CsdEntry { func } => {
                let name = func.name().unwrap_or("another function");
                self.enter(ts, Running::Function, here(name), to);
            }
            // The caller's own share, by a direct call.
            Event::CsdLocal { func, local } => {
                let name = seen.function(local.func).or(func.name());
                let mut on = here(name.unwrap_or("another function"));
                on.notes.push(note("own_call", Annotated::Bool(true)));
                on.notes.push(note("tid", Annotated::Uint(local.tid.into())));
                self.enter(ts, Running::Function, on, to);
            }
            Event::CsdExit { .. } => self.leave(ts, |&one| one == Running::Function, to),
            // No tracepoint tells its end.
            Event::Handler { func, .. } => {
                to.instant(ts, here(func.name().unwrap_or("another function")));
            }
            Event::Nmi(_) => to.instant(ts, here("nmi")),
            Event::SwitchCr3 => {
                let track = self.real();
                to.instant(ts, On { track, name: "CR3 write", ..On::default() });
            }
            Event::TlbFlush(flush) if flush.reason == tlb_reason::TASK_SWITCH => {
                let track = self.real();
                to.instant(ts, On { track, name: "CR3 write", ..On::default() });
            }
            // What is sent is shown with the thread that sends it.
            Event::TlbFlush(flush) if flush.reason != tlb_reason::REMOTE_SEND_IPI => {
                to.instant(ts, here(&format!("tlb_flush: {}", reason(flush.reason))));
            }
            Event::Serialized(sync) => {
                to.instant(ts, here(SyncCause::from_u8(sync.cause).name()));
            }
            Event::Gap { lost } => {
                self.leave_from(ts, 0, to);
                let mut on = On { track: self.interrupts(), name: "events lost", ..On::default() };
                on.notes.push(note("lost", Annotated::Uint(*lost)));
                to.instant(ts, on);
            }
            _ => {}
        }
    }
}
