//! All SYNC_CORE calls of the window, counted; a few of them, and the findings, kept.

use std::collections::VecDeque;

use tracer_common::model::{self, Event, Rule};

use super::{
    follow::{Follow, Step},
    schema::{BelongsTo, Call},
};
use crate::{
    engine::{Seen, Told},
    filter::Filter,
};

/// How many calls are listed, from the first on that is wanted.
const LISTED: usize = 50;

/// How many of the slowest.
const SLOWEST: usize = 10;

/// How many calls are remembered by their beginning, so that a finding can name its own.
const RECENT: usize = 1 << 16;

/// How many switches of each CPU are remembered, for the same reason.
const SWITCHES: usize = 4;

/// A switch, as far as a finding needs it.
#[derive(Debug, Clone, Copy)]
struct Switched {
    ts: u64,
    prev: (u32, u64),
    next: (u32, u64),
}

/// What a finding of the engine's list belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) rule: Rule,
    pub(super) cpu: u32,
    pub(super) mm: u64,
    pub(super) since: u64,
    pub(super) belongs_to: BelongsTo,
}

/// Counts calls.
#[derive(Debug, Default)]
pub(super) struct Index {
    follow: Follow,
    /// Which calls are listed.
    pub(super) filter: Filter,
    /// Calls that are over and were not to be listed.
    hidden: u64,
    /// The first of them, in order.
    pub(super) listed: Vec<Call>,
    pub(super) slowest: Vec<Call>,
    pub(super) found: Vec<Found>,
    recent: VecDeque<(u64, u64, u64)>,
    switches: Vec<VecDeque<Switched>>,
}

impl Index {
    /// `sees_csd`: it can be seen whom a call targets.
    pub(super) fn new(sees_csd: bool, filter: Filter) -> Self {
        Self { follow: Follow::new(sees_csd), filter, ..Self::default() }
    }

    /// Goes on with calls that were followed before.
    pub(super) fn resume(follow: Follow) -> Self {
        Self { follow, ..Self::default() }
    }

    /// How many calls began so far.
    pub(super) const fn total(&self) -> u64 {
        self.follow.total()
    }

    /// The window opens: what came before is not counted.
    pub(super) fn restart(&mut self) {
        let mut follow = std::mem::take(&mut self.follow);
        follow.restart();
        let filter = std::mem::take(&mut self.filter);
        *self = Self { filter, ..Self::resume(follow) };
    }

    /// Nothing follows: calls that are still under way are listed as they are. Returns how many were
    /// not to be listed.
    pub(super) fn close(&mut self) -> u64 {
        for call in self.follow.under_way() {
            self.list(&call);
        }
        self.hidden
    }

    /// Takes an event; tells which call took a step with it, if one did.
    pub(super) fn event(&mut self, seen: &Seen<'_>) -> Option<(Step, Call)> {
        if let Event::Switch { switch, .. } = seen.event {
            let cpu = seen.cpu as usize;
            if self.switches.len() <= cpu {
                self.switches.resize_with(cpu + 1, VecDeque::new);
            }
            let switches = self.switches.get_mut(cpu)?;
            if switches.len() == SWITCHES {
                switches.pop_front();
            }
            switches.push_back(Switched {
                ts: seen.ts,
                prev: (switch.prev_tid, switch.prev_mm),
                next: (switch.next_tid, switch.next_mm),
            });
            return None;
        }
        let step = self.follow.event(seen);
        if let Some(dropped) = self.follow.take_dropped() {
            self.list(&dropped);
        }
        match &step {
            Some((Step::Began, call)) => self.begin(call),
            Some((Step::Returned | Step::Over, call)) => self.list(call),
            None => {}
        }
        step
    }

    /// A finding was told.
    pub(super) fn finding(&mut self, told: &Told) {
        let model::Finding { rule, cpu, mm, since, .. } = told.finding;
        let belongs_to = match rule {
            Rule::R2 => {
                let number = self.number(mm, since);
                BelongsTo::Call { number, begin_ns: since }
            }
            Rule::R1 => {
                let switches = self.switches.get(cpu as usize);
                match switches.and_then(|all| all.iter().rev().find(|one| one.ts == since)) {
                    Some(&Switched { ts, prev, next }) if next.1 == mm => BelongsTo::Switch {
                        ts_ns: ts,
                        prev_tid: prev.0,
                        prev_mm: prev.1,
                        next_tid: next.0,
                        next_mm: next.1,
                    },
                    _ => BelongsTo::MmChange { ts_ns: since },
                }
            }
            Rule::R3 | Rule::R4 if since != 0 => BelongsTo::Flush { ts_ns: since },
            _ => BelongsTo::Nothing,
        };
        self.found.push(Found { rule, cpu, mm, since, belongs_to });
    }

    /// The number of the call that began then.
    fn number(&self, mm: u64, begin: u64) -> Option<u64> {
        let of = |&&(of, began, _): &&(u64, u64, u64)| (of, began) == (mm, begin);
        self.recent.iter().rev().find(of).map(|&(_, _, number)| number)
    }

    fn begin(&mut self, call: &Call) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((call.mm, call.begin_ns, call.number));
    }

    /// Lists a call that is over, if it is wanted.
    fn list(&mut self, call: &Call) {
        if !self.filter.matches(call) {
            self.hidden += 1;
            return;
        }
        // Calls end in another order than they began.
        let at = self.listed.partition_point(|listed| listed.number < call.number);
        if at < LISTED {
            self.listed.insert(at, call.clone());
            self.listed.truncate(LISTED);
        }
        let Some(latency) = call.latency_ns else { return };
        let at = self.slowest.partition_point(|slow| slow.latency_ns >= Some(latency));
        if at < SLOWEST {
            self.slowest.insert(at, call.clone());
            self.slowest.truncate(SLOWEST);
        }
    }
}
