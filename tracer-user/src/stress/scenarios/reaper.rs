//! Short-lived children: how many there are, and how they ended.

use rustix::process::{Pid, WaitOptions, WaitStatus, wait, waitpid};

use crate::stress::StressError;
use crate::stress::calls::Ctx;
use crate::stress::counts::Count;

/// Waits for the children of a process and remembers the first that failed.
#[derive(Default)]
pub(super) struct Reaper {
    alive: usize,
    failures: u64,
    first: Option<String>,
}

impl Reaper {
    /// A child was started.
    pub(super) fn started(&mut self) {
        self.alive += 1;
    }

    /// Takes every child that has ended, and waits for more while there are more than `keep`.
    pub(super) fn reap(&mut self, ctx: &Ctx, keep: usize) -> Result<(), StressError> {
        while self.alive > 0 {
            let options =
                if self.alive > keep { WaitOptions::empty() } else { WaitOptions::NOHANG };
            let waited = rustix::io::retry_on_intr(|| wait(options));
            let Some((_, status)) = waited.map_err(StressError::system("wait for a child"))? else {
                break;
            };
            self.ended(ctx, status);
        }
        Ok(())
    }

    /// Takes the child `pid` if it has ended; says whether.
    pub(super) fn reap_one(&mut self, ctx: &Ctx, pid: Pid) -> Result<bool, StressError> {
        let waited = rustix::io::retry_on_intr(|| waitpid(Some(pid), WaitOptions::NOHANG));
        let waited = waited.map_err(StressError::system("wait for a child"))?;
        if let Some((_, status)) = waited {
            self.ended(ctx, status);
        }
        Ok(waited.is_some())
    }

    fn ended(&mut self, ctx: &Ctx, status: WaitStatus) {
        self.alive -= 1;
        ctx.add(Count::Exited, 1);
        if status.exit_status() == Some(0) {
            return;
        }
        ctx.add(Count::ChildFailures, 1);
        self.failures += 1;
        self.first.get_or_insert_with(|| match status.terminating_signal() {
            Some(signal) => format!("signal {signal}"),
            None => format!("status {}", status.exit_status().unwrap_or(-1)),
        });
    }

    /// Waits for all that are left; an error if any child ever failed.
    pub(super) fn finish(mut self, ctx: &Ctx) -> Result<(), StressError> {
        self.reap(ctx, 0)?;
        match self.first {
            None => Ok(()),
            Some(first) => Err(StressError::Children { failures: self.failures, first }),
        }
    }
}
