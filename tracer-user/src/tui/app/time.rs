//! The cursor: where it goes, and in which steps.

use super::{App, WAITING};
use crate::tui::{
    machine::{Direction, Machine, Moved, Step},
    theme::Tone,
};

impl<M: Machine> App<M> {
    pub(super) fn seek(&mut self, ts: u64) {
        self.waiting.clear();
        self.machine.seek(ts);
        self.stale = true;
    }

    pub(super) fn step(&mut self, step: Step, direction: Direction) {
        if self.machine.busy() {
            if self.waiting.len() < WAITING {
                self.waiting.push_back((step, direction));
            }
            return;
        }
        match self.machine.step(step, direction) {
            Moved::Yes => {
                self.stepped = Some(step);
                self.stale = true;
            }
            Moved::No(_) if step == Step::Finding && self.machine.progress().is_some() => {
                // Further on in the recording there may be one.
                self.waiting.push_front((step, direction));
                let text = "reading on: it goes to the finding as soon as one is known";
                self.state.say(Tone::Doubt, text);
            }
            Moved::No(why) => self.state.say(Tone::Doubt, why),
        }
    }

    /// Moves the cursor by so many thousandths of the span.
    pub(super) fn scrub(&mut self, thousandths: i64) {
        let (from, to) = self.machine.span();
        let at = self.snapshot.moment.at_ns.clamp(from, to);
        let by = i128::from(to - from) * i128::from(thousandths) / 1000;
        let ts = (i128::from(at) + by).clamp(i128::from(from), i128::from(to));
        self.seek(ts as u64);
    }
}
