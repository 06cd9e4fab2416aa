//! One file: what can't be written yet waits.

use std::{
    cell::RefCell,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

use super::Shared;

/// How many bytes may wait for the file while nothing can be written.
const WAITING: usize = 8 << 20;

/// How long the last bytes are tried.
const LAST_TRIES: Duration = Duration::from_secs(2);

/// Why a recording can't be made, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The file can't be created.
    #[error("can't create {path}: {source}; choose another place with -o")]
    Create {
        /// The file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// The file can't be written.
    #[error(
        "can't write {path}: {source}; make room, or choose another place with -o; what was written \
         before is readable"
    )]
    Write {
        /// The file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// There is no memory for what is to be kept.
    #[error("can't keep more in memory: {0}; give less to --memory")]
    Memory(io::Error),
    /// The thread that writes could not be started.
    #[error("can't start a thread: {0}")]
    Thread(io::Error),
}

/// A file that is being written.
pub(super) struct Disk {
    path: PathBuf,
    file: File,
    written: u64,
    shared: Arc<Shared>,
}

impl Disk {
    /// Creates a file. One that is there already is kept under its name with `.old` appended.
    pub(super) fn create(path: &Path, shared: &Arc<Shared>) -> Result<Self, DiskError> {
        let failed = |source| DiskError::Create { path: path.display().to_string(), source };
        // What is no regular file (/dev/null, a pipe) is written as it is.
        if fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file()) {
            let mut old = path.as_os_str().to_owned();
            old.push(".old");
            fs::rename(path, old).map_err(failed)?;
        }
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(path);
        let file = file.map_err(failed)?;
        Ok(Self { path: path.to_owned(), file, written: 0, shared: Arc::clone(shared) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) const fn written(&self) -> u64 {
        self.written
    }

    fn failed(&self, source: io::Error) -> DiskError {
        DiskError::Write { path: self.path.display().to_string(), source }
    }

    /// Writes as much of this as the file takes now.
    pub(super) fn drain(&mut self, staged: &Staged) -> io::Result<()> {
        let mut bytes = staged.0.borrow_mut();
        let mut done = 0;
        let result = loop {
            match self.file.write(&bytes[done..]) {
                Ok(0) if done == bytes.len() => break Ok(()),
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        bytes.drain(..done);
        self.written += done as u64;
        self.shared.bytes.fetch_add(done as u64, Ordering::Relaxed);
        self.shared.set_trouble(result.as_ref().err().map(ToString::to_string));
        result
    }

    /// Tries again if something waits. Whether more can be taken.
    pub(super) fn ready(&mut self, staged: &Staged) -> bool {
        staged.0.borrow().is_empty()
            || self.drain(staged).is_ok()
            || staged.0.borrow().len() < WAITING
    }

    /// Writes all of it, or gives up after a while.
    pub(super) fn finish(&mut self, staged: &Staged) -> Result<(), DiskError> {
        let begun = Instant::now();
        while let Err(error) = self.drain(staged) {
            if begun.elapsed() > LAST_TRIES {
                return Err(self.failed(error));
            }
            sleep(Duration::from_millis(100));
        }
        // Some file systems find out only now that there is no room. What can't be synced (a pipe)
        // need not be.
        match self.file.sync_data() {
            Err(error) if error.kind() != io::ErrorKind::InvalidInput => Err(self.failed(error)),
            _ => Ok(()),
        }
    }
}

/// Bytes on their way to a [`Disk`]: whoever writes them never fails.
#[derive(Clone, Debug, Default)]
pub(super) struct Staged(Rc<RefCell<Vec<u8>>>);

impl Write for Staged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
