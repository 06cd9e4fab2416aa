//! The running kernel: every CPU's buffer, swept in turn.

use super::{Poll, Source, SourceError};
use crate::probes::{LoadError, Options, Probes, rings::Ring};

/// How much of one CPU's buffer a sweep takes before it goes on to the next, in bytes. Enough to
/// make the rounds cheap, little enough that no CPU waits long for its turn.
const PER_SWEEP: u64 = 1 << 20;

/// What the kernel puts before a record (`BPF_RINGBUF_HDR_SZ`).
const RECORD_HEADER: u64 = 8;

/// How full a CPU's buffer has been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingUse {
    /// The CPU.
    pub cpu: u32,
    /// Its buffer's size in bytes.
    pub size: u32,
    /// Bytes read from it so far, the kernel's record headers included.
    pub read: u64,
    /// The most that a sweep found in it, in bytes. What came in during the sweep counts too, so
    /// this errs on the high side.
    pub high_water: u64,
}

struct Reader {
    ring: Ring,
    read: u64,
    high_water: u64,
    /// What this sweep and those directly before it, which left something, have found.
    found: u64,
}

/// The running kernel as a source.
pub struct Live {
    readers: Vec<Reader>,
    probes: Probes,
}

impl Live {
    /// Loads the probes. Nothing is attached yet.
    ///
    /// # Errors
    /// [`LoadError`] says why nothing can be traced.
    pub fn open(options: &Options) -> Result<Self, LoadError> {
        Ok(Self::new(Probes::load(options)?))
    }

    /// Reads from probes that are already loaded.
    #[must_use]
    pub fn new(mut probes: Probes) -> Self {
        let readers = probes
            .take_rings()
            .into_iter()
            .map(|ring| Reader { ring, read: 0, high_water: 0, found: 0 })
            .collect();
        Self { readers, probes }
    }

    /// The probes, to attach and detach them and to ask what they lost.
    pub fn probes(&mut self) -> &mut Probes {
        &mut self.probes
    }

    /// How full each CPU's buffer has been.
    pub fn rings(&self) -> impl Iterator<Item = RingUse> + '_ {
        self.readers.iter().map(|Reader { ring, read, high_water, found: _ }| RingUse {
            cpu: ring.cpu,
            size: ring.size,
            read: *read,
            high_water: *high_water,
        })
    }
}

impl Source for Live {
    fn poll(&mut self, sink: &mut dyn FnMut(u32, &[u8])) -> Result<Poll, SourceError> {
        let mut poll = Poll::default();
        for reader in &mut self.readers {
            reader.sweep(&mut poll, sink);
        }
        self.probes.print_log();
        Ok(poll)
    }
}

impl Reader {
    fn sweep(&mut self, poll: &mut Poll, sink: &mut dyn FnMut(u32, &[u8])) {
        let mut taken = 0;
        while taken < PER_SWEEP {
            let Some(record) = self.ring.records.next() else { break };
            sink(self.ring.cpu, &record);
            poll.records += 1;
            poll.bytes += record.len() as u64;
            taken += (RECORD_HEADER + record.len() as u64).next_multiple_of(8);
        }
        self.read += taken;
        self.found += taken;
        self.high_water = self.high_water.max(self.found.min(u64::from(self.ring.size)));
        if taken < PER_SWEEP {
            self.found = 0;
        } else {
            poll.more = true;
        }
    }
}
