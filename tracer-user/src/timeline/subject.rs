//! What a step goes to, with a filter.

use tracer_common::model::Finding;

use crate::{
    filter::{Field, Filter, Subject, Value},
    tui::machine::Step,
};

use super::collect::Wanted;

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
    Box::new(move |seen| filter.matches(seen))
}

/// Whether a step goes to this finding.
pub(super) fn counts(filter: &Filter, finding: &Finding) -> bool {
    filter.matches(&Broken(finding))
}

/// Whether steps of this kind leave something out.
pub(super) fn leaves_out(step: Step, filter: &Filter) -> bool {
    step != Step::Event || !filter.is_empty()
}
