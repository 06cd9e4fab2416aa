//! A recording read from any place on, message by message.

use std::{ops::Range, sync::Arc};

use super::{
    Batch, Damage, Part, Played, Topic, TraceError,
    frames::{Frame, Frames},
    read,
};
use crate::stream::Sink;

/// Some messages that stand together.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    messages: Vec<(Topic, u64, Range<usize>)>,
    bytes: Vec<u8>,
    /// What is wrong at its end.
    pub(crate) damage: Option<String>,
}

impl Chunk {
    fn of(content: &[u8]) -> Self {
        let mut chunk = Self::default();
        let result = read::messages(content, |topic, at, data| {
            chunk.push(topic, at, data);
            Ok(())
        });
        chunk.damage = result.err();
        chunk
    }

    fn push(&mut self, topic: Topic, at: u64, data: &[u8]) {
        let begin = self.bytes.len();
        self.bytes.extend(data);
        self.messages.push((topic, at, begin..self.bytes.len()));
    }

    /// How many messages it has.
    pub(crate) const fn len(&self) -> usize {
        self.messages.len()
    }

    /// A message: topic, when it was read, data.
    pub(crate) fn message(&self, index: usize) -> Option<(Topic, u64, &[u8])> {
        let (topic, at, range) = self.messages.get(index)?;
        Some((*topic, *at, self.bytes.get(range.clone())?))
    }
}

impl From<Batch> for Chunk {
    fn from(batch: Batch) -> Self {
        let mut chunk = Self::default();
        for (topic, at, _, data) in batch.messages() {
            chunk.push(topic, at, data);
        }
        chunk
    }
}

/// What comes next on a reel.
#[derive(Debug)]
pub(crate) enum Piece {
    /// The part of this number begins.
    Part(usize),
    /// A chunk: the part, and where in it.
    Chunk(usize, u64, Chunk),
    /// Bytes of a part that are none.
    Damage(usize, Damage),
}

/// Reads the parts of a run, one after the other.
pub(crate) struct Reel {
    parts: Arc<[Part]>,
    part: usize,
    frames: Option<Frames>,
}

impl Reel {
    /// From this chunk of this part on; 0 is a part's beginning.
    pub(crate) fn new(parts: Arc<[Part]>, part: usize, chunk: u64) -> Self {
        let frames = parts.get(part).map(|part| part.frames_from(chunk.max(8)));
        Self { parts, part, frames }
    }

    /// The next piece; `None` at the end of the last part.
    ///
    /// # Errors
    /// If a file can't be read any further.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, TraceError> {
        loop {
            let (Some(frames), Some(part)) = (&mut self.frames, self.parts.get(self.part)) else {
                return Ok(None);
            };
            let at = frames.at();
            let frame = frames.next().map_err(|source| TraceError::Io {
                path: part.path().display().to_string(),
                source,
            })?;
            return Ok(Some(match frame {
                Some(Frame::Chunk(content)) => Piece::Chunk(self.part, at, Chunk::of(&content)),
                Some(Frame::Damage(damage)) => Piece::Damage(self.part, damage),
                Some(Frame::Other(..)) => continue,
                None => {
                    self.part += 1;
                    self.frames = self.parts.get(self.part).map(|part| part.frames_from(8));
                    if self.frames.is_none() {
                        return Ok(None);
                    }
                    Piece::Part(self.part)
                }
            }));
        }
    }
}

/// The chunks of a run's parts: the part, where, and when the last message in it was read.
pub(crate) fn order(parts: &[Part]) -> Vec<(usize, u64, u64)> {
    let chunks = parts.iter().enumerate();
    let chunks = chunks.flat_map(|(part, file)| {
        file.chunks().into_iter().map(move |(offset, until)| (part, offset, until))
    });
    chunks.collect()
}

/// Hands a message on; `waiting` counts the records since the last that said how far all is complete.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn hand_on(
    topic: Topic,
    data: &[u8],
    sink: &mut dyn Sink,
    waiting: &mut u64,
) -> Result<(), String> {
    read::hand_on(topic, data, sink, &mut Played::default(), waiting)
}
