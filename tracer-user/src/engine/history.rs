//! What each CPU did last, for the stories that findings tell.

use tracer_common::model::Event;

/// How many events of each CPU are kept.
const KEPT: usize = 512;

pub(super) struct History {
    cpus: Vec<Ring>,
}

/// The last events of one CPU.
#[derive(Default)]
struct Ring {
    events: Vec<(u64, Event)>,
    /// Where the next one goes: at the end, or once there are enough, in the place of the oldest.
    next: usize,
}

impl History {
    pub(super) fn new(cpus: u32) -> Self {
        Self { cpus: (0..cpus).map(|_| Ring::default()).collect() }
    }

    pub(super) fn push(&mut self, cpu: u32, ts: u64, event: &Event) {
        let Some(ring) = self.cpus.get_mut(cpu as usize) else { return };
        if let Some(oldest) = ring.events.get_mut(ring.next) {
            *oldest = (ts, *event);
        } else {
            ring.events.push((ts, *event));
        }
        ring.next = (ring.next + 1) % KEPT;
    }

    /// The events of one CPU, oldest first.
    pub(super) fn of(&self, cpu: u32) -> impl DoubleEndedIterator<Item = &(u64, Event)> {
        let ring = self.cpus.get(cpu as usize);
        let halves = ring.map(|ring| ring.events.split_at(ring.next));
        halves.into_iter().flat_map(|(younger, older)| older.iter().chain(younger))
    }

    pub(super) fn cpus(&self) -> u32 {
        self.cpus.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_events_are_kept_oldest_first() {
        let kept = KEPT as u64;
        for pushed in [0, 1, kept - 1, kept, kept + 1, 2 * kept, 3 * kept + 7] {
            let mut history = History::new(2);
            for ts in 0..pushed {
                history.push(1, ts, &Event::SwitchCr3);
            }
            let told: Vec<u64> = history.of(1).map(|&(ts, _)| ts).collect();
            let expected: Vec<u64> = (pushed.saturating_sub(kept)..pushed).collect();
            assert_eq!(told, expected);
            let back: Vec<u64> = history.of(1).rev().map(|&(ts, _)| ts).collect();
            assert_eq!(back, expected.into_iter().rev().collect::<Vec<_>>());
            assert_eq!(history.of(0).count(), 0);
        }
        History::new(1).push(7, 1, &Event::SwitchCr3);
    }
}
