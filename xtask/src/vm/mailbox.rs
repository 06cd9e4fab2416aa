//! The mailbox from the host's side.
//!
//! It is a memfd: no file stays behind, whatever happens, and no `/dev/shm` is too small.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use rustix::fs::{MemfdFlags, memfd_create};
use unlazy_guest::frame::Decoder;
use unlazy_guest::mailbox::{MARK, RING, SIZE, WORDS, Word, load, store};

/// At most so much is taken out of the ring at once.
const CHUNK: usize = 1 << 20;

/// A guest's mailbox.
pub(super) struct Mailbox {
    file: File,
    read: u64,
    buffer: Vec<u8>,
}

impl Mailbox {
    /// One that is ready for a guest.
    ///
    /// # Errors
    /// When there is no memfd to be had.
    pub(super) fn new() -> Result<Self> {
        let fd = memfd_create("unlazy-mailbox", MemfdFlags::CLOEXEC)
            .context("making the mailbox (memfd_create)")?;
        let file = File::from(fd);
        file.set_len(SIZE).context("sizing the mailbox")?;
        let mailbox = Self { file, read: 0, buffer: vec![0; CHUNK] };
        for (word, value) in [(Word::Mark, MARK), (Word::Read, 0), (Word::Stop, 0)] {
            mailbox.put(word, value)?;
        }
        Ok(mailbox)
    }

    /// Where QEMU finds it: QEMU opens it anew, so nothing is handed down by inheritance.
    pub(super) fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()).into()
    }

    /// Takes what the guest has put into the ring; whether there was anything.
    ///
    /// # Errors
    /// When the ring's words make no sense.
    pub(super) fn take(&mut self, decoder: &mut Decoder) -> Result<bool> {
        let Some(written) = self.get(Word::Written)? else { return Ok(false) };
        let waiting = match written.checked_sub(self.read) {
            Some(waiting) if waiting <= RING => waiting,
            _ => bail!(
                "the guest claims to have written {written} bytes, of which {} are read: its \
                 end of the mailbox is damaged",
                self.read
            ),
        };
        let at = self.read % RING;
        let length = waiting.min(RING - at).min(CHUNK as u64) as usize;
        if length == 0 {
            return Ok(false);
        }
        let part = self.buffer.get_mut(..length).unwrap_or_default();
        self.file.read_exact_at(part, WORDS + at).context("reading the mailbox")?;
        decoder.push(part);
        self.read += length as u64;
        self.put(Word::Read, self.read)?;
        Ok(true)
    }

    /// How often the guest's init has shown that it lives; `None` before the first time.
    pub(super) fn beat(&self) -> Result<Option<u64>> {
        self.get(Word::Beat)
    }

    /// Asks the guest's init to end the command.
    pub(super) fn ask_to_stop(&self) -> Result<()> {
        self.put(Word::Stop, 1)
    }

    fn get(&self, word: Word) -> Result<Option<u64>> {
        // Half written at most for a moment; if that is all we see, the next look is soon.
        for _ in 0..100 {
            let mut bytes = [0; 16];
            self.file.read_exact_at(&mut bytes, word.offset()).context("reading the mailbox")?;
            if let Some(value) = load(bytes) {
                return Ok(Some(value));
            }
            if bytes == [0; 16] {
                break;
            }
        }
        Ok(None)
    }

    fn put(&self, word: Word, value: u64) -> Result<()> {
        self.file.write_all_at(&store(value), word.offset()).context("writing to the mailbox")
    }
}

#[cfg(test)]
mod tests {
    use unlazy_guest::frame::{Encoder, Kind};

    use super::*;

    /// The guest's part, done by hand: puts bytes into the ring, and counts them.
    fn guest_writes(mailbox: &Mailbox, already: u64, bytes: &[u8]) -> u64 {
        let at = already % RING;
        let first = bytes.len().min((RING - at) as usize);
        mailbox.file.write_all_at(&bytes[..first], WORDS + at).unwrap();
        mailbox.file.write_all_at(&bytes[first..], WORDS).unwrap();
        let written = already + bytes.len() as u64;
        mailbox.put(Word::Written, written).unwrap();
        written
    }

    #[test]
    fn frames_come_through_the_ring_again_and_again() {
        let mut mailbox = Mailbox::new().unwrap();
        let (mut decoder, mut encoder) = (Decoder::default(), Encoder::default());
        assert!(!mailbox.take(&mut decoder).unwrap());
        assert_eq!(mailbox.beat().unwrap(), None);
        let payload = vec![9; 1_000_001];
        let mut written = 0;
        // More than twice round.
        for round in 0..40 {
            let mut bytes = encoder.header(Kind::Stdout, &payload).to_vec();
            bytes.extend_from_slice(&payload);
            written = guest_writes(&mailbox, written, &bytes);
            while mailbox.take(&mut decoder).unwrap() {}
            assert_eq!(mailbox.get(Word::Read).unwrap(), Some(written));
            let frame = decoder.next_frame().unwrap().expect("a whole frame");
            assert_eq!(frame.payload, payload, "round {round}");
            assert!(!decoder.is_torn());
        }
    }

    #[test]
    fn a_count_that_makes_no_sense_is_an_error() {
        let mut mailbox = Mailbox::new().unwrap();
        mailbox.put(Word::Written, RING + 1).unwrap();
        assert!(mailbox.take(&mut Decoder::default()).is_err());
    }
}
