//! What can be asked of CPUs, mms, calls and findings.

use tracer_common::wire::{membarrier_cmd::PRIVATE_EXPEDITED_SYNC_CORE as SYNC_CORE, told_mm};

use super::{Field, Subject, Value};
use crate::{explain, export, report, tui::snapshot::CallKind};

impl Subject for report::Cpu {
    fn any(&self, field: Field, test: &mut dyn FnMut(Value<'_>) -> bool) -> Option<bool> {
        Some(match field {
            Field::Cpu => test(Value::Number(self.cpu.into())),
            Field::Mm => test(Value::number(self.logical_mm)) || test(Value::number(self.real_mm)),
            Field::Tid => test(Value::number(self.tid)),
            Field::Pid => test(Value::number(self.tgid)),
            Field::Comm => test(Value::text(self.comm.as_deref())),
            Field::Lazy => test(Value::flag(self.lazy)),
            Field::Known => test(Value::Flag(self.known)),
            _ => return None,
        })
    }
}

impl Subject for report::Mm {
    fn any(&self, field: Field, test: &mut dyn FnMut(Value<'_>) -> bool) -> Option<bool> {
        Some(match field {
            Field::Mm => test(Value::Number(self.id)),
            Field::Pid => test(Value::number(self.tgid)),
            Field::Comm => test(Value::text(self.comm.as_deref())),
            _ => return None,
        })
    }
}

impl Subject for report::Finding {
    fn any(&self, field: Field, test: &mut dyn FnMut(Value<'_>) -> bool) -> Option<bool> {
        Some(match field {
            Field::Cpu => test(Value::Number(self.cpu.into())),
            Field::Mm => test(Value::number(self.mm)),
            Field::Tid => test(Value::number(self.tid)),
            Field::Pid => test(Value::number(self.tgid)),
            Field::Comm => test(Value::text(self.comm.as_deref())),
            Field::Rule => {
                let name = tracer_common::model::Rule::ALL
                    .iter()
                    .find(|rule| rule.id() == self.rule)
                    .map(|rule| rule.name());
                test(Value::Text(&self.rule)) || test(Value::text(name))
            }
            Field::Severity => test(Value::Text(self.severity.name())),
            Field::Evidence => test(Value::Text(self.evidence.name())),
            _ => return None,
        })
    }
}

/// A SYNC_CORE call.
impl Subject for explain::Call {
    fn any(&self, field: Field, test: &mut dyn FnMut(Value<'_>) -> bool) -> Option<bool> {
        Some(match field {
            Field::Cpu => test(Value::Number(self.cpu.into())),
            Field::Mm => test(Value::number(told_mm(self.mm))),
            Field::Tid => test(Value::Number(self.tid.into())),
            Field::Pid => test(Value::number(self.tgid)),
            Field::Comm => test(Value::text(self.comm.as_deref())),
            Field::Kind => test(Value::Text(CallKind::SyncCore.name())),
            Field::Latency => test(Value::number(self.latency_ns)),
            _ => return None,
        })
    }
}

/// A membarrier call that has returned, and the caller's name.
pub(crate) struct Returned<'a>(pub(crate) &'a export::Call, pub(crate) Option<&'a str>);

impl Subject for Returned<'_> {
    fn any(&self, field: Field, test: &mut dyn FnMut(Value<'_>) -> bool) -> Option<bool> {
        let Self(call, comm) = self;
        Some(match field {
            Field::Cpu => test(Value::Number(call.cpu.into())),
            Field::Mm => test(Value::number(told_mm(call.mm))),
            Field::Tid => test(Value::Number(call.tid.into())),
            Field::Pid => test(Value::Number(call.tgid.into())),
            Field::Comm => test(Value::text(*comm)),
            Field::Kind => {
                let sync_core = call.cmd == SYNC_CORE;
                let kind = if sync_core { CallKind::SyncCore } else { CallKind::Membarrier };
                test(Value::Text(kind.name()))
            }
            Field::Latency => {
                test(Value::number(call.begin.map(|begin| call.end.saturating_sub(begin))))
            }
            _ => return None,
        })
    }
}
