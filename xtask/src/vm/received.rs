//! What has come from a guest so far.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::de::DeserializeOwned;
use unlazy_guest::frame::{Frame, Kind};
use unlazy_guest::job::{Ended, FileHead, Hello, Started};

use crate::shell::say;

/// Everything that a guest sent.
pub(super) struct Received {
    pub(super) out: PathBuf,
    pub(super) echo: bool,
    pub(super) hello: Option<Hello>,
    /// When the command started, by our clock and by the guest's.
    pub(super) started: Option<(Instant, Duration)>,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) ended: Option<Ended>,
    pub(super) trouble: Option<String>,
    /// How many files and folders came back.
    pub(super) files: usize,
    pub(super) file: Option<Incoming>,
}

/// A file that is still coming.
pub(super) struct Incoming {
    path: PathBuf,
    to: File,
    left: u64,
}

impl Received {
    pub(super) fn new(out: &Path, echo: bool) -> Self {
        Self {
            out: out.to_path_buf(),
            echo,
            hello: None,
            started: None,
            stdout: Vec::new(),
            stderr: Vec::new(),
            ended: None,
            trouble: None,
            files: 0,
            file: None,
        }
    }

    /// Whether nothing more is to come.
    pub(super) fn is_over(&self) -> bool {
        self.ended.is_some() || self.trouble.is_some()
    }

    /// Takes a frame.
    ///
    /// # Errors
    /// When it makes no sense, or its file cannot be written.
    pub(super) fn take(&mut self, frame: Frame) -> Result<()> {
        let Frame { kind, payload } = frame;
        match kind {
            Kind::Hello => self.hello = Some(json(&payload)?),
            Kind::Started => {
                let Started { uptime_ms } = json(&payload)?;
                self.started = Some((Instant::now(), Duration::from_millis(uptime_ms)));
            }
            Kind::Stdout => {
                if self.echo {
                    show(io::stdout(), &payload)?;
                }
                self.stdout.extend(payload);
            }
            Kind::Stderr => {
                if self.echo {
                    show(io::stderr(), &payload)?;
                }
                self.stderr.extend(payload);
            }
            Kind::FileHead => self.begin_file(&json(&payload)?)?,
            Kind::FileData => self.add_to_file(&payload)?,
            Kind::Note => say(format_args!("guest: {}", String::from_utf8_lossy(&payload))),
            Kind::Trouble => self.trouble = Some(String::from_utf8_lossy(&payload).into_owned()),
            Kind::Ended => {
                if let Some(file) = &self.file {
                    bail!("the guest ended with {} half sent", file.path.display());
                }
                let ended: Ended = json(&payload)?;
                self.compare_clocks(Duration::from_millis(ended.uptime_ms));
                self.ended = Some(ended);
            }
        }
        Ok(())
    }

    /// Says so if the guest's clock is not to be trusted: times in its results would be wrong.
    fn compare_clocks(&self, guest: Duration) {
        let Some((here, there)) = self.started else { return };
        let (here, there) = (here.elapsed(), guest.saturating_sub(there));
        if clocks_differ(here, there) {
            say(format_args!(
                "the guest's clock is off: it counted {:.1} s while {:.1} s passed here",
                there.as_secs_f64(),
                here.as_secs_f64()
            ));
        }
    }

    fn begin_file(&mut self, head: &FileHead) -> Result<()> {
        if let Some(file) = &self.file {
            bail!("the guest began another file with {} half sent", file.path.display());
        }
        let relative = Path::new(&head.path);
        let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
        if !plain || head.path.is_empty() {
            bail!("the guest sent a file named `{}`", head.path);
        }
        let path = self.out.join(relative);
        let writing = || format!("writing the guest's {}", path.display());
        self.files += 1;
        let Some(size) = head.size else {
            return fs::create_dir_all(&path).with_context(writing);
        };
        fs::create_dir_all(path.parent().unwrap_or(&self.out)).with_context(writing)?;
        // What a run before left is replaced, not written into: it may be a link, or read-only.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(writing);
            }
            _ => {}
        }
        let to = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .with_context(writing)?;
        to.set_permissions(fs::Permissions::from_mode(head.mode & 0o777 | 0o600))
            .with_context(writing)?;
        if size > 0 {
            self.file = Some(Incoming { path, to, left: size });
        }
        Ok(())
    }

    fn add_to_file(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(file) = &mut self.file else {
            bail!("the guest sent a file's bytes without a file")
        };
        file.left = file.left.checked_sub(bytes.len() as u64).with_context(|| {
            format!("the guest sent more of {} than there is", file.path.display())
        })?;
        file.to
            .write_all(bytes)
            .with_context(|| format!("writing the guest's {}", file.path.display()))?;
        if file.left == 0 {
            self.file = None;
        }
        Ok(())
    }
}

/// By more than a fifth. What comes takes a moment to arrive, so short times say nothing.
fn clocks_differ(here: Duration, there: Duration) -> bool {
    here.max(there) > Duration::from_secs(5) && here.abs_diff(there) > here.max(there) / 5
}

/// Passes output on as it came. A reader that has gone (`| head`) is no failure of the machine's.
fn show(mut to: impl Write, bytes: &[u8]) -> Result<()> {
    match to.write_all(bytes).and_then(|()| to.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("passing the guest's output on")
        }
        _ => Ok(()),
    }
}

fn json<T: DeserializeOwned>(payload: &[u8]) -> Result<T> {
    serde_json::from_slice(payload).context("reading what the guest says")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_off_only_by_much_and_for_long() {
        let differ = |here, there| {
            clocks_differ(Duration::from_secs_f64(here), Duration::from_secs_f64(there))
        };
        assert!(differ(10.0, 40.0) && differ(60.0, 3.0));
        assert!(!differ(10.0, 10.5) && !differ(0.5, 2.0));
    }

    fn head(path: &str, size: Option<u64>) -> Frame {
        let head = FileHead { path: path.to_owned(), mode: 0o640, size };
        Frame { kind: Kind::FileHead, payload: serde_json::to_vec(&head).unwrap() }
    }

    fn data(bytes: &[u8]) -> Frame {
        Frame { kind: Kind::FileData, payload: bytes.to_vec() }
    }

    #[test]
    fn files_and_folders_come_back() {
        let out = tempfile::tempdir().unwrap();
        let mut received = Received::new(out.path(), false);
        fs::write(out.path().join("a"), "of a run before").unwrap();
        for frame in [
            head("a", Some(5)),
            data(b"abc"),
            data(b"de"),
            head("d", None),
            head("d/empty", Some(0)),
            head("e/f", Some(1)),
            data(b"x"),
        ] {
            received.take(frame).unwrap();
        }
        assert_eq!(fs::read(out.path().join("a")).unwrap(), b"abcde");
        assert_eq!(fs::read(out.path().join("d/empty")).unwrap(), b"");
        assert_eq!(fs::read(out.path().join("e/f")).unwrap(), b"x");
        let mode = fs::metadata(out.path().join("a")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(received.files, 4);
    }

    #[test]
    fn a_guest_that_makes_no_sense_is_refused() {
        let out = tempfile::tempdir().unwrap();
        let received = || Received::new(out.path(), false);
        for path in ["../x", "/etc/x", "", "a/../../x"] {
            assert!(received().take(head(path, Some(1))).is_err(), "{path}");
        }
        assert!(received().take(data(b"x")).is_err());
        let mut half = received();
        half.take(head("a", Some(2))).unwrap();
        assert!(half.take(data(b"123")).is_err());
        let mut half = received();
        half.take(head("b", Some(2))).unwrap();
        assert!(half.take(head("c", Some(2))).is_err());
        let ended = Ended { code: Some(0), signal: None, stopped: false, uptime_ms: 1 };
        let ended = Frame { kind: Kind::Ended, payload: serde_json::to_vec(&ended).unwrap() };
        assert!(half.take(ended).is_err());
        assert!(received().take(Frame { kind: Kind::Hello, payload: vec![b'?'] }).is_err());
    }
}
