//! A file that has no name until it is whole.
//!
//! Whoever is killed while it is written leaves nothing behind: the kernel drops a file without a
//! name (`O_TMPFILE`, `fs/namei.c:vfs_tmpfile`) as its last descriptor closes. A file system that has
//! no such files gets a hidden one beside the target.

use std::{
    fs::{self, File},
    io,
    os::{fd::AsRawFd as _, unix::fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags},
    io::Errno,
};
use tempfile::NamedTempFile;

const PREFIX: &str = ".unlazy-";
const SUFFIX: &str = ".tmp";
/// What a new file may be before the umask.
const MODE: u32 = 0o666;

/// A file that is not there yet.
#[derive(Debug)]
pub(super) enum Staged {
    Nameless(File),
    Hidden(NamedTempFile),
}

impl Staged {
    /// A new file in the file system of `dir`.
    ///
    /// # Errors
    /// If `dir` can't be written.
    pub(super) fn new(dir: &Path) -> io::Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        match rustix::fs::openat(CWD, dir, flags, Mode::from_raw_mode(MODE)) {
            Ok(file) => Ok(Self::Nameless(file.into())),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Self::hidden(dir),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn hidden(dir: &Path) -> io::Result<Self> {
        let permissions = fs::Permissions::from_mode(MODE);
        let file = builder().permissions(permissions).tempfile_in(dir)?;
        Ok(Self::Hidden(file))
    }

    /// To write into.
    pub(super) fn file(&self) -> &File {
        match self {
            Self::Nameless(file) => file,
            Self::Hidden(file) => file.as_file(),
        }
    }

    /// Gives it its name; what had that name is gone then.
    ///
    /// # Errors
    /// If it can't be named; then what had that name stays.
    pub(super) fn publish(self, target: &Path) -> io::Result<()> {
        match self {
            Self::Hidden(file) => file.persist(target).map(drop).map_err(|error| error.error),
            Self::Nameless(file) => match link(&file, target) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    replace(&file, target)
                }
                result => result,
            },
        }
    }
}

fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    builder
}

/// Names a nameless file; `open(2)` has this way for those without `CAP_DAC_READ_SEARCH`.
fn link(file: &File, name: &Path) -> io::Result<()> {
    let from = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    Ok(rustix::fs::linkat(CWD, from, CWD, name, AtFlags::SYMLINK_FOLLOW)?)
}

/// A link can't replace a file, but a file with another name can.
fn replace(file: &File, target: &Path) -> io::Result<()> {
    let dir = target.parent().filter(|dir| !dir.as_os_str().is_empty());
    let named = builder().make_in(dir.unwrap_or(Path::new(".")), |name| link(file, name))?;
    named.persist(target).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::tests::entries;
    use super::*;

    /// Both kinds: nothing is there before, all of it afterwards, whatever had the name.
    #[test]
    fn it_is_there_as_a_whole_or_not_at_all() {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["new", "hidden"] {
            let target = dir.path().join(name);
            for text in ["the first\n", "the second\n"] {
                let before = entries(dir.path());
                let staged = match name {
                    "new" => Staged::new(dir.path()),
                    _ => Staged::hidden(dir.path()),
                };
                let staged = staged.expect("a file");
                staged.file().write_all(text.as_bytes()).expect("written");
                if matches!(staged, Staged::Nameless(_)) {
                    assert_eq!(entries(dir.path()), before, "a kill now leaves nothing");
                }
                staged.publish(&target).expect("named");
                assert_eq!(fs::read_to_string(&target).expect("there"), text);
            }
        }
        assert_eq!(entries(dir.path()), ["hidden", "new"]);
    }

    #[test]
    fn what_cannot_be_named_leaves_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let target = dir.path().join("in the way");
        fs::create_dir(&target).expect("made");
        for staged in [Staged::new(dir.path()), Staged::hidden(dir.path())] {
            assert!(staged.expect("a file").publish(&target).is_err());
        }
        assert_eq!(entries(dir.path()), ["in the way"]);
        let gone = dir.path().join("gone");
        assert_eq!(
            Staged::new(&gone).err().map(|error| error.kind()),
            Some(io::ErrorKind::NotFound)
        );
    }
}
