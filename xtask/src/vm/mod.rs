//! `cargo xtask vm`: a kernel in QEMU, a command in it, and what came of it.
//!
//! The guest is the kernel, an initramfs of static programs made for the occasion, and no disk or
//! network. Its init is `xtask/guest`. What the guest has to say goes through memory that
//! both sides share ([`unlazy_guest::mailbox`]); the serial console is for the kernel alone.

mod console;
mod cpio;
pub(crate) mod image;
mod initramfs;
mod interrupt;
mod machine;
mod mailbox;
pub(crate) mod package;
mod qemu;
mod received;
mod request;
mod setup;
mod tsc;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

pub(crate) use self::request::{End, GuestFile, Outcome, Request, Witness};
pub(crate) use self::setup::Options;
use crate::shell::say;
use crate::workspace::Workspace;

/// Boot a kernel in QEMU and run a command in it.
///
/// The guest has `unlazy` (the very binary that `cargo xtask build` makes) and `guest`, a handful
/// of tools for tests (`-- guest help` lists them); there is no shell. Files that the command
/// leaves in /out are brought back. Exits with the command's exit code, 128 and the signal that
/// killed it, or 2 when the machine or we failed.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A bzImage, a kernel that `cargo xtask kernel` built, or a Debian version: 6.1.0-56-cloud
    #[arg(long, value_name = "KERNEL")]
    kernel: String,
    /// CPUs of the guest
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=8))]
    smp: u32,
    /// QEMU's CPU model, with flags: max,la57=off
    #[arg(long, default_value = "max")]
    cpu: String,
    /// Memory of the guest
    #[arg(long, default_value_t = 1024, value_name = "MIB")]
    memory: u32,
    /// More kernel arguments; they replace ours of the same name (pti=on)
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    append: Vec<String>,
    /// A kernel module to load before the command starts
    #[arg(long = "module", value_name = "FILE.ko")]
    modules: Vec<PathBuf>,
    /// A file for the guest; it keeps its permission bits
    #[arg(long = "in", value_name = "HOST:GUEST")]
    files: Vec<String>,
    /// Where the files of the guest's /out go
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// When the command is ended: seconds of wall-clock time from power-on
    #[arg(long, default_value_t = 120, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Keep the work folder with the console's log and QEMU's command line
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    options: Options,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

/// Carries out `cargo xtask vm`.
pub(crate) fn command(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let unread = tempfile::tempdir().context("making a folder for the guest's files")?;
    let out = args.out.clone().unwrap_or_else(|| unread.path().to_path_buf());
    let request = Request {
        kernel: image::resolve(workspace, &args.kernel)?,
        smp: args.smp,
        cpu: args.cpu.clone(),
        memory_mib: args.memory,
        append: args.append.clone(),
        files: args.files.iter().map(|text| guest_file(text)).collect::<Result<_>>()?,
        modules: args.modules.clone(),
        command: args.command.clone(),
        out: out.clone(),
        limit: Duration::from_secs(args.limit),
        keep: args.keep,
        echo: true,
        witness: None,
    };
    args.options.prepare(workspace)?;
    let outcome = run(workspace, &request)?;
    tell(&request, &outcome);
    if args.out.is_none() && std::fs::read_dir(&out).is_ok_and(|mut dir| dir.next().is_some()) {
        say("there are files in the guest's /out: `--out DIR` brings them back");
    }
    Ok(ExitCode::from(exit_code(&outcome.end)))
}

/// Runs a machine. The first one of an xtask builds what every guest has.
///
/// # Errors
/// When it cannot be started, or we are interrupted: whatever the guest does is an [`Outcome`].
pub(crate) fn run(workspace: &Workspace, request: &Request) -> Result<Outcome> {
    machine::run(workspace, request, &setup::get(workspace)?)
}

/// How it went, for the developer.
fn tell(request: &Request, outcome: &Outcome) {
    if !outcome.end.is_regular() && !outcome.console_tail.is_empty() {
        say(format_args!("the console's last lines:\n{}", outcome.console_tail));
    }
    let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
    let boot = match outcome.boot {
        Some(boot) => format!("started after {}, ", seconds(boot)),
        None => String::new(),
    };
    let (out, err) = (outcome.stdout.len(), outcome.stderr.len());
    let s = if request.smp == 1 { "" } else { "s" };
    let (release, smp, time) = (&request.kernel.release, request.smp, seconds(outcome.time));
    say(format_args!(
        "{release}, {smp} CPU{s}: {boot}{}, {time} in all; it printed {out} bytes, and {err} on stderr",
        outcome.end
    ));
}

/// The exit code that is passed on.
fn exit_code(end: &End) -> u8 {
    const OURS: u8 = 2;
    match end {
        End::Exited(code) => u8::try_from(*code).unwrap_or(OURS),
        End::Signalled(signal) => u8::try_from(128 + signal).unwrap_or(OURS),
        End::Panicked(_) | End::TimedOut | End::Died(_) => OURS,
    }
}

/// `HOST:GUEST`.
fn guest_file(text: &str) -> Result<GuestFile> {
    use std::os::unix::fs::PermissionsExt as _;
    // The guest's path is absolute and has no colon; the host's may.
    let Some((host, guest)) =
        text.rsplit_once(':').filter(|(host, guest)| !host.is_empty() && guest.starts_with('/'))
    else {
        bail!("`--in {text}` is not HOST:GUEST, with an absolute path in the guest");
    };
    let meta = std::fs::metadata(host).with_context(|| format!("looking at {host}"))?;
    if !meta.is_file() {
        bail!("{host} is no file; name each file that the guest is to have");
    }
    let mode = meta.permissions().mode() & 0o777;
    Ok(GuestFile { host: host.into(), guest: guest.to_owned(), mode })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Cli::try_parse_from(std::iter::once("vm").chain(line.split_whitespace()))
            .map(|cli| cli.args)
    }

    #[test]
    fn the_command_is_taken_as_it_stands() {
        let args =
            parse("--kernel k --smp 8 --append -q --append a=b -- unlazy check -- x --smp 9")
                .unwrap();
        assert_eq!((args.kernel.as_str(), args.smp), ("k", 8));
        assert_eq!(args.append, ["-q", "a=b"]);
        assert_eq!(args.command, ["unlazy", "check", "--", "x", "--smp", "9"]);
    }

    #[test]
    fn what_is_missing_or_out_of_range_is_refused() {
        for line in [
            "-- x",
            "--kernel k",
            "--kernel k --",
            "--kernel k --smp 0 -- x",
            "--kernel k --smp 9 -- x",
            "--kernel k --limit 0 -- x",
            "--kernel k x",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn files_for_the_guest() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let host = file.path().to_str().unwrap();
        let parsed = guest_file(&format!("{host}:/a/b")).unwrap();
        assert_eq!((parsed.host.as_path(), parsed.guest.as_str()), (file.path(), "/a/b"));
        assert_eq!(parsed.mode, 0o600);
        for wrong in ["", ":", "/no such file:/x", "/tmp:/x"] {
            assert!(guest_file(wrong).is_err(), "{wrong}");
        }
        assert!(guest_file(&format!("{host}:relative")).is_err());
    }

    #[test]
    fn exit_codes_are_passed_on() {
        assert_eq!(exit_code(&End::Exited(3)), 3);
        assert_eq!(exit_code(&End::Signalled(9)), 137);
        assert_eq!(exit_code(&End::TimedOut), 2);
        assert_eq!(exit_code(&End::Panicked(String::new())), 2);
    }
}
