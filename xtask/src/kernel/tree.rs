//! A source tree in the cache, kept between builds so that a small change is a small build.
//!
//! What the tree holds is decided by the plan alone: each file that was ever edited has its fresh
//! text kept beside the tree, edits are made to that text, and a file is written only when it
//! changes, so that `make` sees just what changed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::edit;
use super::plan::Plan;
use super::source::{Archive, Source};
use super::variant::Variant;
use crate::workspace::Workspace;

/// An unpacked source.
pub(crate) struct Tree {
    /// Its top.
    pub(crate) dir: PathBuf,
    /// The fresh text of every file that was ever edited, under the same names.
    fresh: PathBuf,
    /// Says which archive this is of.
    record: PathBuf,
}

impl Tree {
    /// Where the tree of a kernel is, or will be: each variant has one of its own, so that building
    /// one does not have the other built again.
    pub(crate) fn of(workspace: &Workspace, variant: Variant) -> Self {
        let base = workspace.root.join(".cache/kernels/trees");
        Self {
            dir: base.join(variant.to_string()),
            fresh: base.join(format!("{variant}.fresh")),
            record: base.join(format!("{variant}.json")),
        }
    }

    /// Makes the tree what `plan` says, unpacking it first where it is missing, of another
    /// archive, or to be made anew.
    ///
    /// # Errors
    /// When it cannot be unpacked or written, or an anchor does not fit; then nothing was edited.
    pub(crate) fn prepare(
        &self,
        workspace: &Workspace,
        source: Source,
        archive: &Archive,
        plan: &Plan,
        anew: bool,
    ) -> Result<()> {
        let record = serde_json::to_string(archive).context("writing a record")?;
        if anew
            || !self.dir.is_dir()
            || fs::read_to_string(&self.record).ok() != Some(record.clone())
        {
            self.remove()?;
            source.unpack(workspace, archive, &self.dir)?;
            write(&self.record, &record)?;
        }
        self.apply(plan)
    }

    fn remove(&self) -> Result<()> {
        for dir in [&self.dir, &self.fresh] {
            if dir.exists() {
                fs::remove_dir_all(dir).with_context(|| format!("removing {}", dir.display()))?;
            }
        }
        if self.record.exists() {
            fs::remove_file(&self.record)
                .with_context(|| format!("removing {}", self.record.display()))?;
        }
        Ok(())
    }

    /// Applies the plan: all texts are made before the first file is written.
    fn apply(&self, plan: &Plan) -> Result<()> {
        let mut texts: Vec<(PathBuf, String)> = Vec::new();
        for (file, edits) in &plan.edits {
            let text = edit::apply(&self.fresh_text(file)?, edits)?;
            texts.push((self.dir.join(file), text));
        }
        // What an older plan edited and this one doesn't is as it came.
        for file in self.once_edited()? {
            if !plan.edits.keys().any(|edited| Path::new(edited) == file) {
                let fresh = self.fresh.join(&file);
                let text = read(&fresh)?;
                texts.push((self.dir.join(&file), text));
            }
        }
        for (file, text) in &plan.files {
            texts.push((self.dir.join(file), text.clone()));
        }
        for (path, text) in texts {
            if fs::read_to_string(&path).ok().as_ref() != Some(&text) {
                write(&path, &text)?;
            }
        }
        Ok(())
    }

    /// A file's text as the archive has it; kept from the first time on.
    fn fresh_text(&self, file: &str) -> Result<String> {
        let kept = self.fresh.join(file);
        if kept.is_file() {
            return read(&kept);
        }
        let path = self.dir.join(file);
        if !path.is_file() {
            bail!("{file}: this source has no such file, which an edit is for");
        }
        let text = read(&path)?;
        write(&kept, &text)?;
        Ok(text)
    }

    /// The files whose fresh text is kept, relative to the top.
    fn once_edited(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        let mut dirs = vec![self.fresh.clone()];
        while let Some(dir) = dirs.pop() {
            if !dir.is_dir() {
                continue;
            }
            for entry in fs::read_dir(&dir).with_context(|| format!("reading {}", dir.display()))? {
                let path = entry.with_context(|| format!("reading {}", dir.display()))?.path();
                if path.is_dir() {
                    dirs.push(path);
                } else if let Ok(file) = path.strip_prefix(&self.fresh) {
                    files.push(file.to_path_buf());
                }
            }
        }
        Ok(files)
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// Writes beside and renames: whoever is interrupted leaves the old text, or the new one.
fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    fs::write(&new, text).with_context(|| format!("writing {}", new.display()))?;
    fs::rename(&new, path).with_context(|| format!("naming {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::SystemTime;

    use super::*;
    use crate::kernel::edit::{Change, Edit};

    const EDIT: Edit = Edit {
        file: "mm/f.c",
        anchor: "g();",
        change: Change::Before("if (unlazy_bug(X))\n\treturn;"),
    };

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("unlazy-{name}-{}", std::process::id()));
            fs::create_dir_all(dir.join("tree/mm")).unwrap();
            fs::write(dir.join("tree/mm/f.c"), "void f(void)\n{\n\tg();\n}\n").unwrap();
            Self(dir)
        }

        fn tree(&self) -> Tree {
            Tree {
                dir: self.0.join("tree"),
                fresh: self.0.join("tree.fresh"),
                record: self.0.join("tree.json"),
            }
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn plan(edits: &[Edit]) -> Plan {
        let mut by_file: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for edit in edits {
            by_file.entry(edit.file).or_default().push(*edit);
        }
        Plan {
            edits: by_file,
            files: vec![("mm/ours.c", "int ours;\n".to_owned())],
            name: "x".to_owned(),
        }
    }

    fn written(path: &Path) -> SystemTime {
        fs::metadata(path).unwrap().modified().unwrap()
    }

    #[test]
    fn a_second_application_changes_nothing() {
        let scratch = Scratch::new("again");
        let tree = scratch.tree();
        tree.apply(&plan(&[EDIT])).unwrap();
        let path = tree.dir.join("mm/f.c");
        let (text, time) = (read(&path).unwrap(), written(&path));
        assert_eq!(text.matches("unlazy_bug").count(), 1);
        tree.apply(&plan(&[EDIT])).unwrap();
        assert_eq!(read(&path).unwrap(), text);
        assert_eq!(written(&path), time, "make would build it again");
    }

    #[test]
    fn what_is_no_longer_edited_is_as_it_came() {
        let scratch = Scratch::new("back");
        let tree = scratch.tree();
        let path = tree.dir.join("mm/f.c");
        let fresh = read(&path).unwrap();
        tree.apply(&plan(&[EDIT])).unwrap();
        assert_ne!(read(&path).unwrap(), fresh);
        tree.apply(&plan(&[])).unwrap();
        assert_eq!(read(&path).unwrap(), fresh);
        assert_eq!(read(&tree.dir.join("mm/ours.c")).unwrap(), "int ours;\n");
    }

    #[test]
    fn an_anchor_that_does_not_fit_leaves_every_file_alone() {
        let scratch = Scratch::new("unfit");
        let tree = scratch.tree();
        let path = tree.dir.join("mm/f.c");
        let fresh = read(&path).unwrap();
        let wrong = Edit { anchor: "h();", ..EDIT };
        let error = format!("{:#}", tree.apply(&plan(&[EDIT, wrong])).unwrap_err());
        assert!(error.contains("mm/f.c") && error.contains("h();"), "{error}");
        assert_eq!(read(&path).unwrap(), fresh);
        assert!(!tree.dir.join("mm/ours.c").exists());
        let error = tree.apply(&plan(&[Edit { file: "mm/none.c", ..EDIT }])).unwrap_err();
        assert!(error.to_string().contains("mm/none.c"), "{error:#}");
    }
}
