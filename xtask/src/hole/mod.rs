//! `cargo xtask hole`: shows the hole that stock kernels have around `kthread_use_mm`, found live.

mod show;

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use self::show::Finding;
use crate::module;
use crate::shell::{self, say};
use crate::vm::{self, Request, image};
use crate::workspace::Workspace;

/// How long the workload runs if nothing is found.
const LONGEST: Duration = Duration::from_secs(60);
/// How long it runs where nothing may be found.
const CONTROL: Duration = Duration::from_secs(10);
/// How long the machine may take in all.
const LIMIT: Duration = Duration::from_secs(300);

/// Show a hole in stock kernels: SYNC_CORE membarrier, and a kernel thread that uses the mm.
///
/// Boots a kernel as Debian ships it, with a module in which a kernel thread does what any driver
/// may do: it calls `kthread_use_mm` on a process's mm, and sleeps before `kthread_unuse_mm`. unlazy
/// watches, and the first finding is printed with the events that led to it. The kernel and its
/// headers are fetched, not installed. Exits with 0 if the hole was found, 1 if not.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A Debian version, or a kernel that `cargo xtask kernel` built
    #[arg(long, value_name = "KERNEL", default_value = "6.12.117+deb12-cloud")]
    kernel: String,
    /// CPUs of the guest
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=8))]
    smp: u32,
    /// Leave out the one step that makes the hole: nothing may be found then
    #[arg(long)]
    control: bool,
    #[command(flatten)]
    options: vm::Options,
}

/// Carries out `cargo xtask hole`.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    args.options.prepare(workspace)?;
    let kernel = image::resolve(workspace, &args.kernel)?;
    let module = module::for_image(workspace, &kernel)?;
    let out = tempfile::tempdir().context("making a folder for the guest's files")?;
    say(format_args!("booting {} on {} CPUs, with {}", kernel.release, args.smp, module.display()));
    let request = Request {
        kernel,
        smp: args.smp,
        cpu: "max".to_owned(),
        memory_mib: 1024,
        append: Vec::new(),
        files: Vec::new(),
        modules: vec![module],
        command: command(args.control),
        out: out.path().to_path_buf(),
        limit: LIMIT,
        keep: false,
        echo: false,
        witness: None,
    };
    let outcome = vm::run(workspace, &request)?;
    let Ok(report) = fs::read_to_string(out.path().join("report.json")) else {
        let stderr = String::from_utf8_lossy(&outcome.stderr);
        let said = shell::tail(&stderr, 10);
        let console = if outcome.end.is_regular() { "" } else { outcome.console_tail.as_str() };
        bail!("no report came back: {}\n{said}\n{console}", outcome.end);
    };
    let report: Value = serde_json::from_str(&report).context("reading the guest's report")?;
    let release = &request.kernel.release;
    let findings = show::findings(&report);
    print!("{}", show::text(release, &report, &findings));
    let good = as_expected(&report, &findings, args.control);
    Ok(ExitCode::from(u8::from(!good)))
}

fn command(control: bool) -> Vec<String> {
    let (until, scenario, time) = if control {
        ("", "hole-control", CONTROL)
    } else {
        ("--until-found R1,R2", "hole", LONGEST)
    };
    let line = format!(
        "unlazy check --json /out/report.json {until} -- unlazy stress --scenario {scenario} --for \
         {}s",
        time.as_secs()
    );
    line.split_whitespace().map(str::to_owned).collect()
}

/// Whether the discipline was broken as foretold, and the promise too if a call came in between.
fn as_expected(report: &Value, findings: &[Finding], control: bool) -> bool {
    if control {
        return report["verdict"] == "clean";
    }
    let found = |rule| findings.iter().any(|finding| finding.rule == rule);
    let calls = report["membarrier"]["sync_core"].as_u64().unwrap_or(0);
    found("R1") && (calls == 0 || found("R2"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_control_differs_by_its_scenario_and_runs_to_its_end() {
        assert_eq!(
            command(false).join(" "),
            "unlazy check --json /out/report.json --until-found R1,R2 -- unlazy stress --scenario \
             hole --for 60s"
        );
        let control = command(true).join(" ");
        assert!(control.contains("hole-control") && !control.contains("until"), "{control}");
    }

    #[test]
    fn the_promise_is_broken_only_where_one_was_made() {
        let found = |calls: u64, rules: &[&str], control| {
            let findings: Vec<_> = rules.iter().map(|rule| json!({"rule": rule})).collect();
            let report = json!({
                "verdict": if rules.is_empty() { "clean" } else { "findings" },
                "membarrier": {"sync_core": calls},
                "findings": findings,
            });
            as_expected(&report, &show::findings(&report), control)
        };
        assert!(found(9, &["R1", "R2"], false));
        assert!(!found(9, &["R1"], false));
        assert!(found(0, &["R1"], false));
        assert!(!found(0, &["R2"], false) && !found(9, &[], false));
        assert!(found(9, &[], true) && !found(9, &["R1"], true));
    }
}
