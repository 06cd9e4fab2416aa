//! What a filter can ask of events and findings.

use tracer_common::model::{Event, Finding};

use crate::{
    engine::Seen,
    export::kind,
    filter::{Field, Filter, Subject, Value},
    tui::machine::Step,
};

use super::collect::Wanted;

/// An event.
struct Happened<'a>(&'a Seen<'a>);

/// The task and the mm that an event is of, as far as it tells.
fn whose(seen: &Seen<'_>) -> (Option<u32>, Option<u64>) {
    let now = seen.state(seen.cpu).filter(|cpu| cpu.known);
    let tid = seen.event.current().or_else(|| now.map(|cpu| cpu.tid));
    let mm = match seen.event {
        Event::Switch { switch, .. } => Some(switch.next_mm),
        Event::MembarrierEnter(w) | Event::MembarrierExit(w) => Some(w.mm),
        Event::FlushBegin { flush, .. } | Event::FlushEnd { flush, .. } => Some(flush.mm),
        Event::PrivateBegin(w) | Event::PrivateEnd(w) => Some(w.mm),
        Event::MmGone(w) | Event::MmDrop(w) => Some(w.mm),
        _ => now.map(|cpu| cpu.logical),
    };
    (tid, mm)
}

impl Subject for Happened<'_> {
    fn any(&self, field: Field, test: &mut dyn FnMut(Value<'_>) -> bool) -> Option<bool> {
        let Self(seen) = self;
        let (tid, mm) = whose(seen);
        Some(match field {
            Field::Cpu => test(Value::Number(seen.cpu.into())),
            Field::Mm => test(Value::number(mm)),
            Field::Tid => {
                let other = match seen.event {
                    Event::Switch { switch, .. } => Some(switch.next_tid),
                    _ => None,
                };
                test(Value::number(tid)) || other.is_some_and(|tid| test(Value::number(Some(tid))))
            }
            Field::Pid => test(Value::number(tid.and_then(|tid| seen.tgid(tid)))),
            Field::Comm => {
                let next = match seen.event {
                    Event::Switch { switch, .. } => seen.comm(switch.next_tid),
                    _ => None,
                };
                test(Value::text(tid.and_then(|tid| seen.comm(tid))))
                    || next.is_some_and(|comm| test(Value::Text(comm)))
            }
            Field::Kind => test(Value::Text(kind(seen.event))),
            _ => return None,
        })
    }
}

/// A finding, without its story.
struct Broken<'a>(&'a Finding);

impl Subject for Broken<'_> {
    fn any(&self, field: Field, test: &mut dyn FnMut(Value<'_>) -> bool) -> Option<bool> {
        let Self(finding) = self;
        let evidence = ["observed", "inferred", "assumed"];
        Some(match field {
            Field::Cpu => test(Value::Number(finding.cpu.into())),
            Field::Mm => test(Value::Number(finding.mm)),
            Field::Tid => test(Value::Number(finding.tid.into())),
            Field::Rule => {
                test(Value::Text(finding.rule.id())) || test(Value::Text(finding.rule.name()))
            }
            Field::Severity => test(Value::Text(finding.rule.severity().name())),
            Field::Evidence => test(Value::text(evidence.get(finding.evidence as usize).copied())),
            _ => return None,
        })
    }
}

/// What a step goes to, with a filter: for SYNC_CORE calls, what their first event is asked.
pub(super) fn wanted(filter: &Filter) -> Wanted {
    let filter = filter.clone();
    Box::new(move |seen| filter.matches(&Happened(seen)))
}

/// Whether a step goes to this finding.
pub(super) fn counts(filter: &Filter, finding: &Finding) -> bool {
    filter.matches(&Broken(finding))
}

/// Whether steps of this kind leave something out.
pub(super) fn leaves_out(step: Step, filter: &Filter) -> bool {
    step != Step::Event || !filter.is_empty()
}
