//! `cargo xtask build`: the eBPF object, and the `unlazy` binary with it inside.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use crate::shell::{self, say};
use crate::toolchain::{self, Choice, Toolchain};
use crate::workspace::Workspace;

/// The target that all eBPF programs are built for: little-endian, as x86-64 is.
pub(crate) const BPF_TARGET: &str = "bpfel-unknown-none";
/// ELF's machine number of BPF (`include/uapi/linux/elf-em.h`).
const EM_BPF: u16 = 247;

/// Build target/release/unlazy, with the eBPF programs inside.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Build target/debug/unlazy instead (the eBPF programs are always optimized)
    #[arg(long)]
    debug: bool,
    #[command(flatten)]
    choice: Choice,
}

/// Carries out `cargo xtask build`.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let toolchain = toolchain::ensure(workspace, args.choice)?;
    let object = object(workspace, &toolchain, Warnings::Show)?;
    let profile = if args.debug { Profile::Debug } else { Profile::Release };
    unlazy(workspace, &object, profile)?;
    Ok(ExitCode::SUCCESS)
}

/// What a warning in the eBPF programs means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Warnings {
    /// It is printed.
    Show,
    /// It is an error.
    Deny,
}

/// How the user-space side is built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Debug,
    Release,
}

/// Builds, with everything that `check` and others need: the release binary's path.
pub(crate) fn release(workspace: &Workspace, choice: Choice) -> Result<PathBuf> {
    let toolchain = toolchain::ensure(workspace, choice)?;
    let object = object(workspace, &toolchain, Warnings::Show)?;
    unlazy(workspace, &object, Profile::Release)
}

/// Builds the eBPF programs; the object's path.
///
/// # Errors
/// When the build fails, or what it made is no BPF object.
pub(crate) fn object(
    workspace: &Workspace,
    toolchain: &Toolchain,
    warnings: Warnings,
) -> Result<PathBuf> {
    let mut cargo = toolchain.cargo(workspace);
    cargo.args(["rustc", "--release", "--package", "tracer-ebpf", "--bin", "unlazy-bpf"]).args([
        "-Z",
        "build-std=core",
        "--target",
        BPF_TARGET,
    ]);
    if warnings == Warnings::Deny {
        // For this crate alone: RUSTFLAGS would build the core library anew as well.
        cargo.args(["--", "-D", "warnings"]);
    }
    shell::run(&mut cargo).context("building the eBPF programs")?;
    let object = workspace.target.join("bpf").join(BPF_TARGET).join("release/unlazy-bpf");
    let bytes = fs::read(&object).with_context(|| format!("reading {}", object.display()))?;
    match examine_object(&bytes) {
        Ok(Btf::Present) => {}
        Ok(Btf::Missing) => say(format_args!(
            "{} has no BTF: it has no programs, or was linked without `--btf`",
            object.display()
        )),
        Err(what) => bail!("{} {what}", object.display()),
    }
    Ok(object)
}

/// Builds the binary around an eBPF object; its path.
///
/// # Errors
/// When the build fails.
pub(crate) fn unlazy(workspace: &Workspace, object: &Path, profile: Profile) -> Result<PathBuf> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--package", "tracer-user"]).env("UNLAZY_EBPF_OBJECT", object);
    let dir = match profile {
        Profile::Debug => "debug",
        Profile::Release => {
            cargo.arg("--release");
            "release"
        }
    };
    shell::run(&mut cargo).context("building unlazy")?;
    let binary = workspace.unlazy(dir);
    let size = |path: &Path| fs::metadata(path).map(|meta| meta.len() / 1024);
    let kib = size(&binary).with_context(|| format!("looking at {}", binary.display()))?;
    let object_kib = size(object).with_context(|| format!("looking at {}", object.display()))?;
    say(format_args!("{}: {kib} KiB, with {object_kib} KiB of eBPF object", binary.display()));
    Ok(binary)
}

/// Whether an object describes its types, as the loader of BTF tracepoints needs it.
#[derive(Debug, PartialEq, Eq)]
enum Btf {
    Present,
    Missing,
}

/// Whether these bytes are a BPF object, and have BTF.
fn examine_object(bytes: &[u8]) -> Result<Btf, &'static str> {
    if !bytes.starts_with(b"\x7fELF") {
        return Err("is no ELF file");
    }
    // Elf64_Ehdr.e_machine
    if bytes.get(18..20) != Some(&EM_BPF.to_le_bytes()) {
        return Err("is not for BPF");
    }
    // The end of the section's name, which may be stored as that of `.rel.BTF`. An ELF parser
    // would be a dependency for one question.
    let present = bytes.windows(5).any(|window| window == b".BTF\0");
    Ok(if present { Btf::Present } else { Btf::Missing })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(machine: u16, names: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x7fELF".to_vec();
        bytes.resize(18, 0);
        bytes.extend(machine.to_le_bytes());
        bytes.extend(names);
        bytes
    }

    #[test]
    fn tells_bpf_objects_and_btf_apart_from_the_rest() {
        assert_eq!(examine_object(&elf(EM_BPF, b"\0.text\0.BTF\0")), Ok(Btf::Present));
        assert_eq!(examine_object(&elf(EM_BPF, b"\0.rel.BTF\0")), Ok(Btf::Present));
        assert_eq!(examine_object(&elf(EM_BPF, b"\0.BTF.ext\0")), Ok(Btf::Missing));
        assert_eq!(examine_object(&elf(62, b"\0.BTF\0")), Err("is not for BPF"));
        assert_eq!(examine_object(b"\x7fELF"), Err("is not for BPF"));
        assert_eq!(examine_object(b""), Err("is no ELF file"));
    }
}
