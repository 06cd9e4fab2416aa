//! Records of many CPUs, put away until all are there, and then merged by time: in bounded memory.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
};

/// So many bytes of a CPU's records are kept before they go to the file.
const CHUNK: usize = 32 << 10;

#[derive(Debug, Default)]
struct OfCpu {
    /// Chunks in the file, in order: where, and how long.
    chunks: Vec<(u64, u32)>,
    /// What comes after them: a length, a time and a record each.
    rest: Vec<u8>,
}

/// Records, put away.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    end: u64,
    cpus: Vec<OfCpu>,
}

impl Spool {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { file: tempfile::tempfile()?, end: 0, cpus: Vec::new() })
    }

    /// Puts away a record of a CPU that is no earlier than the one before.
    pub(super) fn push(&mut self, cpu: u32, ts: u64, record: &[u8]) -> io::Result<()> {
        let cpu = cpu as usize;
        if cpu >= self.cpus.len() {
            self.cpus.resize_with(cpu + 1, OfCpu::default);
        }
        let of_cpu = &mut self.cpus[cpu];
        of_cpu.rest.push(record.len() as u8);
        of_cpu.rest.extend(ts.to_le_bytes());
        of_cpu.rest.extend(record);
        if of_cpu.rest.len() >= CHUNK {
            self.file.write_all(&of_cpu.rest)?;
            of_cpu.chunks.push((self.end, of_cpu.rest.len() as u32));
            self.end += of_cpu.rest.len() as u64;
            of_cpu.rest.clear();
        }
        Ok(())
    }

    /// Hands on all of them, by time; those of one CPU in the order in which they came.
    pub(super) fn drain(mut self, mut to: impl FnMut(u32, u64, &[u8])) -> io::Result<()> {
        let file = &self.file;
        let mut cpus: Vec<Reader<'_>> =
            self.cpus.iter_mut().map(|cpu| Reader::new(file, cpu)).collect();
        let mut first = BinaryHeap::new();
        for (cpu, reader) in cpus.iter_mut().enumerate() {
            first.extend(reader.ts()?.map(|ts| Reverse((ts, cpu))));
        }
        while let Some(Reverse((ts, cpu))) = first.pop() {
            let reader = &mut cpus[cpu];
            to(cpu as u32, ts, reader.take());
            first.extend(reader.ts()?.map(|ts| Reverse((ts, cpu))));
        }
        Ok(())
    }
}

/// Reads one CPU's.
struct Reader<'a> {
    file: &'a File,
    chunks: std::vec::IntoIter<(u64, u32)>,
    rest: Option<Vec<u8>>,
    chunk: Vec<u8>,
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(file: &'a File, cpu: &mut OfCpu) -> Self {
        let OfCpu { chunks, rest } = std::mem::take(cpu);
        Self { file, chunks: chunks.into_iter(), rest: Some(rest), chunk: Vec::new(), at: 0 }
    }

    /// When the next one was written.
    fn ts(&mut self) -> io::Result<Option<u64>> {
        while self.at >= self.chunk.len() {
            self.at = 0;
            if let Some((at, len)) = self.chunks.next() {
                self.chunk.resize(len as usize, 0);
                self.file.read_exact_at(&mut self.chunk, at)?;
            } else if let Some(rest) = self.rest.take() {
                self.chunk = rest;
            } else {
                return Ok(None);
            }
        }
        let ts = self.chunk.get(self.at + 1..self.at + 9).and_then(|ts| ts.try_into().ok());
        Ok(ts.map(u64::from_le_bytes))
    }

    fn take(&mut self) -> &[u8] {
        let len = self.chunk.get(self.at).map_or(0, |&len| usize::from(len));
        let begin = self.at + 9;
        self.at = begin + len;
        self.chunk.get(begin..begin + len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_away_comes_back_by_time() {
        let mut spool = Spool::new().expect("a file");
        // Enough for several chunks of CPU 0, and none of CPU 2.
        for ts in 0..3000u64 {
            spool.push(0, ts * 10, &ts.to_le_bytes().repeat(4)).expect("room");
        }
        spool.push(2, 15, b"x").expect("room");
        spool.push(2, 15, b"y").expect("room");
        assert!(spool.cpus[0].chunks.len() > 2, "the file is used");
        let mut all = Vec::new();
        spool.drain(|cpu, ts, record| all.push((cpu, ts, record.to_vec()))).expect("a file");
        assert_eq!(all.len(), 3002);
        assert!(all.is_sorted_by_key(|&(_, ts, _)| ts));
        assert_eq!(all[2..4], [(2, 15, b"x".to_vec()), (2, 15, b"y".to_vec())]);
        assert_eq!(all[3001].2, 2999u64.to_le_bytes().repeat(4));
    }
}
