//! Where results go: standard output or a named file.
//!
//! A [`Sink`] is opened before the run, so that a name that cannot be written is known while
//! nothing is lost yet; and it is filled at the end, wholly or not at all. A regular file
//! gets its name when it is whole. What is no regular file (a terminal, a pipe,
//! `/dev/null`, `/dev/stdout`) is written directly.

mod deliver;
mod error;
mod staged;

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::fd::AsFd,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

pub use deliver::{Places, TextTo, deliver};
pub use error::OutputError;

use self::staged::Staged;

/// A place as the user named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `-`
    Stdout,
    /// A file name.
    File(PathBuf),
}

impl From<&OsStr> for Target {
    fn from(name: &OsStr) -> Self {
        if name == "-" { Self::Stdout } else { Self::File(name.into()) }
    }
}

impl From<&Path> for Target {
    fn from(name: &Path) -> Self {
        name.as_os_str().into()
    }
}

/// How the writing went, if it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// All of it is there.
    All,
    /// The reader went away (`| head`): no error, but nobody has all of it.
    ReaderGone,
}

/// A place that is ready to be written.
#[derive(Debug)]
pub struct Sink {
    name: PathBuf,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Stdout,
    Stderr,
    /// Written where it is. `regular`: emptied first, and again if writing fails.
    Direct {
        file: File,
        regular: bool,
    },
    /// Written without a name, then named `target`.
    Staged {
        file: Staged,
        target: PathBuf,
    },
}

impl Sink {
    /// Opens `target` and makes sure that it can be written. An existing file keeps its contents
    /// until [`Sink::write`] has succeeded.
    ///
    /// # Errors
    /// [`OutputError::Open`] if it cannot be written, with what to do.
    pub fn open(target: &Target) -> Result<Self, OutputError> {
        let Target::File(name) = target else {
            return Ok(Self { name: PathBuf::from("standard output"), way: Way::Stdout });
        };
        let way = open(name).map_err(|source| OutputError::open(name, source))?;
        Ok(Self { name: name.clone(), way })
    }

    /// Whether it ends on standard output, under whatever name.
    pub fn is_stdout(&self) -> bool {
        matches!(self.way, Way::Stdout)
    }

    /// Fills the place with what `fill` writes.
    ///
    /// # Errors
    /// [`OutputError::Write`] if not all of it could be written; a named regular file is then as
    /// it was before, and nothing half-written is left.
    pub fn write(
        self,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<Written, OutputError> {
        let Self { name, way } = self;
        match write(way, fill) {
            Ok(()) => Ok(Written::All),
            Err(err) if err.kind() == io::ErrorKind::BrokenPipe => Ok(Written::ReaderGone),
            Err(source) => Err(OutputError::write(&name, source)),
        }
    }
}

fn open(name: &Path) -> io::Result<Way> {
    match fs::metadata(name) {
        Ok(meta) if meta.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(meta) if meta.is_file() => open_regular(name, &meta),
        // Opening a pipe that nobody reads yet waits for its reader, as a shell's `>` does.
        Ok(_) => direct(name, false),
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            // A link to nowhere: creating its target is what `>` does.
            if fs::symlink_metadata(name).is_ok() {
                let file =
                    OpenOptions::new().write(true).create(true).truncate(false).open(name)?;
                return Ok(Way::Direct { file, regular: true });
            }
            stage(name, None)
        }
        Err(err) => Err(err),
    }
}

fn open_regular(name: &Path, meta: &fs::Metadata) -> io::Result<Way> {
    // `/dev/stdout` with `>file`: renaming would part the two; the descriptor is the right way.
    let same =
        |fd: &File| fd.metadata().is_ok_and(|m| (m.dev(), m.ino()) == (meta.dev(), meta.ino()));
    if own(io::stdout()).is_some_and(|fd| same(&fd)) {
        return Ok(Way::Stdout);
    }
    if own(io::stderr()).is_some_and(|fd| same(&fd)) {
        return Ok(Way::Stderr);
    }
    // Whoever must not write the file must not replace it either.
    OpenOptions::new().append(true).open(name)?;
    // Through links to the file itself: the link stays a link.
    let target = fs::canonicalize(name)?;
    match stage(&target, Some(meta)) {
        Err(err) if err.kind() == io::ErrorKind::PermissionDenied => direct(name, true),
        way => way,
    }
}

fn own(fd: impl AsFd) -> Option<File> {
    fd.as_fd().try_clone_to_owned().ok().map(File::from)
}

fn direct(name: &Path, regular: bool) -> io::Result<Way> {
    let file = OpenOptions::new().write(true).open(name)?;
    Ok(Way::Direct { file, regular })
}

/// A file that will be `target`, with the owner and mode of what it will replace.
fn stage(target: &Path, old: Option<&fs::Metadata>) -> io::Result<Way> {
    let dir = match target.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let file = Staged::new(dir)?;
    if let Some(meta) = old {
        // Only root can give files away; anyone else owns the old file, or shares it by its group.
        let _ = std::os::unix::fs::fchown(file.file(), Some(meta.uid()), Some(meta.gid()));
        file.file().set_permissions(fs::Permissions::from_mode(meta.mode() & 0o7777))?;
    }
    Ok(Way::Staged { file, target: target.to_owned() })
}

fn write(way: Way, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    match way {
        Way::Stdout => standard(io::stdout().lock(), fill),
        Way::Stderr => standard(io::stderr().lock(), fill),
        Way::Direct { file, regular } => {
            if regular {
                file.set_len(0)?;
            }
            let result = buffered(&file, fill);
            if regular && result.is_err() {
                let _ = file.set_len(0);
            }
            result
        }
        Way::Staged { file, target } => {
            // On any error it is gone as it is dropped.
            buffered(file.file(), fill)?;
            // Some file systems find out only now that there is no room.
            file.file().sync_all()?;
            file.publish(&target)
        }
    }
}

/// Past std's own buffer, which would keep what could not be written and try again at exit.
fn standard(
    mut stream: impl Write + AsFd,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    stream.flush()?;
    buffered(File::from(stream.as_fd().try_clone_to_owned()?), fill)
}

fn buffered(to: impl Write, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut to = io::BufWriter::new(to);
    let result = fill(&mut to).and_then(|()| to.flush());
    // What could not be written must not be tried again as the buffer is dropped.
    let _ = to.into_parts();
    result
}

#[cfg(test)]
mod tests;
