//! The parent: starts a process per scenario, ends the run, and adds up.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::membarrier_query;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::child::{CHILD_ARG, ChildPlan, Task};
use super::counts::Call;
use super::report::{Report, ScenarioEnd};
use super::shared::Shared;
use super::sys::process::context_switches;
use super::{Plan, Scenario, StressError};

/// How long a scenario may take to end once told to. A GLOBAL membarrier or an exec may be under
/// way on a loaded machine.
const GRACE: Duration = Duration::from_secs(10);
/// The longest sleep between two looks at the signals: one may come just before the poll.
const LOOK: Duration = Duration::from_millis(50);

/// Runs the workload to its end and says what it did.
///
/// Returns early, with the counts so far and `interrupted` set, on SIGINT, SIGTERM or SIGHUP; the
/// handlers stay installed. A scenario that fails or crashes does not end the others; its
/// [`error`](super::ScenarioReport::error) says why.
///
/// The program's `main` must hand children to [`child_entry`](super::child_entry). The calling
/// thread must not be one that ends early: the kernel kills the children when it does.
///
/// # Errors
/// If the kernel has no SYNC_CORE membarrier, or the processes can't be started.
pub fn run(plan: &Plan) -> Result<Report, StressError> {
    let query = membarrier_query().bits();
    let wanted = [Call::SyncCore, Call::RegisterSyncCore];
    if wanted.iter().any(|call| query & call.command() as u32 == 0) {
        return Err(StressError::NoSyncCore { query });
    }
    let interrupt = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&interrupt))
            .map_err(StressError::system("handle signals"))?;
    }
    let (shared, file) = Shared::create().map_err(StressError::system("make the counters"))?;
    let switches_before = context_switches();
    let start = Instant::now();
    let mut crew = Crew { shared, members: Vec::new() };
    for &scenario in &plan.scenarios {
        shared.scenario(scenario).set_budget(plan.calls);
        crew.hire(plan, scenario, query, &file)?;
    }
    let interrupted = crew.wait(start + plan.duration, &interrupt)?;
    shared.stop();
    crew.wait(Instant::now() + GRACE, &AtomicBool::new(false))?;
    let ends = crew.dismiss()?;
    let duration = start.elapsed();
    let switches = context_switches().saturating_sub(switches_before);
    Ok(Report::new(shared, &ends, duration, interrupted, switches))
}

/// The processes of the scenarios. Dropping it kills those that are left.
struct Crew {
    shared: Shared,
    members: Vec<Member>,
}

struct Member {
    scenario: Scenario,
    child: Child,
    pidfd: OwnedFd,
    status: Option<ExitStatus>,
}

impl Crew {
    fn hire(
        &mut self,
        plan: &Plan,
        scenario: Scenario,
        query: u32,
        file: &OwnedFd,
    ) -> Result<(), StressError> {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let child_plan = ChildPlan {
            task: Task::Scenario,
            scenario,
            parent: std::process::id() as i32,
            scenarios: plan.scenarios.len(),
            threads: plan.threads.unwrap_or_else(|| default_threads(cpus)),
            rate: plan.rate,
            query,
            kill_inside: plan.kill_inside,
        };
        let line = serde_json::to_string(&child_plan)
            .map_err(StressError::system("write a scenario's plan"))?;
        let page = file.try_clone().map_err(StressError::system("share the counters"))?;
        let mut child = Command::new("/proc/self/exe")
            .arg0("unlazy")
            .args([CHILD_ARG, &line])
            .stdin(page)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(StressError::system("start a scenario's process from /proc/self/exe"))?;
        let pidfd = match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(errno) => {
                // It has not been waited for, so both can only succeed.
                let _ = child.kill();
                let _ = child.wait();
                return Err(StressError::system("watch a scenario's process")(errno));
            }
        };
        self.members.push(Member { scenario, child, pidfd, status: None });
        Ok(())
    }

    /// Waits until all members have ended, it is `until`, or `interrupt` is set; true for the last.
    fn wait(&mut self, until: Instant, interrupt: &AtomicBool) -> Result<bool, StressError> {
        loop {
            for member in self.members.iter_mut().filter(|m| m.status.is_none()) {
                member.status = member
                    .child
                    .try_wait()
                    .map_err(StressError::system("wait for a scenario's process"))?;
            }
            let left = until.saturating_duration_since(Instant::now()).min(LOOK);
            let mut fds: Vec<_> = self
                .members
                .iter()
                .filter(|m| m.status.is_none())
                .map(|m| PollFd::new(&m.pidfd, PollFlags::IN))
                .collect();
            if interrupt.load(Ordering::Relaxed) {
                return Ok(!fds.is_empty());
            }
            if fds.is_empty() || left.is_zero() {
                return Ok(false);
            }
            let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(left.subsec_nanos()) };
            match poll(&mut fds, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(StressError::system("poll")(errno)),
            }
        }
    }

    /// Ends whoever has not ended, and collects how each member did.
    fn dismiss(mut self) -> Result<Vec<ScenarioEnd>, StressError> {
        let mut ends = Vec::new();
        for member in &mut self.members {
            let mut error = None;
            let status = if let Some(status) = member.status {
                status
            } else {
                error = Some(format!("did not end within {} s and was killed", GRACE.as_secs()));
                member
                    .child
                    .kill()
                    .and_then(|()| member.child.wait())
                    .map_err(StressError::system("end a scenario's process"))?
            };
            member.status = Some(status);
            let said = member.said();
            if error.is_none() && !status.success() {
                error = Some(match (status.signal(), said.is_empty()) {
                    (Some(signal), true) => format!("its process was killed by signal {signal}"),
                    (Some(signal), false) => {
                        format!("its process was killed by signal {signal}: {said}")
                    }
                    (None, true) => format!("its process failed ({status})"),
                    (None, false) => said.clone(),
                });
            }
            let note = (error.is_none() && !said.is_empty()).then_some(said);
            ends.push(ScenarioEnd { scenario: member.scenario, error, note });
        }
        Ok(ends)
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.shared.stop();
        for member in self.members.iter_mut().filter(|m| m.status.is_none()) {
            // On the way out of an error; there is nothing more to do about another.
            let _ = member.child.kill();
            let _ = member.child.wait();
        }
    }
}

impl Member {
    /// What the process wrote to its standard error, in one line. Its short-lived children share
    /// the pipe and may outlive a crash by a moment, so this does not wait for the end of the file.
    fn said(&mut self) -> String {
        let Some(stderr) = self.child.stderr.take() else { return String::new() };
        let mut pipe = File::from(OwnedFd::from(stderr));
        let mut text = Vec::new();
        let _ = rustix::io::ioctl_fionbio(&pipe, true);
        let mut chunk = [0; 4096];
        loop {
            match pipe.read(&mut chunk) {
                Ok(0) => break,
                Ok(n) => text.extend_from_slice(&chunk[..n]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        let text = String::from_utf8_lossy(&text);
        text.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join("; ")
    }
}

/// Threads per scenario: two per CPU, so that every CPU has something to switch between, but no
/// fewer than the four that the scenarios need to have each kind of thread, and no crowd.
fn default_threads(cpus: usize) -> usize {
    (2 * cpus).clamp(4, 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_follow_the_cpus_within_limits() {
        assert_eq!([1, 2, 4, 8, 256].map(default_threads), [4, 4, 8, 16, 16]);
    }
}
