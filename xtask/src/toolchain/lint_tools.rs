//! rustfmt and clippy for the cargo that runs xtask: `test` needs them, building does not.

use std::env;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::debian;
use crate::shell::{self, say};
use crate::workspace::Workspace;

/// A tool, and its packages.
struct Tool {
    subcommand: &'static str,
    component: &'static str,
    debian: &'static str,
}

const TOOLS: [Tool; 2] = [
    Tool { subcommand: "fmt", component: "rustfmt", debian: "rustfmt-web" },
    Tool { subcommand: "clippy", component: "clippy", debian: "rust-web-clippy" },
];

/// Brings the missing ones, from where cargo itself came.
///
/// # Errors
/// When one is missing and cannot be had.
pub(crate) fn ensure(workspace: &Workspace) -> Result<()> {
    let missing = missing(workspace);
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|tool| tool.component).collect();
    // rustup's proxies tell their children which toolchain was chosen.
    if let Some(toolchain) = env::var_os("RUSTUP_TOOLCHAIN") {
        say(format_args!("adding to rustup's toolchain: {}", names.join(", ")));
        shell::run(
            Command::new("rustup")
                .args(["component", "add"])
                .args(&names)
                .arg("--toolchain")
                .arg(toolchain)
                .stdout(std::io::stderr()),
        )
        .context("adding lint tools with rustup")?;
    } else {
        let packages: Vec<_> = missing.iter().map(|tool| tool.debian).collect();
        debian::install(&packages).context("installing lint tools")?;
    }
    let still = self::missing(workspace);
    if let Some(tool) = still.first() {
        bail!("`cargo {}` still does not run: install {}", tool.subcommand, tool.component);
    }
    Ok(())
}

fn missing(workspace: &Workspace) -> Vec<&'static Tool> {
    TOOLS
        .iter()
        .filter(|tool| {
            shell::capture(workspace.cargo().args([tool.subcommand, "--version"])).is_err()
        })
        .collect()
}
