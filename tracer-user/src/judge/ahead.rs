//! A recording is read and sorted on a thread of its own, while what was read before is judged.
//!
//! ```text
//! Part::play -> Sorting (order, merge) -> a few sweeps that wait -> Judge
//! ```

use std::{
    sync::mpsc::{Receiver, SyncSender, channel, sync_channel},
    thread,
};

use super::Judge;
use crate::{
    engine::{Observer, Sorted, Sorter},
    stream::{Closing, Opening, Sink},
    trace::{Part, Played, Range, TraceError},
};

/// Sweeps that wait, sorted, for the judge.
const AHEAD: usize = 4;

/// What a run is made of, once its records are in order.
enum Step {
    /// [`Sink::advance`]
    Sweep { until: u64, sorted: Sorted },
    /// [`Sink::opened`], when so many records had come too late.
    Opened { opening: Opening, late: u64 },
    /// [`Sink::closed`]; the last sweep follows.
    Closed(Closing),
}

/// Hands all of a file on to `judge`, which [lent](crate::engine::Engine::sort_ahead) `sorter`.
///
/// # Errors
/// As [`Part::play`].
pub(super) fn play<O: Observer>(
    part: &Part,
    range: Range,
    sorter: &mut Sorter,
    judge: &mut Judge<O>,
) -> Result<Played, TraceError> {
    let (to, from) = sync_channel(AHEAD);
    let (back, used) = channel();
    thread::scope(|scope| {
        let reading = scope.spawn(move || part.play(range, &mut Sorting { sorter, to, used }));
        for step in from {
            if let Some(sorted) = judge.take(step) {
                // If nobody wants it any more, that is fine.
                let _ = back.send(sorted);
            }
        }
        reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Sorts what is read.
struct Sorting<'a> {
    sorter: &'a mut Sorter,
    to: SyncSender<Step>,
    /// What has been judged, to be filled anew: fresh memory costs more than what is put there.
    used: Receiver<Sorted>,
}

impl Sorting<'_> {
    fn send(&self, step: Step) {
        // Whoever takes them ends early only by a panic, which ends the run.
        let _ = self.to.send(step);
    }
}

impl Sink for Sorting<'_> {
    fn record(&mut self, cpu: u32, record: &[u8]) {
        self.sorter.push(cpu, record);
    }

    fn syscall_probes(&mut self, ts: u64, on: bool) {
        self.sorter.syscall_probes(ts, on);
    }

    fn advance(&mut self, until: u64) {
        let used = self.used.try_recv().unwrap_or_default();
        let sorted = self.sorter.advance(until, used);
        self.send(Step::Sweep { until, sorted });
    }

    fn opened(&mut self, opening: &Opening) {
        let late = self.sorter.late();
        self.send(Step::Opened { opening: opening.clone(), late });
    }

    fn closed(&mut self, closing: &Closing) {
        for (cpu, &next) in closing.next_seq.iter().enumerate() {
            self.sorter.expect(cpu as u32, next, closing.end_ns);
        }
        self.send(Step::Closed(closing.clone()));
        self.advance(closing.end_ns);
    }
}

impl<O: Observer> Judge<O> {
    /// Takes a step; gives back what is of no more use.
    fn take(&mut self, step: Step) -> Option<Sorted> {
        match step {
            Step::Sweep { until, sorted } => {
                self.engine.take(&sorted);
                self.advanced(until);
                return Some(sorted);
            }
            Step::Opened { opening, late } => {
                self.engine.sorted_late(late);
                Sink::opened(self, &opening);
            }
            Step::Closed(closing) => self.closing = Some(closing),
        }
        None
    }
}
