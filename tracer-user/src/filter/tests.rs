use proptest::prelude::*;

use super::*;

/// A CPU on which jit-u/201 of mm 8 runs lazily, with an unknown rule field missing altogether.
struct Cpu;

impl Subject for Cpu {
    fn any(&self, field: Field, test: &mut dyn FnMut(Value<'_>) -> bool) -> Option<bool> {
        Some(match field {
            Field::Cpu => test(Value::Number(3)),
            Field::Mm => test(Value::Number(0)) || test(Value::Number(8)),
            Field::Tid => test(Value::Number(201)),
            Field::Pid => test(Value::Unknown),
            Field::Comm => test(Value::Text("JIT u")),
            Field::Lazy => test(Value::Flag(true)),
            Field::Latency => test(Value::Number(1_500)),
            _ => return None,
        })
    }
}

fn passes(query: &str) -> bool {
    query.parse::<Filter>().unwrap_or_else(|error| panic!("{query}: {error}")).matches(&Cpu)
}

#[test]
fn queries() {
    for query in [
        "",
        "  ",
        "cpu=3",
        "cpu=0-3,7",
        "cpu!=2",
        "mm=8",
        "mm=none",
        "mm=8 cpu=3",
        "mm=8 and cpu=3",
        "cpu=4 or mm=8",
        "not cpu=4",
        "!cpu=4",
        "! (cpu=4 or cpu=5)",
        "(cpu=4 or cpu=3) lazy=yes",
        "comm=jit*",
        "comm=\"jit u\"",
        "comm~it",
        "jit",
        "\"T U\"",
        "pid=?",
        "latency>1us",
        "latency<=1.5us",
        "CPU=3",
        "rule=R2",
        "not rule=R2",
        "rule=R2 cpu=3",
        "cpu=4 or rule=R2 or cpu=3",
    ] {
        assert!(passes(query), "{query}");
    }
    for query in [
        "cpu=4",
        "cpu!=3",
        "mm=9",
        "mm=init",
        "cpu=3 mm=9",
        "cpu=4 or mm=9",
        "not cpu=3",
        "comm=jit",
        "comm=*v",
        "swapper",
        "pid=201",
        "pid!=?",
        "latency>2us",
        "lazy=no",
        "rule=R2 cpu=4",
    ] {
        assert!(!passes(query), "{query}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (query, column, what) in [
        ("cpuu=3", 1, "there is no field cpuu; there are cpu, mm"),
        ("mm=8 cpu=", 10, "a value is missing"),
        ("mm=8 cpu=x", 6, "no number"),
        ("cpu=3-1", 1, "no range"),
        ("(cpu=3", 1, "not closed"),
        ("cpu=3)", 6, "closes nothing"),
        ("cpu=3 or", 9, "missing here"),
        ("or cpu=3", 1, "missing before"),
        ("comm=\"a", 6, "not closed"),
        ("comm<3", 1, "use = or !="),
        ("lazy=maybe", 1, "neither yes nor no"),
        ("latency>1h", 1, "no time"),
        ("cpu~3", 1, "use ="),
        ("cpu>1,2", 1, "one value"),
        ("and", 1, "missing"),
    ] {
        let error = query.parse::<Filter>().expect_err(query);
        assert_eq!(error.column, column, "{query}: {error}");
        assert!(error.what.contains(what), "{query}: {error}");
    }
    let deep = "(".repeat(100_000);
    assert!(deep.parse::<Filter>().is_err());
}

#[test]
fn wildcards() {
    for (pattern, text, is) in [
        ("", "", true),
        ("*", "", true),
        ("a*b*c", "axxbyyc", true),
        ("a*b*c", "abc", true),
        ("a*bc", "abcb", false),
        ("a", "ab", false),
        ("*a", "ba", true),
        ("ab*ba", "aba", false),
    ] {
        assert_eq!(like(pattern, text), is, "{pattern} {text}");
    }
}

proptest! {
    #[test]
    fn nothing_that_is_typed_panics(query in ".{0,40}") {
        if let Ok(filter) = query.parse::<Filter>() {
            filter.matches(&Cpu);
        }
    }

    #[test]
    fn nothing_like_a_query_panics(query in "[a-z=<>!~()\",*? 0-9-]{0,40}") {
        if let Ok(filter) = query.parse::<Filter>() {
            filter.matches(&Cpu);
        }
    }
}
