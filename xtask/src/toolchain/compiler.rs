//! A compiler that can build the eBPF programs.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::version::{RustcVersion, libllvm_in};
use super::{debian, ldd, rustup};
use crate::shell;

/// The oldest compiler that the workspace takes (`rust-version` in Cargo.toml).
pub(super) const OLDEST: (u32, u32) = (1, 88);
/// The LLVMs that this bpf-linker knows: its cargo features `llvm-N`.
const LLVMS: std::ops::RangeInclusive<u32> = 21..=23;

/// Where a compiler comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Source {
    /// rustup's nightly with rust-src
    Rustup,
    /// Debian's rustc-web, cargo-web and rust-web-src
    Debian,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rustup => "rustup",
            Self::Debian => "Debian",
        })
    }
}

impl Source {
    /// Looks for a complete compiler; installs nothing.
    ///
    /// # Errors
    /// Says what is missing.
    pub(super) fn find(self) -> Result<Compiler> {
        match self {
            Self::Rustup => rustup::find(),
            Self::Debian => debian::find(),
        }
    }
}

/// A rustc, its cargo and its library's source, all there and fit.
pub(crate) struct Compiler {
    pub(crate) source: Source,
    /// The folder with rustc and cargo.
    pub(crate) bin: PathBuf,
    pub(crate) version: RustcVersion,
    /// The shared LLVM that this rustc loads.
    pub(super) libllvm: PathBuf,
}

impl Compiler {
    /// Examines the compiler in `bin`.
    ///
    /// # Errors
    /// When a part is missing, too old, or too new for bpf-linker.
    pub(super) fn examine(source: Source, bin: &Path) -> Result<Self> {
        let rustc = bin.join("rustc");
        let ask = |arg: &[&str]| {
            shell::capture(Command::new(&rustc).args(arg).env_remove("LD_LIBRARY_PATH"))
        };
        let version = RustcVersion::parse(&ask(&["-vV"])?)
            .with_context(|| format!("asking {} for its version", rustc.display()))?;
        if (version.major, version.minor) < OLDEST {
            bail!("rustc {} is older than {}.{}", version.release, OLDEST.0, OLDEST.1);
        }
        if !LLVMS.contains(&version.llvm) {
            bail!(
                "rustc {} writes the bitcode of LLVM {}; bpf-linker {} reads {} to {}",
                version.release,
                version.llvm,
                super::linker::VERSION,
                LLVMS.start(),
                LLVMS.end()
            );
        }
        if !bin.join("cargo").is_file() {
            bail!("there is no cargo in {}", bin.display());
        }
        let sysroot = ask(&["--print", "sysroot"])?;
        let library = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library");
        if !library.join("core/Cargo.toml").is_file() {
            bail!("rustc {} has no library source in {}", version.release, library.display());
        }
        // rustup keeps the real rustc in the sysroot; Debian's is the sysroot's own.
        let libllvm = libllvm_in(&ldd(&rustc)?).with_context(|| {
            format!(
                "rustc {} has its LLVM inside instead of a shared libLLVM, \
                 which bpf-linker would be linked with",
                version.release
            )
        })?;
        Ok(Self { source, bin: bin.to_path_buf(), version, libllvm })
    }

    /// This compiler's cargo, with `first` before everything else in `PATH`.
    pub(super) fn cargo(&self, first: &[PathBuf]) -> Command {
        let mut cargo = Command::new(self.bin.join("cargo"));
        let inherited = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(
            first.iter().cloned().chain([self.bin.clone()]).chain(env::split_paths(&inherited)),
        );
        // Only a folder with a colon in its name can't be joined; PATH could not name it either.
        cargo.env("PATH", path.unwrap_or(inherited));
        // We run below another cargo, which told its children which compiler is *its* own.
        for name in [
            "CARGO",
            "CARGO_BUILD_TARGET",
            "CARGO_ENCODED_RUSTFLAGS",
            "LD_LIBRARY_PATH",
            "RUSTDOC",
            "RUSTUP_TOOLCHAIN",
        ] {
            cargo.env_remove(name);
        }
        cargo.env("RUSTC", self.bin.join("rustc"));
        if !self.version.is_nightly() {
            // A stable compiler refuses `-Z build-std` without this.
            cargo.env("RUSTC_BOOTSTRAP", "1");
        }
        cargo
    }

    /// Whether `cargo clippy` can run with this compiler.
    pub(crate) fn has_clippy(&self) -> bool {
        self.bin.join("cargo-clippy").is_file() && self.bin.join("clippy-driver").is_file()
    }
}

impl fmt::Display for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RustcVersion { release, llvm, .. } = &self.version;
        write!(f, "rustc {release} (LLVM {llvm}) from {}", self.source)
    }
}
