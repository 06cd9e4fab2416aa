//! What the workload did: the JSON of `unlazy stress`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::Scenario;
use super::counts::{Call, Count};
use super::shared::{Role, ScenarioPage, Shared};

/// The schema's name and version. Keys may be added, never renamed.
pub const SCHEMA: &str = "unlazy.stress/1";

/// The whole report. Counts are exact: see the [module](super).
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// From before the first scenario's process was started until after the last was waited for.
    pub duration_ns: u64,
    /// Whether a signal ended the run early.
    pub interrupted: bool,
    /// membarrier calls of all processes.
    pub calls: CallCounts,
    /// The same by process; those with no call at all are left out.
    pub by_process: Vec<ProcessCalls>,
    /// What each scenario did, in the order given.
    pub scenarios: Vec<ScenarioReport>,
    /// The judged code; null if the scenario was not run.
    pub jit: Option<JitCounts>,
    /// Processes of the run, the scenarios' own included.
    pub processes: ProcessCounts,
    /// Threads started beside each process's first.
    pub threads: u64,
    /// Context switches, voluntary and not, of all processes, by `getrusage`.
    pub context_switches: u64,
}

/// membarrier calls that returned 0 by command, and those that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallCounts {
    /// `PRIVATE_EXPEDITED_SYNC_CORE`
    pub sync_core: u64,
    /// `PRIVATE_EXPEDITED`
    pub private: u64,
    /// `GLOBAL`
    pub global: u64,
    /// `GLOBAL_EXPEDITED`
    pub global_expedited: u64,
    /// `PRIVATE_EXPEDITED_RSEQ`
    pub rseq: u64,
    /// The registrations.
    pub register: RegisterCounts,
    /// Calls, of any command, that returned an error. Not zero in a healthy run: the scenario
    /// `register` calls before it registers, on purpose (EPERM, errno 1).
    pub failed: u64,
    /// The same by errno.
    pub failed_by_errno: BTreeMap<i32, u64>,
    /// SYNC_CORE calls whose thread was killed before it could count them: each may have returned
    /// 0, failed, or never begun. Always 0 unless killing was asked for.
    pub uncertain: u64,
}

/// Registrations that returned 0. An mm may register more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RegisterCounts {
    /// `REGISTER_PRIVATE_EXPEDITED_SYNC_CORE`
    pub sync_core: u64,
    /// `REGISTER_PRIVATE_EXPEDITED`
    pub private: u64,
    /// `REGISTER_GLOBAL_EXPEDITED`
    pub global_expedited: u64,
    /// `REGISTER_PRIVATE_EXPEDITED_RSEQ`
    pub rseq: u64,
}

/// The calls of one process, or of all short-lived children of one scenario.
#[derive(Clone, Debug, Serialize)]
pub struct ProcessCalls {
    /// Its pid (the tgid); null for the short-lived children together.
    pub pid: Option<u32>,
    /// The scenario it belongs to.
    pub scenario: &'static str,
    /// Its name; children bear it until they exec.
    pub comm: String,
    /// Its calls.
    #[serde(flatten)]
    pub calls: CallCounts,
}

/// What one scenario did.
#[derive(Clone, Debug, Serialize)]
pub struct ScenarioReport {
    /// Its name.
    pub name: &'static str,
    /// Rounds of its main loop.
    pub iterations: u64,
    /// Why it failed; null if it did not.
    pub error: Option<String>,
    /// What it had to do without; null if nothing.
    pub note: Option<String>,
    /// SYNC_CORE calls of all its processes.
    pub sync_core: u64,
    /// What else it did.
    pub counts: BTreeMap<&'static str, u64>,
}

/// The judged code of the scenario `jit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct JitCounts {
    /// Calls of generated functions.
    pub executions: u64,
    /// Versions published.
    pub patches: u64,
    /// Results older than the protocol allows: each is a finding.
    pub stale: u64,
    /// Results that no version ever returned: each is a finding.
    pub garbled: u64,
}

/// Processes of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProcessCounts {
    /// Made by fork, vfork, or clone without `CLONE_THREAD`.
    pub forked: u64,
    /// New images by execve.
    pub execed: u64,
    /// Ended and waited for.
    pub exited: u64,
}

/// How a scenario's process ended.
pub(super) struct ScenarioEnd {
    pub(super) scenario: Scenario,
    pub(super) error: Option<String>,
    pub(super) note: Option<String>,
}

impl Report {
    /// Adds up the shared page.
    pub(super) fn new(
        shared: Shared,
        ends: &[ScenarioEnd],
        duration: Duration,
        interrupted: bool,
        context_switches: u64,
    ) -> Self {
        let mut report = Self {
            schema: SCHEMA,
            duration_ns: duration.as_nanos().try_into().unwrap_or(u64::MAX),
            interrupted,
            calls: CallCounts::default(),
            by_process: Vec::new(),
            scenarios: Vec::new(),
            jit: None,
            processes: ProcessCounts::default(),
            threads: 0,
            context_switches,
        };
        for end in ends {
            report.add(end, shared.scenario(end.scenario));
        }
        report
    }

    fn add(&mut self, end: &ScenarioEnd, page: ScenarioPage) {
        let mut sync_core = 0;
        for (role, pid) in [(Role::Main, page.pid()), (Role::Children, None)] {
            let calls = CallCounts::read(page, role);
            sync_core += calls.sync_core;
            self.calls.add(&calls);
            if calls != CallCounts::default() {
                let (scenario, comm) = (end.scenario.name(), end.scenario.comm());
                self.by_process.push(ProcessCalls { pid, scenario, comm, calls });
            }
        }
        let siblings = page.get(Count::Siblings);
        // The scenario's own process was forked, execed (it said so by its pid) and waited for.
        self.processes.forked += 1 + page.get(Count::Forked) + siblings;
        self.processes.execed += u64::from(page.pid().is_some()) + page.get(Count::Execed);
        self.processes.exited += 1 + page.get(Count::Exited);
        self.threads += page.get(Count::Threads);
        if end.scenario == Scenario::Jit {
            self.jit = Some(JitCounts {
                executions: page.get(Count::Executions),
                patches: page.get(Count::Patches),
                stale: page.get(Count::Stale),
                garbled: page.get(Count::Garbled),
            });
        }
        self.scenarios.push(ScenarioReport {
            name: end.scenario.name(),
            iterations: page.get(Count::Iterations),
            error: end.error.clone(),
            note: end.note.clone(),
            sync_core,
            counts: end.scenario.counts().iter().map(|&c| (c.name(), page.get(c))).collect(),
        });
    }

    /// How many results the kernel's promises rule out: stale or garbled code, stale reads.
    pub fn findings(&self) -> u64 {
        [Count::Stale, Count::Garbled, Count::StaleReads]
            .iter()
            .flat_map(|count| self.scenarios.iter().filter_map(|s| s.counts.get(count.name())))
            .sum()
    }

    /// Whether any scenario failed.
    pub fn failed(&self) -> bool {
        self.scenarios.iter().any(|scenario| scenario.error.is_some())
    }
}

impl CallCounts {
    fn read(page: ScenarioPage, role: Role) -> Self {
        let calls = |call| page.calls(role, call);
        let failed_by_errno: BTreeMap<_, _> = page.failures(role).collect();
        Self {
            sync_core: calls(Call::SyncCore),
            private: calls(Call::Private),
            global: calls(Call::Global),
            global_expedited: calls(Call::GlobalExpedited),
            rseq: calls(Call::Rseq),
            register: RegisterCounts {
                sync_core: calls(Call::RegisterSyncCore),
                private: calls(Call::RegisterPrivate),
                global_expedited: calls(Call::RegisterGlobalExpedited),
                rseq: calls(Call::RegisterRseq),
            },
            failed: failed_by_errno.values().sum(),
            failed_by_errno,
            uncertain: match role {
                Role::Main => 0,
                Role::Children => {
                    page.get(Count::InsideBegun).saturating_sub(page.get(Count::InsideReturned))
                }
            },
        }
    }

    /// Adds another's counts; names every field, so that a new one can't be forgotten.
    fn add(&mut self, other: &Self) {
        let Self {
            sync_core,
            private,
            global,
            global_expedited,
            rseq,
            register,
            failed,
            failed_by_errno,
            uncertain,
        } = other;
        self.sync_core += sync_core;
        self.private += private;
        self.global += global;
        self.global_expedited += global_expedited;
        self.rseq += rseq;
        let RegisterCounts { sync_core, private, global_expedited, rseq } = register;
        self.register.sync_core += sync_core;
        self.register.private += private;
        self.register.global_expedited += global_expedited;
        self.register.rseq += rseq;
        self.failed += failed;
        for (&errno, n) in failed_by_errno {
            *self.failed_by_errno.entry(errno).or_default() += n;
        }
        self.uncertain += uncertain;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(scenario: Scenario) -> ScenarioEnd {
        ScenarioEnd { scenario, error: None, note: None }
    }

    #[test]
    fn sums_go_over_scenarios_and_roles() {
        let (shared, _file) = Shared::create().expect("a page");
        let procs = shared.scenario(Scenario::Procs);
        procs.set_pid(42);
        for _ in 0..3 {
            procs.called(Role::Main, Call::SyncCore);
            procs.called(Role::Children, Call::SyncCore);
            procs.called(Role::Children, Call::RegisterSyncCore);
        }
        procs.failed(Role::Children, rustix::io::Errno::PERM);
        procs.add(Count::Forked, 7);
        procs.add(Count::Exited, 7);
        procs.add(Count::InsideBegun, 5);
        procs.add(Count::InsideReturned, 3);
        let jit = shared.scenario(Scenario::Jit);
        jit.called(Role::Main, Call::SyncCore);
        jit.add(Count::Stale, 2);
        let ends = [end(Scenario::Procs), end(Scenario::Jit)];
        let report = Report::new(shared, &ends, Duration::from_secs(1), false, 9);

        assert_eq!(report.calls.sync_core, 7);
        assert_eq!(report.calls.register.sync_core, 3);
        assert_eq!((report.calls.failed, report.calls.uncertain), (1, 2));
        assert_eq!(report.calls.failed_by_errno, BTreeMap::from([(1, 1)]));
        assert_eq!(report.processes, ProcessCounts { forked: 9, execed: 1, exited: 9 });
        let rows: Vec<_> =
            report.by_process.iter().map(|p| (p.pid, p.scenario, p.calls.sync_core)).collect();
        assert_eq!(rows, [(Some(42), "procs", 3), (None, "procs", 3), (None, "jit", 1)]);
        assert_eq!(report.findings(), 2);
        assert_eq!(report.duration_ns, 1_000_000_000);
    }

    #[test]
    fn the_json_has_the_agreed_keys() {
        let (shared, _file) = Shared::create().expect("a page");
        shared.scenario(Scenario::Lazy).called(Role::Main, Call::SyncCore);
        let report = Report::new(shared, &[end(Scenario::Lazy)], Duration::ZERO, true, 0);
        let json = serde_json::to_value(&report).expect("JSON");
        assert_eq!(json["schema"], "unlazy.stress/1");
        assert_eq!(json["interrupted"], true);
        assert_eq!(json["jit"], serde_json::Value::Null);
        assert_eq!(json["by_process"][0]["sync_core"], 1);
        assert_eq!(json["by_process"][0]["comm"], "ul-lazy");
        assert_eq!(json["scenarios"][0]["counts"]["sleeps"], 0);
        for key in ["sync_core", "private", "global", "global_expedited", "rseq", "failed"] {
            assert!(json["calls"][key].is_u64(), "calls.{key}");
        }
    }
}
