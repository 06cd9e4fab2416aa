//! A tracer while it runs: from "attached" to "gone".

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::fifo::Folder;
use crate::shell;

/// No tracer needs longer to attach or to end.
const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// A running tracer; killed if it is dropped while it runs.
pub(super) struct Session {
    name: &'static str,
    child: Child,
    pub(super) folder: Folder,
}

impl Session {
    pub(super) fn start(name: &'static str, command: &mut Command, folder: Folder) -> Result<Self> {
        let open = |file: &str| {
            let path = folder.path().join(file);
            File::create(&path).with_context(|| format!("writing {}", path.display()))
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(open("stdout")?)
            .stderr(open("stderr")?)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Self { name, child, folder })
    }

    /// Waits until `ready` says yes.
    ///
    /// # Errors
    /// When the tracer ends before that, or takes too long.
    pub(super) fn wait_until(
        &mut self,
        mut ready: impl FnMut(&Self) -> Result<bool>,
    ) -> Result<()> {
        let end = Instant::now() + LIMIT;
        while !ready(self)? {
            if let Some(status) = self.child.try_wait().context("waiting for a tracer")? {
                bail!("{} ended too early ({status}): {}", self.name, self.said());
            }
            if Instant::now() >= end {
                bail!("{} did not attach within {} s: {}", self.name, LIMIT.as_secs(), self.said());
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Waits for the tracer's own end, which it has been asked for.
    pub(super) fn wait(&mut self) -> Result<ExitStatus> {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().context("waiting for a tracer")? {
                return Ok(status);
            }
            if Instant::now() >= end {
                bail!("{} did not end within {} s: {}", self.name, LIMIT.as_secs(), self.said());
            }
            thread::sleep(PAUSE);
        }
    }

    /// Asks it to end, as Ctrl-C does.
    pub(super) fn interrupt(&self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::INT)
            .with_context(|| format!("interrupting {}", self.name))
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn read(&self, name: &str) -> Result<String> {
        let path = self.file(name);
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The end of its stderr, for errors.
    pub(super) fn said(&self) -> String {
        shell::tail(&self.read("stderr").unwrap_or_default(), 5)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            // Nothing stays attached after an error.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
