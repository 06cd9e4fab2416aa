//! The scheduler's own events, as Perfetto's ftrace has them: from these come its CPU view and its
//! tables of threads and scheduling.

use std::io::Write;

use rustc_hash::FxHashSet;
use tracer_common::{
    model::Event,
    wire::{Switch, switch_flags as flag},
};

use super::{
    packets::Packets,
    proto::{
        Data, Ftrace, FtraceEvent, FtraceEventBundle, Process, ProcessTree, SchedProcessFree,
        SchedSwitch, TaskNewtask, TaskRename, Thread,
    },
};
use crate::{
    engine::{Seen, text},
    stream::Facts,
};

/// A bundle has at most this many events,
const BUNDLE: usize = 256;
/// and all that wait have at most so many together.
const WAITING: usize = 1 << 14;

/// How many threads are remembered as told.
const THREADS: usize = 1 << 20;

/// `include/uapi/linux/sched.h:CLONE_THREAD`
const CLONE_THREAD: u64 = 0x10000;

/// `prev_state`, as the tracepoint has it (`include/linux/sched.h:__task_state_index`,
/// `include/trace/events/sched.h:__trace_sched_switch_state`).
mod state {
    pub(super) const RUNNING: i64 = 0;
    pub(super) const INTERRUPTIBLE: i64 = 1;
    pub(super) const DEAD: i64 = 0x10;
    /// `TASK_REPORT_MAX`: preempted.
    pub(super) const PREEMPTED: i64 = 0x100;
}

/// Bundles that are being filled, and the threads that were told.
#[derive(Default)]
pub(super) struct Sched {
    cpus: Vec<FtraceEventBundle>,
    waiting: usize,
    threads: FxHashSet<u32>,
}

fn pid(tid: u32) -> Option<i32> {
    Some(i32::try_from(tid).unwrap_or(i32::MAX))
}

/// A recording has whether a thread sleeps, not how: every sleep reads as interruptible.
fn prev_state(flags: u16) -> i64 {
    match flags {
        _ if flags & flag::PREEMPT != 0 => state::PREEMPTED,
        _ if flags & flag::PREV_BLOCKED == 0 => state::RUNNING,
        _ if flags & flag::PREV_EXITING != 0 => state::DEAD,
        _ => state::INTERRUPTIBLE,
    }
}

impl Sched {
    /// Threads and processes that were known when the run began.
    pub(super) fn known<W: Write>(&mut self, facts: &Facts, to: &mut Packets<W>) {
        let mut tree = ProcessTree::default();
        for task in &facts.tasks {
            self.tell(&mut tree, task.tid, task.tgid, Some(&task.comm));
            if tree.threads.len() + tree.processes.len() >= BUNDLE {
                to.data_at(facts.started_ns, Data::ProcessTree(std::mem::take(&mut tree)));
            }
        }
        if tree != ProcessTree::default() {
            to.data_at(facts.started_ns, Data::ProcessTree(tree));
        }
    }

    fn tell(&mut self, tree: &mut ProcessTree, tid: u32, tgid: u32, comm: Option<&str>) -> bool {
        if tid == 0 || self.threads.len() >= THREADS || !self.threads.insert(tid) {
            return false;
        }
        if tid == tgid {
            let cmdline = comm.map(str::to_owned).into_iter().collect();
            tree.processes.push(Process { pid: pid(tgid), cmdline });
        }
        tree.threads.push(Thread { tid: pid(tid), name: comm.map(str::to_owned), tgid: pid(tgid) });
        true
    }

    /// Tells of a thread, unless that was done.
    pub(super) fn thread<W: Write>(
        &mut self,
        seen: &Seen<'_>,
        tid: u32,
        tgid: u32,
        to: &mut Packets<W>,
    ) {
        let mut tree = ProcessTree::default();
        if tgid != 0 && self.tell(&mut tree, tid, tgid, seen.comm(tid)) {
            to.data_at(seen.ts, Data::ProcessTree(tree));
        }
    }

    /// Takes an event.
    pub(super) fn see<W: Write>(&mut self, seen: &Seen<'_>, to: &mut Packets<W>) {
        let (current, event) = match seen.event {
            Event::Switch { flags, switch } => {
                self.thread(seen, switch.next_tid, switch.next_tgid, to);
                (switch.prev_tid, Ftrace::SchedSwitch(sched_switch(seen, *flags, switch)))
            }
            Event::Fork(fork) => {
                self.threads.insert(fork.child_tid);
                let thread = fork.child_tid != fork.child_tgid;
                let task = TaskNewtask {
                    pid: pid(fork.child_tid),
                    comm: Some(text(&fork.comm).into_owned()),
                    clone_flags: Some(if thread { CLONE_THREAD } else { 0 }),
                };
                (fork.parent_tid, Ftrace::TaskNewtask(task))
            }
            Event::Exec(exec) => {
                let newcomm = Some(text(&exec.comm).into_owned());
                (exec.tid, Ftrace::TaskRename(TaskRename { pid: pid(exec.tid), newcomm }))
            }
            Event::Rename(name) => {
                let newcomm = Some(text(&name.comm).into_owned());
                (name.tid, Ftrace::TaskRename(TaskRename { pid: pid(name.tid), newcomm }))
            }
            Event::Free(task) => {
                self.threads.remove(&task.tid);
                let free = SchedProcessFree { comm: None, pid: pid(task.tid) };
                (0, Ftrace::SchedProcessFree(free))
            }
            Event::Gap { lost } => {
                self.flush(seen.cpu, to);
                if *lost > 0 {
                    self.bundle(seen.cpu).lost_events = Some(true);
                }
                return;
            }
            _ => return,
        };
        let bundle = self.bundle(seen.cpu);
        bundle.event.push(FtraceEvent {
            timestamp: Some(seen.ts),
            pid: Some(current),
            event: Some(event),
        });
        let full = bundle.event.len() >= BUNDLE;
        self.waiting += 1;
        if full {
            self.flush(seen.cpu, to);
        } else if self.waiting >= WAITING {
            self.flush_all(to);
        }
    }

    fn bundle(&mut self, cpu: u32) -> &mut FtraceEventBundle {
        let at = cpu as usize;
        while self.cpus.len() <= at {
            let cpu = Some(self.cpus.len() as u32);
            self.cpus.push(FtraceEventBundle { cpu, ..FtraceEventBundle::default() });
        }
        &mut self.cpus[at]
    }

    fn flush<W: Write>(&mut self, cpu: u32, to: &mut Packets<W>) {
        let bundle = self.bundle(cpu);
        if bundle.event.is_empty() {
            return;
        }
        let empty = FtraceEventBundle { cpu: Some(cpu), ..FtraceEventBundle::default() };
        let full = std::mem::replace(bundle, empty);
        self.waiting -= full.event.len();
        to.data(Data::FtraceEvents(full));
    }

    /// Hands on what waits.
    pub(super) fn flush_all<W: Write>(&mut self, to: &mut Packets<W>) {
        for cpu in 0..self.cpus.len() as u32 {
            self.flush(cpu, to);
        }
    }
}

fn sched_switch(seen: &Seen<'_>, flags: u16, switch: &Switch) -> SchedSwitch {
    let comm = |tid| seen.comm(tid).map(str::to_owned);
    SchedSwitch {
        prev_comm: comm(switch.prev_tid),
        prev_pid: pid(switch.prev_tid),
        // Not recorded.
        prev_prio: None,
        prev_state: Some(prev_state(flags)),
        next_comm: comm(switch.next_tid),
        next_pid: pid(switch.next_tid),
        next_prio: None,
    }
}
