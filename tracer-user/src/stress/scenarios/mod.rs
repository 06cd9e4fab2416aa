//! The scenarios: one file each. A scenario runs in its own process and returns when told to stop
//! or when its budget of SYNC_CORE calls is spent, with all its threads and children ended.

mod hole;
mod jit;
mod judged;
mod lazy;
mod lazy_flush;
mod migrate;
mod pingpong;
mod preempt;
mod procs;
mod reaper;
mod register;
mod shootdown;
mod siblings;
mod switch_flush;
mod sync_core;

use super::calls::Ctx;
use super::sys::hole::Step;
use super::{Scenario, StressError};

/// Runs the scenario of the plan to its end.
pub(super) fn run(ctx: &Ctx) -> Result<(), StressError> {
    match ctx.plan.scenario {
        Scenario::SyncCore => sync_core::run(ctx),
        Scenario::Jit => jit::run(ctx),
        Scenario::Lazy => lazy::run(ctx),
        Scenario::Shootdown => shootdown::run(ctx),
        Scenario::Procs => procs::run(ctx),
        Scenario::Migrate => migrate::run(ctx),
        Scenario::Siblings => siblings::run(ctx),
        Scenario::Register => register::run(ctx),
        Scenario::Preempt => preempt::run(ctx),
        Scenario::SwitchFlush => switch_flush::run(ctx),
        Scenario::LazyFlush => lazy_flush::run(ctx),
        Scenario::Hole => hole::run(ctx, Step::Use),
        Scenario::HoleControl => hole::run(ctx, Step::Yield),
    }
}
