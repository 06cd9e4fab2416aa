//! Memory whose reads judge the kernel: a stale translation shows in the value.
//!
//! The one who discards owns one word per page:
//! ```text
//! discarder                              reader
//! intent = v + 1                         e = expected           (acquire)
//! madvise(MADV_DONTNEED) returns         r = word
//! word = v + 1   (a new page)            i = intent
//! expected = v + 1       (release)       judge: r == 0, or e <= r <= i
//! ```
//! Having read `e`, the reader comes after the discard before it; a page of an older version can be
//! reached only by a translation that this discard should have removed: a **stale read**. A zero is
//! the next discard, already begun.

use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io;

use crate::stress::sys::memory::Region;

/// Pages of judged memory, with the version that every page has.
pub(super) struct Judged {
    region: Region,
    pages: usize,
    expected: AtomicU64,
    intent: AtomicU64,
}

impl Judged {
    /// Maps `pages` pages; all of them read as version 0.
    pub(super) fn new(pages: usize) -> io::Result<Self> {
        let region = Region::new(pages)?;
        Ok(Self { region, pages, expected: AtomicU64::new(0), intent: AtomicU64::new(0) })
    }

    /// Discards the first `pages` pages, and fills *all* pages with the next version, by way of the
    /// one expected version that the readers know. One thread only may call this.
    pub(super) fn discard(&self, pages: usize) -> io::Result<()> {
        let version = self.intent.load(Ordering::Relaxed) + 1;
        self.intent.store(version, Ordering::SeqCst);
        self.region.discard(pages)?;
        for page in 0..self.pages {
            self.region.page(page).store(version, Ordering::SeqCst);
        }
        self.expected.store(version, Ordering::Release);
        Ok(())
    }

    /// Takes the right to write away from the first `pages` pages and gives it back. Whoever reads
    /// meanwhile is not disturbed. Not beside [`discard`](Self::discard), which writes.
    pub(super) fn protect_and_back(&self, pages: usize) -> io::Result<()> {
        self.region.protect(pages, false)?;
        self.region.protect(pages, true)
    }

    /// Reads page `page`; false if what it read is stale.
    pub(super) fn read(&self, page: usize) -> bool {
        let expected = self.expected.load(Ordering::Acquire);
        let word = self.region.page(page).load(Ordering::SeqCst);
        let intent = self.intent.load(Ordering::SeqCst);
        fresh(expected, word, intent)
    }
}

/// Whether a read may have this result.
fn fresh(expected: u64, word: u64, intent: u64) -> bool {
    word == 0 || (expected..=intent).contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_judged_between_expected_and_intent() {
        assert!(fresh(3, 3, 3) && fresh(3, 4, 4) && fresh(3, 0, 4));
        assert!(!fresh(3, 2, 4) && !fresh(3, 5, 4));
    }

    #[test]
    fn what_was_discarded_reads_as_the_next_version() {
        let judged = Judged::new(4).expect("memory");
        for pages in [4, 1, 4] {
            judged.discard(pages).expect("a discard");
            judged.protect_and_back(pages).expect("a change of rights");
            assert!((0..4).all(|page| judged.read(page)));
        }
        assert_eq!(judged.region.page(3).load(Ordering::Relaxed), 3);
    }
}
