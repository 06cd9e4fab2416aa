//! `cargo xtask toolchain`: finds, or brings, what builds the eBPF programs.
//!
//! That is a rustc that may use unstable options, its library's source, and a `bpf-linker` that
//! reads this rustc's bitcode. There are two places to get the first two: rustup's nightly, and
//! Debian's `rustc-web` set. The linker is always built here, against the `libLLVM` that the
//! compiler itself loads: the two can't disagree then, and no LLVM development package is needed.

mod compiler;
mod debian;
mod linker;
pub(crate) mod lint_tools;
pub(crate) mod machines;
mod rustup;
mod version;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

pub(crate) use self::compiler::{Compiler, Source};
use crate::shell::{self, say};
use crate::workspace::Workspace;

/// Find the eBPF toolchain, and bring what is missing.
///
/// Uses rustup's nightly with rust-src, or Debian's rustc-web set, whichever is complete; brings
/// the first of the two that can be had. `bpf-linker` goes to .cache/tools.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only tell what is there and what is missing; exit 1 if anything is
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    choice: Choice,
}

/// Which compiler to use for the eBPF programs.
#[derive(clap::Args, Clone, Copy, Default)]
pub(crate) struct Choice {
    /// Where the eBPF compiler comes from; without it, whatever is there or can be had
    #[arg(long = "ebpf-toolchain", env = "UNLAZY_EBPF_TOOLCHAIN", value_name = "SOURCE")]
    source: Option<Source>,
}

/// Everything that building the eBPF programs needs.
pub(crate) struct Toolchain {
    pub(crate) compiler: Compiler,
    linker_dir: PathBuf,
}

impl Toolchain {
    /// The eBPF toolchain's cargo, in the workspace, set up to build for the BPF target.
    pub(crate) fn cargo(&self, workspace: &Workspace) -> Command {
        let mut cargo = self.compiler.cargo(std::slice::from_ref(&self.linker_dir));
        cargo
            .current_dir(&workspace.root)
            // Its own folder: two compilers in one would rebuild each other's work.
            .env("CARGO_TARGET_DIR", workspace.target.join("bpf"))
            .env("RUSTFLAGS", "-C linker=bpf-linker -C debuginfo=2 -C link-arg=--btf");
        cargo
    }
}

/// Carries out `cargo xtask toolchain`.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    if args.check {
        return Ok(tell(workspace, args.choice));
    }
    ensure(workspace, args.choice)?;
    Ok(ExitCode::SUCCESS)
}

/// Finds the toolchain, bringing what is missing; says what it brings before it does.
///
/// # Errors
/// When no compiler can be had from either source, or the linker cannot be built.
pub(crate) fn ensure(workspace: &Workspace, choice: Choice) -> Result<Toolchain> {
    let (compiler, brought_compiler) = compiler_or_bring(choice)?;
    let (linker_dir, brought_linker) = linker::ensure(workspace, &compiler)?;
    let news = if brought_compiler || brought_linker { "ready" } else { "nothing to install" };
    say(format_args!("eBPF toolchain: {compiler}, bpf-linker {}: {news}", linker::VERSION));
    Ok(Toolchain { compiler, linker_dir })
}

/// The first complete compiler, or else the first that can be brought.
fn compiler_or_bring(choice: Choice) -> Result<(Compiler, bool)> {
    let sources = sources(choice);
    let mut missing = Vec::new();
    for source in &sources {
        match source.find() {
            Ok(compiler) => return Ok((compiler, false)),
            Err(why) => missing.push(why),
        }
    }
    let mut refusals = Vec::new();
    for (source, why) in sources.iter().zip(missing) {
        let brought = match source {
            Source::Rustup => rustup::bring(),
            Source::Debian => debian::bring(),
        };
        match brought.and_then(|()| source.find()) {
            Ok(compiler) => return Ok((compiler, true)),
            Err(refusal) => {
                say(format_args!("no eBPF compiler from {source}: {refusal:#}"));
                refusals.push(format!("\n  {source}: {why:#}; {refusal:#}"));
            }
        }
    }
    bail!(
        "no compiler for the eBPF programs. Tried:{}\n\
         What to do: on any machine with a network, install rustup and run\n  \
         rustup toolchain install nightly --profile minimal --component rust-src\n\
         or, on Debian 12 with its security updates, as root:\n  \
         apt-get update && apt-get install {}",
        refusals.concat(),
        debian::PACKAGES.join(" ")
    )
}

fn sources(choice: Choice) -> Vec<Source> {
    choice.source.map_or_else(|| vec![Source::Rustup, Source::Debian], |one| vec![one])
}

/// `--check`: changes nothing.
fn tell(workspace: &Workspace, choice: Choice) -> ExitCode {
    match machines::find() {
        Some(qemu) => println!("virtual machines: {}", qemu.display()),
        None => println!("missing, for virtual machines only: {}", machines::WHAT),
    }
    let mut found = None;
    for source in sources(choice) {
        match source.find() {
            Ok(compiler) => {
                println!("compiler: {compiler}");
                found.get_or_insert(compiler);
            }
            Err(why) => println!("missing: a compiler from {source}: {why:#}"),
        }
    }
    let Some(compiler) = found else {
        println!("missing: bpf-linker {}: it is built for a compiler", linker::VERSION);
        return ExitCode::FAILURE;
    };
    match linker::find(workspace, &compiler) {
        Ok(dir) => {
            println!("bpf-linker: {} in {}", linker::VERSION, dir.display());
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("missing: bpf-linker {} for {compiler}: {why:#}", linker::VERSION);
            ExitCode::FAILURE
        }
    }
}

/// Runs `ldd`: which shared libraries a program loads.
fn ldd(program: &std::path::Path) -> Result<String> {
    shell::capture(Command::new("ldd").arg(program).env_remove("LD_LIBRARY_PATH"))
}
