//! One CPU's pages, one after another.

use std::fs::File;

use super::{
    Fault,
    cursor::{bytes_at, unpack},
    header::{Buffer, OfCpu},
};

/// Pages have at most so many bytes (`kernel/trace/ring_buffer.c`: sub-buffers of 2^7 pages).
const LARGEST_PAGE: u32 = 1 << 20;

/// Reads them.
pub(super) struct Pages<'a> {
    file: &'a File,
    page_size: usize,
    /// Where the next bytes of the file are, and the end of them.
    at: u64,
    end: u64,
    /// Chunks that are still to come, if they are packed.
    chunks: Option<u32>,
    /// What is unpacked, and how much of it was handed on.
    chunk: Vec<u8>,
    used: usize,
    page: Vec<u8>,
}

impl<'a> Pages<'a> {
    pub(super) fn open(
        file: &'a File,
        buffer: &Buffer,
        cpu: &OfCpu,
        packed: bool,
    ) -> Result<Self, Fault> {
        let OfCpu { at, size, .. } = *cpu;
        if !(64..=LARGEST_PAGE).contains(&buffer.page_size) {
            return Err(Fault::new(at, "its pages have an impossible size"));
        }
        let mut pages = Self {
            file,
            page_size: buffer.page_size as usize,
            at,
            end: at.saturating_add(size),
            chunks: None,
            chunk: Vec::new(),
            used: 0,
            page: Vec::new(),
        };
        if packed && buffer.packed && size > 0 {
            pages.chunks = Some(pages.u32()?);
        }
        Ok(pages)
    }

    /// Where the next page is, in the file.
    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        let bytes = bytes_at(self.file, self.at, 4)?;
        self.at += 4;
        Ok(bytes.try_into().map_or(0, u32::from_le_bytes))
    }

    /// The next page.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, Fault> {
        let Some(chunks) = self.chunks else {
            let left = self.end.saturating_sub(self.at);
            if left == 0 {
                return Ok(None);
            }
            let len = left.min(self.page_size as u64);
            self.page = bytes_at(self.file, self.at, len)?;
            self.at += len;
            return Ok(Some(&self.page));
        };
        if self.used >= self.chunk.len() {
            if chunks == 0 {
                return Ok(None);
            }
            self.chunks = Some(chunks - 1);
            let at = self.at;
            let (packed, unpacked) = (self.u32()?, self.u32()?);
            let bytes = bytes_at(self.file, self.at, packed.into())?;
            self.at += u64::from(packed);
            self.chunk = unpack(&bytes, unpacked.into(), at)?;
            self.used = 0;
            if self.chunk.is_empty() {
                return Err(Fault::new(at, "a packed part is empty"));
            }
        }
        let end = (self.used + self.page_size).min(self.chunk.len());
        let page = &self.chunk[self.used..end];
        self.used = end;
        Ok(Some(page))
    }
}
