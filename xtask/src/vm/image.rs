//! The kernel that a machine boots: a file, one of ours, or one of Debian's.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::package;
use crate::workspace::Workspace;

/// A kernel to boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// The bootable file.
    pub(crate) bzimage: PathBuf,
    /// What it was asked for as.
    pub(crate) name: String,
    /// Its `uname -r`, from its own header.
    pub(crate) release: String,
    /// Its modules, where they came with it.
    pub(crate) modules_dir: Option<PathBuf>,
}

/// Finds a kernel, or fetches it: a path, the name of a kernel that `cargo xtask kernel` built, or
/// a Debian package's version (`6.1.0-56-cloud`).
///
/// # Errors
/// When there is no such kernel, it cannot be fetched, or is not bootable.
pub(crate) fn resolve(workspace: &Workspace, spec: &str) -> Result<Image> {
    let built = kernels(workspace).join(spec).join("bzImage");
    let (bzimage, unpacked) = if spec.contains('/') || Path::new(spec).is_file() {
        (PathBuf::from(spec), None)
    } else if !spec.is_empty() && built.is_file() {
        (built, None)
    } else if let Some(package) = package::image(spec) {
        let unpacked = package::unpack(workspace, &package)?;
        (vmlinuz(&unpacked)?, Some(unpacked))
    } else {
        bail!("`{spec}` is no kernel: {}", what_there_is(workspace));
    };
    let release = release(&bzimage)?;
    let modules_dir = unpacked
        .map(|unpacked| unpacked.join("lib/modules").join(&release))
        .filter(|dir| dir.is_dir());
    Ok(Image { bzimage, name: spec.to_owned(), release, modules_dir })
}

/// Where kernels are kept.
pub(super) fn kernels(workspace: &Workspace) -> PathBuf {
    workspace.root.join(".cache/kernels")
}

fn what_there_is(workspace: &Workspace) -> String {
    let mut names: Vec<String> = fs::read_dir(kernels(workspace))
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().join("bzImage").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let built = if names.is_empty() {
        "one that `cargo xtask kernel` built (there is none yet)".to_owned()
    } else {
        format!("one that `cargo xtask kernel` built (there is {})", names.join(", "))
    };
    format!("name a bzImage with its path, {built}, or a Debian version such as 6.1.0-56-cloud")
}

/// The one kernel of an unpacked package.
fn vmlinuz(unpacked: &Path) -> Result<PathBuf> {
    let boot = unpacked.join("boot");
    let entries = fs::read_dir(&boot).with_context(|| format!("reading {}", boot.display()))?;
    entries
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with("vmlinuz-"))
        .map(|entry| entry.path())
        .with_context(|| format!("there is no kernel in {}", boot.display()))
}

/// A bzImage's `uname -r`, from its header (Documentation/arch/x86/boot.rst).
fn release(bzimage: &Path) -> Result<String> {
    let mut head = Vec::new();
    match File::open(bzimage) {
        // `kernel_version` points into the setup code, which is at most 64 sectors long.
        Ok(file) => file.take(64 * 512 + 512).read_to_end(&mut head),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("there is no kernel {}", bzimage.display())
        }
        Err(error) => Err(error),
    }
    .with_context(|| format!("reading the kernel {}", bzimage.display()))?;
    if head.starts_with(b"\x7fELF") {
        bail!(
            "{} is a vmlinux; a machine boots the bzImage (arch/x86/boot/bzImage) made from it",
            bzimage.display()
        );
    }
    release_in(&head).with_context(|| format!("{} is no kernel image (bzImage)", bzimage.display()))
}

fn release_in(head: &[u8]) -> Option<String> {
    if head.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let at = usize::from(u16::from_le_bytes(head.get(0x20e..0x210)?.try_into().ok()?)) + 0x200;
    let text = head.get(at..)?.split(|&byte| byte == 0 || byte == b' ').next()?;
    let text = std::str::from_utf8(text).ok()?;
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_read_from_the_header() {
        let mut head = vec![0; 0x400];
        assert_eq!(release_in(&head), None);
        head[0x202..0x206].copy_from_slice(b"HdrS");
        assert_eq!(release_in(&head), None);
        head[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
        head[0x300..0x310].copy_from_slice(b"6.1.0-x (me) #1\0");
        assert_eq!(release_in(&head).as_deref(), Some("6.1.0-x"));
        head[0x20e..0x210].copy_from_slice(&0xff00_u16.to_le_bytes());
        assert_eq!(release_in(&head), None);
        assert_eq!(release_in(b"MZ"), None);
    }
}
