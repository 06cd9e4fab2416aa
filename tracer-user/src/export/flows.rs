//! Who asked whom: functions that CPUs run for one another, from the sender to the target.
//!
//! A CPU works off its queue in order (`kernel/smp.c:__flush_smp_call_function_queue`), so the first
//! call of a function that was queued for it is the first that it runs. That holds for each function;
//! calls of functions that are not told apart are left out.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;
use tracer_common::model::Func;

/// How many calls of one function may wait for one CPU. What is beyond was lost sight of.
const WAITING: usize = 256;

/// Calls on their way.
#[derive(Debug, Default)]
pub struct Flows {
    sent: u64,
    waiting: FxHashMap<(u32, Func), VecDeque<u64>>,
}

impl Flows {
    /// `func` was sent to `target`: the flow's number, never 0.
    pub fn send(&mut self, func: Func, target: u32) -> Option<u64> {
        if func == Func::Other {
            return None;
        }
        self.sent += 1;
        let waiting = self.waiting.entry((target, func)).or_default();
        if waiting.len() == WAITING {
            waiting.pop_front();
        }
        waiting.push_back(self.sent);
        Some(self.sent)
    }

    /// `func` begins on `cpu`: the flow that ends there.
    pub fn arrive(&mut self, cpu: u32, func: Func) -> Option<u64> {
        self.waiting.get_mut(&(cpu, func))?.pop_front()
    }

    /// `func` begins on `cpu`, and not all that was sent need have arrived: the latest flow ends
    /// there, and earlier ones nowhere.
    pub fn arrive_latest(&mut self, cpu: u32, func: Func) -> Option<u64> {
        let waiting = self.waiting.get_mut(&(cpu, func))?;
        let latest = waiting.pop_back();
        waiting.clear();
        latest
    }

    /// Records were lost: what is on its way can't be told any more.
    pub fn lost(&mut self) {
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_was_sent_arrives_first() {
        let mut flows = Flows::default();
        let [a, b] = [1, 1].map(|cpu| flows.send(Func::SyncCore, cpu));
        let other = flows.send(Func::SyncCore, 2);
        let flush = flows.send(Func::FlushTlb, 1);
        assert_eq!(flows.arrive(1, Func::FlushTlb), flush);
        assert_eq!(flows.arrive(1, Func::SyncCore), a);
        assert_eq!(flows.arrive(2, Func::SyncCore), other);
        assert_eq!(flows.arrive(1, Func::SyncCore), b);
        assert_eq!(flows.arrive(1, Func::SyncCore), None);
        assert_eq!(flows.send(Func::Other, 1), None);
    }

    #[test]
    fn after_a_loss_nothing_is_matched_with_what_was_before() {
        let mut flows = Flows::default();
        flows.send(Func::SyncCore, 1);
        flows.lost();
        assert_eq!(flows.arrive(1, Func::SyncCore), None);
        flows.send(Func::FlushTlb, 1);
        let latest = flows.send(Func::FlushTlb, 1);
        assert_eq!(flows.arrive_latest(1, Func::FlushTlb), latest);
        assert_eq!(flows.arrive_latest(1, Func::FlushTlb), None);
    }
}
