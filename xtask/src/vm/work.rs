//! The folder that a machine works in.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::workspace::Workspace;

const RUNNING: &str = "run-";
const KEPT: &str = "kept-";

/// A folder of its own for each machine, gone with it unless kept.
pub(super) struct Work {
    dir: TempDir,
}

impl Work {
    /// Makes one; clears away those of xtasks that were killed.
    pub(super) fn new(workspace: &Workspace) -> Result<Self> {
        let root = workspace.target.join("vm");
        fs::create_dir_all(&root).with_context(|| format!("making {}", root.display()))?;
        sweep(&root);
        let dir = tempfile::Builder::new()
            .prefix(&format!("{RUNNING}{}-", std::process::id()))
            .tempdir_in(&root)
            .with_context(|| format!("making a folder in {}", root.display()))?;
        Ok(Self { dir })
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Lets it stay; where it is from now on.
    pub(super) fn keep(self) -> Result<PathBuf> {
        let path = self.dir.keep();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let kept = path.with_file_name(name.replacen(RUNNING, KEPT, 1));
        fs::rename(&path, &kept).with_context(|| format!("keeping {}", kept.display()))?;
        Ok(kept)
    }
}

/// Removes the folders of processes that are no more.
fn sweep(root: &Path) {
    let Ok(entries) = fs::read_dir(root) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(RUNNING).and_then(|rest| rest.split('-').next());
        let Some(owner) = owner.and_then(|pid| pid.parse::<u32>().ok()) else { continue };
        if !Path::new("/proc").join(owner.to_string()).exists() {
            // Another xtask may be at it as well.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_uses_is_swept() {
        let root = tempfile::tempdir().unwrap();
        let mine = format!("{RUNNING}{}-x", std::process::id());
        // Beyond the largest pid there can be.
        let dead = format!("{RUNNING}4194305-x");
        for name in [mine.as_str(), &dead, "kept-4194305-x", "other"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        sweep(root.path());
        assert!(!root.path().join(&dead).exists());
        for name in [mine.as_str(), "kept-4194305-x", "other"] {
            assert!(root.path().join(name).exists(), "{name}");
        }
    }
}
