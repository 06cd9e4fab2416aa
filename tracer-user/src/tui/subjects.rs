//! What a filter can ask of each kind of row.

use super::snapshot::{CallRow, CpuRow, FindingRow, MmRow};
use crate::filter::{Field, Subject, Value};

impl Subject for CpuRow {
    fn any(&self, field: Field, test: &mut dyn FnMut(Value<'_>) -> bool) -> Option<bool> {
        let state = &self.state;
        Some(match field {
            Field::Cpu => test(Value::Number(state.cpu.into())),
            Field::Mm => {
                test(Value::number(state.logical_mm)) || test(Value::number(state.real_mm))
            }
            Field::Tid => test(Value::number(state.tid)),
            Field::Pid => test(Value::number(self.tgid)),
            Field::Comm => test(Value::text(state.comm.as_deref())),
            Field::Lazy => test(Value::flag(state.lazy)),
            Field::Known => test(Value::Flag(state.known)),
            _ => return None,
        })
    }
}

impl Subject for MmRow {
    fn any(&self, field: Field, test: &mut dyn FnMut(Value<'_>) -> bool) -> Option<bool> {
        let state = &self.state;
        Some(match field {
            Field::Mm => test(Value::Number(state.id)),
            Field::Pid => test(Value::number(state.tgid)),
            Field::Comm => test(Value::text(state.comm.as_deref())),
            _ => return None,
        })
    }
}

impl Subject for CallRow {
    fn any(&self, field: Field, test: &mut dyn FnMut(Value<'_>) -> bool) -> Option<bool> {
        let call = &self.call;
        Some(match field {
            Field::Cpu => test(Value::Number(call.cpu.into())),
            Field::Mm => test(Value::Number(call.mm)),
            Field::Tid => test(Value::Number(call.tid.into())),
            Field::Pid => test(Value::number(call.tgid)),
            Field::Comm => test(Value::text(call.comm.as_deref())),
            Field::Kind => test(Value::Text(self.kind.name())),
            Field::Latency => test(Value::number(call.latency_ns)),
            _ => return None,
        })
    }
}

impl Subject for FindingRow {
    fn any(&self, field: Field, test: &mut dyn FnMut(Value<'_>) -> bool) -> Option<bool> {
        let finding = &self.finding;
        Some(match field {
            Field::Cpu => test(Value::Number(finding.cpu.into())),
            Field::Mm => test(Value::number(finding.mm)),
            Field::Tid => test(Value::number(finding.tid)),
            Field::Comm => test(Value::text(finding.comm.as_deref())),
            Field::Rule => {
                let name = tracer_common::model::Rule::ALL
                    .iter()
                    .find(|rule| rule.id() == finding.rule)
                    .map(|rule| rule.name());
                test(Value::Text(&finding.rule)) || test(Value::text(name))
            }
            Field::Severity => test(Value::Text(finding.severity.name())),
            Field::Evidence => test(Value::Text(finding.evidence.name())),
            _ => return None,
        })
    }
}
