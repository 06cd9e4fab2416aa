//! The guest's own program: `/init`, and as `guest` the few tools that a test needs without a shell.

mod applets;
mod bring;
mod channel;
mod command;
mod init;
mod marks;
mod mounts;
mod sequence;

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::process::id() == 1 {
        init::run();
    }
    let args: Vec<String> = env::args().skip(1).collect();
    match applets::run(&args) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("guest: {error:#}");
            ExitCode::from(2)
        }
    }
}
