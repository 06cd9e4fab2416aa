//! Recorded traces: MCAP files with our records inside. `docs/trace-format.md` has every byte.
//!
//! ```text
//! write: Composer (a Sink) -> Batch -> Writer -> file
//! read:  file -> Part (facts) -> play() -> Sink
//! ```
//!
//! MCAP gives chunks with compression and checksums, an index by time, and readers in other languages;
//! what a message holds is ours: blocks of one CPU's records ([`block`]) and the other calls of
//! [`Sink`](crate::stream::Sink) as JSON.

pub mod block;
mod compose;
mod error;
mod frames;
mod read;
mod record;
mod reel;
mod topic;
mod versions;
mod write;

pub use compose::{Batch, Composer, Gap, Packed, Press};
pub use error::{Damage, TraceError};
pub(crate) use read::MOST_WAITING;
pub use read::{Part, Played, Range, open};
pub(crate) use reel::{Chunk, Piece, Reel, hand_on, order};
pub use topic::Topic;
pub use versions::VERSION;
pub use write::{Writer, whole};

/// The largest chunk that is read, in bytes, compressed or not: far more than is ever written.
const LARGEST_CHUNK: u64 = 64 << 20;

/// More CPUs than any kernel has (`CONFIG_NR_CPUS` is at most 8192 on x86-64).
const MOST_CPUS: u32 = 8192;
