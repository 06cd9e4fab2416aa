//! Places in a recording, and reading from there on.

use std::{collections::VecDeque, sync::Arc};

use crate::trace::{Chunk, Packed, Part, Piece, Reel, TraceError};

/// A message of a recording, or of what is kept of a live run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The part.
    pub(super) part: usize,
    /// Where in it its chunk begins; live, the number of the batch.
    pub(super) chunk: u64,
    /// Which message of the chunk.
    pub(super) message: usize,
}

/// Somewhere that messages are read from, one chunk after the other.
pub(super) trait Roll: Send {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// If it can't be read any further.
    fn next(&mut self) -> Result<Option<Piece>, TraceError>;
}

impl Roll for Reel {
    fn next(&mut self) -> Result<Option<Piece>, TraceError> {
        Self::next(self)
    }
}

/// Opens a recording's parts at a place.
pub(super) fn open(parts: &Arc<[Part]>, place: Place) -> Box<dyn Roll> {
    Box::new(Reel::new(Arc::clone(parts), place.part, place.chunk))
}

/// The batches of a live run that are kept, from one on.
pub(super) struct Batches {
    pub(super) next: u64,
    pub(super) rest: VecDeque<Arc<Packed>>,
}

impl Roll for Batches {
    fn next(&mut self) -> Result<Option<Piece>, TraceError> {
        let Some(packed) = self.rest.pop_front() else { return Ok(None) };
        let number = self.next;
        self.next += 1;
        let batch = packed.unpack().map_err(|source| TraceError::Io {
            path: "what is kept in memory".to_owned(),
            source,
        })?;
        Ok(Some(Piece::Chunk(0, number, Chunk::from(batch))))
    }
}
