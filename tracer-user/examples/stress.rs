//! `unlazy stress` on its own.

use std::process::ExitCode;

use clap::Parser;
use unlazy::commands::stress::{Args, run};
use unlazy::exit::Exit;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

fn main() -> ExitCode {
    if let Some(code) = unlazy::stress::child_entry() {
        return code;
    }
    let exit = run(&Cli::parse().args).unwrap_or_else(|error| {
        eprintln!("unlazy stress: {error:#}");
        Exit::Error
    });
    exit.into()
}
