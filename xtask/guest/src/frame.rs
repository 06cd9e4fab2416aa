//! The guest's side of the talk: a stream of frames, numbered and with checksums.
//!
//! A frame is a header of 20 bytes, little-endian, and its payload:
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | `UZF` and the version |
//! | 4 | kind |
//! | 5..8 | zero |
//! | 8..12 | sequence number: the first frame is 0 |
//! | 12..16 | the payload's length |
//! | 16..20 | CRC-32 of the bytes before, and of the payload |
//!
//! Nothing but frames goes through the channel, so whatever is not the next frame is an error:
//! a decoder that looked for the next good one would turn damage into silent loss.

use thiserror::Error;

/// What every frame begins with; the last byte is the version.
const MAGIC: [u8; 4] = *b"UZF\x01";
/// A header's length in bytes.
pub const HEADER: usize = 20;
/// The longest payload in bytes.
pub const MAX_PAYLOAD: usize = 1 << 20;

/// What a frame's payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// `/init` runs: [`crate::job::Hello`] as JSON. Always the first frame.
    Hello = 1,
    /// The command is about to start: [`crate::job::Started`] as JSON.
    Started = 2,
    /// Bytes of the command's stdout.
    Stdout = 3,
    /// Bytes of the command's stderr.
    Stderr = 4,
    /// A file or folder of `/out`: [`crate::job::FileHead`] as JSON.
    FileHead = 5,
    /// The next bytes of the file whose head came last.
    FileData = 6,
    /// Something worth telling that changes nothing, as text.
    Note = 7,
    /// The machine cannot do its job, and why, as text. Nothing follows.
    Trouble = 8,
    /// The command has ended: [`crate::job::Ended`] as JSON. Nothing follows.
    Ended = 9,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Hello,
            2 => Self::Started,
            3 => Self::Stdout,
            4 => Self::Stderr,
            5 => Self::FileHead,
            6 => Self::FileData,
            7 => Self::Note,
            8 => Self::Trouble,
            9 => Self::Ended,
            _ => return None,
        })
    }
}

/// A frame that arrived whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What the payload is.
    pub kind: Kind,
    /// As the kind says.
    pub payload: Vec<u8>,
}

/// Why a stream cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The bytes at a frame's place are none.
    #[error("frame {sequence} begins with {found:02x?} instead of a frame's mark")]
    Mark {
        /// The frame that was due.
        sequence: u32,
        /// What stands there.
        found: [u8; 4],
    },
    /// The other end speaks another version.
    #[error("the guest speaks version {0} of the channel; this xtask speaks {version}", version = MAGIC[3])]
    Version(u8),
    /// The header says what no sender does.
    #[error("frame {sequence} has a header of no meaning ({what})")]
    Header {
        /// The frame that was due.
        sequence: u32,
        /// What is wrong.
        what: &'static str,
    },
    /// The checksum does not fit.
    #[error("frame {sequence} is damaged: its checksum does not fit")]
    Checksum {
        /// The frame that was due.
        sequence: u32,
    },
    /// A frame is missing, or came twice.
    #[error("frame {found} came when frame {due} was due")]
    Sequence {
        /// The frame that was due.
        due: u32,
        /// The frame that came.
        found: u32,
    },
}

/// Makes frames; it numbers them.
#[derive(Debug, Default)]
pub struct Encoder {
    next: u32,
}

impl Encoder {
    /// The header of the next frame. The payload must be at most [`MAX_PAYLOAD`] long.
    pub fn header(&mut self, kind: Kind, payload: &[u8]) -> [u8; HEADER] {
        debug_assert!(payload.len() <= MAX_PAYLOAD, "callers split what is longer");
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(&MAGIC);
        header[4] = kind as u8;
        header[8..12].copy_from_slice(&self.next.to_le_bytes());
        header[12..16].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        let crc = checksum(&header[..16], payload);
        header[16..].copy_from_slice(&crc.to_le_bytes());
        self.next = self.next.wrapping_add(1);
        header
    }
}

/// Takes a stream apart, however its bytes arrive.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    /// How many of `bytes` have been handed out as frames.
    used: usize,
    next: u32,
}

impl Decoder {
    /// Adds bytes as they come.
    pub fn push(&mut self, bytes: &[u8]) {
        // Moved to the front once in a while, not for every frame.
        if self.used > 0 && self.used >= self.bytes.len() / 2 {
            self.bytes.drain(..self.used);
            self.used = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next frame, if all of it is there.
    ///
    /// # Errors
    /// When what is there can be no frame. The stream is of no use from then on.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let sequence = self.next;
        let bytes = self.bytes.get(self.used..).unwrap_or_default();
        // Judged before the header is whole: noise may never be long enough.
        let mark = bytes.get(..4.min(bytes.len())).unwrap_or_default();
        if mark != &MAGIC[..mark.len()] {
            let mut found = [0; 4];
            found[..mark.len()].copy_from_slice(mark);
            return Err(match found {
                [b'U', b'Z', b'F', version] => FrameError::Version(version),
                found => FrameError::Mark { sequence, found },
            });
        }
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else { return Ok(None) };
        let word = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let length = word(12) as usize;
        if length > MAX_PAYLOAD {
            return Err(FrameError::Header { sequence, what: "too long" });
        }
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        if checksum(&header[..16], payload) != word(16) {
            return Err(FrameError::Checksum { sequence });
        }
        if word(8) != sequence {
            return Err(FrameError::Sequence { due: sequence, found: word(8) });
        }
        let Some(kind) = Kind::from_byte(header[4]) else {
            return Err(FrameError::Header { sequence, what: "unknown kind" });
        };
        let frame = Frame { kind, payload: payload.to_vec() };
        self.used += HEADER + length;
        self.next = self.next.wrapping_add(1);
        Ok(Some(frame))
    }

    /// Whether the stream stops within a frame.
    pub fn is_torn(&self) -> bool {
        self.used < self.bytes.len()
    }
}

fn checksum(header: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three frames, one of them empty.
    fn stream() -> Vec<u8> {
        let mut encoder = Encoder::default();
        let mut bytes = Vec::new();
        for (kind, payload) in
            [(Kind::Hello, &b"{}"[..]), (Kind::Stdout, b""), (Kind::Stderr, &[7; 3000])]
        {
            bytes.extend(encoder.header(kind, payload));
            bytes.extend(payload);
        }
        bytes
    }

    fn decode(bytes: &[u8], chunk: usize) -> (Vec<Frame>, Option<FrameError>, bool) {
        let (mut decoder, mut frames) = (Decoder::default(), Vec::new());
        for chunk in bytes.chunks(chunk) {
            decoder.push(chunk);
            loop {
                match decoder.next_frame() {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => break,
                    Err(error) => return (frames, Some(error), decoder.is_torn()),
                }
            }
        }
        (frames, None, decoder.is_torn())
    }

    #[test]
    fn frames_arrive_however_the_stream_is_cut() {
        let bytes = stream();
        for chunk in [1, 2, 19, 20, 21, 100, bytes.len()] {
            let (frames, error, torn) = decode(&bytes, chunk);
            assert_eq!((error, torn), (None, false), "chunks of {chunk}");
            let kinds: Vec<Kind> = frames.iter().map(|frame| frame.kind).collect();
            assert_eq!(kinds, [Kind::Hello, Kind::Stdout, Kind::Stderr]);
            assert_eq!(frames[2].payload, [7; 3000]);
        }
    }

    #[test]
    fn a_truncated_stream_is_torn_and_gives_only_whole_frames() {
        let bytes = stream();
        for length in 0..bytes.len() {
            let (frames, error, torn) = decode(&bytes[..length], 64);
            assert_eq!(error, None, "cut at {length}");
            let at_an_end = [0, 22, 42].contains(&length);
            assert_eq!(torn, !at_an_end, "cut at {length}");
            assert_eq!(frames.len(), [22, 42].iter().filter(|&&end| length >= end).count());
        }
    }

    #[test]
    fn every_damaged_byte_is_seen() {
        let good = stream();
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 0x10;
            let (frames, error, torn) = decode(&bytes, bytes.len());
            // A length that grew may wait for bytes that never come: torn, never three frames.
            assert!(error.is_some() || torn, "byte {at}");
            assert!(frames.len() < 3, "byte {at}");
        }
    }

    #[test]
    fn noise_is_an_error_at_once() {
        let (_, error, _) = decode(b"[    0.0", 8);
        assert!(matches!(error, Some(FrameError::Mark { sequence: 0, .. })), "{error:?}");
        let (_, error, _) = decode(b"!", 8);
        assert!(matches!(error, Some(FrameError::Mark { .. })), "{error:?}");
        let mut bytes = stream();
        bytes.splice(22..22, *b"noise");
        let (frames, error, _) = decode(&bytes, bytes.len());
        assert_eq!(frames.len(), 1);
        assert!(matches!(error, Some(FrameError::Mark { sequence: 1, .. })), "{error:?}");
    }

    #[test]
    fn a_missing_or_repeated_frame_is_seen() {
        let mut bytes = stream();
        bytes.drain(22..42);
        let (_, error, _) = decode(&bytes, bytes.len());
        assert_eq!(error, Some(FrameError::Sequence { due: 1, found: 2 }));
        let mut bytes = stream();
        bytes.extend_from_within(..22);
        let (_, error, _) = decode(&bytes, bytes.len());
        assert_eq!(error, Some(FrameError::Sequence { due: 3, found: 0 }));
    }

    #[test]
    fn another_version_is_named() {
        let mut bytes = stream();
        bytes[3] = 2;
        let (_, error, _) = decode(&bytes, bytes.len());
        assert_eq!(error, Some(FrameError::Version(2)));
    }
}
