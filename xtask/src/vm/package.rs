//! Debian's kernels: fetched with apt, unpacked into the project's cache, never installed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use rustix::fs::{FlockOperation, flock};

use super::image::kernels;
use crate::shell::{self, say};
use crate::workspace::Workspace;

/// Checksums of what counts, in the format of `sha256sum`.
const SUMS: &str = "SHA256SUMS";

/// The image package that a version means: `6.1.0-56-cloud` is `linux-image-6.1.0-56-cloud-amd64`.
/// `None` if it does not look like a version.
pub(super) fn image(spec: &str) -> Option<String> {
    let version = spec.strip_prefix("linux-image-").unwrap_or(spec);
    let (version, unsigned) =
        version.strip_suffix("-unsigned").map_or((version, ""), |version| (version, "-unsigned"));
    let version = version.strip_suffix("-amd64").unwrap_or(version);
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".+-~".contains(c);
    let looks_right = version.starts_with(|c: char| c.is_ascii_digit())
        && version.contains('.')
        && version.chars().all(plain);
    looks_right.then(|| format!("linux-image-{version}-amd64{unsigned}"))
}

/// Unpacks a package into the cache, fetching it first if it is not there; its folder.
///
/// # Errors
/// When apt does not have it or cannot fetch it, or what is in the cache is damaged.
pub(crate) fn unpack(workspace: &Workspace, package: &str) -> Result<PathBuf> {
    let kernels = kernels(workspace);
    fs::create_dir_all(&kernels).with_context(|| format!("making {}", kernels.display()))?;
    // Two at once would both fetch it.
    let lock = kernels.join(".lock");
    let lock = File::create(&lock).with_context(|| format!("opening {}", lock.display()))?;
    flock(&lock, FlockOperation::LockExclusive).context("waiting for another xtask's fetch")?;
    let unpacked = kernels.join(package);
    if unpacked.is_dir() {
        check(&unpacked)?;
        return Ok(unpacked);
    }
    known(package)?;
    say(format_args!("fetching {package} with apt, for {}", unpacked.display()));
    let work = tempfile::Builder::new()
        .prefix(".fetch-")
        .tempdir_in(&kernels)
        .with_context(|| format!("making a folder in {}", kernels.display()))?;
    let deb = download(package, work.path())?;
    let tree = work.path().join("tree");
    shell::run(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&tree))
        .with_context(|| format!("unpacking {package}"))?;
    sum(&tree, &deb).with_context(|| format!("taking checksums of {package}"))?;
    fs::rename(&tree, &unpacked).with_context(|| format!("keeping {}", unpacked.display()))?;
    Ok(unpacked)
}

/// Fetches a package's file; apt checks it against Debian's signed lists.
fn download(package: &str, into: &Path) -> Result<PathBuf> {
    // What it says on the way is no result of ours.
    shell::capture(Command::new("apt-get").args(["-q", "download", package]).current_dir(into))
        .with_context(|| {
            format!(
                "fetching {package}. If apt's lists are old, `apt-get update` (as root) renews them"
            )
        })?;
    fs::read_dir(into)
        .with_context(|| format!("reading {}", into.display()))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .with_context(|| format!("apt-get fetched {package}, but left no file"))
}

/// # Errors
/// When apt has no such package; tells which versions of this series it has.
fn known(package: &str) -> Result<()> {
    for program in ["apt-get", "apt-cache", "dpkg-deb"] {
        if shell::find_program(program).is_none() {
            bail!(
                "{package} is a Debian package, and there is no {program} here to fetch it with: \
                 name a bzImage with its path instead"
            );
        }
    }
    let names = shell::capture(Command::new("apt-cache").args(["pkgnames", "linux-image-"]))
        .context("asking apt for its kernels")?;
    let policy = shell::capture(Command::new("apt-cache").args(["policy", package]))
        .context("asking apt for a package")?;
    if policy.lines().any(|line| {
        line.trim().strip_prefix("Candidate: ").is_some_and(|candidate| candidate != "(none)")
    }) {
        return Ok(());
    }
    let near = near(package, &names);
    let near = if near.is_empty() {
        "it has none of this series".to_owned()
    } else {
        format!("of this series it has {}", near.join(", "))
    };
    bail!(
        "apt has no {package}: {near}. Debian keeps old versions on snapshot.debian.org; unpack \
         one with `dpkg-deb -x`, and name its boot/vmlinuz-… with its path. If apt's lists are \
         old, `apt-get update` (as root) renews them"
    )
}

/// The versions in `names` whose package differs from this one in the last number only, as they
/// would be asked for.
fn near(package: &str, names: &str) -> Vec<String> {
    let version = |name: &str| {
        let name = name.strip_prefix("linux-image-")?.strip_suffix("-amd64")?;
        name.starts_with(|c: char| c.is_ascii_digit()).then(|| name.to_owned())
    };
    let Some(wanted) = version(package.trim_end_matches("-unsigned")) else { return Vec::new() };
    let series = |version: &str| version.split('.').take(2).collect::<Vec<_>>().join(".");
    let flavour = |version: &str| {
        let flavour = version.rsplit('-').next().unwrap_or_default();
        flavour.chars().all(|c| c.is_ascii_lowercase()).then(|| flavour.to_owned())
    };
    let mut near: Vec<String> = names
        .lines()
        .filter_map(version)
        .filter(|name| series(name) == series(&wanted) && flavour(name) == flavour(&wanted))
        // Meta-packages name a series, not a kernel.
        .filter(|name| name.matches('.').count() >= 2)
        .collect();
    near.sort();
    near
}

/// Writes the checksums of the kernels in `tree`, and of the package they came in.
fn sum(tree: &Path, deb: &Path) -> Result<()> {
    let mut files = vec![];
    let boot = tree.join("boot");
    if let Ok(entries) = fs::read_dir(&boot) {
        files.extend(entries.flatten().map(|entry| Path::new("boot").join(entry.file_name())));
    }
    files.sort();
    let mut text = format!("# {}", shell::capture(Command::new("sha256sum").arg(deb))?);
    // Without the folder that is about to go.
    if let Some(folder) = deb.parent() {
        text = text.replace(&format!("{}/", folder.display()), "");
    }
    if !files.is_empty() {
        let sums = shell::capture(Command::new("sha256sum").args(&files).current_dir(tree))?;
        text.push_str(&sums);
    }
    let path = tree.join(SUMS);
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
}

/// # Errors
/// When what is in the cache is not what was unpacked into it.
fn check(unpacked: &Path) -> Result<()> {
    if !unpacked.join("boot").is_dir() {
        return Ok(());
    }
    shell::capture(
        Command::new("sha256sum").args(["--check", "--quiet", SUMS]).current_dir(unpacked),
    )
    .map(drop)
    .with_context(|| {
        format!("{} is damaged: remove it, and it will be fetched anew", unpacked.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_name_packages() {
        for (spec, package) in [
            ("6.1.0-56-cloud", "linux-image-6.1.0-56-cloud-amd64"),
            ("6.1.0-56", "linux-image-6.1.0-56-amd64"),
            ("6.1.0-56-rt", "linux-image-6.1.0-56-rt-amd64"),
            ("6.12.117+deb12-cloud", "linux-image-6.12.117+deb12-cloud-amd64"),
            ("6.12.117+deb12-cloud-amd64", "linux-image-6.12.117+deb12-cloud-amd64"),
            ("linux-image-6.1.0-56-amd64-unsigned", "linux-image-6.1.0-56-amd64-unsigned"),
        ] {
            assert_eq!(image(spec).as_deref(), Some(package), "{spec}");
        }
        for no in ["", "bugs", "6", "-6.1", "6.1 .0", "6.1;x", "../6.1", "6.1/x", "linux-image-"] {
            assert_eq!(image(no), None, "{no}");
        }
    }

    #[test]
    fn the_versions_nearby_are_of_the_same_series_and_flavour() {
        let names = "linux-image-6.1.0-47-cloud-amd64\nlinux-image-6.1.0-56-cloud-amd64\n\
            linux-image-6.1.0-56-amd64\nlinux-image-6.1.0-56-cloud-amd64-unsigned\n\
            linux-image-6.12-cloud-amd64\nlinux-image-6.12.117+deb12-cloud-amd64\n\
            linux-image-amd64\nlinux-image-6.1.0-56-cloud-amd64-dbg\n";
        let cloud = near("linux-image-6.1.0-1-cloud-amd64", names);
        assert_eq!(cloud, ["6.1.0-47-cloud", "6.1.0-56-cloud"]);
        assert_eq!(near("linux-image-6.1.0-1-amd64", names), ["6.1.0-56"]);
        assert_eq!(near("linux-image-6.12.1-cloud-amd64", names), ["6.12.117+deb12-cloud"]);
        assert!(near("linux-image-5.10.0-1-amd64", names).is_empty());
    }
}
