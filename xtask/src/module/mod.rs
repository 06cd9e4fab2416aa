//! The kernel module `unlazy_hole` (its source is beside this file), built against the kernel that
//! it is to be loaded into, and for it alone.

mod headers;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum as _;
use rustix::fs::{FlockOperation, flock};

use self::headers::Headers;
use crate::kernel::{self, Source};
use crate::shell;
use crate::vm::image::Image;
use crate::workspace::Workspace;

/// The module's name, as `lsmod` shows it.
const NAME: &str = "unlazy_hole";
const SOURCE: &str = include_str!("unlazy_hole.c");

/// What the module is built against.
enum Against<'a> {
    /// A kernel of Debian's, by its `uname -r`: the headers are fetched, not installed.
    Packaged(&'a str),
    /// The tree that a kernel of this name was built in.
    Tree(&'a str, &'a Path),
}

/// The module for a kernel that was found.
///
/// # Errors
/// As [`build`], and when this is no kernel whose headers or tree can be had.
pub(crate) fn for_image(workspace: &Workspace, image: &Image) -> Result<PathBuf> {
    if image.release.ends_with("-amd64") {
        return build(workspace, &Against::Packaged(&image.release));
    }
    // One of ours: `.cache/kernels/<name>/bzImage`, the name begins with the source's version.
    let name = image.bzimage.parent().and_then(Path::file_name).and_then(OsStr::to_str);
    let name = name.unwrap_or_default();
    let source = Source::value_variants()
        .iter()
        .find(|source| name.starts_with(&format!("{source}.")))
        .with_context(|| {
            format!(
                "{} is neither a Debian kernel nor one that `cargo xtask kernel` built: there are \
                 no headers to build a module with",
                image.bzimage.display()
            )
        })?;
    let current = kernel::ensure(workspace, *source)?;
    if current.parent() != image.bzimage.parent() {
        bail!(
            "{name} is not what `cargo xtask kernel --source {source}` builds now, so its tree is \
             gone: name the new one"
        );
    }
    build(workspace, &Against::Tree(name, &kernel::build_tree(workspace, *source)?))
}

/// Builds the module, or finds it built; the path of the `.ko`.
///
/// # Errors
/// When the headers cannot be had, or the compiler is missing or refuses.
fn build(workspace: &Workspace, against: &Against<'_>) -> Result<PathBuf> {
    let (name, make) = match against {
        Against::Packaged(release) => {
            let headers = Headers::of(workspace, release)?;
            (*release, headers.make())
        }
        Against::Tree(name, tree) => {
            let mut make = Command::new("make");
            make.arg("-C").arg(tree);
            (*name, make)
        }
    };
    let dir = workspace.root.join(".cache/modules").join(name);
    fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    let lock = dir.join(".lock");
    let lock = File::create(&lock).with_context(|| format!("opening {}", lock.display()))?;
    flock(&lock, FlockOperation::LockExclusive).context("waiting for another build")?;
    compile(&dir, make).with_context(|| format!("building the module {NAME} for {name}"))
}

fn compile(dir: &Path, mut make: Command) -> Result<PathBuf> {
    keep(&dir.join(format!("{NAME}.c")), SOURCE)?;
    keep(&dir.join("Kbuild"), &format!("obj-m := {NAME}.o\n"))?;
    make.arg(format!("M={}", dir.display())).args(["W=1", "modules"]);
    // Kbuild finds out by itself whether there is anything to do.
    shell::capture(&mut make)?;
    Ok(dir.join(format!("{NAME}.ko")))
}

/// Writes a file unless it is that already: its time tells make whether to build anew.
fn keep(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|is| is == text) {
        return Ok(());
    }
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}
