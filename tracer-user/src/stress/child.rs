//! A child's way in: from the hidden argument to the scenario, and the threads it starts.

use std::ffi::CString;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::thread::{Builder, Scope, ScopedJoinHandle};

use rustix::process::Pid;
use rustix::thread::CpuSet;
use serde::{Deserialize, Serialize};

use super::calls::Ctx;
use super::counts::{Call, Count};
use super::pace::Duty;
use super::shared::{Role, Shared};
use super::sys::process::{die_with, ignore_group_signals};
use super::{Scenario, StressError, scenarios};

/// The hidden first argument of the program that means "you are a child of the workload". The
/// second is the child's plan; its standard input is the shared page.
pub const CHILD_ARG: &str = "__stress-child";

/// What kind of child it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Task {
    /// The process of a scenario.
    Scenario,
    /// A process that a scenario exec'ed: counts itself, registers, makes this many SYNC_CORE
    /// calls (no registration for none), and ends.
    Exec(u8),
}

/// What a child is told. Goes through its command line, so it is small, and seen in `ps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChildPlan {
    pub(super) task: Task,
    pub(super) scenario: Scenario,
    /// The pid of the process that started the run.
    pub(super) parent: i32,
    /// How many scenarios run beside each other, this one included.
    pub(super) scenarios: usize,
    /// Threads (or processes) to use, about.
    pub(super) threads: usize,
    /// SYNC_CORE calls a second to aim at, if not the scenario's own.
    pub(super) rate: Option<u64>,
    /// What `MEMBARRIER_CMD_QUERY` said.
    pub(super) query: u32,
    /// Whether to kill processes while a thread is inside membarrier.
    pub(super) kill_inside: bool,
}

/// Runs this process as a child of the workload if the command line says it is one.
///
/// `main` must call this first, before it starts a thread, a runtime, or parses arguments; `Some`
/// is the code to exit with. A command line that only looks like a child's ends with code 2.
pub fn child_entry() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != CHILD_ARG {
        return None;
    }
    let plan = args.next().and_then(|plan| serde_json::from_str(plan.to_str()?).ok());
    let Some(plan) = plan else {
        eprintln!("{CHILD_ARG} is for the workload's own children; use `unlazy stress`");
        return Some(ExitCode::from(2));
    };
    Some(match enter(plan) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The parent reads this.
            eprintln!("{:#}", anyhow::Error::from(error));
            ExitCode::from(2)
        }
    })
}

fn enter(plan: ChildPlan) -> Result<(), StressError> {
    let shared = Shared::open(std::io::stdin().as_fd())
        .map_err(StressError::system("map the counters on standard input"))?;
    let page = shared.scenario(plan.scenario);
    match plan.task {
        Task::Scenario => {
            ignore_group_signals();
            if let Some(parent) = Pid::from_raw(plan.parent) {
                die_with(parent);
            }
            // Both are courtesies; a run without them is still a run.
            let _ = rustix::process::nice(5);
            if let Ok(comm) = CString::new(plan.scenario.comm()) {
                let _ = rustix::thread::set_name(&comm);
            }
            page.set_pid(std::process::id());
            scenarios::run(&Ctx { plan, page, role: Role::Main })
        }
        Task::Exec(calls) => {
            // PR_SET_PDEATHSIG came through the exec.
            page.add(Count::Execed, 1);
            let ctx = Ctx { plan, page, role: Role::Children };
            if calls > 0 {
                ctx.register(Call::RegisterSyncCore)?;
                ctx.sync_core_burst(u64::from(calls));
            }
            Ok(())
        }
    }
}

impl Ctx {
    /// Registers the calling mm, by one of the `Register…` commands.
    pub(super) fn register(&self, call: Call) -> Result<(), StressError> {
        self.call(call).map_err(StressError::system("register the process for membarrier"))
    }

    /// Whether the kernel has the command.
    pub(super) fn supports(&self, call: Call) -> bool {
        self.plan.query & call.command() as u32 != 0
    }

    /// The CPUs this process may use; at least one.
    #[expect(clippy::unused_self, reason = "one door to everything a scenario needs")]
    pub(super) fn cpus(&self) -> Vec<usize> {
        let set = rustix::thread::sched_getaffinity(None).unwrap_or_default();
        let cpus: Vec<_> = (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect();
        if cpus.is_empty() { vec![0] } else { cpus }
    }

    /// The duty of each of `spinners` threads of this scenario.
    pub(super) fn duty(&self, spinners: usize) -> Duty {
        Duty::new(self.cpus().len(), self.plan.scenarios, spinners)
    }

    /// Starts a thread of the scenario. If it can't, the whole scenario is told to end.
    pub(super) fn spawn<'scope, T: Send + 'scope>(
        &self,
        scope: &'scope Scope<'scope, '_>,
        name: &str,
        body: impl FnOnce() -> T + Send + 'scope,
    ) -> Result<ScopedJoinHandle<'scope, T>, StressError> {
        match Builder::new().name(name.to_owned()).stack_size(128 * 1024).spawn_scoped(scope, body)
        {
            Ok(handle) => {
                self.add(Count::Threads, 1);
                Ok(handle)
            }
            Err(error) => {
                self.page.set_budget(Some(0));
                Err(StressError::system("start a thread")(error))
            }
        }
    }
}

/// The set of one CPU.
pub(super) fn one_cpu(cpu: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(cpu);
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_survives_the_command_line() {
        for task in [Task::Scenario, Task::Exec(3)] {
            let plan = ChildPlan {
                task,
                scenario: Scenario::Procs,
                parent: 12,
                scenarios: 8,
                threads: 4,
                rate: Some(1),
                query: 0x3ff,
                kill_inside: true,
            };
            let line = serde_json::to_string(&plan).expect("a plan as JSON");
            assert_eq!(serde_json::from_str::<ChildPlan>(&line).expect("a plan"), plan);
        }
    }

    #[test]
    fn the_tests_own_command_line_is_no_childs() {
        assert!(child_entry().is_none());
    }
}
