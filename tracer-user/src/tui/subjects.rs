//! What a filter can ask of each kind of row: what it can ask of the thing in it.

use super::snapshot::{CallRow, CpuRow, FindingRow, MmRow};
use crate::filter::{Field, Subject, Value};

impl Subject for CpuRow {
    fn any(&self, field: Field, test: &mut dyn FnMut(Value<'_>) -> bool) -> Option<bool> {
        self.state.any(field, test)
    }
}

impl Subject for MmRow {
    fn any(&self, field: Field, test: &mut dyn FnMut(Value<'_>) -> bool) -> Option<bool> {
        self.state.any(field, test)
    }
}

impl Subject for CallRow {
    fn any(&self, field: Field, test: &mut dyn FnMut(Value<'_>) -> bool) -> Option<bool> {
        match field {
            Field::Kind => Some(test(Value::Text(self.kind.name()))),
            _ => self.call.any(field, test),
        }
    }
}

impl Subject for FindingRow {
    fn any(&self, field: Field, test: &mut dyn FnMut(Value<'_>) -> bool) -> Option<bool> {
        self.finding.any(field, test)
    }
}
