//! Things that are done: calls that have returned, flushes that are over.

/// How many are held back until their order against other CPUs' events is sure.
const RECENT: usize = 8;

/// One of them: what it stands for and when it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Done {
    mark: u64,
    end: u64,
}

/// Things that are done, of which the latest that are too fresh to be ordered against another CPU's
/// clock are held back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Completed {
    settled: u64,
    recent: [Done; RECENT],
}

impl Completed {
    /// Notes that what `mark` stands for (a call's start, a flush's generation) was done at `end`.
    pub fn push(&mut self, mark: u64, end: u64) {
        // The slot that ended first makes room. Its mark moves on to the newcomer, which delays it
        // by less than the clocks' uncertainty and never brings it forward.
        let mut oldest = 0;
        let mut index = 0;
        while index < RECENT {
            if self.recent[index].end < self.recent[oldest].end {
                oldest = index;
            }
            index += 1;
        }
        let mark = mark.max(self.recent[oldest].mark);
        self.recent[oldest] = Done { mark, end };
    }

    /// The greatest mark among those done at least `skew` before `now`.
    pub fn before(&mut self, now: u64, skew: u64) -> u64 {
        let mut index = 0;
        while index < RECENT {
            let done = &mut self.recent[index];
            if done.end != 0 && done.end.saturating_add(skew) < now {
                self.settled = self.settled.max(done.mark);
                *done = Done::default();
            }
            index += 1;
        }
        self.settled
    }
}
