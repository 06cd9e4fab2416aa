//! A directory as the place of a result: wholly or not at all, as [`Sink`](crate::output::Sink) does
//! it with a file.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// A directory that is filled beside its name.
#[derive(Debug)]
pub struct Directory {
    staged: TempDir,
    target: PathBuf,
    /// What it may replace.
    names: &'static [&'static str],
}

impl Directory {
    /// Prepares the place. An existing directory keeps its contents until [`Directory::commit`], and
    /// is replaced only if it holds nothing but files of these names.
    ///
    /// # Errors
    /// If it can't be made, or holds something else.
    pub fn open(name: &Path, names: &'static [&'static str]) -> io::Result<Self> {
        let target = match fs::metadata(name) {
            Ok(meta) if !meta.is_dir() => return Err(io::ErrorKind::NotADirectory.into()),
            // Through links to the directory itself.
            Ok(_) => {
                strangers(name, names)?;
                fs::canonicalize(name)?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => name.to_owned(),
            Err(error) => return Err(error),
        };
        let beside = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let staged = tempfile::Builder::new()
            .prefix(".unlazy-")
            .suffix(".tmp")
            .permissions(Permissions::from_mode(0o777))
            .tempdir_in(beside)?;
        Ok(Self { staged, target, names })
    }

    /// Where to write until then.
    pub fn path(&self) -> &Path {
        self.staged.path()
    }

    /// Puts it in its place.
    ///
    /// # Errors
    /// If that fails; what was there is then as it was.
    pub fn commit(self) -> io::Result<()> {
        let Self { staged, target, names } = self;
        for entry in fs::read_dir(staged.path())? {
            // Some file systems find out only now that there is no room.
            fs::File::open(entry?.path())?.sync_all()?;
        }
        if target.exists() {
            strangers(&target, names)?;
            // The two change places at once; what was there goes as the other is dropped.
            let (here, flags) = (rustix::fs::CWD, rustix::fs::RenameFlags::EXCHANGE);
            rustix::fs::renameat_with(here, staged.path(), here, &target, flags)?;
        } else {
            fs::rename(staged.path(), &target)?;
            // It is no longer where it would be removed.
            let _ = staged.keep();
        }
        Ok(())
    }
}

/// Refuses a directory that holds something other than these.
fn strangers(path: &Path, names: &[&str]) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let ours = entry.file_type()?.is_file() && names.iter().any(|&n| entry.file_name() == *n);
        if !ours {
            return Err(io::Error::new(
                io::ErrorKind::DirectoryNotEmpty,
                "it holds other things, which would be lost",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &["a", "b"];

    fn read(path: PathBuf) -> String {
        fs::read_to_string(path).expect("it is there")
    }

    #[test]
    fn it_comes_whole_and_takes_the_place_of_its_like() {
        let dir = tempfile::tempdir().expect("a directory");
        let target = dir.path().join("out");
        for text in ["one", "two"] {
            let place = Directory::open(&target, NAMES).expect("it opens");
            fs::write(place.path().join("a"), text).expect("written");
            place.commit().expect("in its place");
            assert_eq!(read(target.join("a")), text);
        }
        let left = Directory::open(&target, NAMES).expect("it opens");
        fs::write(left.path().join("a"), "three").expect("written");
        drop(left);
        assert_eq!(read(target.join("a")), "two");
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 1, "nothing is left");
    }

    #[test]
    fn it_replaces_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("thesis.tex"), "years").expect("written");
        let error = Directory::open(dir.path(), NAMES).expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::DirectoryNotEmpty);
        let file = dir.path().join("thesis.tex");
        assert_eq!(
            Directory::open(&file, NAMES).expect_err("").kind(),
            io::ErrorKind::NotADirectory
        );
        assert_eq!(read(file), "years");
    }
}
