//! `cargo xtask test`: everything that must hold before a change lands, in order.

mod live;
mod steps;

use std::process::ExitCode;

use anyhow::Result;

use self::steps::Steps;
use crate::build::{self, BPF_TARGET, Warnings};
use crate::grid;
use crate::shell::say;
use crate::toolchain::{self, Choice, lint_tools};
use crate::workspace::Workspace;

/// Format, lints, docs, unit and scenario tests, the eBPF build, the live tests, and kernels whose
/// faults are known in virtual machines.
///
/// The live tests trace this machine's kernel and need root (sudo is used where it does not ask).
/// The machines of the quick grid run under QEMU's emulator; their kernel with planted bugs is built
/// once, and kept.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    choice: Choice,
    /// Leave out the live tests: a machine without root can do the rest
    #[arg(long)]
    no_live: bool,
    /// Leave out the virtual machines: a kernel is built for them the first time
    #[arg(long)]
    no_vm: bool,
}

/// Carries out `cargo xtask test`.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let mut steps = Steps::new(workspace)?;
    lint_tools::ensure(workspace)?;

    steps.quiet("format", workspace.cargo().args(["fmt", "--all", "--check"]))?;
    steps.quiet(
        "lints",
        workspace.cargo().args(["clippy", "--all-targets", "--", "-D", "warnings"]),
    )?;
    steps.quiet(
        "docs",
        workspace.cargo().args(["doc", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    steps.loud("unit and scenario tests", workspace.cargo().arg("test"))?;

    let toolchain = steps.own("eBPF toolchain", || toolchain::ensure(workspace, args.choice))?;
    if toolchain.compiler.has_clippy() {
        steps.quiet(
            "eBPF lints",
            toolchain
                .cargo(workspace)
                .args(["clippy", "--release", "--package", "tracer-ebpf"])
                .args(["-Z", "build-std=core", "--target", BPF_TARGET, "--", "-D", "warnings"]),
        )?;
    } else {
        say(format_args!(
            "eBPF lints: not linted: {} has no clippy; the build denies warnings all the same",
            toolchain.compiler
        ));
    }
    let object =
        steps.own("eBPF build", || build::object(workspace, &toolchain, Warnings::Deny))?;

    if args.no_live {
        say("live tests: left out, as --no-live says");
    } else {
        live::run(workspace, &mut steps, &object)?;
    }
    if args.no_vm {
        say("kernels in virtual machines: left out, as --no-vm says");
    } else {
        steps.own("kernels in virtual machines", || grid::quick(workspace, args.choice))?;
    }
    steps.close();
    Ok(ExitCode::SUCCESS)
}
