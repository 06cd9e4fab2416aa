//! Registration in mid-flight: a fresh process registers for SYNC_CORE, and some for every other
//! command before or after it, while its threads already run on several CPUs, and calls at once.
//! Some have one thread only, which is another path in the kernel; some exec in the end, which takes
//! the registration away.
//!
//! `kernel/sched/membarrier.c:sync_runqueues_membarrier_state` has to bring the registration to the
//! run queues of CPUs that already run the mm; a tracer has to know the mm from then on, although it
//! saw no switch to it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::thread::sched_setaffinity;

use super::reaper::Reaper;
use crate::stress::StressError;
use crate::stress::calls::Ctx;
use crate::stress::child::{CHILD_ARG, ChildPlan, Task, one_cpu};
use crate::stress::counts::{Call, Count};
use crate::stress::pace::{Duty, Pacer, nap, spin};
use crate::stress::sys::process::{Program, SELF, exit_process, fork};

/// Calls after the registration.
const CALLS: u64 = 8;
/// Every so many processes one first calls unregistered, which must fail.
const REFUSED_EVERY: u64 = 4;
/// Every so many processes one registers for every other command as well, in another order each time.
const ALL_EVERY: u64 = 2;
/// Every so many processes one has no thread but its first.
const ALONE_EVERY: u64 = 5;
/// Every so many processes one execs in the end, registers anew, and calls.
const EXEC_EVERY: u64 = 7;
/// Calls after an exec.
const EXEC_CALLS: u8 = 2;

/// The registrations, each with the call that it allows.
const REGISTRATIONS: [(Call, Call); 4] = [
    (Call::RegisterSyncCore, Call::SyncCore),
    (Call::RegisterPrivate, Call::Private),
    (Call::RegisterGlobalExpedited, Call::GlobalExpedited),
    (Call::RegisterRseq, Call::Rseq),
];

pub(super) fn run(ctx: &Ctx) -> Result<(), StressError> {
    // This mm stays unregistered: children inherit what it has.
    let cpus = ctx.cpus();
    let threads = ctx.plan.threads.clamp(2, 8);
    // Two such processes at a time are enough to meet each other.
    let abreast = 2;
    let duty = ctx.duty(abreast * threads.div_ceil(2));
    let plan = ChildPlan { task: Task::Exec(EXEC_CALLS), ..ctx.plan };
    let plan = serde_json::to_string(&plan).map_err(StressError::system("write a child's plan"))?;
    let program = Program::new(SELF, &["unlazy", CHILD_ARG, &plan])
        .map_err(StressError::system("lay out a child's arguments"))?;
    let mut reaper = Reaper::default();
    let mut pacer = Pacer::new(ctx.rate_per(1));
    let mut result = Ok(());
    for round in 0_u64.. {
        if !ctx.running() {
            break;
        }
        let child = ctx.as_child();
        let threads = if round.is_multiple_of(ALONE_EVERY) { 0 } else { threads };
        match fork(|| live(&child, round, threads, &cpus, duty, &program)) {
            Ok(_) => reaper.started(),
            Err(errno) => {
                result = Err(StressError::system("fork")(errno));
                break;
            }
        }
        ctx.add(Count::Forked, 1);
        ctx.add(Count::Iterations, 1);
        reaper.reap(ctx, abreast - 1)?;
        pacer.step(CALLS, || ctx.running());
    }
    reaper.finish(ctx).and(result)
}

/// The whole life of one child; its exit status.
fn live(
    ctx: &Ctx,
    round: u64,
    threads: usize,
    cpus: &[usize],
    duty: Duty,
    program: &Program,
) -> i32 {
    let ready = AtomicUsize::new(0);
    let done = AtomicBool::new(false);
    let (ready, done) = (&ready, &done);
    std::thread::scope(|scope| {
        for index in 0..threads {
            let cpu = cpus[index % cpus.len()];
            let started = ctx.spawn(scope, "ul-flight", move || {
                // Where a CPU went offline, anywhere is as good.
                let _ = sched_setaffinity(None, &one_cpu(cpu));
                ready.fetch_add(1, Ordering::Release);
                while !done.load(Ordering::Acquire) {
                    if index.is_multiple_of(2) {
                        spin(duty.burst());
                        duty.rest();
                    } else {
                        nap(Duration::from_micros(50));
                    }
                }
            });
            if started.is_err() {
                exit_process(2);
            }
        }
        while ready.load(Ordering::Acquire) < threads {
            nap(Duration::from_micros(50));
        }
        let status = register_and_call(ctx, round);
        if status == 0 && round.is_multiple_of(EXEC_EVERY) {
            // The other threads end where they are, and make no calls. Returns only if it failed.
            exit_process(program.exec());
        }
        done.store(true, Ordering::Release);
        status
    })
}

fn register_and_call(ctx: &Ctx, round: u64) -> i32 {
    if round.is_multiple_of(REFUSED_EVERY) {
        // kernel/sched/membarrier.c:membarrier_private_expedited says EPERM.
        if ctx.call(Call::SyncCore) != Err(rustix::io::Errno::PERM) {
            return 3;
        }
        ctx.add(Count::Refused, 1);
    }
    let all = round.is_multiple_of(ALL_EVERY);
    for (register, call) in order(round / ALL_EVERY) {
        if register == Call::RegisterSyncCore {
            if ctx.call(register).is_err() {
                return 4;
            }
            ctx.sync_core_burst(CALLS);
            ctx.add(Count::MidFlight, 1);
        } else if all
            && ctx.supports(register)
            && (ctx.call(register).is_err() || ctx.call(call).is_err())
        {
            return 5;
        }
    }
    0
}

/// The registrations in the `n`th of their 24 orders.
fn order(n: u64) -> [(Call, Call); 4] {
    let mut left = REGISTRATIONS.to_vec();
    let mut n = n as usize;
    REGISTRATIONS.map(|_| {
        let at = n % left.len();
        n /= left.len();
        left.remove(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_has_its_turn() {
        let mut orders: Vec<_> =
            (0..24).map(|n| order(n).map(|(register, _)| register as usize)).collect();
        orders.sort_unstable();
        orders.dedup();
        assert_eq!(orders.len(), 24);
    }
}
