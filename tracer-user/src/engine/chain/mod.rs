//! The chain of events that led to a finding, told in order.

use tracer_common::{
    model::{self, Event, Finding, Func, Rule, SyncCause},
    wire::{Site, tlb_reason},
};

use super::{history::History, names::Names, narrate::narrate};
use crate::report::{ChainLink, Evidence};

/// The most links of one chain.
const LINKS: usize = 24;

/// How far back a story goes that has no beginning of its own, in nanoseconds.
const BACK: u64 = 10_000_000;

/// The model's evidence as the report has it.
pub(super) const fn evidence(evidence: model::Evidence) -> Evidence {
    match evidence {
        model::Evidence::Observed => Evidence::Observed,
        model::Evidence::Inferred => Evidence::Inferred,
        model::Evidence::Assumed => Evidence::Assumed,
    }
}

/// What a CPU's own events tell one after the other: the readings around a switch of mms become one
/// line, or none.
#[derive(Default)]
struct Teller {
    in_switch: bool,
    cr3_written: bool,
}

impl Teller {
    /// The lines for the next event of the CPU; none if it adds nothing to this story.
    fn tell(&mut self, rule: Rule, event: &Event, names: &Names) -> Vec<(String, Evidence)> {
        let mut evidence = Evidence::Observed;
        let mut remark = None;
        match event {
            Event::Switch { switch, .. } => {
                (self.in_switch, self.cr3_written) = (true, false);
                if switch.prev_mm != 0 && switch.prev_mm == switch.next_mm {
                    // rq->prev_mm is set only for a task without one.
                    remark = Some("the previous task has an mm: finish_task_switch does nothing");
                }
            }
            Event::SwitchCr3 => (self.cr3_written, evidence) = (true, Evidence::Inferred),
            Event::TlbFlush(flush) if flush.reason == tlb_reason::TASK_SWITCH => {
                // A tracepoint that fires only there.
                (self.cr3_written, evidence) = (true, Evidence::Inferred);
            }
            Event::TlbState(state) => match Site::from_u8(state.site) {
                Some(Site::SwitchMmEntry) if self.in_switch => return Vec::new(),
                Some(Site::SwitchMmEntry) => self.cr3_written = false,
                Some(Site::SwitchMmExit) => {
                    self.in_switch = false;
                    remark = (!self.cr3_written).then_some("CR3 was not written");
                }
                Some(Site::EnterLazyTlb) => self.in_switch = false,
                Some(Site::FlushTlbFunc | Site::UserReturn)
                    if matches!(rule, Rule::R3 | Rule::R4) => {}
                _ if rule == Rule::R7 => {}
                _ => return Vec::new(),
            },
            Event::RqState(_) if rule != Rule::R6 => return Vec::new(),
            Event::FlushBegin { .. } | Event::FlushEnd { .. } | Event::FlushMulti { .. }
                if !matches!(rule, Rule::R3 | Rule::R4 | Rule::R7) =>
            {
                return Vec::new();
            }
            _ => {}
        }
        let remark = remark.filter(|_| matches!(rule, Rule::R1 | Rule::R2));
        let remark = remark.map(|remark| (remark.to_owned(), Evidence::Inferred));
        let line = narrate(event, names).map(|what| (what, evidence));
        line.into_iter().chain(remark).collect()
    }
}

/// Whether an event of another CPU belongs to the story.
fn concerns(finding: &Finding, event: &Event) -> bool {
    let calls = matches!(finding.rule, Rule::R1 | Rule::R2 | Rule::R6);
    let flushes = matches!(finding.rule, Rule::R3 | Rule::R4);
    match event {
        Event::MembarrierEnter(call) | Event::MembarrierExit(call) => {
            calls && call.mm == finding.mm
        }
        Event::PrivateBegin(call) | Event::PrivateEnd(call) => calls && call.mm == finding.mm,
        Event::CsdQueue { func, target, .. } => {
            calls && *func == Func::SyncCore && *target == finding.cpu
        }
        Event::CallMask { func, .. } => calls && *func == Func::SyncCore,
        Event::FlushBegin { flush, .. } | Event::FlushEnd { flush, .. } => {
            flushes && flush.mm == finding.mm
        }
        Event::FlushMulti { flush, .. } => flushes && flush.mm == finding.mm,
        Event::MmDrop(drop) => finding.rule == Rule::R5 && drop.mm == finding.mm,
        _ => false,
    }
}

/// From when on it is told: on the CPU itself from its last serialization, and from the switch before
/// the obligation began, so that it is clear who ran there.
fn beginning(finding: &Finding, history: &History) -> u64 {
    if !matches!(finding.rule, Rule::R1 | Rule::R2) {
        return finding.ts.saturating_sub(BACK);
    }
    let switched = history
        .of(finding.cpu)
        .rev()
        .find(|(ts, event)| *ts < finding.since && matches!(event, Event::Switch { .. }))
        .map_or(u64::MAX, |(ts, _)| *ts);
    finding.since.min(finding.last_sync.ts.max(1)).min(switched)
}

/// Tells how it came to `finding`.
pub(super) fn tell(finding: &Finding, history: &History, names: &Names) -> Vec<ChainLink> {
    let since = beginning(finding, history);
    let mut links: Vec<ChainLink> = Vec::new();
    // A call that is told as a system call need not be told as a function.
    let traced = |tid: u32| {
        (0..history.cpus()).any(|cpu| {
            history.of(cpu).any(|(ts, event)| {
                *ts >= since && matches!(event, Event::MembarrierEnter(call) if call.tid == tid)
            })
        })
    };
    for cpu in 0..history.cpus() {
        let own = cpu == finding.cpu;
        let mut teller = Teller::default();
        for (ts, event) in history.of(cpu) {
            if let Event::PrivateBegin(call) | Event::PrivateEnd(call) = event
                && traced(call.tid)
            {
                continue;
            }
            // Also what comes before, so that the teller knows what it is in the middle of.
            let told = if own {
                teller.tell(finding.rule, event, names)
            } else if concerns(finding, event) {
                let what = narrate(event, names);
                what.into_iter().map(|what| (what, Evidence::Observed)).collect()
            } else {
                Vec::new()
            };
            if *ts >= since && *ts <= finding.ts {
                let link = |(what, evidence)| ChainLink { ts_ns: *ts, cpu, what, evidence };
                links.extend(told.into_iter().map(link));
            }
        }
    }
    if finding.last_sync.cause != SyncCause::None && finding.last_sync.ts >= since {
        links.push(last_sync(finding));
    }
    if let Some(left) = finding.left_alone {
        links.push(ChainLink {
            ts_ns: left.ts,
            cpu: finding.cpu,
            what: format!("the call leaves this cpu alone: {}", left.why.name()),
            evidence: Evidence::Inferred,
        });
    }
    links.sort_by_key(|link| link.ts_ns);
    shorten(&mut links, finding.cpu);
    links
}

/// When the CPU had serialized last.
fn last_sync(finding: &Finding) -> ChainLink {
    let last = finding.last_sync;
    // tracer_common::model::Cpu::returned_by
    let leans_on_it = matches!(finding.rule, Rule::R1 | Rule::R2)
        && finding.evidence == model::Evidence::Assumed
        && last.evidence != model::Evidence::Assumed;
    let at_once = if leans_on_it { ", if it came at once" } else { "" };
    ChainLink {
        ts_ns: last.ts,
        cpu: finding.cpu,
        what: format!("last serialization before: {}{at_once}", last.cause.name()),
        evidence: evidence(if leans_on_it { finding.evidence } else { last.evidence }),
    }
}

/// The beginning and the end say most.
fn shorten(links: &mut Vec<ChainLink>, cpu: u32) {
    if links.len() <= LINKS {
        return;
    }
    let cut = links.len() - LINKS;
    let at = LINKS / 3;
    let ts_ns = links[at].ts_ns;
    links.drain(at..=at + cut);
    let what = format!("({} more events)", cut + 1);
    links.insert(at, ChainLink { ts_ns, cpu, what, evidence: Evidence::Observed });
}

#[cfg(test)]
mod tests;
