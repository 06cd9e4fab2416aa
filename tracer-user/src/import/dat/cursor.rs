//! Reading a file that may claim anything.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use crate::import::ImportError;

/// The largest part of the file, unpacked, that is held in memory: the symbols of a large kernel
/// take some 20 MB.
pub(super) const LARGEST: u64 = 64 << 20;

/// What is wrong, and where.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: u64,
    pub(super) why: &'static str,
    source: Option<io::Error>,
}

impl Fault {
    pub(super) const fn new(at: u64, why: &'static str) -> Self {
        Self { at, why, source: None }
    }

    pub(super) fn told(self, path: &Path) -> ImportError {
        let path = path.display().to_string();
        match self.source {
            Some(source) => ImportError::Read { path, source },
            None => ImportError::Binary { path, at: self.at, why: self.why.to_owned() },
        }
    }
}

const CUT: &str = "the file is cut off, or claims to be larger than it is";

/// Bytes of the file at `at`.
pub(super) fn bytes_at(file: &File, at: u64, len: u64) -> Result<Vec<u8>, Fault> {
    if len > LARGEST {
        return Err(Fault::new(at, "a part is larger than 64 MiB"));
    }
    let size =
        file.metadata().map_err(|source| Fault { at, why: CUT, source: Some(source) })?.len();
    if at.checked_add(len).is_none_or(|end| end > size) {
        return Err(Fault::new(at, CUT));
    }
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, at).map_err(|source| Fault {
        at,
        why: CUT,
        source: Some(source),
    })?;
    Ok(bytes)
}

/// Where bytes come from.
enum From<'a> {
    File(&'a File),
    Memory(&'a [u8]),
}

/// A place in a file, or in a part of it that was unpacked.
pub(super) struct Cursor<'a> {
    from: From<'a>,
    at: u64,
    /// For faults: where what is in memory was in the file.
    base: u64,
}

impl<'a> Cursor<'a> {
    pub(super) const fn file(file: &'a File, at: u64) -> Self {
        Self { from: From::File(file), at, base: 0 }
    }

    pub(super) const fn memory(bytes: &'a [u8], base: u64) -> Self {
        Self { from: From::Memory(bytes), at: 0, base }
    }

    /// Where it is, in the file.
    pub(super) const fn at(&self) -> u64 {
        self.base.saturating_add(self.at)
    }

    pub(super) fn bytes(&mut self, len: u64) -> Result<Vec<u8>, Fault> {
        let bytes = match self.from {
            From::File(file) => bytes_at(file, self.at, len)?,
            From::Memory(bytes) => {
                let end = self.at.saturating_add(len);
                bytes
                    .get(self.at as usize..end as usize)
                    .ok_or(Fault::new(self.at(), CUT))?
                    .to_vec()
            }
        };
        self.at += len;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let at = self.at();
        self.bytes(N as u64)?.try_into().map_err(|_| Fault::new(at, CUT))
    }

    pub(super) fn u8(&mut self) -> Result<u8, Fault> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16, Fault> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Fault> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Fault> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A string that ends with NUL.
    pub(super) fn string(&mut self) -> Result<String, Fault> {
        let at = self.at();
        let mut text = Vec::new();
        loop {
            match self.u8()? {
                0 => return Ok(String::from_utf8_lossy(&text).into_owned()),
                _ if text.len() >= 4096 => return Err(Fault::new(at, "a name has no end")),
                byte => text.push(byte),
            }
        }
    }

    /// These very bytes.
    pub(super) fn expect(&mut self, bytes: &[u8], why: &'static str) -> Result<(), Fault> {
        let at = self.at();
        if self.bytes(bytes.len() as u64)? == bytes { Ok(()) } else { Err(Fault::new(at, why)) }
    }
}

/// Unpacks what is no larger, unpacked, than `size`.
pub(super) fn unpack(packed: &[u8], size: u64, at: u64) -> Result<Vec<u8>, Fault> {
    if size > LARGEST {
        return Err(Fault::new(at, "a part is larger than 64 MiB when unpacked"));
    }
    zstd::bulk::decompress(packed, size as usize)
        .map_err(|_| Fault::new(at, "a packed part is damaged"))
}
