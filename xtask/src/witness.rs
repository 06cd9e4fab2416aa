//! `cargo xtask witness`: what unlazy concludes, against what the emulated CPUs did.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::build::{self, HOST_TARGET};
use crate::module;
use crate::shell::{self, say};
use crate::vm::{self, Request, Witness, image};
use crate::workspace::Workspace;

/// What booting and the end may take: a witness makes the machine slower.
const OVERHEAD: Duration = Duration::from_secs(300);

/// How often it is run if the guest dies: the emulator now and then executes what it translated before
/// the kernel patched its text, the more often with a plugin.
const TRIES: u32 = 3;

/// Hold unlazy's conclusions against a witness in the emulated CPUs.
///
/// Boots a kernel in QEMU's emulator with a plugin that tells every serializing instruction and every
/// return to user mode, whatever unlazy thinks of them. `unlazy check` runs in there. Then every
/// serialization and return that unlazy concluded is looked for in what the witness told, between the
/// two times that unlazy says; and where R1 found that a CPU did not serialize, the witness must have
/// seen no instruction that does. Exits with 0 if the two agree, 1 if not.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A Debian version, or a kernel that `cargo xtask kernel` built
    #[arg(long, value_name = "KERNEL", default_value = "6.12.117+deb12-cloud")]
    kernel: String,
    /// CPUs of the guest
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=8))]
    smp: u32,
    /// How long the workload runs
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// A scenario of `unlazy stress` instead of all of them; `hole` loads the module for it
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    /// Have unlazy use this mode (tracepoint) instead of the best
    #[arg(long, value_name = "MODE")]
    mode: Option<String>,
    /// More kernel arguments (unlazy_bug=lazy-nosync)
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    append: Vec<String>,
    /// Keep the recording and what the witness told in DIR
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    #[command(flatten)]
    options: vm::Options,
}

/// Carries out `cargo xtask witness`.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    args.options.prepare(workspace)?;
    let plugin = plugin(workspace)?;
    let holds = judge(workspace)?;
    let kernel = image::resolve(workspace, &args.kernel)?;
    let needs_module = args.scenario.as_ref().is_some_and(|name| name.starts_with("hole"));
    let modules = needs_module.then(|| module::for_image(workspace, &kernel)).transpose()?;
    let scratch = tempfile::tempdir().context("making a folder for the guest's files")?;
    let out = args.keep.clone().unwrap_or_else(|| scratch.path().to_path_buf());
    fs::create_dir_all(&out).with_context(|| format!("making {}", out.display()))?;
    say(format_args!("booting {} on {} CPUs, with a witness", kernel.release, args.smp));
    let request = Request {
        kernel,
        smp: args.smp,
        cpu: "max".to_owned(),
        memory_mib: 2048,
        append: args.append.clone(),
        files: Vec::new(),
        modules: modules.into_iter().collect(),
        command: command(args),
        out: out.clone(),
        limit: Duration::from_secs(args.seconds) + OVERHEAD,
        keep: false,
        echo: false,
        witness: Some(Witness { plugin, folder: out.clone() }),
    };
    let trace = record(workspace, &request)?;
    let status = Command::new(&holds)
        .arg(&trace)
        .arg(&out)
        .arg(out.join("marks"))
        .status()
        .with_context(|| format!("starting {}", holds.display()))?;
    match status.code() {
        Some(0) => Ok(ExitCode::SUCCESS),
        Some(1) => Ok(ExitCode::from(1)),
        _ => bail!("{} could not compare them ({status})", holds.display()),
    }
}

/// Runs it until a recording comes back.
fn record(workspace: &Workspace, request: &Request) -> Result<PathBuf> {
    let trace = request.out.join("trace.mcap");
    // One of an earlier run would be taken for this one's.
    if trace.exists() {
        fs::remove_file(&trace).with_context(|| format!("removing {}", trace.display()))?;
    }
    for again in (0..TRIES).rev() {
        let outcome = vm::run(workspace, request)?;
        if trace.is_file() {
            break;
        }
        let stderr = String::from_utf8_lossy(&outcome.stderr);
        let what = format!("no recording came back: {}\n{}", outcome.end, shell::tail(&stderr, 10));
        if again == 0 {
            bail!("{what}");
        }
        say(format_args!("{what}; once more"));
    }
    Ok(trace)
}

fn command(args: &Args) -> Vec<String> {
    let option = |name, value: &Option<String>| {
        value.as_ref().map(|value| format!(" --{name} {value}")).unwrap_or_default()
    };
    let (mode, scenario) = (option("mode", &args.mode), option("scenario", &args.scenario));
    let seconds = args.seconds;
    let line = format!(
        "guest marked /out/marks unlazy check{mode} --buffer 64MiB --record /out/trace.mcap --json \
         /out/report.json -- unlazy stress{scenario} --for {seconds}s"
    );
    line.split_whitespace().map(str::to_owned).collect()
}

/// Builds the witness.
fn plugin(workspace: &Workspace) -> Result<PathBuf> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--release", "--package", "unlazy-witness"]);
    shell::run(&mut cargo).context("building the witness")?;
    there(workspace.target.join("release/libunlazy_witness.so"))
}

/// Builds who compares the two.
fn judge(workspace: &Workspace) -> Result<PathBuf> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--release", "--package", "tracer-user", "--example", "witness"]);
    // With the flags that the product is built with: its library is there already.
    build::link_statically(&mut cargo);
    shell::run(&mut cargo).context("building who compares them")?;
    there(workspace.target.join(HOST_TARGET).join("release/examples/witness"))
}

fn there(path: PathBuf) -> Result<PathBuf> {
    if path.is_file() {
        return Ok(path);
    }
    bail!("cargo built no {}", path.display())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn the_marks_are_around_the_run() {
        let all = |line: &str| command(&Line::parse_from(line.split(' ')).args).join(" ");
        let plain = all("witness");
        assert!(plain.starts_with("guest marked /out/marks unlazy check --buffer"), "{plain}");
        assert!(plain.ends_with("-- unlazy stress --for 5s"), "{plain}");
        let more = all("witness --scenario hole --seconds 9 --mode tracepoint");
        assert!(more.contains(" check --mode tracepoint --buffer"), "{more}");
        assert!(more.ends_with("-- unlazy stress --scenario hole --for 9s"), "{more}");
    }
}
