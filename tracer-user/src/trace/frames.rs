//! A file's records, one after the other, damaged ones passed over.
//!
//! The library's own readers end at the first damage; these go on at the next chunk, which is found
//! by its shape and proven by its checksum.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path, sync::Arc};

use mcap::records::{ChunkHeader, Record, op};

use super::{Damage, LARGEST_CHUNK, record::parse};

/// What a file begins and, if it was finished, ends with.
const MAGIC: &[u8; 8] = b"\x89MCAP0\r\n";
/// Before a record: what it is, and its length.
const FRAME: u64 = 9;
/// What stands before a chunk's name of its compression: times, sizes, checksum.
const BEFORE_NAME: u64 = 8 + 8 + 8 + 4;
/// The name, with its length.
const NAME: &[u8; 8] = b"\x04\0\0\0zstd";

/// A record, or what there is instead.
#[derive(Debug)]
pub(super) enum Frame {
    /// A chunk's content, unpacked and proven right.
    Chunk(Vec<u8>),
    /// Another record: what it is and its bytes.
    Other(u8, Vec<u8>),
    /// Bytes that are none.
    Damage(Damage),
}

/// Reads a file from a place on.
pub(super) struct Frames {
    file: Arc<File>,
    size: u64,
    at: u64,
    /// The file ended in order: data end, or summary.
    ended: bool,
}

/// What chunk begins at some place, as the summary says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: u64,
    /// When the last message in it was read.
    pub(super) until: u64,
}

impl Frames {
    /// Opens a file; `None` if it isn't even the right container.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = File::open(path)?;
        let meta = file.metadata()?;
        if meta.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let mut magic = [0; MAGIC.len()];
        match file.read_exact_at(&mut magic, 0) {
            Ok(()) if magic == *MAGIC => {}
            Ok(()) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let at = MAGIC.len() as u64;
        Ok(Some(Self { file: Arc::new(file), size: meta.len(), at, ended: false }))
    }

    /// The same file from another place on.
    pub(super) fn from(&self, offset: u64) -> Self {
        Self { file: Arc::clone(&self.file), size: self.size, at: offset, ended: false }
    }

    /// The chunks, as the summary at the file's end lists them; none if it has no such end.
    pub(super) fn places(&self) -> Vec<Place> {
        self.summary().unwrap_or_default()
    }

    fn summary(&self) -> Option<Vec<Place>> {
        // include: footer frame, its 20 bytes, magic.
        let footer = self.size.checked_sub(FRAME + 20 + MAGIC.len() as u64)?;
        let (kind, body) = self.frame(footer).ok()??;
        let Record::Footer(footer) = parse(kind, &body)? else { return None };
        let mut frames = self.from(footer.summary_start);
        let mut places = Vec::new();
        while let Ok(Some((kind, body))) = frames.frame(frames.at) {
            frames.at += FRAME + body.len() as u64;
            match (kind, parse(kind, &body)) {
                (op::CHUNK_INDEX, Some(Record::ChunkIndex(index))) => places.push(Place {
                    offset: index.chunk_start_offset,
                    until: index.message_end_time,
                }),
                (op::CHUNK_INDEX | op::FOOTER, _) => break,
                _ => {}
            }
        }
        Some(places)
    }

    /// The chunks, as they stand in the file one after the other, up to the first damage.
    pub(super) fn walk(&self) -> Vec<Place> {
        let mut places = Vec::new();
        let mut at = MAGIC.len() as u64;
        // Of a chunk: what it is, its length, when its first and its last message were read.
        let mut head = [0; FRAME as usize + 16];
        while self.file.read_exact_at(&mut head, at).is_ok() {
            let kind = head[0];
            let word = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |word| u64::from_le_bytes(*word));
            let len = word(head[1..].first_chunk());
            let next = at.saturating_add(FRAME).saturating_add(len);
            if kind == 0 || kind > op::DATA_END || len > LARGEST_CHUNK || next > self.size {
                break;
            }
            if kind == op::CHUNK {
                let until = word(head.last_chunk());
                places.push(Place { offset: at, until });
            }
            at = next;
        }
        places
    }

    /// Where the next record begins.
    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    /// What stands at `offset`, if it is short enough and all there.
    fn frame(&self, offset: u64) -> io::Result<Option<(u8, Vec<u8>)>> {
        let mut head = [0; FRAME as usize];
        if offset.saturating_add(FRAME) > self.size {
            return Ok(None);
        }
        self.file.read_exact_at(&mut head, offset)?;
        let [kind, len @ ..] = head;
        let len = u64::from_le_bytes(len);
        if len > LARGEST_CHUNK || offset.saturating_add(FRAME).saturating_add(len) > self.size {
            return Ok(None);
        }
        let mut body = vec![0; len as usize];
        self.file.read_exact_at(&mut body, offset + FRAME)?;
        Ok(Some((kind, body)))
    }

    /// The next record; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Frame>> {
        if self.ended || self.at >= self.size {
            return Ok(None);
        }
        let why = match self.frame(self.at)? {
            // Zero is no record of any kind.
            Some((0, _)) => "this is no record".to_owned(),
            Some((op::CHUNK, body)) => match unpack(&body) {
                Ok(messages) => {
                    self.at += FRAME + body.len() as u64;
                    return Ok(Some(Frame::Chunk(messages)));
                }
                Err(why) => why,
            },
            Some((kind, body)) if kind <= op::DATA_END => {
                self.at += FRAME + body.len() as u64;
                self.ended = matches!(kind, op::DATA_END | op::FOOTER);
                return Ok(Some(Frame::Other(kind, body)));
            }
            Some(_) => "this is no record".to_owned(),
            None => "it is cut off, or longer than the file".to_owned(),
        };
        let from = self.at;
        self.at = self.next_chunk(from + 1)?.unwrap_or(self.size);
        Ok(Some(Frame::Damage(Damage { offset: from, bytes: self.at - from, why })))
    }

    /// Where the next chunk begins whose content is right.
    fn next_chunk(&self, from: u64) -> io::Result<Option<u64>> {
        const PIECE: usize = 1 << 20;
        let mut piece = vec![0; PIECE + NAME.len()];
        let name_at = FRAME + BEFORE_NAME;
        let mut at = from;
        while at < self.size {
            let len = piece.len().min((self.size - at) as usize);
            self.file.read_exact_at(&mut piece[..len], at)?;
            let found = piece[..len].windows(NAME.len()).enumerate();
            for (index, _) in found.filter(|(_, window)| window == NAME) {
                let Some(begin) = (at + index as u64).checked_sub(name_at) else { continue };
                if begin >= from
                    && let Some((op::CHUNK, body)) = self.frame(begin)?
                    && unpack(&body).is_ok()
                {
                    return Ok(Some(begin));
                }
            }
            at += PIECE as u64;
        }
        Ok(None)
    }
}

/// A chunk's content, if its checksum says that it is right.
fn unpack(body: &[u8]) -> Result<Vec<u8>, String> {
    let Some(Record::Chunk { header, data }) = parse(op::CHUNK, body) else {
        return Err("this is no chunk".to_owned());
    };
    let ChunkHeader { uncompressed_size: size, uncompressed_crc: crc, compression, .. } = header;
    if size > LARGEST_CHUNK {
        return Err(format!("a chunk claims to hold {size} bytes"));
    }
    let content = match compression.as_str() {
        "" => data.into_owned(),
        "zstd" => zstd::bulk::decompress(&data, size as usize)
            .map_err(|error| format!("a chunk can't be unpacked: {error}"))?,
        other => return Err(format!("a chunk is packed by {other:?}, which unlazy never does")),
    };
    if content.len() as u64 != size || (crc != 0 && crc32fast::hash(&content) != crc) {
        return Err("a chunk's checksum is wrong".to_owned());
    }
    Ok(content)
}
