//! Lines of a file that may hold anything.

use std::io::{self, BufRead};

/// The longest line that is looked at, in bytes. An event's takes some hundred.
const LONGEST: usize = 16 << 10;

/// Reads lines in bounded memory.
pub(super) struct Lines<R> {
    from: R,
    line: Vec<u8>,
    number: u64,
}

/// A line: its number, from 1, and what it holds, without its end. Of one that is too long, only
/// that much is there.
pub(super) struct Line<'a> {
    pub(super) number: u64,
    pub(super) bytes: &'a [u8],
    pub(super) too_long: bool,
}

impl<R: BufRead> Lines<R> {
    pub(super) const fn new(from: R) -> Self {
        Self { from, line: Vec::new(), number: 0 }
    }

    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        self.number += 1;
        let mut too_long = false;
        let mut any = false;
        loop {
            let buffer = match self.from.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if buffer.is_empty() {
                break;
            }
            any = true;
            let end = buffer.iter().position(|&byte| byte == b'\n');
            let part = &buffer[..end.unwrap_or(buffer.len())];
            let room = LONGEST - self.line.len();
            too_long |= part.len() > room;
            self.line.extend(&part[..part.len().min(room)]);
            let used = end.map_or(buffer.len(), |end| end + 1);
            self.from.consume(used);
            if end.is_some() {
                break;
            }
        }
        let bytes = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        Ok(any.then_some(Line { number: self.number, bytes, too_long }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<(u64, usize, bool)> {
        // A buffer of a few bytes, so that lines span several.
        let mut lines = Lines::new(io::BufReader::with_capacity(7, bytes));
        let mut all = Vec::new();
        while let Some(line) = lines.next().expect("memory can be read") {
            all.push((line.number, line.bytes.len(), line.too_long));
        }
        all
    }

    #[test]
    fn lines_are_counted_and_cut() {
        assert_eq!(all(b""), []);
        assert_eq!(all(b"\n"), [(1, 0, false)]);
        assert_eq!(all(b"ab\r\n\ncd"), [(1, 2, false), (2, 0, false), (3, 2, false)]);
        let mut long = vec![b'x'; LONGEST];
        assert_eq!(all(&long), [(1, LONGEST, false)]);
        long.extend(b"y\nz");
        assert_eq!(all(&long), [(1, LONGEST, true), (2, 1, false)]);
    }
}
