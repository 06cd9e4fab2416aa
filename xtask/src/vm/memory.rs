//! The guest's memory, and the mailbox in it, from the host's side.
//!
//! The memory is a memfd: no file stays behind, whatever happens, and no `/dev/shm` is too small.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use rustix::fs::{MemfdFlags, memfd_create};
use unlazy_guest::frame::Decoder;
use unlazy_guest::mailbox::{ADDRESS, MARK, RING, SIZE, WORDS, Word, load, store};

/// At most so much is taken out of the ring at once.
const CHUNK: usize = 1 << 20;

/// A guest's memory.
pub(super) struct Memory {
    file: File,
    read: u64,
    buffer: Vec<u8>,
}

impl Memory {
    /// Memory of this size, with the mailbox prepared.
    ///
    /// # Errors
    /// When there is no memfd to be had.
    pub(super) fn new(mib: u32) -> Result<Self> {
        let fd = memfd_create("unlazy-vm", MemfdFlags::CLOEXEC)
            .context("making the guest's memory (memfd_create)")?;
        let file = File::from(fd);
        file.set_len(u64::from(mib) << 20).context("sizing the guest's memory")?;
        let memory = Self { file, read: 0, buffer: vec![0; CHUNK] };
        for (word, value) in [(Word::Mark, MARK), (Word::Read, 0), (Word::Stop, 0)] {
            memory.put(word, value)?;
        }
        Ok(memory)
    }

    /// Where QEMU finds it: QEMU opens it anew, so nothing is handed down by inheritance.
    pub(super) fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()).into()
    }

    /// What keeps the guest's kernel off the mailbox.
    pub(super) fn kernel_argument() -> String {
        format!("memmap={SIZE:#x}${ADDRESS:#x}")
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
                 memory is damaged",
                self.read
            ),
        };
        let at = self.read % RING;
        let length = waiting.min(RING - at).min(CHUNK as u64) as usize;
        if length == 0 {
            return Ok(false);
        }
        let part = self.buffer.get_mut(..length).unwrap_or_default();
        self.file
            .read_exact_at(part, ADDRESS + WORDS + at)
            .context("reading the guest's memory")?;
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
            self.file
                .read_exact_at(&mut bytes, ADDRESS + word.offset())
                .context("reading the guest's memory")?;
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
        self.file
            .write_all_at(&store(value), ADDRESS + word.offset())
            .context("writing to the guest's memory")
    }
}

#[cfg(test)]
mod tests {
    use unlazy_guest::frame::{Encoder, Kind};

    use super::*;

    /// The guest's part, done by hand: puts bytes into the ring, and counts them.
    fn guest_writes(memory: &Memory, already: u64, bytes: &[u8]) -> u64 {
        let at = already % RING;
        let first = bytes.len().min((RING - at) as usize);
        memory.file.write_all_at(&bytes[..first], ADDRESS + WORDS + at).unwrap();
        memory.file.write_all_at(&bytes[first..], ADDRESS + WORDS).unwrap();
        let written = already + bytes.len() as u64;
        memory.put(Word::Written, written).unwrap();
        written
    }

    #[test]
    fn frames_come_through_the_ring_again_and_again() {
        let mut memory = Memory::new(256).unwrap();
        let (mut decoder, mut encoder) = (Decoder::default(), Encoder::default());
        assert!(!memory.take(&mut decoder).unwrap());
        assert_eq!(memory.beat().unwrap(), None);
        let payload = vec![9; 1_000_001];
        let mut written = 0;
        // More than twice round.
        for round in 0..40 {
            let mut bytes = encoder.header(Kind::Stdout, &payload).to_vec();
            bytes.extend_from_slice(&payload);
            written = guest_writes(&memory, written, &bytes);
            while memory.take(&mut decoder).unwrap() {}
            assert_eq!(memory.get(Word::Read).unwrap(), Some(written));
            let frame = decoder.next_frame().unwrap().expect("a whole frame");
            assert_eq!(frame.payload, payload, "round {round}");
            assert!(!decoder.is_torn());
        }
    }

    #[test]
    fn a_count_that_makes_no_sense_is_an_error() {
        let mut memory = Memory::new(256).unwrap();
        memory.put(Word::Written, RING + 1).unwrap();
        assert!(memory.take(&mut Decoder::default()).is_err());
    }
}
