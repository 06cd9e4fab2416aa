//! Named pipes, by which a tracer tells that it is attached and learns when to stop.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::{env, process};

use anyhow::{Context as _, Result};
use rustix::fs::{CWD, Mode, OFlags, mkfifoat};

/// A folder for a session's pipes and files; gone with it.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Result<Self> {
        let path = env::temp_dir().join(format!("unlazy-bench-{}", process::id()));
        fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        // `unlazy check` runs its command as the invoking user, who must get in.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("opening up {}", path.display()))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nothing depends on it; the system cleans its temporary files by itself.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One named pipe, open at both ends, so that nobody waits for the other to open it.
pub(super) struct Fifo {
    path: PathBuf,
    file: File,
    read: Vec<u8>,
}

impl Fifo {
    pub(super) fn new(folder: &Folder, name: &str) -> Result<Self> {
        let path = folder.path().join(name);
        let making = || format!("making the pipe {}", path.display());
        mkfifoat(CWD, &path, Mode::from_raw_mode(0o666)).with_context(making)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).with_context(making)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NONBLOCK.bits() as i32)
            .open(&path)
            .with_context(making)?;
        Ok(Self { path, file, read: Vec::new() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a whole line has come by now.
    pub(super) fn has_line(&mut self) -> Result<bool> {
        let mut buffer = [0; 256];
        loop {
            match self.file.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => self.read.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("reading from {}", self.path.display()));
                }
            }
        }
        Ok(self.read.contains(&b'\n'))
    }

    pub(super) fn send(&mut self, line: &str) -> Result<()> {
        self.file
            .write_all(format!("{line}\n").as_bytes())
            .with_context(|| format!("writing to {}", self.path.display()))
    }
}
