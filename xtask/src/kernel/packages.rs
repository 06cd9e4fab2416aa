//! What Debian gives: the programs that build a kernel, and package files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::shell::{self, say};

/// What a kernel build needs beside gcc and make: how to tell that it is there, and its package.
const NEEDS: [(Sign, &str); 11] = [
    (Sign::Program("gcc"), "gcc"),
    (Sign::Program("make"), "make"),
    (Sign::Program("flex"), "flex"),
    (Sign::Program("bison"), "bison"),
    (Sign::Program("bc"), "bc"),
    (Sign::Program("cpio"), "cpio"),
    (Sign::Program("xz"), "xz-utils"),
    // pahole makes the BTF.
    (Sign::Program("pahole"), "dwarves"),
    // objtool and resolve_btfids read ELF.
    (Sign::Header("gelf.h"), "libelf-dev"),
    (Sign::Header("openssl/opensslv.h"), "libssl-dev"),
    (Sign::Program("perl"), "perl"),
];

/// How a package shows.
enum Sign {
    Program(&'static str),
    Header(&'static str),
}

impl Sign {
    fn is_there(&self) -> bool {
        match self {
            Self::Program(name) => shell::find_program(name).is_some(),
            Self::Header(name) => Path::new("/usr/include").join(name).is_file(),
        }
    }
}

/// Brings what a kernel build needs; says what it brings before it does.
///
/// # Errors
/// When something is missing and this is no Debian, or apt cannot install it.
pub(crate) fn ensure_build_needs() -> Result<()> {
    let missing: Vec<&str> =
        NEEDS.iter().filter(|(sign, _)| !sign.is_there()).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if shell::find_program("apt-get").is_none() {
        bail!("a kernel build needs what Debian calls {names}: install it, then run this again");
    }
    say(format_args!("installing Debian packages: {names}"));
    let install =
        |packages: &[&str]| apt_get(&["install", "-y", "--no-install-recommends"], packages);
    if install(&missing).is_err() {
        update()?;
        install(&missing).with_context(|| format!("installing what builds a kernel: {names}"))?;
    }
    let still: Vec<&str> =
        NEEDS.iter().filter(|(sign, _)| !sign.is_there()).map(|(_, package)| *package).collect();
    if !still.is_empty() {
        bail!("after installing them, what {} give is still not found", still.join(" "));
    }
    Ok(())
}

/// A package file that was fetched.
pub(crate) struct Deb {
    pub(crate) path: PathBuf,
    pub(crate) version: String,
    /// In hexadecimal; apt has checked the file against it.
    pub(crate) sha256: String,
}

/// Fetches apt's candidate of `package` into `dir`; installs nothing.
///
/// # Errors
/// When there is no apt, it does not know the package, or the fetch fails.
pub(crate) fn download(package: &str, dir: &Path) -> Result<Deb> {
    if shell::find_program("apt-get").is_none() {
        bail!("there is no apt-get here, which fetches Debian's {package}");
    }
    let (version, sha256) = if let Ok(found) = candidate(package) {
        found
    } else {
        update()?;
        candidate(package)?
    };
    say(format_args!("fetching {package} {version}"));
    let fetch = |version: &str| {
        // apt's own user may not write here; it says so in a warning and goes on as we are.
        shell::run(
            Command::new("apt-get")
                .args(["-q", "-o=Dpkg::Use-Pty=0", "-o=APT::Sandbox::User=root", "download"])
                .arg(format!("{package}={version}"))
                .current_dir(dir)
                .stdout(std::io::stderr()),
        )
    };
    let (version, sha256) = if fetch(&version).is_ok() {
        (version, sha256)
    } else {
        // Old lists name files that the mirror has replaced since.
        update()?;
        let (version, sha256) = candidate(package)?;
        fetch(&version).with_context(|| format!("fetching {package} {version}"))?;
        (version, sha256)
    };
    let path = newest_deb(dir, package)?;
    let sum = sha256_of(&path)?;
    if sum != sha256 {
        bail!("{} has the SHA-256 {sum}, apt's lists say {sha256}", path.display());
    }
    Ok(Deb { path, version, sha256 })
}

/// Version and SHA-256 of apt's candidate.
fn candidate(package: &str) -> Result<(String, String)> {
    let shown =
        shell::capture(Command::new("apt-cache").args(["show", "--no-all-versions", package]))
            .with_context(|| format!("asking apt for {package}"))?;
    let field = |name: &str| {
        shown
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .map(str::to_owned)
            .with_context(|| format!("apt's lists have no {name} for {package}"))
    };
    Ok((field("Version")?, field("SHA256")?))
}

fn newest_deb(dir: &Path, package: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))?;
    let mut debs: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| {
                name.starts_with(&format!("{package}_"))
                    && Path::new(name).extension().is_some_and(|end| end == "deb")
            })
        })
        .collect();
    debs.sort_by_key(|path| fs::metadata(path).and_then(|data| data.modified()).ok());
    debs.pop().with_context(|| format!("apt-get left no {package} in {}", dir.display()))
}

fn sha256_of(path: &Path) -> Result<String> {
    let said = shell::capture(Command::new("sha256sum").arg(path))?;
    said.split_whitespace()
        .next()
        .map(str::to_owned)
        .with_context(|| format!("sha256sum said nothing of {}", path.display()))
}

fn update() -> Result<()> {
    say("fetching Debian's package lists: apt-get update");
    apt_get(&["update"], &[])
}

fn apt_get(args: &[&str], packages: &[&str]) -> Result<()> {
    // `env` because sudo drops what we would set here.
    let mut command = shell::as_root("env", "installing Debian packages")?;
    command
        .args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o=Dpkg::Use-Pty=0"])
        .args(args)
        .args(packages)
        // Results are on our stdout; this is not one.
        .stdout(std::io::stderr());
    shell::run(&mut command).context("apt-get could not do it (its own words are above)")
}
