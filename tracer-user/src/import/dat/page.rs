//! A page of the ring buffer (`include/linux/ring_buffer.h`, `kernel/trace/ring_buffer.c`).
//!
//! ```text
//! page  = time:u64 commit:u64 event*      commit: bytes of events, and whether some were lost before
//! event = type:5 delta:27 ...             type 1..28: 4 * type bytes of data follow;
//!         0: a length (itself included) and data; 29: padding; 30: 27 + 32 bits of delta;
//!         31: 59 bits of time
//! ```

/// The part of `commit` that is a length.
const LENGTH: u64 = (1 << 27) - 1;
/// How many events were lost stands behind the last one.
const MISSED_STORED: u64 = 1 << 30;
/// Events were lost.
const MISSED: u64 = 1 << 31;

/// Bytes before the events.
const START: usize = 16;

/// A time that is told in full has so many bits.
const TIME_BITS: u32 = 59;

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// How many events were lost before this page; 1 where that is not known.
pub(super) fn lost(page: &[u8]) -> u64 {
    let Some(commit) = u64_at(page, 8).filter(|commit| commit & MISSED != 0) else { return 0 };
    if commit & MISSED_STORED == 0 {
        return 1;
    }
    u64_at(page, START + (commit & LENGTH) as usize).unwrap_or(1).max(1)
}

/// Hands on the page's events: time and data.
///
/// # Errors
/// What is wrong with it; the events before were handed on.
pub(super) fn events(page: &[u8], mut to: impl FnMut(u64, &[u8])) -> Result<(), &'static str> {
    let (Some(mut ts), Some(commit)) = (u64_at(page, 0), u64_at(page, 8)) else {
        return Err("a page is cut off");
    };
    let data = START
        .checked_add((commit & LENGTH) as usize)
        .and_then(|end| page.get(START..end))
        .ok_or("a page claims to be longer than it is")?;
    let cut = "a page ends in the middle of an event";
    let mut at = 0;
    while at < data.len() {
        let head = u32_at(data, at).ok_or(cut)?;
        let (kind, delta) = (head & 31, u64::from(head >> 5));
        at += 4;
        let more = || u32_at(data, at).ok_or(cut);
        let len = match kind {
            // Nothing follows.
            29 if delta == 0 => return Ok(()),
            29 => {
                ts = ts.wrapping_add(delta);
                at = at.checked_add(more()? as usize).ok_or(cut)?;
                continue;
            }
            30 => {
                ts = ts.wrapping_add((u64::from(more()?) << 27) + delta);
                at += 4;
                continue;
            }
            31 => {
                let mask = (1 << TIME_BITS) - 1;
                let full = (ts & !mask) | (((u64::from(more()?) << 27) + delta) & mask);
                // The upper bits have gone on since the page began.
                ts = if full < ts { full.wrapping_add(1 << TIME_BITS) } else { full };
                at += 4;
                continue;
            }
            0 => {
                let len = more()? as usize;
                at += 4;
                len.checked_sub(4).ok_or("an event is shorter than its length")?
            }
            words => words as usize * 4,
        };
        ts = ts.wrapping_add(delta);
        let end = at.checked_add(len).ok_or(cut)?;
        to(ts, data.get(at..end).ok_or(cut)?);
        at = end.next_multiple_of(4);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(ts: u64, commit: u64, words: &[u32]) -> Vec<u8> {
        let mut page = [ts.to_le_bytes(), commit.to_le_bytes()].concat();
        page.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        page
    }

    fn all(page: &[u8]) -> (Vec<(u64, usize)>, Result<(), &'static str>) {
        let mut all = Vec::new();
        let end = events(page, |ts, data| all.push((ts, data.len())));
        (all, end)
    }

    const fn head(kind: u32, delta: u32) -> u32 {
        kind | delta << 5
    }

    #[test]
    fn all_types_of_events() {
        let words = [
            head(1, 5),
            0, // 4 bytes
            head(30, 7),
            1, // 1 << 27, and 7
            head(2, 0),
            0,
            0, // 8 bytes
            head(29, 3),
            4, // discarded
            head(0, 1),
            9,
            0,
            0, // a length of 9, itself included
            head(29, 0),
            99, // the end
        ];
        let (events, end) = all(&page(100, words.len() as u64 * 4, &words));
        assert_eq!(end, Ok(()));
        let later = 100 + 5 + (1 << 27) + 7;
        assert_eq!(events, [(105, 4), (later, 8), (later + 3 + 1, 5)]);
    }

    #[test]
    fn a_time_in_full() {
        let words = [head(31, 8), 1, head(1, 1), 0];
        let (events, _) = all(&page(3 << TIME_BITS, 16, &words));
        assert_eq!(events, [((3 << TIME_BITS) + (1 << 27) + 8 + 1, 4)]);
    }

    #[test]
    fn losses() {
        assert_eq!(lost(&page(0, 0, &[])), 0);
        assert_eq!(lost(&page(0, MISSED, &[])), 1);
        assert_eq!(lost(&page(0, MISSED | MISSED_STORED | 4, &[0, 12, 0])), 12);
        assert_eq!(lost(&page(0, MISSED | MISSED_STORED | 4, &[0])), 1, "no room for it");
    }

    #[test]
    fn what_is_cut_off() {
        assert!(events(b"", |_, _| ()).is_err());
        assert!(all(&page(0, 100, &[])).1.is_err());
        for words in [&[head(5, 0)][..], &[head(0, 0)], &[head(0, 0), 3], &[head(30, 0)]] {
            assert!(all(&page(0, words.len() as u64 * 4, words)).1.is_err(), "{words:?}");
        }
    }
}
