//! The kernel source that is built: Debian's `linux-source-*`, fetched and unpacked, not installed.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use super::packages;
use crate::shell::{self, say};
use crate::workspace::Workspace;

/// Which of Debian's kernel sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Source {
    /// linux-source-6.12
    #[value(name = "6.12")]
    V6_12,
    /// linux-source-6.1
    #[value(name = "6.1")]
    V6_1,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V6_12 => "6.12",
            Self::V6_1 => "6.1",
        })
    }
}

/// A source archive in the cache: which one it is can be told for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Archive {
    /// Debian's package.
    pub(crate) package: String,
    /// Its version: `6.12.117-1~deb12u1`.
    pub(crate) version: String,
    /// Of the package file, as apt checked it against the signed lists.
    pub(crate) sha256: String,
    /// The name of the archive within, beside the record.
    pub(crate) tar: String,
}

impl Source {
    fn package(self) -> String {
        format!("linux-source-{self}")
    }

    /// The folder in which the archive and its record are kept.
    fn dir(self, workspace: &Workspace) -> PathBuf {
        workspace.root.join(".cache/sources").join(self.package())
    }

    /// The archive of this source: what the cache has, else what apt has now.
    ///
    /// Kept until somebody removes it: a build must not change because a mirror did.
    ///
    /// # Errors
    /// When it is not there and cannot be fetched.
    pub(crate) fn archive(self, workspace: &Workspace) -> Result<Archive> {
        let dir = self.dir(workspace);
        let record = dir.join("archive.json");
        if let Ok(json) = fs::read_to_string(&record) {
            let archive: Archive = serde_json::from_str(&json).with_context(|| {
                format!("reading {}; remove {}", record.display(), dir.display())
            })?;
            if dir.join(&archive.tar).is_file() {
                return Ok(archive);
            }
        }
        self.fetch(&dir, &record)
    }

    fn fetch(self, dir: &Path, record: &Path) -> Result<Archive> {
        let package = self.package();
        fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        let deb = packages::download(&package, dir)?;
        say(format_args!("unpacking {}", deb.path.display()));
        let unpacked = dir.join("package");
        shell::run(Command::new("dpkg-deb").arg("-x").arg(&deb.path).arg(&unpacked))
            .with_context(|| format!("unpacking {}", deb.path.display()))?;
        let tar = format!("{package}.tar.xz");
        let inside = unpacked.join("usr/src").join(&tar);
        fs::rename(&inside, dir.join(&tar))
            .with_context(|| format!("{} has no {}", deb.path.display(), inside.display()))?;
        // What is left is only in the way; if it stays, nothing breaks.
        let _ = fs::remove_dir_all(&unpacked);
        let _ = fs::remove_file(&deb.path);
        let archive = Archive { package, version: deb.version, sha256: deb.sha256, tar };
        let json = serde_json::to_string_pretty(&archive).context("writing the record")?;
        fs::write(record, json).with_context(|| format!("writing {}", record.display()))?;
        Ok(archive)
    }

    /// Unpacks the archive afresh into `tree`, which must not exist.
    ///
    /// # Errors
    /// When tar fails, or the archive holds something else than one folder.
    pub(crate) fn unpack(
        self,
        workspace: &Workspace,
        archive: &Archive,
        tree: &Path,
    ) -> Result<()> {
        let tar = self.dir(workspace).join(&archive.tar);
        say(format_args!("unpacking {} into {}", tar.display(), tree.display()));
        // Unpacked beside it and renamed: a tree that is there is complete.
        let partial = tree.with_extension("partial");
        if partial.exists() {
            fs::remove_dir_all(&partial)
                .with_context(|| format!("emptying {}", partial.display()))?;
        }
        fs::create_dir_all(&partial).with_context(|| format!("making {}", partial.display()))?;
        let mut command = Command::new("tar");
        command.arg("-xf").arg(&tar).arg("-C").arg(&partial).arg("--strip-components=1");
        // Two thirds of a gigabyte that an x86 build never reads.
        for unread in ["Documentation/*/*", "arch/*/boot/dts", "drivers/gpu/drm/amd/include"] {
            command.arg(format!("--exclude={}/{unread}", archive.package));
        }
        shell::run(&mut command).with_context(|| format!("unpacking {}", tar.display()))?;
        if !partial.join("Kbuild").is_file() {
            bail!("{} holds no kernel source at its top", tar.display());
        }
        fs::rename(&partial, tree).with_context(|| format!("naming {}", tree.display()))
    }
}
