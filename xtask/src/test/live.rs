//! The tests that trace this machine's kernel.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::steps::Steps;
use crate::build;
use crate::shell::{self, say};
use crate::workspace::Workspace;

const PACKAGE: &str = "tracer-user";
/// What the names of their files begin with: `tests/live.rs`, `tests/live_probes.rs`, …
const PREFIX: &str = "live";

/// Builds them as the developer and runs them as root: so no build output belongs to root.
///
/// # Errors
/// When they cannot be built, cannot get root, or fail.
pub(super) fn run(workspace: &Workspace, steps: &mut Steps, object: &Path) -> Result<()> {
    let tests = workspace.tests(PACKAGE, PREFIX);
    if tests.is_empty() {
        bail!("{PACKAGE} has no tests/{PREFIX}*.rs: the live tests are gone");
    }
    let programs = steps.own("live tests, build", || build(workspace, object, &tests))?;
    if !shell::root_without_asking() {
        say("live tests: SKIPPED: they need root, and sudo would ask for a password");
        bail!(
            "the live tests did not run. Run `sudo -v && cargo xtask test`, \
             or leave them out with `cargo xtask test --no-live`"
        );
    }
    for (test, program) in tests.iter().zip(programs) {
        // `env`, because sudo drops variables. One thread: unlazy runs once at a time on a machine.
        let mut command = shell::as_root("env", "tracing the kernel")?;
        command
            .arg("RUST_BACKTRACE=1")
            .arg(program)
            // They are marked ignored, so that a plain `cargo test` says that it leaves them out.
            .args(["--ignored", "--test-threads=1"])
            .current_dir(workspace.root.join(PACKAGE));
        steps.loud(&format!("live tests, {test}"), &mut command)?;
    }
    Ok(())
}

/// Their programs, in the order of `tests`.
fn build(workspace: &Workspace, object: &Path, tests: &[&str]) -> Result<Vec<PathBuf>> {
    let mut cargo = workspace.cargo();
    cargo
        .args(["test", "--release", "--package", PACKAGE, "--no-run"])
        .arg("--message-format=json-render-diagnostics")
        .env("UNLAZY_EBPF_OBJECT", object);
    // As the product is: they test that very binary.
    build::link_statically(&mut cargo);
    for test in tests {
        cargo.args(["--test", test]);
    }
    let messages = shell::capture_stdout(&mut cargo).context("building the live tests")?;
    tests
        .iter()
        .map(|test| {
            executable(&messages, test)
                .with_context(|| format!("cargo built the test {test}, but named no program"))
        })
        .collect()
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

/// A test's program in cargo's messages (one JSON object a line).
fn executable(messages: &str, test: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| message.target.as_ref().is_some_and(|target| target.name == test))
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
        assert_eq!(executable(messages, "live"), Some(PathBuf::from("/t/live-1")));
        assert_eq!(executable("not json", "live"), None);
    }
}
