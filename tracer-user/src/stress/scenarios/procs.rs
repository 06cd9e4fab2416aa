//! Storms of short-lived processes: fork, vfork, exec, exit, with membarrier in between.
//!
//! mms come and go, are inherited with their registration (`kernel/fork.c:dup_mm` copies
//! `membarrier_state`), lose it (`kernel/sched/membarrier.c:membarrier_exec_mmap`), are lent to a
//! vfork child, and end under a CPU that is still lazy on them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Pid, getpid};

use super::reaper::Reaper;
use crate::stress::StressError;
use crate::stress::calls::Ctx;
use crate::stress::child::{CHILD_ARG, ChildPlan, Task};
use crate::stress::counts::{Call, Count};
use crate::stress::pace::{Pacer, nap, spin};
use crate::stress::sys::memory::Region;
use crate::stress::sys::process::{
    Program, SELF, VmChild, VmTask, clone_vm, die_with, exit_process, exit_thread, fork,
};

/// Pages of a vfork child's stack.
const STACK: usize = 16;
/// Calls of a child that calls.
const CALLS: u64 = 4;
/// How long a helper thread sleeps at a time while it waits to be gone.
const MOMENT: Duration = Duration::from_micros(100);

/// One kind of short life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// fork, exit.
    Exit,
    /// fork, call with the registration that the parent's mm had.
    Inherit,
    /// fork, start threads; one calls and exits at once by the bare system call, while another
    /// calls; then the process exits around a thread that still runs.
    Threads,
    /// vfork, call in the parent's mm, exit.
    Vfork,
    /// vfork, exec this program, register there, call.
    VforkExec,
    /// fork, exec this program, exit.
    ForkExec,
    /// fork, exec this program from a thread that is not the first.
    ThreadExec,
    /// fork, exit the process while a thread of it calls without pause. Only on request.
    KillInside,
}

impl Life {
    /// What the storm goes through, again and again. Execs cost the most and are the rarest.
    const ROUND: [Self; 12] = [
        Self::Exit,
        Self::Inherit,
        Self::Vfork,
        Self::Threads,
        Self::Exit,
        Self::VforkExec,
        Self::Inherit,
        Self::Vfork,
        Self::ForkExec,
        Self::Inherit,
        Self::Threads,
        Self::ThreadExec,
    ];

    /// How many calls it makes.
    const fn calls(self) -> u64 {
        match self {
            Self::Exit | Self::ForkExec | Self::KillInside => 0,
            Self::Inherit | Self::Vfork | Self::VforkExec | Self::ThreadExec => CALLS,
            Self::Threads => 2 * CALLS,
        }
    }
}

/// What a vfork child does.
struct Vforked {
    ctx: Ctx,
    parent: Pid,
    program: Option<Program>,
}

impl VmTask for Vforked {
    fn run(&self) -> i32 {
        die_with(self.parent);
        // The mm is the parent's, and registered.
        self.ctx.sync_core_burst(CALLS / 2);
        match &self.program {
            None => {
                self.ctx.sync_core_burst(CALLS / 2);
                0
            }
            Some(program) => program.exec(),
        }
    }
}

/// Everything that is made once, before the first fork.
struct Storm<'a> {
    ctx: &'a Ctx,
    stack: Region,
    vfork: &'static Vforked,
    vfork_exec: &'static Vforked,
    exec: &'static Program,
    exec_calling: &'static Program,
}

pub(super) fn run(ctx: &Ctx) -> Result<(), StressError> {
    ctx.register(Call::RegisterSyncCore)?;
    let storm = Storm::new(ctx)?;
    let mut reaper = Reaper::default();
    let result = storm.rage(&mut reaper);
    reaper.finish(ctx).and(result)
}

impl<'a> Storm<'a> {
    fn new(ctx: &'a Ctx) -> Result<Self, StressError> {
        let program = |calls| -> Result<Program, StressError> {
            let plan = ChildPlan { task: Task::Exec(calls), ..ctx.plan };
            let plan = serde_json::to_string(&plan)
                .map_err(StressError::system("write a child's plan"))?;
            Program::new(SELF, &["unlazy", CHILD_ARG, &plan])
                .map_err(StressError::system("lay out a child's arguments"))
        };
        let half = CALLS as u8 / 2;
        let vfork = |program| {
            let task = Vforked { ctx: ctx.as_child(), parent: getpid(), program };
            &*Box::leak(Box::new(task))
        };
        Ok(Self {
            ctx,
            stack: Region::new(STACK).map_err(StressError::system("map a stack"))?,
            vfork: vfork(None),
            vfork_exec: vfork(Some(program(half)?)),
            exec: Box::leak(Box::new(program(0)?)),
            exec_calling: Box::leak(Box::new(program(CALLS as u8)?)),
        })
    }

    fn rage(&self, reaper: &mut Reaper) -> Result<(), StressError> {
        let ctx = self.ctx;
        let abreast = ctx.plan.threads.clamp(2, 16);
        // A process costs something even if it makes no call.
        let mut pacer = Pacer::new(ctx.rate_per(1));
        let kill = ctx.plan.kill_inside.then_some(Life::KillInside);
        for life in Life::ROUND.into_iter().chain(kill).cycle() {
            if !ctx.running() {
                break;
            }
            self.start(life).map_err(StressError::system("start a process"))?;
            ctx.add(Count::Forked, 1);
            ctx.add(Count::Iterations, 1);
            reaper.started();
            reaper.reap(ctx, abreast - 1)?;
            let own = ctx.sync_core_burst(1);
            pacer.step(life.calls().max(2) + own, || ctx.running());
        }
        Ok(())
    }

    fn start(&self, life: Life) -> rustix::io::Result<Pid> {
        let child = self.ctx.as_child();
        match life {
            Life::Exit => fork(|| 0),
            Life::Inherit => fork(|| {
                child.sync_core_burst(CALLS);
                0
            }),
            Life::Threads => fork(|| threads(&child)),
            Life::Vfork | Life::VforkExec => {
                let task = if life == Life::Vfork { self.vfork } else { self.vfork_exec };
                self.ctx.add(Count::Vforks, 1);
                // SAFETY: a vfork child has left the stack when the call returns. The task
                // allocates nothing, takes no lock, and touches no thread-local but errno, in exec,
                // while its parent sleeps.
                unsafe { clone_vm(&self.stack, VmChild::Vfork, task) }
            }
            Life::ForkExec => fork(|| self.exec.exec()),
            Life::ThreadExec => fork(|| thread_exec(&child, self.exec_calling)),
            Life::KillInside => fork(|| kill_inside(&child)),
        }
    }
}

/// A thread makes its calls and is gone, another makes its own meanwhile; the process ends while a
/// third still runs. Whoever calls is waited for, so that no call goes uncounted.
fn threads(ctx: &Ctx) -> i32 {
    let calling = AtomicU64::new(2);
    let leave = |exit_bare: bool| {
        ctx.sync_core_burst(CALLS);
        calling.fetch_sub(1, Ordering::Release);
        if exit_bare {
            ctx.add(Count::ThreadExits, 1);
            exit_thread();
        }
    };
    std::thread::scope(|scope| {
        let started = ctx.spawn(scope, "ul-busy", || {
            loop {
                spin(MOMENT);
                nap(MOMENT);
            }
        });
        let started = started.and_then(|_| ctx.spawn(scope, "ul-exit", || leave(true)));
        if started.is_err() {
            exit_process(2);
        }
        leave(false);
        while calling.load(Ordering::Acquire) > 0 {
            nap(MOMENT);
        }
        // The busy thread and the scope end with the process.
        exit_process(0)
    })
}

/// The new image takes over the pid of the first thread, which sleeps (`fs/exec.c:de_thread`).
fn thread_exec(ctx: &Ctx, program: &Program) -> i32 {
    std::thread::scope(|scope| {
        let started = ctx.spawn(scope, "ul-exec", || {
            ctx.add(Count::ThreadExecs, 1);
            exit_process(program.exec())
        });
        if started.is_err() {
            exit_process(2);
        }
        loop {
            nap(MOMENT * 10);
        }
    })
}

/// Ends while a thread calls without pause. These calls take nothing from the budget.
fn kill_inside(ctx: &Ctx) -> i32 {
    let inside = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let started = ctx.spawn(scope, "ul-inside", || {
            loop {
                ctx.add(Count::InsideBegun, 1);
                inside.store(true, Ordering::Release);
                // Counted either way.
                let _ = ctx.call(Call::SyncCore);
                ctx.add(Count::InsideReturned, 1);
            }
        });
        if started.is_err() {
            exit_process(2);
        }
        while !inside.load(Ordering::Acquire) {
            nap(Duration::from_micros(5));
        }
        exit_process(0)
    })
}
