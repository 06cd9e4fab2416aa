//! Puts the eBPF object where the library includes it, and the commit where `--version` finds it.
//!
//! `cargo xtask build` names the object in `UNLAZY_EBPF_OBJECT`. Without it (`cargo check`,
//! `cargo test`, an IDE) the included file is empty, which the library reports as "built without
//! its eBPF object": everything but tracing works.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const OBJECT: &str = "UNLAZY_EBPF_OBJECT";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={OBJECT}");

    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    fs::write(out.join("unlazy.bpf.o"), object()?)?;

    println!("cargo::rustc-env=UNLAZY_VERSION_DETAIL={}", detail());
    Ok(())
}

/// The object's bytes; none if this build has none.
fn object() -> Result<Vec<u8>, String> {
    let Some(path) = env::var_os(OBJECT).filter(|path| !path.is_empty()).map(PathBuf::from) else {
        return Ok(Vec::new());
    };
    println!("cargo::rerun-if-changed={}", path.display());
    let bytes = fs::read(&path).map_err(|error| {
        format!(
            "{OBJECT} names {}, which cannot be read: {error}. Use `cargo xtask build`, \
             or unset {OBJECT} to build without the eBPF programs.",
            path.display()
        )
    })?;
    if bytes.is_empty() {
        return Err(format!("{OBJECT} names {}, which is empty", path.display()));
    }
    Ok(bytes)
}

/// What follows the version number: ` (commit)`, or nothing.
fn detail() -> String {
    commit().map(|commit| format!(" ({commit})")).unwrap_or_default()
}

/// The commit this was built from; `None` outside a checkout of our own or without git.
fn commit() -> Option<String> {
    // A release archive unpacked inside somebody's repository is not that repository's commit.
    git(&["ls-files", "--error-unmatch", "build.rs"])?;
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    // HEAD changes on checkout, its log on every commit. Cargo takes a file that isn't there for
    // one that changed and would build anew each time, so only what exists is named.
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", name])
            && Path::new(&path).exists()
        {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    Some(commit)
}

/// What git prints; `None` if it fails or isn't there.
fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
