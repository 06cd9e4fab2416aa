//! Where events come from: the one door for all of them.

pub mod live;

/// Somewhere that records come from: the running kernel, or later a file.
pub trait Source {
    /// Hands over what is there now, without waiting: each record with the CPU that wrote it, as
    /// the bytes that it wrote ([`tracer_common::wire`]).
    ///
    /// Records of one CPU come in the order in which they got their place in the buffer. That is
    /// the order of their sequence numbers but for records that an interrupt wrote in the middle of
    /// another record of the same CPU: those come before the one they interrupted, whose number is
    /// lower.
    ///
    /// # Errors
    /// [`SourceError`] if there will be no more records.
    fn poll(&mut self, sink: &mut dyn FnMut(u32, &[u8])) -> Result<Poll, SourceError>;
}

/// What one [`Source::poll`] handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Poll {
    /// Records.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// There was more than one sweep takes: come again at once.
    pub more: bool,
}

/// Why a source has ended.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Everything was handed over.
    #[error("there are no more events")]
    End,
    /// It can't be read.
    #[error("can't read events from {from}: {why}")]
    Broken {
        /// The source.
        from: String,
        /// What happened.
        why: String,
    },
}
