//! One tracing instance at a time.
//!
//! Two tracers at once would each count the other's work and double the cost for the traced
//! machine. An advisory lock (`flock`) on one file keeps them apart. The lock belongs to the open
//! file, so it ends with its process however that ends; a file left behind means nothing.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

/// Where the lock is.
pub const LOCK_PATH: &str = "/run/unlazy.lock";

/// Why this instance must not trace.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// Another one is at it.
    #[error(
        "another unlazy is tracing ({}): wait for it to end, or stop it with Ctrl-C or SIGTERM",
        .pid.map_or_else(|| "its pid is not known".to_owned(), |pid| format!("pid {pid}"))
    )]
    Taken {
        /// Its pid as it knows it itself; another pid namespace gives the number another meaning.
        pid: Option<u32>,
    },
    /// The lock file cannot be used.
    #[error("cannot {what} the lock file {}: {source}; run as root, and check that the directory exists and is writable", .path.display())]
    File {
        /// What was being done.
        what: &'static str,
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The right to trace. Dropping it gives the right back.
#[derive(Debug)]
pub struct Instance {
    file: File,
}

impl Instance {
    /// Takes the right to trace, without waiting.
    ///
    /// # Errors
    /// [`InstanceError::Taken`] if another instance has it; [`InstanceError::File`] if
    /// [`LOCK_PATH`] cannot be opened, locked or written.
    pub fn acquire() -> Result<Self, InstanceError> {
        Self::acquire_at(Path::new(LOCK_PATH))
    }

    /// The same with another lock file.
    ///
    /// # Errors
    /// As [`Instance::acquire`].
    pub fn acquire_at(path: &Path) -> Result<Self, InstanceError> {
        let failed =
            |what| move |source| InstanceError::File { what, path: path.to_owned(), source };
        // No truncation before the lock is ours: the pid in there may be another's.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(path)
            .map_err(failed("open"))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(InstanceError::Taken { pid: read_pid(&mut file) });
            }
            Err(errno) => return Err(failed("lock")(errno.into())),
        }
        file.set_len(0).map_err(failed("write"))?;
        writeln!(file, "{}", std::process::id()).map_err(failed("write"))?;
        Ok(Self { file })
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // A forked child may hold the same open file for a moment: unlock, don't just close. The
        // file stays: removing it would race with one who has it open and waits for nothing.
        let _ = self.file.set_len(0);
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_second_is_told_who_the_first_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("lock");
        let first = Instance::acquire_at(&path).expect("nobody else");
        let err = Instance::acquire_at(&path).expect_err("the first still has it");
        assert!(matches!(err, InstanceError::Taken { pid } if pid == Some(std::process::id())));
        assert!(err.to_string().contains(&format!("pid {}", std::process::id())));
        drop(first);
        Instance::acquire_at(&path).expect("the first is gone");
    }

    #[test]
    fn a_stale_file_is_harmless_and_readable_by_its_owner_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("lock");
        std::fs::write(&path, "4294967295 and more\n").expect("written");
        let held = Instance::acquire_at(&path).expect("nobody holds it");
        let text = std::fs::read_to_string(&path).expect("readable");
        assert_eq!(text, format!("{}\n", std::process::id()));
        drop(held);

        let fresh = dir.path().join("fresh");
        let _held = Instance::acquire_at(&fresh).expect("nobody holds it");
        let mode = std::fs::metadata(&fresh).expect("it exists").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_link_is_not_followed_and_a_missing_directory_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let victim = dir.path().join("victim");
        std::fs::write(&victim, "precious").expect("written");
        let link = dir.path().join("lock");
        std::os::unix::fs::symlink(&victim, &link).expect("linked");
        assert!(matches!(Instance::acquire_at(&link), Err(InstanceError::File { .. })));
        assert_eq!(std::fs::read_to_string(&victim).expect("readable"), "precious");

        let nowhere = dir.path().join("no/such/lock");
        let err = Instance::acquire_at(&nowhere).expect_err("no directory");
        assert!(err.to_string().contains("no/such/lock"), "{err}");
    }
}
