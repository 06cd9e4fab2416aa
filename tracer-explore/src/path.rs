//! A way through the abstract kernel, as unlazy's probes would have told it.

use crate::{
    kernel,
    rules::Marks,
    setup::World,
    state::{IDLE, State, mm},
    step::Action,
    tell::{ctx_id, pid},
};
use tracer_common::{
    model::{Config, Event, Promise},
    wire::{self, Frame, INIT_MM, Site, membarrier_state as bit, switch_flags, tlb_reason},
};

/// Time between two events, in nanoseconds: more than any clock is off.
const STEP: u64 = 1_000;
/// When it begins.
const BEGIN: u64 = 1_000_000;

/// What is told of it: (CPU, nanoseconds, event).
pub type Told = (u32, u64, Event);

/// A way that was gone.
#[derive(Clone, Debug)]
pub struct Walk {
    /// The events, in order; first those by which a judge knows the state in which the kernel begins.
    pub events: Vec<Told>,
    /// How many those are.
    pub prologue: usize,
    /// Each step, the state after it, what the rules had to do with it, and where its events begin.
    pub steps: Vec<(Action, State, Marks, usize)>,
}

/// What a judge is told about the kernel: probes sit on every serializing instruction, and nothing is
/// taken for granted.
#[must_use]
pub fn config(world: &World) -> Config {
    Config {
        invlpgb: world.protocol.invlpgb,
        finish_task_switch: Promise::Probed,
        ipi_sync_core: Promise::Probed,
        kthread_use_mm: Promise::Probed,
        ..Config::default()
    }
}

/// Gives events their times.
pub fn stamp(events: impl IntoIterator<Item = (u32, Event)>, now: &mut u64) -> Vec<Told> {
    let later = |(cpu, event)| {
        *now += STEP;
        (cpu, *now, event)
    };
    events.into_iter().map(later).collect()
}

/// Goes these steps.
#[must_use]
pub fn walk(world: &World, path: &[Action]) -> Walk {
    let mut now = BEGIN;
    let mut events = stamp(prologue(world), &mut now);
    let prologue = events.len();
    let mut state = world.begin();
    let mut steps = Vec::with_capacity(path.len());
    for &action in path {
        let mut told = Vec::new();
        let marks = kernel::apply(world, &mut state, action, &mut told);
        steps.push((action, state, marks, events.len()));
        events.extend(stamp(told, &mut now));
    }
    Walk { events, prologue, steps }
}

/// How the beginning came about: every thread has run once and was seen to return to user mode, and
/// who is not running then sleeps.
#[must_use]
pub fn prologue(world: &World) -> Vec<(u32, Event)> {
    let state = world.begin();
    let mut out = vec![(0, Event::SyscallProbes(true))];
    for cpu in 0..world.setup.cpus {
        let runs = state.cpus[usize::from(cpu)].curr;
        let mut told = Prologue { world, state: &state, cpu: cpu.into(), out: &mut out };
        // Each CPU is seen to switch once, so that it is known.
        told.switch((0, INIT_MM), (2, 0), INIT_MM, false);
        told.switch((2, 0), (0, 0), INIT_MM, false);
        let mut active = INIT_MM;
        if cpu == 0 {
            let on_cpu = |task: u8| state.cpus.iter().any(|c| c.curr == task);
            for task in (0..world.setup.tasks()).filter(|&task| !on_cpu(task)) {
                active = told.runs(task, active);
                told.sleeps(task);
            }
        }
        if runs == IDLE {
            if active != INIT_MM {
                // The idle task lets go of what the last of them left behind.
                told.leaves();
            }
            told.reads(0, INIT_MM, Site::BatchFlush);
        } else {
            told.runs(runs, active);
        }
    }
    out
}

struct Prologue<'a> {
    world: &'a World,
    state: &'a State,
    cpu: u32,
    out: &'a mut Vec<(u32, Event)>,
}

impl Prologue<'_> {
    fn push(&mut self, event: Event) {
        self.out.push((self.cpu, event));
    }

    fn pid(&self, task: u8) -> (u32, u32) {
        pid((self.world.setup.threads_a, self.world.setup.threads_b), task)
    }

    fn bits(&self, mm: u8) -> u8 {
        match (mm, self.world.setup.private, self.state.all.registered) {
            (mm::A, true, _) => bit::PRIVATE_EXPEDITED | bit::PRIVATE_EXPEDITED_READY,
            (mm::A, false, 2) => bit::PRIVATE_EXPEDITED | bit::SYNC_CORE | bit::SYNC_CORE_READY,
            _ => 0,
        }
    }

    /// Between kernel threads.
    fn switch(&mut self, prev: (u32, u64), next: (u32, u64), active: u64, blocked: bool) {
        let flags = switch_flags::PREV_KTHREAD
            | switch_flags::NEXT_KTHREAD
            | if blocked { switch_flags::PREV_BLOCKED } else { 0 };
        self.push(Event::Switch {
            flags,
            switch: wire::Switch {
                prev_mm: 0,
                prev_active: active,
                next_mm: 0,
                prev_tid: prev.0,
                next_tid: next.0,
                next_tgid: next.0,
                prev_state: 0,
                next_state: 0,
                prev_frame: 0,
                next_frame: 0,
            },
        });
    }

    fn reads(&mut self, tid: u32, loaded_mm: u64, site: Site) {
        let slot_gen = 1;
        self.push(Event::TlbState(wire::TlbState {
            loaded_mm,
            slot_mm: loaded_mm,
            slot_gen,
            mm_gen: 1,
            tid,
            asid: if loaded_mm == ctx_id(mm::A) && self.world.protocol.invlpgb { 6 } else { 0 },
            lazy: 0,
            site: site as u8,
        }));
    }

    fn frame(&self, task: u8, frame: Frame) -> u8 {
        let registered = self.bits(self.state.mm_of(task)) & bit::SYNC_CORE != 0;
        if registered { frame as u8 } else { 0 }
    }

    /// The idle task makes room for it. What is borrowed then.
    fn runs(&mut self, task: u8, active: u64) -> u64 {
        let (tid, tgid) = self.pid(task);
        if self.world.is_kthread(task) {
            self.switch((0, 0), (tid, 0), active, false);
            return active;
        }
        let own = self.state.mm_of(task);
        let (mm, bits) = (ctx_id(own), self.bits(own));
        self.push(Event::Switch {
            flags: switch_flags::PREV_KTHREAD,
            switch: wire::Switch {
                prev_mm: 0,
                prev_active: active,
                next_mm: mm,
                prev_tid: 0,
                next_tid: tid,
                next_tgid: tgid,
                prev_state: 0,
                next_state: bits,
                prev_frame: 0,
                next_frame: self.frame(task, Frame::Interrupt),
            },
        });
        if active != mm {
            let reason = tlb_reason::TASK_SWITCH;
            self.push(Event::TlbFlush(wire::TlbFlush { pages: u64::MAX, mm: 0, tid: 0, reason }));
        }
        self.reads(tid, mm, Site::UserReturn);
        let frame = self.frame(task, Frame::Interrupt);
        let back = wire::UserReturn { mm, tid, frame, state: bits, zero: [0; 2] };
        self.push(Event::UserReturn(back));
        mm
    }

    /// It sleeps in a system call; idle runs.
    fn sleeps(&mut self, task: u8) {
        let (tid, _) = self.pid(task);
        let own = self.state.mm_of(task);
        let (mm, bits) = (ctx_id(own), self.bits(own));
        let kthread = self.world.is_kthread(task);
        if bits & bit::SYNC_CORE != 0 {
            let call = wire::Syscall { mm, tid, nr: 0, frame: 0, state: bits, zero: [0; 6] };
            self.push(Event::SysEnter(call));
        }
        let active = if kthread { self.active() } else { mm };
        self.push(Event::Switch {
            flags: switch_flags::NEXT_KTHREAD
                | switch_flags::PREV_BLOCKED
                | if kthread { switch_flags::PREV_KTHREAD } else { 0 },
            switch: wire::Switch {
                prev_mm: mm,
                prev_active: active,
                next_mm: 0,
                prev_tid: tid,
                next_tid: 0,
                next_tgid: 0,
                prev_state: bits,
                next_state: 0,
                prev_frame: self.frame(task, Frame::Sysret),
                next_frame: 0,
            },
        });
    }

    /// What this CPU borrows, by the last switch that told it.
    fn active(&self) -> u64 {
        let here = self.out.iter().rev().filter(|(cpu, _)| *cpu == self.cpu);
        let told = here.filter_map(|(_, event)| match event {
            Event::Switch { switch, .. } if switch.next_mm == 0 => Some(switch.prev_active),
            Event::Switch { switch, .. } => Some(switch.next_mm),
            _ => None,
        });
        told.into_iter().next().unwrap_or(INIT_MM)
    }

    fn leaves(&mut self) {
        let reason = tlb_reason::TASK_SWITCH;
        self.push(Event::TlbFlush(wire::TlbFlush { pages: u64::MAX, mm: 0, tid: 0, reason }));
    }
}
