//! Running the kernel's `make`, and which programs it will use.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context as _, Result, bail};

use crate::shell;

/// `make` in one tree, with one log.
pub(super) struct Make {
    tree: PathBuf,
    log: PathBuf,
}

impl Make {
    /// Begins a new log.
    pub(super) fn new(tree: &Path, log: &Path) -> Result<Self> {
        File::create(log).with_context(|| format!("writing {}", log.display()))?;
        Ok(Self { tree: tree.to_path_buf(), log: log.to_path_buf() })
    }

    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    /// Makes `what`, on all CPUs.
    ///
    /// # Errors
    /// When it fails: the error ends with the log's last lines.
    pub(super) fn run(&self, what: &[&str]) -> Result<()> {
        let writing = || format!("writing {}", self.log.display());
        let out = OpenOptions::new().append(true).open(&self.log).with_context(writing)?;
        let err = out.try_clone().with_context(writing)?;
        let jobs = thread::available_parallelism().map_or(1, usize::from);
        let mut make = Command::new("make");
        make.arg(format!("-j{jobs}")).args(what).current_dir(&self.tree).stdout(out).stderr(err);
        // The banner says nothing about whose machine this was, or when.
        make.env("KBUILD_BUILD_USER", "unlazy")
            .env("KBUILD_BUILD_HOST", "xtask")
            .env("KBUILD_BUILD_TIMESTAMP", "Thu Jan  1 00:00:00 UTC 1970")
            .env("KBUILD_BUILD_VERSION", "1")
            .env("LC_ALL", "C");
        // What a developer of kernels may have set for another build would change this one.
        for theirs in [
            "ARCH",
            "CC",
            "CROSS_COMPILE",
            "INSTALL_MOD_PATH",
            "KBUILD_OUTPUT",
            "KCFLAGS",
            "LLVM",
            "MAKEFLAGS",
            "MFLAGS",
            "O",
            "W",
        ] {
            make.env_remove(theirs);
        }
        let line = shell::line(&make);
        let status = make.status().with_context(|| format!("starting `{line}`"))?;
        if !status.success() {
            let said = fs::read(&self.log).unwrap_or_default();
            bail!(
                "`{line}` failed ({status}) in {}; its last words, from {}:\n{}",
                self.tree.display(),
                self.log.display(),
                shell::tail(&String::from_utf8_lossy(&said), 15)
            );
        }
        Ok(())
    }
}

/// What decides how the same source comes out, each in its own words.
///
/// # Errors
/// When one of them does not run.
pub(super) fn tools() -> Result<Vec<String>> {
    ["gcc", "ld", "pahole"]
        .into_iter()
        .map(|program| {
            let said = shell::capture(Command::new(program).arg("--version"))?;
            Ok(format!("{program}: {}", said.lines().next().unwrap_or_default()))
        })
        .collect()
}
