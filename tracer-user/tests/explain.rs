//! What `unlazy explain` says of calls and findings, of small recordings made for the purpose.

#![expect(
    clippy::expect_used,
    reason = "in an integration test; clippy exempts only what stands under #[test]"
)]

#[path = "explain/calls.rs"]
mod calls;
#[path = "explain/findings.rs"]
mod findings;
mod program;
#[path = "explain/story.rs"]
mod story;

use program::unlazy;
use story::{MB, STEP, SYNC_CORE, Story, U};
use tracer_common::{
    model::{Config, Promise},
    wire::{self, Kind},
};
use unlazy::{
    explain::{
        Ask, ExplainError, ExplainedCall, ExplainedCpu, Explanation, List, Outcome, Question,
        explain,
    },
    filter::Filter,
    trace::Range,
};

fn asked(story: &Story, ask: Ask) -> Explanation {
    let (_dir, part) = story.recorded();
    explain(&[part], ask).expect("it is explained").explanation
}

fn call(story: &Story, number: u64) -> ExplainedCall {
    asked(story, Ask::Call(number)).call.expect("the call")
}

fn reason(cpu: &ExplainedCpu) -> Option<&str> {
    cpu.skipped.as_ref().map(|skipped| skipped.reason)
}

/// The call that c758c9373d841 is about: `func` is queued for CPU 1, which then makes room for
/// another thread of the process.
fn ipi_then_reschedule(func: u64) -> Story {
    let mut story = Story::caller_sleeper_and_runner(Config::default());
    story.call(0).queues(0, func, 1).sends(0, 1).local(0, SYNC_CORE).ipi(1, func);
    story.call_returns(0, 0).yields(1, U).round_trip(1);
    story
}

/// 2840cf02fae6, inverted: lazy and back to the same mm, and nothing serializes.
fn lazily_and_back(finish_task_switch: Promise) -> Story {
    let mut story = Story::caller_and_sleeper(Config { finish_task_switch, ..Config::default() });
    story.switch(1, 0, false).call(0).local(0, SYNC_CORE).call_returns(0, 0);
    story.switch(1, U, false).round_trip(1);
    story
}

/// Calls before the window are not counted, and of many not all are listed.
#[test]
fn calls_are_counted_from_where_the_window_opens() {
    let mut story = Story::caller_and_sleeper(Config::default());
    let call = |story: &mut Story| {
        story.call(0).local(0, SYNC_CORE).call_returns(0, 0);
    };
    call(&mut story);
    call(&mut story);
    story.opens();
    let first = story.now + STEP;
    for _ in 0..59 {
        call(&mut story);
    }
    story.call(0).event(1, Kind::Nmi, 0, &wire::Fault { tid: U, state: 0, frame: 0, zero: [0; 2] });
    story.local(0, SYNC_CORE).call_returns(0, 0);
    let told = asked(&story, Ask::List);
    assert_eq!(told.calls_total, 60);
    let list = told.list.expect("the list");
    assert_eq!((list.calls.len(), list.calls_omitted), (50, 10));
    assert_eq!((list.calls[0].number, list.calls[0].begin_ns), (1, first));
    assert_eq!((list.slowest.len(), list.slowest[0].number), (10, 60));
    let last = asked(&story, Ask::Call(60)).call.expect("the last call");
    assert_eq!(last.call, list.slowest[0]);
}

/// The first fifty are the first fifty that are wanted, and one that does not return is there too.
#[test]
fn of_many_calls_those_that_match_are_listed() {
    let mut story = Story::caller_and_sleeper(Config::default());
    for n in 0..70 {
        story.call(0);
        if n >= 60 {
            story.event(1, Kind::Nmi, 0, &wire::Fault { tid: U, state: 0, frame: 0, zero: [0; 2] });
        }
        story.local(0, SYNC_CORE).call_returns(0, 0);
    }
    story.call(0).local(0, SYNC_CORE);
    let all = asked(&story, Ask::List).list.expect("the list");
    assert_eq!((all.calls.len(), all.calls_omitted, all.calls_hidden), (50, 21, 0));
    let slow = all.slowest[0].latency_ns.expect("a length");
    let listed = |query: String| {
        let question = Question { filter: query.parse().expect("a query"), ..Ask::List.into() };
        let (_dir, part) = story.recorded();
        let told = explain(&[part], question).expect("it is explained").explanation;
        assert_eq!(told.calls_total, 71);
        told.list.expect("the list")
    };
    let numbers = |list: &List| list.calls.iter().map(|call| call.number).collect::<Vec<_>>();
    let list = listed(format!("latency>={slow}"));
    assert_eq!(numbers(&list), (61..=70).collect::<Vec<_>>());
    assert_eq!((list.calls_omitted, list.calls_hidden), (0, 61));
    let list = listed("latency=?".to_owned());
    assert_eq!(numbers(&list), [71]);
    let list = listed("kind=flush".to_owned());
    assert_eq!((list.calls.len(), list.calls_hidden, list.slowest.len()), (0, 71, 0));
}

/// With a part of the time, numbers are of that part, and what is not known is not made up.
#[test]
fn a_part_of_the_time() {
    let mut story = Story::caller_and_sleeper(Config::default());
    let (mut began, mut within) = (Vec::new(), Vec::new());
    for _ in 0..6 {
        began.push(story.now + STEP);
        within.push(story.call(0).sweep());
        story.local(0, SYNC_CORE).call_returns(0, 0).sweep();
    }
    let (_dir, part) = story.recorded();
    let part = [part];
    let ask = |ask, range| {
        let question = Question { ask, range, filter: Filter::default() };
        explain(&part, question).map(|explained| explained.explanation)
    };
    let whole = ask(Ask::List, Range::default()).expect("a list");
    assert_eq!((whole.from_ns, whole.to_ns, whole.calls_total), (None, None, 6));
    // Both in the middle of a call: that of the first is not of this part, nor does its end make one.
    let range = Range { from: within[1], to: within[4] };
    let told = ask(Ask::List, range).expect("a list");
    assert_eq!((told.from_ns, told.to_ns), (Some(range.from), Some(range.to)));
    assert_eq!((told.window_start_ns, told.window_end_ns), (range.from, range.to));
    let calls = told.list.expect("the list").calls;
    let has: Vec<_> = calls.iter().map(|call| (call.number, call.begin_ns)).collect();
    assert_eq!(has, [(1, began[2]), (2, began[3]), (3, began[4])]);
    assert!(calls[..2].iter().all(|call| call.returned == Some(0)), "{calls:?}");
    assert_eq!((calls[2].end_ns, calls[2].latency_ns, calls[2].returned), (None, None, None));
    // What is cut off promises nothing.
    let last = ask(Ask::Call(3), range).expect("it is there").call.expect("the call");
    assert_eq!(last.call, calls[2]);
    assert!(last.looked_until_ns <= range.to);
    assert!(last.cpus.iter().all(|cpu| cpu.outcome == Outcome::NoPromise), "{last:?}");
    let error = ask(Ask::Call(4), range).expect_err("it is not of this part");
    assert!(matches!(error, ExplainError::NoCall { asked: 4, total: 3 }), "{error}");
    let after = Range { from: story.now + 10 * STEP, to: u64::MAX };
    assert!(ask(Ask::List, after).is_err());
}

#[test]
fn what_is_not_there_is_refused_with_what_is() {
    let story = ipi_then_reschedule(MB);
    let (_dir, part) = story.recorded();
    let parts = [part];
    let error = explain(&parts, Ask::Call(2)).expect_err("one call only");
    assert!(matches!(error, ExplainError::NoCall { asked: 2, total: 1 }), "{error}");
    let error = explain(&parts, Ask::Finding(2)).expect_err("one finding only");
    assert!(matches!(error, ExplainError::NoFinding { asked: 2, total: 1, kept: 1 }), "{error}");
}

#[test]
fn the_command_prints_text_and_json() {
    let mut story = ipi_then_reschedule(MB);
    story.name(U, "\u{1b}[31mjit-u");
    let (dir, part) = story.recorded();
    drop(part);
    let file = dir.path().join("story.mcap");
    let file = file.to_str().expect("a name");

    let out = unlazy(&["explain", file, "--finding", "1"]);
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).expect("text");
    for words in
        ["Finding 1: R2 violation", "NOT COVERED", "ipi_mb", "by SYSRET", "1 cpu was offline"]
    {
        assert!(text.contains(words), "no `{words}` in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "escapes of the trace reach the terminal");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");

    let out = unlazy(&["explain", file, "--call", "1", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).expect("nothing but JSON");
    assert_eq!(json["schema"], "unlazy.explain/1");
    assert_eq!(json["call"]["number"], 1);
    assert_eq!(json["call"]["cpus"][1]["outcome"], "not_covered");
    assert_eq!(json["list"], serde_json::Value::Null);

    let list = dir.path().join("list.json");
    let list = list.to_str().expect("a name");
    let out = unlazy(&["explain", file, "--json", list]);
    assert!(String::from_utf8_lossy(&out.stdout).contains("1 SYNC_CORE call and 1 finding"));
    let json = std::fs::read(list).expect("the file");
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(json["list"]["findings"][0]["belongs_to"]["what"], "call");

    for (args, word) in [
        (&["explain", file, "--call", "2"][..], "1 SYNC_CORE calls"),
        (&["explain", file, "--call", "0"][..], "--call"),
        (&["explain", file, "--call", "1", "--finding", "1"][..], "cannot be used with"),
        (&["explain", "/nonexistent.mcap"][..], "/nonexistent.mcap"),
    ] {
        let out = unlazy(args);
        assert_eq!(out.status.code(), Some(2), "{args:?}");
        let error = String::from_utf8_lossy(&out.stderr);
        assert!(error.contains(word), "{args:?}: no `{word}` in {error}");
    }
}

/// Every key that `docs/explain.md` names is there, and no other.
#[test]
fn the_documented_keys_are_the_keys() {
    fn keys(value: &serde_json::Value, into: &mut std::collections::BTreeSet<String>) {
        match value {
            serde_json::Value::Object(map) => {
                for (key, value) in map {
                    into.insert(key.clone());
                    keys(value, into);
                }
            }
            serde_json::Value::Array(all) => all.iter().for_each(|value| keys(value, into)),
            _ => {}
        }
    }
    let mut there = std::collections::BTreeSet::new();
    for (story, asks) in [
        (ipi_then_reschedule(MB), [Ask::List, Ask::Finding(1)]),
        (lazily_and_back(Promise::Never), [Ask::Finding(1), Ask::Call(1)]),
    ] {
        for ask in asks {
            keys(&serde_json::to_value(asked(&story, ask)).expect("JSON"), &mut there);
        }
    }
    let doc = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/explain.md");
    let doc = std::fs::read_to_string(doc).expect("the documentation");
    let documented: std::collections::BTreeSet<String> = doc
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(key, _)| key.to_owned())
        .collect();
    assert_eq!(there, documented);
}
