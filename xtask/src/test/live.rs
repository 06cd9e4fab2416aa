//! The tests that trace this machine's kernel.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::steps::Steps;
use crate::shell::{self, say};
use crate::workspace::Workspace;

const PACKAGE: &str = "tracer-user";
const TEST: &str = "live";

/// Builds them as the developer and runs them as root: so no build output belongs to root.
///
/// # Errors
/// When they cannot be built, cannot get root, or fail.
pub(super) fn run(workspace: &Workspace, steps: &mut Steps, object: &Path) -> Result<()> {
    if !workspace.has_test(PACKAGE, TEST) {
        bail!("{PACKAGE} has no test `{TEST}`: the live tests are gone");
    }
    let program = steps.own("live tests, build", || build(workspace, object))?;
    if !shell::root_without_asking() {
        say("live tests: SKIPPED: they need root, and sudo would ask for a password");
        bail!(
            "the live tests did not run. Run `sudo -v && cargo xtask test`, \
             or leave them out with `cargo xtask test --no-live`"
        );
    }
    // `env`, because sudo drops variables. One thread: unlazy runs once at a time on a machine.
    let mut command = shell::as_root("env", "tracing the kernel")?;
    command
        .args(["UNLAZY_LIVE=1", "RUST_BACKTRACE=1"])
        .arg(program)
        .arg("--test-threads=1")
        .current_dir(workspace.root.join(PACKAGE));
    steps.loud("live tests", &mut command)
}

fn build(workspace: &Workspace, object: &Path) -> Result<PathBuf> {
    let messages = shell::capture_stdout(
        workspace
            .cargo()
            .args(["test", "--release", "--package", PACKAGE, "--test", TEST, "--no-run"])
            .arg("--message-format=json-render-diagnostics")
            .env("UNLAZY_EBPF_OBJECT", object),
    )
    .context("building the live tests")?;
    executable(&messages).context("cargo built the live tests, but named no program")
}

#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// The test program in cargo's messages (one JSON object a line).
fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| message.target.as_ref().is_some_and(|target| target.name == TEST))
        .find_map(|message| message.executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_test_program_among_cargos_messages() {
        let messages = r#"
{"reason":"compiler-artifact","target":{"name":"unlazy"},"executable":"/t/unlazy"}
{"reason":"build-script-executed","package_id":"x"}
{"reason":"compiler-artifact","target":{"name":"live"},"executable":"/t/live-1"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages), Some(PathBuf::from("/t/live-1")));
        assert_eq!(executable("not json"), None);
    }
}
