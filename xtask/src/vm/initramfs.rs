//! What a machine boots into: `/init`, `unlazy`, the job, and the files that were asked for.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use unlazy_guest::job::{JOB_PATH, Job};

use super::cpio::Archive;
use super::request::Request;
use super::setup::Setup;

/// Two users: root, and one who is nobody, for what is to run without rights.
const PASSWD: &str = "root:x:0:0:root:/root:/bin/false\n\
    nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n";
const GROUP: &str = "root:x:0:\nnogroup:x:65534:\n";
const FOLDERS: [&str; 10] =
    ["bin", "dev", "etc", "modules", "out", "proc", "root", "run", "sys", "tmp"];

/// Writes the initramfs of a machine to `path`; its size in bytes.
///
/// # Errors
/// When a file cannot be read, or `path` not written.
pub(super) fn write(path: &Path, setup: &Setup, request: &Request) -> Result<u64> {
    let writing = || format!("writing {}", path.display());
    let to = BufWriter::new(File::create(path).with_context(writing)?);
    let mut archive = Archive::new(to);
    let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
    for folder in FOLDERS {
        archive.folder(folder, 0o755).with_context(writing)?;
        folders.insert(folder.into());
    }
    // The kernel gives it to /init as stdin, stdout and stderr.
    archive.device("dev/console", 5, 1).with_context(writing)?;
    archive.file("etc/passwd", 0o644, PASSWD.as_bytes()).with_context(writing)?;
    archive.file("etc/group", 0o644, GROUP.as_bytes()).with_context(writing)?;
    archive.file("init", 0o755, &read(&setup.guest)?).with_context(writing)?;
    archive.link("bin/guest", "/init").with_context(writing)?;
    archive.file("bin/unlazy", 0o755, &read(&setup.unlazy)?).with_context(writing)?;

    let mut modules = Vec::new();
    for (number, module) in request.modules.iter().enumerate() {
        let name =
            module.file_name().with_context(|| format!("{} is no file", module.display()))?;
        // Numbered: two may have the same name.
        let guest = format!("/modules/{number}-{}", name.to_string_lossy());
        archive.file(&guest, 0o644, &read(module)?).with_context(writing)?;
        modules.push(guest);
    }
    for file in &request.files {
        let guest = inside(&file.guest)?;
        for folder in guest.ancestors().skip(1).collect::<Vec<_>>().into_iter().rev() {
            if folder != Path::new("") && folders.insert(folder.to_path_buf()) {
                archive.folder(&folder.to_string_lossy(), 0o755).with_context(writing)?;
            }
        }
        archive
            .file(&guest.to_string_lossy(), file.mode, &read(&file.host)?)
            .with_context(writing)?;
    }
    let job = Job { modules, command: request.command.clone() };
    let job = serde_json::to_vec(&job).context("writing the job")?;
    archive.file(JOB_PATH, 0o644, &job).with_context(writing)?;
    let (_, size) = archive.close().with_context(writing)?;
    Ok(size)
}

/// A path in the guest, relative to its root.
fn inside(path: &str) -> Result<&Path> {
    let relative = Path::new(path.trim_start_matches('/'));
    let plain = relative.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if !plain || relative.file_name().is_none() || !path.starts_with('/') {
        bail!("`{path}` is no place for a file in the guest: write an absolute path without `..`");
    }
    Ok(relative)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("reading {} for the guest", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_the_guest_are_absolute_and_plain() {
        assert_eq!(inside("/bin/x").unwrap(), Path::new("bin/x"));
        for wrong in ["", "/", "bin/x", "/a/../b", "/..", "//"] {
            assert!(inside(wrong).is_err(), "{wrong}");
        }
    }
}
