//! Everything a developer of unlazy types.
#![deny(unsafe_code)]

mod bench;
mod build;
mod check;
mod grid;
mod hole;
mod kernel;
mod module;
mod room;
mod shell;
mod test;
mod toolchain;
mod vm;
mod witness;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Everything a developer of unlazy types.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    Toolchain(toolchain::Args),
    Build(build::Args),
    Check(check::Args),
    Test(test::Args),
    Bench(bench::Args),
    Vm(vm::Args),
    Kernel(kernel::Args),
    Hole(hole::Args),
    Grid(grid::Args),
    Witness(witness::Args),
    #[command(hide = true)]
    BenchMeasure(bench::measure::Args),
    #[command(hide = true)]
    BenchRecordings(bench::reading::Args),
    #[command(hide = true)]
    BenchExplore(bench::explore::Args),
    #[command(hide = true)]
    BenchLoop(bench::loops::Args),
}

impl Task {
    fn run(self) -> Result<ExitCode> {
        match self {
            Self::Toolchain(args) => toolchain::run(&Workspace::find()?, &args),
            Self::Build(args) => build::run(&Workspace::find()?, &args),
            Self::Check(args) => check::run(&Workspace::find()?, &args),
            Self::Test(args) => test::run(&Workspace::find()?, &args),
            Self::Bench(args) => bench::run(&Workspace::find()?, &args),
            Self::Vm(args) => vm::command(&Workspace::find()?, &args),
            Self::Kernel(args) => kernel::run(&Workspace::find()?, &args),
            Self::Hole(args) => hole::run(&Workspace::find()?, &args),
            Self::Grid(args) => grid::run(&Workspace::find()?, &args),
            Self::Witness(args) => witness::run(&Workspace::find()?, &args),
            // These run as root, who may have no cargo to ask for the workspace.
            Self::BenchMeasure(args) => bench::measure::run(&args),
            Self::BenchRecordings(args) => bench::reading::run(&args),
            Self::BenchExplore(args) => {
                bench::explore::measure(&args)?;
                Ok(ExitCode::SUCCESS)
            }
            Self::BenchLoop(args) => bench::loops::run(&args),
        }
    }
}

fn main() -> ExitCode {
    Cli::parse().command.run().unwrap_or_else(|error| {
        shell::say(format_args!("{error:#}"));
        // 1 is "findings" for `unlazy check`; a failure of ours must not read as one.
        ExitCode::from(2)
    })
}
