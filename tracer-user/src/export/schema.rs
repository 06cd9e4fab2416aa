//! The JSON Schema of exported lines, made from the table of kinds.

use serde_json::{Map, Value, json};

use super::{
    field::{Field, Type},
    kinds::{KINDS, KindFields},
};

/// The schema's name and version.
pub const SCHEMA: &str = "unlazy.events/1";

/// An mm: `null` where it is not known.
fn mm(text: &str) -> Value {
    json!({ "type": ["integer", "null"], "minimum": 0, "description": text })
}

fn field(field: Field) -> Value {
    match field.ty() {
        Type::Uint => json!({ "type": "integer", "minimum": 0, "description": field.doc() }),
        Type::Int => json!({ "type": "integer", "description": field.doc() }),
        Type::Bool => json!({ "type": "boolean", "description": field.doc() }),
        Type::Text => json!({ "type": "string", "description": field.doc() }),
    }
}

fn common() -> Map<String, Value> {
    let mut properties = Map::new();
    let mut put = |name: &str, value| properties.insert(name.to_owned(), value);
    let time = "when, in nanoseconds of the run's clock (CLOCK_MONOTONIC)";
    put("ts_ns", json!({ "type": "integer", "minimum": 0, "description": time }));
    put("cpu", json!({ "type": "integer", "minimum": 0, "description": "where" }));
    put("logical_mm", mm("rq->curr->mm of that CPU after the event; 0 is none"));
    put("active_mm", mm("rq->curr->active_mm after it"));
    put("real_mm", mm("cpu_tlbstate.loaded_mm after it"));
    let lazy = "cpu_tlbstate_shared.is_lazy after it";
    put("lazy", json!({ "type": ["boolean", "null"], "description": lazy }));
    properties
}

fn event(KindFields { kind, always, maybe }: &KindFields) -> Value {
    let mut properties = common();
    let mut required: Vec<_> = properties.keys().cloned().collect();
    properties.insert("kind".to_owned(), json!({ "const": kind }));
    required.push("kind".to_owned());
    required.extend(always.iter().map(|field| field.name().to_owned()));
    for &one in always.iter().chain(*maybe) {
        properties.insert(one.name().to_owned(), field(one));
    }
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn finding() -> Value {
    let text = json!({ "type": "string" });
    let number = json!({ "type": "integer", "minimum": 0 });
    let evidence = json!({ "enum": ["observed", "inferred", "assumed"] });
    let link = json!({
        "type": "object",
        "properties": { "ts_ns": number, "cpu": number, "what": text, "evidence": evidence },
        "required": ["ts_ns", "cpu", "what", "evidence"],
        "additionalProperties": false,
    });
    json!({
        "type": "object",
        "description": "a broken rule, as in unlazy.report/1; these lines come last",
        "properties": {
            "kind": { "const": "finding" },
            "number": number,
            "rule": { "enum": ["R1", "R2", "R3", "R4", "R5", "R6", "R7"] },
            "severity": { "enum": ["hazard", "violation", "self-check"] },
            "cpu": number,
            "tid": { "type": ["integer", "null"], "minimum": 0 },
            "tgid": { "type": ["integer", "null"], "minimum": 0 },
            "comm": { "type": ["string", "null"] },
            "mm": { "type": ["integer", "null"], "minimum": 0 },
            "ts_ns": number,
            "evidence": evidence,
            "summary": text,
            "chain": { "type": "array", "items": link },
        },
        "required": [
            "kind", "number", "rule", "severity", "cpu", "tid", "tgid", "comm", "mm", "ts_ns",
            "evidence", "summary", "chain",
        ],
        "additionalProperties": false,
    })
}

fn filtered() -> Value {
    let number = json!({ "type": "integer", "minimum": 0 });
    json!({
        "type": "object",
        "description": "what --filter left out; with a query, this is the last line",
        "properties": {
            "kind": { "const": "filtered" },
            "query": { "type": "string" },
            "events_hidden": number,
            "findings_hidden": number,
        },
        "required": ["kind", "query", "events_hidden", "findings_hidden"],
        "additionalProperties": false,
    })
}

/// The schema that every exported line keeps, as it stands in `docs/unlazy.events.schema.json`.
pub fn schema() -> Value {
    let mut any: Vec<Value> = KINDS.iter().map(event).collect();
    any.push(finding());
    any.push(filtered());
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": SCHEMA,
        "description": "One line of what `unlazy export --format json` writes. Kinds and fields may \
                        be added, never renamed.",
        "oneOf": any,
    })
}
