//! SYNC_CORE storms against threads that spin, sleep, and wake each other.
//!
//! For a membarrier call each CPU is in one of three states: it runs a thread of the mm (and gets
//! the IPI), it runs something else with the mm loaded lazily (and is skipped), or it has another
//! mm (and is skipped). The three kinds of threads make all of them common, in user and in kernel
//! mode. Other membarrier commands are mixed in: they take other paths to the same CPUs.

use std::time::Duration;

use super::pingpong::{Medium, Pair};
use crate::stress::StressError;
use crate::stress::calls::Ctx;
use crate::stress::counts::{Call, Count};
use crate::stress::pace::{Duty, Pacer, Random, nap, spin};

/// Calls in a row before a caller looks at the time.
const STORM: u64 = 32;
/// Round trips in a row before a pair pauses.
const VOLLEY: u64 = 32;
/// Round trips a second of each pair.
const PAIR_RATE: u64 = 1_500;
/// Sleeps a second of each sleeper, at most.
const SLEEP_RATE: u64 = 2_000;

pub(super) fn run(ctx: &Ctx) -> Result<(), StressError> {
    ctx.register(Call::RegisterSyncCore)?;
    let others = other_commands(ctx)?;
    let quarter = (ctx.plan.threads / 4).max(1);
    let pairs: Vec<_> = Medium::ALL
        .into_iter()
        .cycle()
        .take((ctx.plan.threads / 4).max(Medium::ALL.len()))
        .map(|medium| Pair::new(medium).map(|pair| (medium, pair)))
        .collect::<Result<_, _>>()
        .map_err(StressError::system("make a pipe or an eventfd"))?;
    let duty = ctx.duty(quarter);
    std::thread::scope(|scope| {
        for (medium, pair) in &pairs {
            ctx.spawn(scope, "ul-echo", || pair.follow())?;
            let lead = ctx.spawn(scope, "ul-ping", || lead(ctx, *medium, pair));
            if let Err(error) = lead {
                // The echo must not be left waiting; it does so only on this pair.
                let _ = pair.quit();
                return Err(error);
            }
        }
        for seed in 0..quarter as u64 {
            ctx.spawn(scope, "ul-spin", move || spinner(ctx, duty))?;
            ctx.spawn(scope, "ul-sleep", move || sleeper(ctx, seed))?;
        }
        let others = &others;
        for _ in 0..quarter {
            ctx.spawn(scope, "ul-call", move || caller(ctx, quarter, others))?;
        }
        Ok(())
    })
}

/// Registers for the other commands that the kernel has; each with how many SYNC_CORE calls of one
/// caller come to one of its own. `GLOBAL` waits for an RCU grace period, so it is rare.
fn other_commands(ctx: &Ctx) -> Result<Vec<(Call, u64)>, StressError> {
    let mut others = vec![(Call::Global, 8_192)];
    for (register, call, every) in [
        (Call::RegisterPrivate, Call::Private, 16),
        (Call::RegisterRseq, Call::Rseq, 32),
        (Call::RegisterGlobalExpedited, Call::GlobalExpedited, 64),
    ] {
        if ctx.supports(register) {
            ctx.register(register)?;
            others.push((call, every));
        }
    }
    Ok(others)
}

fn caller(ctx: &Ctx, callers: usize, others: &[(Call, u64)]) {
    let mut pacer = Pacer::new(ctx.rate_per(callers));
    let mut round = 0;
    while ctx.running() {
        let mut made = 0;
        while made < STORM && ctx.sync_core() {
            made += 1;
            round += 1;
            for &(call, every) in others {
                if round % every == 0 {
                    // Counted either way; nothing hangs on it.
                    let _ = ctx.call(call);
                }
            }
        }
        ctx.add(Count::Iterations, 1);
        // At least 1, so that a kernel that refuses every call is not asked without pause.
        pacer.step(made.max(1), || ctx.running());
    }
}

fn spinner(ctx: &Ctx, duty: Duty) {
    while ctx.running() {
        spin(duty.burst());
        ctx.add(Count::Spins, 1);
        duty.rest();
    }
}

fn sleeper(ctx: &Ctx, seed: u64) {
    let mut random = Random::new(seed);
    let mut pacer = Pacer::new(SLEEP_RATE);
    while ctx.running() {
        nap(Duration::from_micros(10 + random.below(100)));
        ctx.add(Count::Sleeps, 1);
        pacer.step(1, || ctx.running());
    }
}

fn lead(ctx: &Ctx, medium: Medium, pair: &Pair) {
    let mut pacer = Pacer::new(PAIR_RATE);
    while ctx.running() {
        let rounds = (0..VOLLEY).take_while(|_| pair.round().is_ok()).count() as u64;
        ctx.add(medium.count(), rounds);
        pacer.step(rounds.max(1), || ctx.running());
    }
    // Fails only if the descriptor is gone, and the follower with it.
    let _ = pair.quit();
}
