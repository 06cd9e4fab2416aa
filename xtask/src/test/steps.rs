//! Named steps, each with its time and its log.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::shell::{self, say};
use crate::workspace::Workspace;

/// How much of a failed step's log is shown.
const TAIL_LINES: usize = 60;

/// The steps so far.
pub(super) struct Steps {
    logs: PathBuf,
    begin: Instant,
    done: usize,
}

impl Steps {
    /// # Errors
    /// When the folder for logs cannot be made.
    pub(super) fn new(workspace: &Workspace) -> Result<Self> {
        let logs = workspace.target.join("xtask-logs");
        fs::create_dir_all(&logs).with_context(|| format!("making {}", logs.display()))?;
        Ok(Self { logs, begin: Instant::now(), done: 0 })
    }

    /// A step of which only a failure is worth reading.
    ///
    /// # Errors
    /// When the command fails; the end of its log has been shown then.
    pub(super) fn quiet(&mut self, name: &str, command: &mut Command) -> Result<()> {
        let log = self.logs.join(format!("{}.log", name.replace(' ', "-")));
        self.own(name, || {
            let line = shell::line(command);
            let file = File::create(&log).with_context(|| format!("writing {}", log.display()))?;
            let same = file.try_clone().with_context(|| format!("writing {}", log.display()))?;
            let status = command
                .stdout(file)
                .stderr(same)
                .status()
                .with_context(|| format!("starting `{line}`"))?;
            if !status.success() {
                let said = fs::read(&log).unwrap_or_default();
                eprintln!("{}", shell::tail(&String::from_utf8_lossy(&said), TAIL_LINES));
                bail!("`{line}` failed ({status}); its whole log is {}", log.display());
            }
            Ok(())
        })
    }

    /// A step whose output is what the developer came for.
    ///
    /// # Errors
    /// When the command fails.
    pub(super) fn loud(&mut self, name: &str, command: &mut Command) -> Result<()> {
        self.own(name, || shell::run(command))
    }

    /// A step that is ours.
    ///
    /// # Errors
    /// The step's own, with its name.
    pub(super) fn own<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        say(format_args!("{name} ..."));
        let begin = Instant::now();
        let made = step().with_context(|| format!("step \"{name}\" failed"))?;
        say(format_args!("{name}: passed in {}", spell(begin.elapsed())));
        self.done += 1;
        Ok(made)
    }

    /// The last line.
    pub(super) fn close(&self) {
        say(format_args!("all {} steps passed in {}", self.done, spell(self.begin.elapsed())));
    }
}

/// A duration as one reads it.
fn spell(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_times() {
        assert_eq!(spell(Duration::from_millis(1_250)), "1.2 s");
        assert_eq!(spell(Duration::from_secs(59)), "59.0 s");
        assert_eq!(spell(Duration::from_secs(61)), "1 min 01 s");
        assert_eq!(spell(Duration::from_secs(3600)), "60 min 00 s");
    }
}
