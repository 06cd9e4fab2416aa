//! A way through the abstract kernel as a table: a column for each CPU.

use std::fmt::Write as _;

use tracer_common::{
    model::{Event, SyncCause},
    wire::{Frame, Site, membarrier_cmd, tlb_reason},
};
use tracer_explore::{
    path::Walk,
    setup::World,
    state::{IDLE, mm},
    tell::pid,
};

use crate::stream::TaskName;

/// What a thread is called.
#[must_use]
pub(super) fn name(world: &World, tid: u32) -> String {
    match threads(world).into_iter().find(|task| task.tid == tid) {
        Some(task) => task.comm,
        None if tid == 0 => "idle".to_owned(),
        None => format!("task {tid}"),
    }
}

/// The threads by name.
pub(super) fn threads(world: &World) -> Vec<TaskName> {
    let setup = &world.setup;
    let named = |task: u8| {
        let (tid, tgid) = pid((setup.threads_a, setup.threads_b), task);
        let [a, b, _] = world.classes();
        let comm = match task {
            n if n < a.1 => format!("A{}", n + 1),
            n if n < b.1 => format!("B{}", n - b.0 + 1),
            n => format!("kthread{}", n - b.1 + 1),
        };
        TaskName { tid, tgid, comm }
    };
    (0..setup.tasks()).map(named).collect()
}

/// The steps, a line for each, or more where a step does several things.
#[must_use]
pub(super) fn lines(world: &World, walk: &Walk) -> Vec<String> {
    const WIDTH: usize = 34;
    let cpus = usize::from(world.setup.cpus);
    let mut out = vec![format!("{:>4}  {}", "step", row(cpus, WIDTH, |cpu| format!("CPU {cpu}")))];
    out.push(format!("{:>4}  {}", "", row(cpus, WIDTH, |cpu| begins(world, cpu))));
    for (number, (action, _, marks, from)) in walk.steps.iter().enumerate() {
        let to = walk.steps.get(number + 1).map_or(walk.events.len(), |next| next.3);
        let mut told = vec![action.step.name().to_owned()];
        let events = &walk.events[*from..to];
        told.extend(events.iter().filter_map(|(_, _, event)| describe(world, event)));
        for rule in tracer_explore::rules::Rule::ALL {
            if marks.broken & rule.bit() != 0 {
                told.push(format!("*** {} is broken", rule.id()));
            }
        }
        for (line, text) in told.iter().enumerate() {
            let step = if line == 0 { (number + 1).to_string() } else { String::new() };
            let text = if line == 0 { text.clone() } else { format!("  {text}") };
            let here = usize::from(action.cpu);
            let row =
                row(cpus, WIDTH, |cpu| if cpu == here { text.clone() } else { String::new() });
            out.push(format!("{step:>4}  {row}").trim_end().to_owned());
        }
    }
    out
}

fn row(cpus: usize, width: usize, text: impl Fn(usize) -> String) -> String {
    let mut row = String::new();
    for cpu in 0..cpus {
        // Writing to a String cannot fail.
        let _ = write!(row, "{:<width$}", text(cpu));
    }
    row
}

/// What a CPU does at the beginning.
fn begins(world: &World, cpu: usize) -> String {
    let state = world.begin();
    match state.cpus[cpu].curr {
        IDLE => "(idle, init_mm)".to_owned(),
        task => {
            let (tid, _) = pid((world.setup.threads_a, world.setup.threads_b), task);
            let of = if state.mm_of(task) == mm::A { "A" } else { "B" };
            format!("({} in user mode, mm {of})", name(world, tid))
        }
    }
}

/// What an event says; nothing for those that only confirm.
fn describe(world: &World, event: &Event) -> Option<String> {
    Some(match event {
        Event::Switch { switch, .. } => {
            format!("{} -> {}", name(world, switch.prev_tid), name(world, switch.next_tid))
        }
        Event::TlbFlush(w) if w.reason == tlb_reason::TASK_SWITCH => "CR3 is written".to_owned(),
        Event::TlbFlush(_) => "the TLB is flushed".to_owned(),
        Event::Serialized(w) => SyncCause::from_u8(w.cause).name().to_owned(),
        Event::UserReturn(w) => match Frame::from_u8(w.frame) {
            Frame::Sysret => "returns to user by SYSRET".to_owned(),
            Frame::Interrupt | Frame::SyscallIret => "returns to user by IRET".to_owned(),
            _ => "returns to user".to_owned(),
        },
        Event::MembarrierEnter(w) => {
            format!("calls {}", membarrier_cmd::name(w.cmd).unwrap_or("membarrier"))
        }
        Event::MembarrierExit(_) => "the call returns".to_owned(),
        Event::CsdQueue { func, target, .. } => {
            format!("{} for CPU {target}", func.name().unwrap_or("a function"))
        }
        Event::CsdEntry { func } => format!("runs {}", func.name().unwrap_or("a function")),
        Event::TlbState(w) => {
            let lazy = if w.lazy == 0 { "" } else { ", lazy" };
            let mm = match w.loaded_mm {
                1 => "init_mm",
                10 => "A",
                11 => "B",
                _ => "C",
            };
            let behind = w.slot_gen < w.mm_gen;
            let gen_of = if behind {
                format!(", gen {} of {}", w.slot_gen, w.mm_gen)
            } else {
                String::new()
            };
            match Site::from_u8(w.site)? {
                Site::SwitchMmExit | Site::EnterLazyTlb => format!("loaded_mm {mm}{lazy}{gen_of}"),
                _ => return None,
            }
        }
        Event::FlushBegin { freed_tables, flush } => format!(
            "flush of A to gen {}{}",
            flush.generation,
            if *freed_tables { ", tables freed" } else { "" }
        ),
        Event::FlushEnd { .. } => "the flush is done".to_owned(),
        Event::KthreadUse(_) => "kthread_use_mm(A) returns".to_owned(),
        Event::KthreadUnuse(_) => "kthread_unuse_mm(A) returns".to_owned(),
        Event::MmDrop(_) => "__mmdrop(A)".to_owned(),
        Event::RqState(w) if w.rq_state & 0xaa != w.mm_state & 0xaa => {
            format!("rq->membarrier_state {:#x}, mm's {:#x}", w.rq_state, w.mm_state)
        }
        _ => return None,
    })
}
