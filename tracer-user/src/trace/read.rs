//! A file into a [`Sink`].

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use mcap::records::{Record, op};
use serde::Deserialize;

use super::{
    Damage, Gap, MOST_CPUS, Topic, TraceError, block,
    frames::{Frame, Frames, Place},
    record::parse,
    versions,
};
use crate::{
    engine::{naming, text},
    stream::{Facts, Sink},
};

/// Where a file's records begin: after the magic.
const BEGIN: u64 = 8;

/// Chunks that wait, unpacked, for the judge.
const AHEAD: usize = 4;

/// How much earlier than asked, in nanoseconds, reading begins: long enough that most CPUs have
/// switched before it counts.
const RUN_UP: u64 = 2_000_000_000;

/// More records than wait for their turn in any real trace.
pub(crate) const MOST_WAITING: u64 = 1 << 23;

/// One file, opened.
pub struct Part {
    path: PathBuf,
    frames: Frames,
    facts: Facts,
}

/// From when to when, in nanoseconds of the run's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Nothing before counts.
    pub from: u64,
    /// Nothing after is read.
    pub to: u64,
}

impl Default for Range {
    /// Everything.
    fn default() -> Self {
        Self { from: 0, to: u64::MAX }
    }
}

/// What came of reading a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// What could not be read.
    pub damage: Vec<Damage>,
    /// The file has its end: index and footer.
    pub whole: bool,
    /// Records that the recorder dropped.
    pub dropped: u64,
    /// The run ended in this file.
    pub closed: bool,
}

/// Opens a file and reads its facts.
///
/// # Errors
/// [`TraceError`] if it can't be read, or is no trace.
pub fn open(path: &Path) -> Result<Part, TraceError> {
    let io = |source| TraceError::Io { path: path.display().to_string(), source };
    let mut frames = Frames::open(path)
        .map_err(io)?
        .ok_or_else(|| TraceError::Foreign("it is no MCAP file".to_owned()))?;
    let again = frames.from(BEGIN);
    let mut versioned = false;
    loop {
        match frames.next().map_err(io)? {
            Some(Frame::Other(op::METADATA, body)) => {
                if let Some(Record::Metadata(metadata)) = parse(op::METADATA, &body)
                    && metadata.name == "unlazy"
                {
                    let number = |key| metadata.metadata.get(key).and_then(|n| n.parse().ok());
                    let (version, wire) = (number("trace"), number("wire"));
                    versions::check(version.unwrap_or(0), wire.unwrap_or(0))?;
                    versioned = true;
                }
            }
            Some(Frame::Chunk(_)) if !versioned => {
                return Err(TraceError::Foreign(
                    "it is an MCAP file of another program".to_owned(),
                ));
            }
            Some(Frame::Chunk(content)) => {
                let facts = facts(&content)
                    .ok_or_else(|| TraceError::Damaged("it has no facts".to_owned()))?
                    .map_err(|why| TraceError::Damaged(format!("its facts: {why}")))?;
                possible(&facts)?;
                return Ok(Part { path: path.to_owned(), frames: again, facts });
            }
            Some(Frame::Damage(damage)) => return Err(TraceError::Damaged(damage.why)),
            Some(Frame::Other(..)) => {}
            None => return Err(TraceError::Damaged("it ends before its facts".to_owned())),
        }
    }
}

/// The facts, if this chunk has them.
fn facts(content: &[u8]) -> Option<Result<Facts, serde_json::Error>> {
    let mut found = None;
    let _ = messages(content, |topic, _, data| {
        if topic == Topic::Facts && found.is_none() {
            found = Some(serde_json::from_slice(data));
        }
        Ok(())
    });
    found
}

fn possible(facts: &Facts) -> Result<(), TraceError> {
    if facts.cpus_possible == 0 || facts.cpus_possible > MOST_CPUS {
        let cpus = facts.cpus_possible;
        return Err(TraceError::Absurd(format!(
            "it claims {cpus} CPUs; kernels have 1 to {MOST_CPUS}"
        )));
    }
    Ok(())
}

/// Hands on every message of a chunk: topic, when it was read, data. Ends with the first error.
pub(super) fn messages(
    content: &[u8],
    mut sink: impl FnMut(Topic, u64, &[u8]) -> Result<(), String>,
) -> Result<(), String> {
    let mut rest = content;
    while let Some((&[kind, ref len @ ..], after)) = rest.split_first_chunk::<9>() {
        let len = u64::from_le_bytes(*len);
        let (body, after) = usize::try_from(len)
            .ok()
            .and_then(|len| after.split_at_checked(len))
            .ok_or("a message is longer than its chunk")?;
        rest = after;
        if kind != op::MESSAGE {
            continue;
        }
        let Some(Record::Message { header, data }) = parse(kind, body) else {
            return Err("a message can't be read".to_owned());
        };
        // Others may add channels of their own.
        if let Some(topic) = Topic::from_id(header.channel_id) {
            sink(topic, header.log_time, &data)?;
        }
    }
    Ok(())
}

impl Part {
    /// What holds throughout.
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its chunks: where each begins, and when the last message in it was read.
    pub(super) fn chunks(&self) -> Vec<(u64, u64)> {
        let mut places = self.frames.places();
        if places.is_empty() {
            places = self.frames.walk();
        }
        places.into_iter().map(|place| (place.offset, place.until)).collect()
    }

    pub(super) fn frames_from(&self, offset: u64) -> Frames {
        self.frames.from(offset)
    }

    /// Hands all of it on to `sink`, the facts left out. What is damaged is passed over.
    ///
    /// # Errors
    /// [`TraceError`] if the file can't be read any further, or claims what can't be.
    pub fn play(&self, range: Range, sink: &mut dyn Sink) -> Result<Played, TraceError> {
        let places = self.frames.places();
        let mut played = Played { whole: !places.is_empty(), ..Played::default() };
        let frames = self.frames.from(first(&places, range));
        let (to, from) = sync_channel(AHEAD);
        thread::scope(|scope| {
            let reading = scope.spawn(move || read(frames, &to));
            let result = Self::take(&from, range, sink, &mut played);
            // Whoever still reads ends as nobody takes it any more.
            drop(from);
            let read = reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let path = self.path.display().to_string();
            result.and(read.map_err(|source| TraceError::Io { path, source }))
        })?;
        Ok(played)
    }

    /// What functions are called, as far as it was told before `range`: each is told once.
    ///
    /// # Errors
    /// [`TraceError`] if the file can't be read.
    pub(crate) fn functions_before(
        &self,
        range: Range,
    ) -> Result<BTreeMap<u64, String>, TraceError> {
        let mut functions = BTreeMap::new();
        let end = first(&self.frames.places(), range);
        let mut frames = self.frames.from(BEGIN);
        let io = |source| TraceError::Io { path: self.path.display().to_string(), source };
        while frames.at() < end {
            let Some(frame) = frames.next().map_err(io)? else { break };
            let Frame::Chunk(content) = frame else { continue };
            // What is damaged is told by whoever reads it all.
            let _ = messages(&content, |topic, _, data| {
                if let Topic::Cpu(_) = topic {
                    block::unpack(data, &mut |record| functions.extend(function(record)))?;
                }
                Ok(())
            });
        }
        Ok(functions)
    }

    fn take(
        from: &Receiver<Frame>,
        range: Range,
        sink: &mut dyn Sink,
        played: &mut Played,
    ) -> Result<(), TraceError> {
        let mut waiting = 0;
        for frame in from {
            match frame {
                Frame::Damage(damage) => played.damage.push(damage),
                Frame::Other(..) => {}
                Frame::Chunk(content) => {
                    let mut over = false;
                    let result = messages(&content, |topic, at, data| {
                        if at > range.to {
                            over = true;
                            return Ok(());
                        }
                        hand_on(topic, data, sink, played, &mut waiting)
                    });
                    if let Err(why) = result {
                        // Its checksum is right, so somebody wrote it so.
                        played.damage.push(Damage { offset: 0, bytes: 0, why });
                    }
                    if over {
                        break;
                    }
                    if waiting > MOST_WAITING {
                        return Err(TraceError::Absurd(format!(
                            "{waiting} records in a row, and none of them is ever complete"
                        )));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Where reading begins: at the index's word, or at the beginning where there is none.
fn first(places: &[Place], range: Range) -> u64 {
    if range.from == 0 {
        return BEGIN;
    }
    let start = range.from.saturating_sub(RUN_UP);
    places.iter().find(|place| place.until >= start).map_or(BEGIN, |place| place.offset)
}

/// The function that a record names, if it is there for that.
fn function(record: &[u8]) -> Option<(u64, String)> {
    let (_, name) = naming(record).ok()?;
    name.map(|name| (name.func, text(&name.name).into_owned()))
}

fn read(mut frames: Frames, to: &SyncSender<Frame>) -> io::Result<()> {
    while let Some(frame) = frames.next()? {
        if to.send(frame).is_err() {
            break;
        }
    }
    Ok(())
}

pub(super) fn hand_on(
    topic: Topic,
    data: &[u8],
    sink: &mut dyn Sink,
    played: &mut Played,
    waiting: &mut u64,
) -> Result<(), String> {
    #[derive(Deserialize)]
    struct SyscallProbes {
        ts_ns: u64,
        on: u64,
    }
    let json = |error: serde_json::Error| format!("{topic}: {error}");
    match topic {
        Topic::Facts => {}
        Topic::Cpu(cpu) => block::unpack(data, &mut |record| {
            *waiting += 1;
            sink.record(cpu, record);
        })
        .map_err(|why| format!("{topic}: {why}"))?,
        Topic::Sweep => {
            let until = data.first_chunk().ok_or("a sweep has no time")?;
            sink.advance(u64::from_le_bytes(*until));
            *waiting = 0;
        }
        Topic::Opened => sink.opened(&serde_json::from_slice(data).map_err(json)?),
        Topic::Closed => {
            sink.closed(&serde_json::from_slice(data).map_err(json)?);
            played.closed = true;
        }
        Topic::SyscallProbes => {
            let SyscallProbes { ts_ns, on } = serde_json::from_slice(data).map_err(json)?;
            sink.syscall_probes(ts_ns, on != 0);
        }
        Topic::Gap => {
            let gap: Gap = serde_json::from_slice(data).map_err(json)?;
            played.dropped = played.dropped.saturating_add(gap.records);
        }
    }
    Ok(())
}
