//! Counted membarrier calls: the one place where the workload calls membarrier.

use rustix::io;
use rustix::thread::membarrier;

use super::child::ChildPlan;
use super::counts::{Call, Count};
use super::shared::{Role, ScenarioPage};

/// How often a SYNC_CORE call that failed is tried again before its right is given back.
const ATTEMPTS: u32 = 8;

/// What a process of the workload works with: its plan, its counters, and its role.
///
/// Its methods are free of allocation and thread-local state, so `CLONE_VM` children may use them.
#[derive(Clone, Copy)]
pub(super) struct Ctx {
    pub(super) plan: ChildPlan,
    pub(super) page: ScenarioPage,
    pub(super) role: Role,
}

impl Ctx {
    /// The same for a short-lived child.
    pub(super) fn as_child(&self) -> Self {
        Self { role: Role::Children, ..*self }
    }

    /// Whether to go on.
    pub(super) fn running(&self) -> bool {
        self.page.running()
    }

    /// Adds to a count.
    pub(super) fn add(&self, count: Count, n: u64) {
        self.page.add(count, n);
    }

    /// Calls membarrier once and counts the outcome.
    pub(super) fn call(&self, call: Call) -> io::Result<()> {
        match membarrier(call.command()) {
            Ok(()) => {
                self.page.called(self.role, call);
                Ok(())
            }
            Err(errno) => {
                self.page.failed(self.role, errno);
                Err(errno)
            }
        }
    }

    /// Makes one SYNC_CORE call if the budget has one left. True only if it returned 0.
    ///
    /// The right is taken before the call and given back if the call never succeeds, so the calls
    /// that returned 0 are never more than the budget, and reach it as long as anybody keeps trying.
    pub(super) fn sync_core(&self) -> bool {
        if !self.page.take_ticket() {
            return false;
        }
        for _ in 0..ATTEMPTS {
            if self.call(Call::SyncCore).is_ok() {
                return true;
            }
        }
        self.page.return_ticket();
        false
    }

    /// Makes up to `n` SYNC_CORE calls in a row; says how many were made.
    pub(super) fn sync_core_burst(&self, n: u64) -> u64 {
        (0..n).take_while(|_| self.sync_core()).count() as u64
    }

    /// The calls a second that each of `callers` threads aims at.
    pub(super) fn rate_per(&self, callers: usize) -> u64 {
        let rate = self.plan.rate.unwrap_or_else(|| self.plan.scenario.default_rate());
        rate.div_ceil(callers.max(1) as u64)
    }
}
