//! `cargo xtask build`: the eBPF object, and the `unlazy` binary with it inside.

use std::env;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};

use crate::shell::{self, say};
use crate::toolchain::{self, Choice, Toolchain};
use crate::workspace::Workspace;

/// The target that all eBPF programs are built for: little-endian, as x86-64 is.
pub(crate) const BPF_TARGET: &str = "bpfel-unknown-none";
/// The target of everything else: named, for the reason that [`link_statically`] gives.
pub(crate) const HOST_TARGET: &str = "x86_64-unknown-linux-gnu";
/// For those who have no static C library.
pub(crate) const HOW_TO_LINK_STATICALLY: &str =
    "install it (Debian, Ubuntu: libc6-dev; Fedora: glibc-static) and build again";
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

impl Profile {
    /// Its folder in the target directory.
    fn folder(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }
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
    cargo.args(["build", "--package", "tracer-user", "--bin", "unlazy"]);
    let linkage = link_statically(&mut cargo);
    cargo.env("UNLAZY_EBPF_OBJECT", object);
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    shell::run(&mut cargo).context("building unlazy")?;
    let built = workspace.target.join(HOST_TARGET).join(profile.folder()).join("unlazy");
    let binary = workspace.unlazy(profile.folder());
    publish(&built, &binary)?;
    let size = |path: &Path| fs::metadata(path).map(|meta| meta.len() / 1024);
    let kib = size(&binary).with_context(|| format!("looking at {}", binary.display()))?;
    let object_kib = size(object).with_context(|| format!("looking at {}", object.display()))?;
    say(format_args!(
        "{}: {kib} KiB, {linkage}, with {object_kib} KiB of eBPF object",
        binary.display()
    ));
    Ok(binary)
}

/// Builds the init of virtual machines; its path.
///
/// # Errors
/// When the build fails, or cannot be static.
pub(crate) fn guest(workspace: &Workspace) -> Result<PathBuf> {
    let mut cargo = workspace.cargo();
    cargo.args(["rustc", "--release", "--package", "unlazy-guest", "--bin", "unlazy-guest"]);
    if link_statically(&mut cargo) == Linkage::Dynamic {
        bail!("virtual machines need static programs: {HOW_TO_LINK_STATICALLY}");
    }
    // Every machine has it in memory twice while it boots.
    cargo.args(["--", "-C", "strip=symbols"]);
    shell::run(&mut cargo).context("building the guest's init")?;
    Ok(workspace.target.join(HOST_TARGET).join("release/unlazy-guest"))
}

/// How the binary finds the C library.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Linkage {
    Static,
    Dynamic,
}

impl fmt::Display for Linkage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Static => "linked statically",
            Self::Dynamic => "linked dynamically",
        })
    }
}

/// Has cargo's build link everything into the binary, so that the same file runs on any x86-64 Linux and
/// in virtual machines that have nothing but it; where there is no static C library, says so.
pub(crate) fn link_statically(cargo: &mut Command) -> Linkage {
    // Named, so that the flags are not those of build scripts and of procedural macros, which
    // cannot be static.
    cargo.args(["--target", HOST_TARGET]);
    if !has_static_libc() {
        say(format_args!("no static C library: {HOW_TO_LINK_STATICALLY}"));
        return Linkage::Dynamic;
    }
    let mut flags = env::var("RUSTFLAGS").unwrap_or_default();
    flags.push_str(" -C target-feature=+crt-static");
    cargo.env("RUSTFLAGS", flags.trim_start()).env_remove("CARGO_ENCODED_RUSTFLAGS");
    Linkage::Static
}

/// Whether the C compiler, which links for rustc, has a libc.a.
fn has_static_libc() -> bool {
    // It prints a path if it has one, and the bare name if not.
    shell::capture(Command::new("cc").arg("-print-file-name=libc.a"))
        .is_ok_and(|path| Path::new(path.trim()).is_file())
}

/// Puts a binary where everybody looks for it.
fn publish(built: &Path, place: &Path) -> Result<()> {
    let publishing = || format!("putting {} to {}", built.display(), place.display());
    let dir = place.parent().with_context(publishing)?;
    fs::create_dir_all(dir).with_context(publishing)?;
    // Renamed into its place: the one there may be running.
    let new = dir.join(format!(".unlazy-{}", std::process::id()));
    fs::hard_link(built, &new)
        .or_else(|_| fs::copy(built, &new).map(drop))
        .and_then(|()| fs::rename(&new, place))
        .with_context(publishing)?;
    // Two names of one file: rename does nothing then, and the new name stays.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).with_context(publishing),
        _ => Ok(()),
    }
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
