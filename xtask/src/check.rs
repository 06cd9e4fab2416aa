//! `cargo xtask check`: judge this machine's kernel under the built-in workload.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::toolchain::Choice;
use crate::workspace::Workspace;
use crate::{build, shell};

/// Build, then trace the built-in workload on this kernel and print the report.
///
/// Exits as `unlazy check` does: 0 clean, 1 findings, 2 could not run, 3 inconclusive.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    choice: Choice,
    /// How long the workload runs
    #[arg(long = "for", default_value = "10s", value_name = "TIME")]
    duration: String,
    /// More arguments for `unlazy check`; a `--` among them replaces the workload
    #[arg(last = true, value_name = "ARGS")]
    extra: Vec<OsString>,
}

/// Carries out `cargo xtask check`.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let unlazy = build::release(workspace, args.choice)?;
    let mut command = shell::as_root(&unlazy, "tracing the kernel")?;
    command.args(check_args(unlazy.as_os_str(), &args.duration, &args.extra));
    let line = shell::line(&command);
    shell::say(format_args!("running `{line}`"));
    let status = command.status().with_context(|| format!("starting `{line}`"))?;
    // Ended by a signal: no verdict, so "could not run".
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(2);
    Ok(ExitCode::from(code))
}

/// The command line after `unlazy`.
fn check_args(unlazy: &OsStr, duration: &str, extra: &[OsString]) -> Vec<OsString> {
    let mut args: Vec<OsString> = vec!["check".into()];
    args.extend(extra.iter().cloned());
    if !extra.iter().any(|arg| arg == "--") {
        args.extend(["--".into(), unlazy.into(), "stress".into(), "--for".into(), duration.into()]);
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(extra: &[&str]) -> String {
        let extra: Vec<OsString> = extra.iter().map(OsString::from).collect();
        check_args(OsStr::new("u"), "10s", &extra).join(OsStr::new(" ")).into_string().unwrap()
    }

    #[test]
    fn the_workload_is_stress_unless_another_is_named() {
        assert_eq!(line(&[]), "check -- u stress --for 10s");
        assert_eq!(line(&["--json", "-"]), "check --json - -- u stress --for 10s");
        assert_eq!(line(&["--", "make"]), "check -- make");
    }
}
