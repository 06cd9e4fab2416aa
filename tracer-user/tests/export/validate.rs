//! A validator of JSON Schema: of the few keywords that our schema has, and no more. A keyword that
//! it does not know is an error, so that nothing in the schema goes unchecked.

use serde_json::Value;

fn is(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("unknown type {other}"),
    }
}

/// Whether `value` is as `schema` says, and if not, why.
pub(crate) fn validate(schema: &Value, value: &Value) -> Result<(), String> {
    for (keyword, wants) in schema.as_object().unwrap() {
        let fits = match keyword.as_str() {
            "$schema" | "title" | "description" => true,
            "const" => value == wants,
            "enum" => wants.as_array().unwrap().contains(value),
            "type" => match wants {
                Value::Array(any) => any.iter().any(|name| is(value, name.as_str().unwrap())),
                name => is(value, name.as_str().unwrap()),
            },
            "minimum" => value.as_f64().is_none_or(|n| n >= wants.as_f64().unwrap()),
            "required" => value.as_object().is_none_or(|object| {
                wants
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|key| object.contains_key(key.as_str().unwrap()))
            }),
            "properties" => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    if let Some(schema) = wants.get(key) {
                        validate(schema, value).map_err(|why| format!("{key}: {why}"))?;
                    }
                }
                true
            }
            "additionalProperties" => {
                assert_eq!(*wants, Value::Bool(false), "nothing else is implemented");
                let known = schema["properties"].as_object().unwrap();
                value
                    .as_object()
                    .is_none_or(|object| object.keys().all(|key| known.contains_key(key)))
            }
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    validate(wants, item)?;
                }
                true
            }
            "oneOf" => {
                let any = wants.as_array().unwrap();
                any.iter().filter(|schema| validate(schema, value).is_ok()).count() == 1
            }
            other => panic!("the schema has a keyword that is not checked: {other}"),
        };
        if !fits {
            return Err(format!("{value} is not as {keyword} says"));
        }
    }
    Ok(())
}
