//! From the calls of a [`Sink`] to batches of messages.

use std::{collections::BTreeMap, io};

use serde::{Deserialize, Serialize};
use tracer_common::{
    model::{Event, Func, decode, header},
    wire::Kind,
};

use super::{Topic, block::Packer};
use crate::{
    engine::{named_task, text},
    stream::{Closing, Opening, Sink},
};

/// A batch is handed on when it has this many bytes,
const ENOUGH: usize = 64 << 10;
/// or spans this many nanoseconds.
const LONG: u64 = 100_000_000;

/// Some messages, in order.
#[derive(Debug, Default)]
pub struct Batch {
    messages: Vec<Message>,
    bytes: Vec<u8>,
    /// Names of kernel functions that records in it tell, by address.
    pub functions: Vec<(u64, String)>,
    /// What tasks are called from now on: thread, process, name.
    pub tasks: Vec<(u32, u32, String)>,
    records: u64,
}

#[derive(Clone, Copy, Debug)]
struct Message {
    topic: Topic,
    /// When it was read: never earlier than the one before.
    at: u64,
    /// When its first record was written.
    from: u64,
    end: usize,
}

/// A batch that takes less memory.
#[derive(Debug)]
pub struct Packed {
    messages: Box<[Message]>,
    zstd: Box<[u8]>,
    /// Bytes when unpacked.
    size: usize,
}

/// Packs batches to be kept for a while, one after the other: its tables cost more to make anew than a
/// batch costs to pack.
#[derive(Default)]
pub struct Press(Option<zstd::bulk::Compressor<'static>>);

impl Press {
    /// Packs a batch; what it names is left out.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn pack(&mut self, batch: Batch) -> io::Result<Packed> {
        let compressor = match &mut self.0 {
            Some(compressor) => compressor,
            none => none.insert(zstd::bulk::Compressor::new(1)?),
        };
        let zstd = compressor.compress(&batch.bytes)?.into();
        Ok(Packed { messages: batch.messages.into(), zstd, size: batch.bytes.len() })
    }
}

impl Packed {
    /// Its size in bytes.
    pub fn len(&self) -> usize {
        self.zstd.len() + self.messages.len() * size_of::<Message>()
    }

    /// Whether there is nothing in it.
    pub const fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The batch again.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn unpack(&self) -> io::Result<Batch> {
        let bytes = zstd::bulk::decompress(&self.zstd, self.size)?;
        Ok(Batch { messages: self.messages.to_vec(), bytes, ..Batch::default() })
    }
}

/// Records that were read and dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gap {
    /// The oldest was read after this, in nanoseconds.
    pub from_ns: u64,
    /// The youngest was read before this.
    pub to_ns: u64,
    /// How many.
    pub records: u64,
}

impl Batch {
    /// Its messages: topic, when it was read, when its first record was written, data.
    pub fn messages(&self) -> impl Iterator<Item = (Topic, u64, u64, &[u8])> {
        let mut begin = 0;
        self.messages.iter().map(move |&Message { topic, at, from, end }| {
            let data = self.bytes.get(begin..end).unwrap_or_default();
            begin = end;
            (topic, at, from, data)
        })
    }

    /// Its size in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len() + self.messages.len() * size_of::<Message>()
    }

    /// Whether there is nothing in it.
    pub const fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// How many records are in it.
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// When its last message was read, in nanoseconds.
    pub fn until(&self) -> u64 {
        self.messages.last().map_or(0, |message| message.at)
    }

    fn end(&mut self, topic: Topic, at: u64, from: u64) {
        self.messages.push(Message { topic, at, from, end: self.bytes.len() });
    }

    fn json(&mut self, topic: Topic, at: u64, value: &impl Serialize) {
        // A Vec takes everything, and our own types have only keys that are strings.
        let _ = serde_json::to_writer(&mut self.bytes, value);
        self.end(topic, at, at);
    }

    /// Drops the records; what else it has stays, but of the sweeps only the last.
    fn without_records(self) -> Self {
        let last = self.messages.iter().rposition(|message| message.topic == Topic::Sweep);
        let mut rest = Self { functions: self.functions.clone(), ..Self::default() };
        rest.tasks.clone_from(&self.tasks);
        for (index, (topic, at, from, data)) in self.messages().enumerate() {
            if matches!(topic, Topic::Cpu(_)) || (topic == Topic::Sweep && Some(index) != last) {
                continue;
            }
            rest.bytes.extend(data);
            rest.end(topic, at, from);
        }
        rest
    }
}

/// Makes batches of a run, and hands them on. Who can't take one gives it back; its records are
/// dropped then, counted, and marked by a [`Gap`].
pub struct Composer<F> {
    hand_on: F,
    cpus: Vec<Packer>,
    batch: Batch,
    begun: u64,
    /// When the last message was read.
    at: u64,
    gap: Option<Gap>,
    dropped: u64,
}

impl<F: FnMut(Batch) -> Result<(), Batch>> Composer<F> {
    /// For CPUs numbered below `cpus`.
    pub fn new(cpus: u32, hand_on: F) -> Self {
        Self {
            hand_on,
            cpus: (0..cpus).map(|_| Packer::default()).collect(),
            batch: Batch::default(),
            begun: 0,
            at: 0,
            gap: None,
            dropped: 0,
        }
    }

    /// Records that were dropped so far.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes the records that were packed since the last call into the batch.
    fn collect(&mut self) {
        for (cpu, packer) in self.cpus.iter_mut().enumerate().filter(|(_, p)| !p.is_empty()) {
            let from = packer.first_ts();
            self.batch.records += packer.records();
            packer.take(&mut self.batch.bytes);
            self.batch.end(Topic::Cpu(cpu as u32), self.at, from);
        }
    }

    fn hand_on(&mut self) {
        if let Some(gap) = self.gap {
            self.batch.json(Topic::Gap, self.at, &gap);
        }
        let batch = std::mem::take(&mut self.batch);
        match (self.hand_on)(batch) {
            Ok(()) => self.gap = None,
            Err(mut batch) => {
                let gap = self.gap.get_or_insert(Gap { from_ns: self.begun, ..Gap::default() });
                gap.to_ns = self.at;
                gap.records += batch.records;
                self.dropped += batch.records;
                if matches!(batch.messages.last(), Some(last) if last.topic == Topic::Gap) {
                    batch.messages.pop();
                }
                self.batch = batch.without_records();
            }
        }
        self.begun = self.at;
    }

    /// Names are told once, so whoever begins to read later must be told them again.
    fn names(&mut self, record: &[u8]) {
        let Batch { functions, tasks, .. } = &mut self.batch;
        let Ok((_, event)) = decode(record, |_| Func::Other) else { return };
        if let Event::FuncName(name) = event {
            functions.push((name.func, text(&name.name).into_owned()));
        } else if let Some((tid, tgid, comm)) = named_task(&event) {
            tasks.push((tid, tgid, comm.into_owned()));
        }
    }
}

/// Kinds of records that name something.
const NAMING: [u16; 4] =
    [Kind::FuncName as u16, Kind::Fork as u16, Kind::Exec as u16, Kind::Rename as u16];

impl<F: FnMut(Batch) -> Result<(), Batch>> Sink for Composer<F> {
    fn record(&mut self, cpu: u32, record: &[u8]) {
        if let Some(packer) = self.cpus.get_mut(cpu as usize) {
            packer.push(record);
        }
        if header(record).is_ok_and(|header| NAMING.contains(&header.kind)) {
            self.names(record);
        }
    }

    fn syscall_probes(&mut self, ts: u64, on: bool) {
        self.collect();
        let value = BTreeMap::from([("ts_ns", ts), ("on", on.into())]);
        self.batch.json(Topic::SyscallProbes, self.at, &value);
    }

    fn advance(&mut self, until: u64) {
        self.at = self.at.max(until);
        self.collect();
        self.batch.bytes.extend(until.to_le_bytes());
        self.batch.end(Topic::Sweep, self.at, until);
        if self.batch.len() >= ENOUGH || self.at.saturating_sub(self.begun) >= LONG {
            self.hand_on();
        }
    }

    fn opened(&mut self, opening: &Opening) {
        self.collect();
        self.batch.json(Topic::Opened, self.at, opening);
    }

    fn closed(&mut self, closing: &Closing) {
        self.collect();
        let closing = Closing { dropped: self.dropped, ..closing.clone() };
        self.at = self.at.max(closing.end_ns);
        self.batch.json(Topic::Closed, self.at, &closing);
        self.hand_on();
    }
}
