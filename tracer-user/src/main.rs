//! The `unlazy` command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use unlazy::{child::Start, commands, exit::Exit, stress};

const LONG_ABOUT: &str = "\
unlazy shows, for each CPU of a live x86-64 Linux kernel, the mm that the scheduler has in mind, the mm \
that the MMU holds, and whether the CPU is lazy, and judges them: above all it finds returns to user \
mode that should have been serialized and were not.";

#[derive(Parser)]
#[command(name = "unlazy", version = VERSION, about = "Lazy TLB and membarrier, seen and judged", long_about = LONG_ABOUT)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Doctor(commands::doctor::Args),
    Check(commands::check::Args),
    Live(commands::live::Args),
    Record(commands::record::Args),
    Report(commands::report::Args),
    Replay(commands::replay::Args),
    Explain(commands::explain::Args),
    Explore(commands::explore::Args),
    Conform(commands::conform::Args),
    Export(commands::export::Args),
    Import(commands::import::Args),
    Stress(commands::stress::Args),
}

/// The version, and the commit it was built from where that is known.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), env!("UNLAZY_VERSION_DETAIL"));

fn main() -> ExitCode {
    if let Some(code) = stress::child_entry() {
        return code;
    }
    // Before anything is changed: a command that we run is to find the world as we found it.
    let start = Start::capture();
    let cli = Cli::parse();
    let done = std::panic::catch_unwind(|| match &cli.command {
        Command::Doctor(args) => {
            let works = commands::doctor::run(args, &unlazy::kernel::facts())?;
            Ok(if works { Exit::Clean } else { Exit::Error })
        }
        Command::Check(args) => commands::check::run(args, &start),
        Command::Live(args) => commands::live::run(args, &start),
        Command::Record(args) => commands::record::run(args, &start),
        Command::Report(args) => commands::report::run(args),
        Command::Replay(args) => commands::replay::run(args),
        Command::Explain(args) => commands::explain::run(args),
        Command::Explore(args) => commands::explore::run(args),
        Command::Conform(args) => commands::conform::run(args),
        Command::Export(args) => commands::export::run(args),
        Command::Import(args) => commands::import::run(args),
        Command::Stress(args) => commands::stress::run(args),
    });
    match done {
        Ok(Ok(exit)) => exit.into(),
        Ok(Err(error)) => {
            eprintln!("unlazy: {}", told(&error));
            Exit::Error.into()
        }
        Err(_) => {
            eprintln!(
                "unlazy: this is a fault of unlazy (see above); nothing is left attached. Please \
                 report it."
            );
            Exit::Error.into()
        }
    }
}

/// The error and what caused it, each said once: some of the library's errors name their cause
/// themselves.
fn told(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |told, cause| {
        let cause = cause.to_string();
        match told.as_str() {
            "" => cause,
            already if already.contains(&cause) => told,
            _ => format!("{told}: {cause}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let error = anyhow::anyhow!("no room").context("can't write F: no room").context("the end");
        assert_eq!(told(&error), "the end: can't write F: no room");
        let error = anyhow::anyhow!("no room").context("can't write F");
        assert_eq!(told(&error), "can't write F: no room");
    }
}
