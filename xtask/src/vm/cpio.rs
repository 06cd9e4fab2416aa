//! An archive in cpio's "newc" format, which is what the kernel unpacks as initramfs
//! (Documentation/driver-api/early-userspace/buffer-format.rst).
//!
//! Ours rather than a crate's: it is one header, and the crates bring a reader along.

use std::io::{self, Write};

const FOLDER: u32 = 0o040_000;
const DEVICE: u32 = 0o020_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;
const TRAILER: &str = "TRAILER!!!";

/// Writes an archive; everything in it belongs to root and is of 1970, so that equal contents
/// make equal archives.
pub(super) struct Archive<W> {
    to: W,
    written: u64,
    inode: u32,
}

impl<W: Write> Archive<W> {
    pub(super) fn new(to: W) -> Self {
        Self { to, written: 0, inode: 0 }
    }

    /// A folder; those above it must have come before.
    pub(super) fn folder(&mut self, path: &str, mode: u32) -> io::Result<()> {
        self.entry(path, FOLDER | mode, (0, 0), &[])
    }

    /// A file.
    pub(super) fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        self.entry(path, FILE | mode, (0, 0), content)
    }

    /// A symbolic link.
    pub(super) fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.entry(path, LINK | 0o777, (0, 0), target.as_bytes())
    }

    /// A character device.
    pub(super) fn device(&mut self, path: &str, major: u32, minor: u32) -> io::Result<()> {
        self.entry(path, DEVICE | 0o600, (major, minor), &[])
    }

    /// Ends the archive: what was written to, and how many bytes.
    pub(super) fn close(mut self) -> io::Result<(W, u64)> {
        self.entry(TRAILER, 0, (0, 0), &[])?;
        self.to.flush()?;
        Ok((self.to, self.written))
    }

    fn entry(
        &mut self,
        path: &str,
        mode: u32,
        device: (u32, u32),
        content: &[u8],
    ) -> io::Result<()> {
        let path = path.trim_start_matches('/');
        let too_long = |_| io::Error::other("too long for a cpio archive");
        let size = u32::try_from(content.len()).map_err(too_long)?;
        let name_size = u32::try_from(path.len() + 1).map_err(too_long)?;
        self.inode += 1;
        let links = if mode & FOLDER == FOLDER { 2 } else { 1 };
        // inode, mode, uid, gid, links, mtime, size, device ×2, device it stands for ×2, name, sum
        let fields =
            [self.inode, mode, 0, 0, links, 0, size, 0, 0, device.0, device.1, name_size, 0];
        self.put(b"070701")?;
        for field in fields {
            self.put(format!("{field:08x}").as_bytes())?;
        }
        self.put(path.as_bytes())?;
        self.put(&[0])?;
        self.pad()?;
        self.put(content)?;
        self.pad()
    }

    /// Up to the next multiple of 4.
    fn pad(&mut self) -> io::Result<()> {
        let missing = (4 - self.written % 4) % 4;
        self.put(&[0; 3][..missing as usize])
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.to.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn sample() -> Vec<u8> {
        let mut archive = Archive::new(Vec::new());
        archive.folder("/bin", 0o755).unwrap();
        archive.file("/bin/a", 0o755, b"12345").unwrap();
        archive.link("/bin/b", "a").unwrap();
        archive.device("/console", 5, 1).unwrap();
        let (bytes, written) = archive.close().unwrap();
        assert_eq!(written, bytes.len() as u64);
        bytes
    }

    #[test]
    fn every_part_begins_at_a_multiple_of_four() {
        let bytes = sample();
        assert_eq!(bytes.len() % 4, 0);
        let (mut at, mut names) = (0, Vec::new());
        while at < bytes.len() {
            assert_eq!(&bytes[at..at + 6], b"070701", "at {at}");
            let field = |index: usize| {
                let begin = at + 6 + 8 * index;
                let text = std::str::from_utf8(&bytes[begin..begin + 8]).unwrap();
                usize::from_str_radix(text, 16).unwrap()
            };
            let (size, name_size) = (field(6), field(11));
            let name = &bytes[at + 110..at + 110 + name_size - 1];
            names.push(String::from_utf8(name.to_vec()).unwrap());
            at = (at + 110 + name_size).next_multiple_of(4);
            at = (at + size).next_multiple_of(4);
        }
        assert_eq!(names, ["bin", "bin/a", "bin/b", "console", TRAILER]);
    }

    /// GNU cpio's own opinion, where it is installed.
    #[test]
    fn cpio_reads_it() {
        let Ok(mut child) = Command::new("cpio")
            .args(["--list", "--verbose", "--quiet", "--numeric-uid-gid"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
        else {
            return;
        };
        child.stdin.take().unwrap().write_all(&sample()).unwrap();
        let output = child.wait_with_output().unwrap();
        let listing = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{listing}");
        let begins: Vec<&str> = listing.lines().map(|line| &line[..10]).collect();
        assert_eq!(begins, ["drwxr-xr-x", "-rwxr-xr-x", "lrwxrwxrwx", "crw-------"], "{listing}");
        assert!(listing.contains("bin/b -> a"), "{listing}");
    }
}
