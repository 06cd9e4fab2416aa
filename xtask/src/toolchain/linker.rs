//! `bpf-linker`, built against the very libLLVM that the compiler loads.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::compiler::Compiler;
use super::ldd;
use super::version::libllvm_in;
use crate::shell::{self, say};
use crate::workspace::Workspace;

/// The version that is built; a newer one is taken up on purpose, never by chance.
pub(super) const VERSION: &str = "0.13.0";

/// One linker for each source of compilers: switching between them rebuilds nothing.
fn root(workspace: &Workspace, compiler: &Compiler) -> PathBuf {
    workspace.tools().join(compiler.source.to_string().to_lowercase())
}

/// Finds a linker that is fit for this compiler; the folder it is in.
///
/// # Errors
/// Says what is wrong: not there, another version, or made for another LLVM.
pub(super) fn find(workspace: &Workspace, compiler: &Compiler) -> Result<PathBuf> {
    let dir = root(workspace, compiler).join("bin");
    let program = dir.join("bpf-linker");
    if !program.is_file() {
        bail!("not built yet");
    }
    let said =
        shell::capture(Command::new(&program).arg("--version").env_remove("LD_LIBRARY_PATH"))?;
    let version = said.trim().rsplit(' ').next().unwrap_or_default();
    if version != VERSION {
        bail!("{} is version `{version}`", program.display());
    }
    // A toolchain update brings another LLVM, whose bitcode the old one may not read.
    let loaded = libllvm_in(&ldd(&program)?).map(real);
    let wanted = real(compiler.libllvm.clone());
    if loaded.as_deref() != Some(wanted.as_path()) {
        bail!("{} was built for another LLVM than {}", program.display(), wanted.display());
    }
    Ok(dir)
}

/// Finds or builds it; tells whether it had to.
pub(super) fn ensure(workspace: &Workspace, compiler: &Compiler) -> Result<(PathBuf, bool)> {
    let why = match find(workspace, compiler) {
        Ok(dir) => return Ok((dir, false)),
        Err(why) => why,
    };
    let root = root(workspace, compiler);
    say(format_args!(
        "building bpf-linker {VERSION} for LLVM {} into {} ({why:#}); takes a minute or two",
        compiler.version.llvm,
        root.display()
    ));
    let prefix = llvm_prefix(&root, &compiler.libllvm)?;
    let build = root.join("build");
    let mut cargo = compiler.cargo(&[]);
    cargo
        .args(["install", &format!("bpf-linker@{VERSION}"), "--locked", "--force", "--quiet"])
        .args(["--no-default-features", "--features", &format!("llvm-{}", compiler.version.llvm)])
        .arg("--root")
        .arg(&root)
        .current_dir(&workspace.root)
        .env("CARGO_TARGET_DIR", &build)
        // Its build script takes the library, and the run path, from here.
        .env("LLVM_PREFIX", &prefix)
        .env_remove("RUSTFLAGS")
        .stdout(std::io::stderr());
    shell::run(&mut cargo).with_context(|| {
        format!(
            "building bpf-linker {VERSION}: it needs crates.io and a C compiler to link with \
             (cargo's own words are above)"
        )
    })?;
    let dir = find(workspace, compiler).context("bpf-linker was built, but is not fit")?;
    // Half a gigabyte that nobody needs again; if it stays, nothing breaks.
    let _ = fs::remove_dir_all(&build);
    Ok((dir, true))
}

/// A folder that looks like an LLVM installation: `lib/` with the compiler's own library.
fn llvm_prefix(root: &Path, libllvm: &Path) -> Result<PathBuf> {
    let prefix = root.join("llvm");
    let lib = prefix.join("lib");
    if lib.exists() {
        fs::remove_dir_all(&lib).with_context(|| format!("emptying {}", lib.display()))?;
    }
    fs::create_dir_all(&lib).with_context(|| format!("making {}", lib.display()))?;
    let soname =
        libllvm.file_name().with_context(|| format!("{} has no file name", libllvm.display()))?;
    let target = real(libllvm.to_path_buf());
    // The first name is what the linker looks for, the second what the loader does.
    for name in [Path::new("libLLVM.so"), Path::new(soname)] {
        let link = lib.join(name);
        symlink(&target, &link).with_context(|| format!("linking {}", link.display()))?;
    }
    Ok(prefix)
}

/// Without symbolic links, as far as the file exists.
fn real(path: PathBuf) -> PathBuf {
    fs::canonicalize(&path).unwrap_or(path)
}
