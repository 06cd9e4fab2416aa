//! Batches into a file.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use mcap::{
    Compression, McapError, WriteOptions,
    records::{MessageHeader, Metadata},
    write::NoSeek,
};
use rustc_hash::FxHashMap;

use super::{Batch, Composer, Topic, VERSION};
use crate::stream::{Facts, Sink};

/// A chunk is closed when it has this many bytes: what a reader must hold.
const CHUNK: u64 = 1 << 20;

/// What zstd is to try: 1 is fast, and the records are packed already.
const LEVEL: u32 = 1;

/// Writes a whole recording: `tell` tells the [`Sink`] all that is to be in it.
///
/// # Errors
/// If it can't be written, or what `tell` says went wrong.
pub fn whole(
    to: impl Write,
    facts: &Facts,
    at: u64,
    tell: impl FnOnce(&mut dyn Sink) -> io::Result<()>,
) -> io::Result<()> {
    let mut writer = Writer::new(to, facts, at)?;
    let mut written = Ok(());
    let mut composer = Composer::new(facts.cpus_possible, |batch: Batch| {
        if written.is_ok() {
            written = writer.write(&batch);
        }
        Ok(())
    });
    tell(&mut composer)?;
    drop(composer);
    written?;
    writer.finish()
}

/// Writes one file. What it has flushed stays readable, whatever happens then.
pub struct Writer<W: Write> {
    mcap: mcap::Writer<NoSeek<W>>,
    /// The sequence number of each channel's next message.
    channels: FxHashMap<u16, u32>,
}

fn io_error(error: McapError) -> io::Error {
    match error {
        McapError::Io(error) => error,
        other => io::Error::other(other),
    }
}

impl<W: Write> Writer<W> {
    /// Begins a file with these facts.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn new(to: W, facts: &Facts, at: u64) -> io::Result<Self> {
        let mut mcap = WriteOptions::new()
            .profile("unlazy")
            .library(concat!("unlazy ", env!("CARGO_PKG_VERSION")))
            .compression(Some(Compression::Zstd))
            .compression_level(LEVEL)
            // The reader and the judge need the other cores.
            .compression_threads(0)
            .chunk_size(Some(CHUNK))
            // A chunk is written as a whole, so that its length is right whenever the file ends.
            .disable_seeking(true)
            // Whoever reads a chunk reads all of it.
            .emit_message_indexes(false)
            .create(NoSeek::new(to))
            .map_err(io_error)?;
        // Outside of any chunk: what reader it takes is known before anything is unpacked.
        let versions = [
            ("trace", VERSION.to_string()),
            ("wire", tracer_common::wire::VERSION.to_string()),
            ("unlazy", facts.unlazy.clone()),
            ("run", facts.run.clone()),
            ("part", facts.part.to_string()),
            ("kernel", facts.kernel.release.clone().unwrap_or_default()),
        ];
        let metadata: BTreeMap<String, String> =
            versions.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        mcap.write_metadata(&Metadata { name: "unlazy".to_owned(), metadata }).map_err(io_error)?;
        let mut writer = Self { mcap, channels: FxHashMap::default() };
        writer.message(Topic::Facts, at, at, &serde_json::to_vec(facts)?)?;
        Ok(writer)
    }

    /// Writes a batch; not all of it need have reached the file yet.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write(&mut self, batch: &Batch) -> io::Result<()> {
        for (topic, at, from, data) in batch.messages() {
            self.message(topic, at, from, data)?;
        }
        Ok(())
    }

    fn message(&mut self, topic: Topic, at: u64, from: u64, data: &[u8]) -> io::Result<()> {
        let id = topic.id();
        if !self.channels.contains_key(&id) {
            let (name, encoding, text, message) = topic.schema();
            let schema = self.mcap.add_schema(name, encoding, text.as_bytes()).map_err(io_error)?;
            let none = BTreeMap::new();
            self.mcap
                .add_channel_with_id(id, schema, &topic.to_string(), message, &none)
                .map_err(io_error)?;
        }
        let sequence = self.channels.entry(id).or_default();
        let header =
            MessageHeader { channel_id: id, sequence: *sequence, log_time: at, publish_time: from };
        *sequence = sequence.wrapping_add(1);
        self.mcap.write_to_known_channel(&header, data).map_err(io_error)
    }

    /// Closes the chunk and hands everything on.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.mcap.flush().map_err(io_error)
    }

    /// Ends the file with its index.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn finish(mut self) -> io::Result<()> {
        self.mcap.finish().map_err(io_error)?;
        Ok(())
    }
}
