//! Bringing back what the command left in `/out`.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use unlazy_guest::frame::Kind;
use unlazy_guest::job::{FileHead, OUT_DIR};

use crate::channel::Channel;

/// Sends every file and folder below `/out`; of what is neither, a note.
///
/// # Errors
/// When something there cannot be read: the host must not take a part for the whole.
pub(crate) fn all(channel: &Channel) -> Result<()> {
    let root = Path::new(OUT_DIR);
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let reading = || format!("reading the folder {}", folder.display());
        let entries = fs::read_dir(&folder).with_context(reading)?;
        let mut paths: Vec<PathBuf> = Vec::new();
        for entry in entries {
            paths.push(entry.with_context(reading)?.path());
        }
        paths.sort();
        for path in paths {
            if send(channel, root, &path).with_context(|| format!("bringing {}", path.display()))? {
                folders.push(path);
            }
        }
    }
    Ok(())
}

/// Sends one; whether it is a folder.
fn send(channel: &Channel, root: &Path, path: &Path) -> Result<bool> {
    let meta = fs::symlink_metadata(path)?;
    let name = path.strip_prefix(root)?.to_str().context("its name is no UTF-8")?.to_owned();
    let mode = meta.permissions().mode() & 0o777;
    if meta.is_dir() {
        channel.send_json(Kind::FileHead, &FileHead { path: name, mode, size: None })?;
        return Ok(true);
    }
    if !meta.is_file() {
        let note = format!("{} is no file and stays behind", path.display());
        channel.send(Kind::Note, note.as_bytes());
        return Ok(false);
    }
    let size = meta.len();
    channel.send_json(Kind::FileHead, &FileHead { path: name, mode, size: Some(size) })?;
    // Nobody writes to it any more, but what was promised is what is sent.
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 256 << 10];
    let mut left = size;
    while left > 0 {
        let want = left.min(buffer.len() as u64) as usize;
        let part = buffer.get_mut(..want).unwrap_or_default();
        file.read_exact(part)?;
        channel.send(Kind::FileData, part);
        left -= want as u64;
    }
    Ok(false)
}
