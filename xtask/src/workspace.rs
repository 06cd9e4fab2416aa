//! Where this checkout and its build outputs are.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::shell;

/// A checkout of unlazy.
pub(crate) struct Workspace {
    /// The folder with the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Cargo's target directory: `CARGO_TARGET_DIR` and cargo's configuration are honoured.
    pub(crate) target: PathBuf,
    targets: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct Metadata {
    target_directory: PathBuf,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl Workspace {
    /// Finds the checkout that this xtask was built from.
    ///
    /// # Errors
    /// When cargo cannot read the workspace.
    pub(crate) fn find() -> Result<Self> {
        // `cargo run` sets CARGO_MANIFEST_DIR; the compile-time value serves a bare `target/…/xtask`.
        let manifest_dir =
            env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&manifest_dir)
            .parent()
            .context("xtask's manifest has no parent folder: run it as `cargo xtask`")?
            .to_path_buf();
        let json = shell::capture(
            Command::new(shell::cargo_program())
                .args(["metadata", "--no-deps", "--format-version", "1"])
                .current_dir(&root),
        )
        .context("reading the workspace")?;
        let metadata: Metadata =
            serde_json::from_str(&json).context("reading what `cargo metadata` printed")?;
        let targets = metadata
            .packages
            .into_iter()
            .flat_map(|package| {
                let name = package.name;
                package
                    .targets
                    .into_iter()
                    .filter(|target| target.kind.iter().any(|kind| kind == "test"))
                    .map(move |target| (name.clone(), target.name))
            })
            .collect();
        Ok(Self { root, target: metadata.target_directory, targets })
    }

    /// The cargo that runs this xtask, in the workspace: for everything but the eBPF programs.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new(shell::cargo_program());
        cargo.current_dir(&self.root);
        cargo
    }

    /// The integration tests of `package` whose names begin with `prefix`.
    pub(crate) fn tests(&self, package: &str, prefix: &str) -> Vec<&str> {
        self.targets
            .iter()
            .filter(|(of, test)| of == package && test.starts_with(prefix))
            .map(|(_, test)| test.as_str())
            .collect()
    }

    /// What `build` leaves behind: the `unlazy` binary of a profile's folder.
    pub(crate) fn unlazy(&self, profile_dir: &str) -> PathBuf {
        self.target.join(profile_dir).join("unlazy")
    }

    /// Tools that `toolchain` builds: outside target/, so that `cargo clean` leaves them alone.
    pub(crate) fn tools(&self) -> PathBuf {
        self.root.join(".cache/tools")
    }
}
