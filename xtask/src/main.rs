//! Everything a developer of unlazy types.
#![forbid(unsafe_code)]

mod build;
mod check;
mod shell;
mod test;
mod toolchain;
mod workspace;

use std::process::ExitCode;

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
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = Workspace::find().and_then(|workspace| match cli.command {
        Task::Toolchain(args) => toolchain::run(&workspace, &args),
        Task::Build(args) => build::run(&workspace, &args),
        Task::Check(args) => check::run(&workspace, &args),
        Task::Test(args) => test::run(&workspace, &args),
    });
    match done {
        Ok(code) => code,
        Err(error) => {
            shell::say(format_args!("{error:#}"));
            // 1 is "findings" for `unlazy check`; a failure of ours must not read as one.
            ExitCode::from(2)
        }
    }
}
