//! What can be asked of events: an event is of every thread and mm that it names.

use tracer_common::{model::Cpu, wire::told_mm};

use super::{Field, Subject, Value};
use crate::{
    engine::Seen,
    export::{self, Field as F, fields, kind},
};

const MMS: [F; 6] = [F::Mm, F::NextMm, F::PrevActiveMm, F::ChildMm, F::LoadedMm, F::SlotMm];
const TIDS: [F; 4] = [F::Tid, F::NextTid, F::ChildTid, F::OldTid];
const TGIDS: [F; 3] = [F::Tgid, F::NextTgid, F::ChildTgid];
const COMMS: [F; 4] = [F::Comm, F::NextComm, F::ChildComm, F::NewComm];

/// Whether any of these fields of the event passes; `None` if it has none of them.
fn named(seen: &Seen<'_>, which: &[F], test: &mut dyn FnMut(Value<'_>) -> bool) -> Option<bool> {
    let mut passes = None;
    fields(seen, &mut |field, value| {
        let value = match value {
            export::Value::Uint(number) => Value::Number(number),
            export::Value::Text(text) => Value::Text(text),
            export::Value::Int(_) | export::Value::Bool(_) => return,
        };
        if which.contains(&field) && passes != Some(true) {
            passes = Some(test(value));
        }
    });
    passes
}

/// The CPU that the event happened on, after it.
fn here<'a>(seen: &'a Seen<'_>) -> Option<&'a Cpu> {
    seen.state(seen.cpu).filter(|cpu| cpu.known)
}

/// The thread that the event is of: the one that ran.
fn thread(seen: &Seen<'_>) -> Option<u32> {
    seen.event.current().or_else(|| here(seen).map(|cpu| cpu.tid))
}

impl Subject for Seen<'_> {
    fn any(&self, field: Field, test: &mut dyn FnMut(Value<'_>) -> bool) -> Option<bool> {
        Some(match field {
            Field::Cpu => test(Value::Number(self.cpu.into())),
            Field::Mm => {
                let logical = || here(self).and_then(|cpu| told_mm(cpu.logical));
                named(self, &MMS, test) == Some(true) || test(Value::number(logical()))
            }
            Field::Tid => {
                named(self, &TIDS, test).unwrap_or_else(|| test(Value::number(thread(self))))
            }
            Field::Pid => {
                let process = || thread(self).and_then(|tid| self.tgid(tid));
                named(self, &TGIDS, test) == Some(true) || test(Value::number(process()))
            }
            Field::Comm => named(self, &COMMS, test)
                .unwrap_or_else(|| test(Value::text(thread(self).and_then(|tid| self.comm(tid))))),
            Field::Kind => test(Value::Text(kind(self.event))),
            _ => return None,
        })
    }
}
