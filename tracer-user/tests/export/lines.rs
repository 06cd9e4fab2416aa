//! JSON lines and their schema.

use std::{collections::BTreeSet, env, fs, path::PathBuf};

use serde_json::{Value, json};
use unlazy::export::{Exporter, Field, Json, KINDS, fields, kind, schema};

use super::{
    run::{self, Look, Script},
    validate::validate,
};

/// Set this to write the schema instead of checking it.
const UPDATE: &str = "UPDATE_SCHEMA";

fn lines(script: &Script) -> Vec<Value> {
    let mut out = Vec::new();
    let mut json = Json::new(&mut out, 0);
    let report = run::judge(script, &mut json);
    json.finish(&report).unwrap();
    out.split_inclusive(|&byte| byte == b'\n')
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

#[test]
fn the_schema_in_docs_is_the_one_that_lines_keep() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/unlazy.events.schema.json");
    let wanted = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if env::var_os(UPDATE).is_some() {
        fs::write(&path, wanted).unwrap();
        return;
    }
    let there = fs::read_to_string(&path).unwrap();
    assert!(there == wanted, "it is out of date; run with {UPDATE}=1 to renew it");
}

#[test]
fn every_kind_of_event_has_the_fields_that_its_kind_says() {
    let mut met = BTreeSet::new();
    for fill in [0, 1, 0xff] {
        run::judge(
            &run::every_kind(fill),
            Look(|seen: &unlazy::engine::Seen<'_>| {
                let kind = kind(seen.event);
                let says = KINDS.iter().find(|says| says.kind == kind).unwrap();
                let mut has = BTreeSet::new();
                fields(seen, &mut |field, value| {
                    assert_eq!(value.of(), field.ty(), "{kind}: {field:?}");
                    assert!(has.insert(field), "{kind}: {field:?} twice");
                });
                let always: BTreeSet<Field> = says.always.iter().copied().collect();
                let any: BTreeSet<Field> = always.iter().chain(says.maybe).copied().collect();
                assert!(has.is_superset(&always), "{kind}: {has:?} lacks some of {always:?}");
                assert!(has.is_subset(&any), "{kind}: {has:?} has more than {any:?}");
                met.insert(kind);
            }),
        );
    }
    let all: BTreeSet<_> = KINDS.iter().map(|says| says.kind).collect();
    assert_eq!(met, all, "every kind was met");
}

#[test]
fn every_line_is_as_the_schema_says() {
    let schema = schema();
    for script in [run::script(), run::every_kind(0), run::every_kind(1), run::every_kind(0xff)] {
        let lines = lines(&script);
        assert!(lines.len() > script.records.len());
        for line in lines {
            validate(&schema, &line).unwrap_or_else(|why| panic!("{line}: {why}"));
        }
    }
}

#[test]
fn the_schema_refuses_what_is_wrong() {
    let schema = schema();
    let good = lines(&run::script()).into_iter().find(|line| line["kind"] == "membarrier_exit");
    let good = good.unwrap();
    validate(&schema, &good).unwrap();
    let spoils: [fn(&mut Value); 6] = [
        |line| line["ret"] = json!("0"),
        |line| line["kind"] = json!("membarrier_leave"),
        |line| line["more"] = json!(1),
        |line| line["ts_ns"] = json!(-1),
        |line| line["lazy"] = json!(0),
        |line| _ = line.as_object_mut().unwrap().remove("tid"),
    ];
    for (index, spoil) in spoils.into_iter().enumerate() {
        let mut line = good.clone();
        spoil(&mut line);
        assert!(validate(&schema, &line).is_err(), "{index}: {line}");
    }
}

#[test]
fn events_come_in_order_with_the_mms_they_lead_to_and_findings_come_last() {
    let lines = lines(&run::script());
    let (events, findings): (Vec<_>, Vec<_>) =
        lines.iter().partition(|line| line["kind"] != "finding");
    assert!(events.is_sorted_by_key(|line| line["ts_ns"].as_u64()));
    assert!(lines[..events.len()].iter().all(|line| line["kind"] != "finding"));
    assert!(!findings.is_empty() && findings.iter().all(|line| line["rule"] == "R7"));
    assert!(findings.iter().all(|line| line["chain"].as_array().is_some_and(|c| !c.is_empty())));
    let lazy: Vec<_> = events
        .iter()
        .filter(|line| line["kind"] == "sched_switch" && line["cpu"] == 1)
        .map(|line| (line["logical_mm"].as_u64(), line["real_mm"].as_u64(), &line["lazy"]))
        .collect();
    let mm = Some(run::MM);
    assert_eq!(lazy[0], (mm, mm, &json!(false)));
    assert_eq!(lazy[1], (Some(0), mm, &json!(true)));
    assert_eq!(lazy[2], (mm, mm, &json!(false)));
    let gap = events.iter().find(|line| line["kind"] == "gap" && line["lost"] == 3).unwrap();
    assert_eq!((&gap["cpu"], &gap["logical_mm"]), (&json!(1), &Value::Null));
}

/// What the table in `docs/queries.md` says of events.
#[test]
fn events_have_the_fields_that_the_language_says() {
    use unlazy::filter::{Field as Asked, Subject as _, language};
    run::judge(
        &run::every_kind(1),
        Look(|seen: &unlazy::engine::Seen<'_>| {
            for (field, name, _) in Asked::ALL {
                let has = seen.any(field, &mut |_| false).is_some();
                assert_eq!(has, language::EVENT.contains(&field), "{name}: {}", kind(seen.event));
            }
        }),
    );
}
