//! The eBPF compiler as rustup has it: nightly with rust-src.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};

use super::compiler::{Compiler, Source};
use crate::shell::{self, say};

/// rust-src is 3 MB: a network that needs longer is none.
const COMPONENT_LIMIT: Duration = Duration::from_secs(120);
/// A minimal nightly is about 100 MB.
const TOOLCHAIN_LIMIT: Duration = Duration::from_secs(900);

fn rustup() -> Result<Command> {
    let program = shell::find_program("rustup").context("there is no rustup")?;
    let mut rustup = Command::new(program);
    // Without a network its default of several tries only makes the answer slow.
    rustup.env("RUSTUP_MAX_RETRIES", "1").env_remove("RUSTUP_TOOLCHAIN");
    // It would put one below each of its errors.
    rustup.env_remove("RUST_BACKTRACE");
    Ok(rustup)
}

/// The nightly, if rustup has one. (`rustup run` would begin to install it.)
fn has_nightly() -> Result<bool> {
    let list = shell::capture(rustup()?.args(["toolchain", "list"]))?;
    Ok(list.lines().any(|line| line.starts_with("nightly-") && !line.starts_with("nightly-20")))
}

/// Looks for a complete nightly; installs nothing.
pub(super) fn find() -> Result<Compiler> {
    if !has_nightly()? {
        bail!("rustup has no nightly");
    }
    let rustc = shell::capture(rustup()?.args(["which", "--toolchain", "nightly", "rustc"]))?;
    let bin = Path::new(rustc.trim())
        .parent()
        .with_context(|| format!("rustup says that rustc is `{}`", rustc.trim()))?;
    Compiler::examine(Source::Rustup, bin)
}

/// Adds rust-src to the nightly, or installs one.
pub(super) fn bring() -> Result<()> {
    let (args, limit): (&[&str], _) = if has_nightly()? {
        (&["component", "add", "rust-src", "--toolchain", "nightly"], COMPONENT_LIMIT)
    } else {
        (
            &["toolchain", "install", "nightly", "--profile", "minimal", "--component", "rust-src"],
            TOOLCHAIN_LIMIT,
        )
    };
    let mut command = rustup()?;
    command.args(args);
    say(format_args!("installing with `rustup {}`", args.join(" ")));
    // In one line: it is a note on the way to the next source.
    shell::capture_within(&mut command, limit)
        .map_err(|error| anyhow!(format!("{error:#}").replace('\n', "; ")))?;
    Ok(())
}
