//! QEMU: which one, and its command line.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use unlazy_guest::mailbox::SIZE;

use super::mailbox::Mailbox;
use super::request::{Request, Witness};
use super::tsc;
use crate::shell;
use crate::toolchain::machines;

/// What runs the guest's instructions.
///
/// The emulator unless asked otherwise. `/dev/kvm` proves nothing (there are hosts whose KVM runs
/// a boot sector and fails at the first BMI2 instruction), and what a run can show depends on the
/// CPU: the emulated one has neither SERIALIZE nor PCID, and no VM exits that serialize in
/// passing, so a result from here means the same everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Accel {
    /// QEMU's emulator, the same everywhere
    #[default]
    Tcg,
    /// The host's KVM: fast, where it works
    Kvm,
}

impl fmt::Display for Accel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcg => "tcg,thread=multi",
            Self::Kvm => "kvm",
        })
    }
}

/// Our kernel arguments. Whatever a request appends replaces those of the same name.
const ARGUMENTS: [&str; 7] = [
    "console=ttyS0",
    // Warnings and what is worse: a serial port is slow, and what it prints disturbs.
    "loglevel=5",
    // A panic ends the machine, because of QEMU's -no-reboot.
    "panic=-1",
    // On a busy host the timer's check, which waits for so many ticks in so many loops, fails.
    "no_timer_check",
    // With PTI every return to user mode writes CR3, which hides what is looked for.
    "pti=off",
    // The emulated TSCs are one and the same clock. Without this the kernel's watchdog mistrusts
    // them on a busy host, and falls back to a clock that costs a device access for each reading.
    "tsc=reliable",
    "rdinit=/init",
];

/// What a machine is made of, besides its [`Request`].
pub(super) struct Parts<'a> {
    pub(super) accel: Accel,
    pub(super) mailbox: &'a Mailbox,
    pub(super) initramfs: &'a Path,
    pub(super) console: &'a Path,
}

/// The command that is the machine.
///
/// # Errors
/// When QEMU cannot be had.
pub(super) fn command(request: &Request, parts: &Parts<'_>) -> Result<Command> {
    let qemu = machines::qemu()?;
    // So that it ends with us however we end.
    let mut command = match shell::find_program("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(qemu);
            command
        }
        None => Command::new(qemu),
    };
    command.args(arguments(request, parts));
    Ok(command)
}

fn arguments(request: &Request, parts: &Parts<'_>) -> Vec<OsString> {
    let plain = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    let mut args = plain(&["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
    args.extend(plain(&["-name", "unlazy", "-machine", "pc"]));
    args.extend(plain(&["-accel", &parts.accel.to_string(), "-cpu", &request.cpu]));
    args.extend(plain(&["-smp", &request.smp.to_string()]));
    args.extend(plain(&["-m", &format!("{}M", request.memory_mib)]));
    // The mailbox: see `unlazy_guest::mailbox`.
    args.extend(plain(&["-device", "ivshmem-plain,memdev=mailbox", "-object"]));
    let mailbox = format!("memory-backend-file,id=mailbox,size={SIZE},share=on,mem-path=");
    args.push(option(&mailbox, &parts.mailbox.path()));
    args.extend(plain(&["-chardev"]));
    args.push(option("file,id=console,path=", parts.console));
    args.extend(plain(&["-serial", "chardev:console", "-kernel"]));
    args.push(request.kernel.bzimage.clone().into());
    args.extend(plain(&["-initrd"]));
    args.push(parts.initramfs.into());
    if let Some(Witness { plugin, folder }) = &request.witness {
        args.extend(plain(&["-plugin"]));
        let mut option = option("file=", plugin);
        option.push(self::option(",dir=", folder));
        args.push(option);
    }
    args.extend(plain(&["-append", &kernel_arguments(parts.accel, &request.append)]));
    args
}

/// An option that ends in a path: QEMU takes a comma for the next option unless it is doubled.
fn option(prefix: &str, path: &Path) -> OsString {
    let mut option = OsString::from(prefix);
    option.push(path.to_string_lossy().replace(',', ",,"));
    option
}

/// Ours, then what was asked for.
fn kernel_arguments(accel: Accel, append: &[String]) -> String {
    let mut ours = ARGUMENTS.map(str::to_owned).to_vec();
    if accel == Accel::Tcg {
        ours.push(format!("tsc_early_khz={}", tsc::khz()));
    }
    let asked: Vec<&str> = append.iter().flat_map(|words| words.split_whitespace()).collect();
    let name = |argument: &str| argument.split('=').next().unwrap_or_default().to_owned();
    let replaced: Vec<String> = asked.iter().map(|argument| name(argument)).collect();
    ours.retain(|argument| !replaced.contains(&name(argument)));
    ours.extend(asked.into_iter().map(str::to_owned));
    ours.join(" ")
}

/// Where a person looks for what went wrong with QEMU itself.
pub(super) fn stderr_file(work: &Path) -> PathBuf {
    work.join("qemu.stderr")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_replaces_ours() {
        let none = kernel_arguments(Accel::Kvm, &[]);
        assert!(
            none.starts_with("console=ttyS0 loglevel=5 panic=-1 no_timer_check pti=off"),
            "{none}"
        );
        let asked = ["pti=on nokaslr".to_owned(), "loglevel=7".to_owned()];
        let some = kernel_arguments(Accel::Tcg, &asked);
        assert!(some.contains(" tsc_early_khz=") && !none.contains("tsc_early_khz"), "{some}");
        assert!(!some.contains("pti=off") && !some.contains("loglevel=5"), "{some}");
        assert!(some.ends_with("pti=on nokaslr loglevel=7"), "{some}");
    }

    #[test]
    fn a_comma_in_a_path_is_doubled() {
        assert_eq!(option("path=", Path::new("/a,b/c")), "path=/a,,b/c");
    }
}
