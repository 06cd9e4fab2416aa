//! What `unlazy explain` says of calls and findings, of small recordings made for the purpose.

#![expect(
    clippy::expect_used,
    reason = "in an integration test; clippy exempts only what stands under #[test]"
)]

#[path = "explain/story.rs"]
mod story;

use std::process::{Command, Output, Stdio};

use story::{A, CALLER, K, MB, STEP, SYNC_CORE, Story, T, U, V};
use tracer_common::{
    model::{Config, Promise},
    wire::{self, Frame, Kind, Vector},
};
use unlazy::{
    explain::{
        Ask, BelongsTo, ExplainError, ExplainedCall, ExplainedCpu, Explanation, Known, Outcome,
        Until, explain,
    },
    report::Evidence,
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

#[test]
fn a_call_that_covers_everybody() {
    let story = ipi_then_reschedule(SYNC_CORE);
    let call = call(&story, 1);
    let begin = call.call.begin_ns;
    assert_eq!((call.call.tid, call.call.mm, call.call.cpu), (CALLER, A, 0));
    assert_eq!(call.call.comm.as_deref(), Some("jit-main"));
    assert_eq!(call.call.latency_ns, Some(8 * STEP));
    assert_eq!((call.call.returned, call.call.known_by), (Some(0), Known::SystemCall));
    assert_eq!((call.call.targeted, call.call.skipped), (Some(2), Some(0)));
    assert_eq!(call.cpus_offline, [2]);
    assert_eq!(call.decided_ns, Some(begin + 3 * STEP));

    let [own, other] = &call.cpus[..] else { panic!("two CPUs") };
    assert_eq!((own.outcome, own.targeted), (Outcome::Covered, Some(true)));
    let work = own.work.as_ref().expect("its own share");
    assert!(work.direct);
    assert_eq!(work.handler_begin_ns, Some(begin + 3 * STEP));

    assert_eq!((other.outcome, other.targeted), (Outcome::Covered, Some(true)));
    let ran = other.at_decision.as_ref().expect("its state");
    assert_eq!((ran.ts_ns, ran.tid, ran.logical_mm), (begin + STEP, Some(T), Some(A)));
    assert_eq!((ran.real_mm, ran.lazy, ran.comm.as_deref()), (Some(A), Some(false), Some("jit-t")));
    let work = other.work.as_ref().expect("its function");
    assert_eq!((work.queued_ns, work.behind), (Some(begin + STEP), Some(0)));
    assert_eq!(work.ipi_ns, Some(begin + 2 * STEP));
    assert_eq!(work.arrived_ns, Some(begin + 4 * STEP));
    assert_eq!(work.vector, Some("call_function_single"));
    assert_eq!(work.handler, Some("ipi_sync_core"));
    assert_eq!(work.handler_begin_ns, Some(begin + 5 * STEP));
    assert_eq!(work.handler_end_ns, Some(begin + 6 * STEP));
    let sync = other.serialized.as_ref().expect("it serialized");
    assert_eq!((sync.ts_ns, sync.cause), (begin + 5 * STEP, "ipi_sync_core"));
    assert_eq!(sync.evidence, Evidence::Assumed);
    let user = other.user.as_ref().expect("user code");
    assert_eq!((user.tid, user.way, user.evidence), (U, Some("sysret"), Evidence::Inferred));
    // The switch, its system call's exit, the next one's entry.
    assert_eq!((user.since_ns, user.seen_ns), (Some(begin + 10 * STEP), begin + 11 * STEP));
    assert!(!user.on_its_way);
    assert_eq!(other.decided_ns, Some(user.seen_ns));
}

#[test]
fn a_finding_leads_to_its_call_and_to_what_was_sent_instead() {
    let story = ipi_then_reschedule(MB);
    let told = asked(&story, Ask::Finding(1));
    assert_eq!(told.findings_total, 1);
    let finding = told.finding.expect("the finding");
    assert_eq!((finding.finding.rule.as_str(), finding.finding.cpu), ("R2", 1));
    assert!(!finding.finding.chain.is_empty());
    let call = told.call.expect("its call");
    let belongs_to = BelongsTo::Call { number: Some(1), begin_ns: call.call.begin_ns };
    assert_eq!(finding.belongs_to, belongs_to);
    let other = &call.cpus[1];
    assert_eq!((other.outcome, other.finding), (Outcome::NotCovered, Some(1)));
    assert_eq!((other.targeted, reason(other)), (Some(false), None));
    let work = other.work.as_ref().expect("what was sent");
    assert_eq!(work.handler, Some("ipi_mb"));
    assert_eq!(other.serialized, None);
    let user = other.user.as_ref().expect("user code");
    assert_eq!((user.tid, user.way), (U, Some("sysret")));
    assert_eq!(call.cpus[0].outcome, Outcome::Covered);
}

/// 2840cf02fae6, inverted: lazy and back to the same mm, and nothing serializes.
fn lazily_and_back(finish_task_switch: Promise) -> Story {
    let mut story = Story::caller_and_sleeper(Config { finish_task_switch, ..Config::default() });
    story.switch(1, 0, false).call(0).local(0, SYNC_CORE).call_returns(0, 0);
    story.switch(1, U, false).round_trip(1);
    story
}

#[test]
fn a_lazy_cpu_is_left_alone_and_serializes_in_the_switch() {
    let call = call(&lazily_and_back(Promise::Audited), 1);
    let other = &call.cpus[1];
    assert_eq!((other.targeted, reason(other)), (Some(false), Some("idle_lazy")));
    let ran = other.at_decision.as_ref().expect("its state");
    assert_eq!((ran.tid, ran.logical_mm, ran.real_mm), (Some(0), Some(0), Some(A)));
    assert_eq!((ran.lazy, ran.kthread), (Some(true), Some(true)));
    assert_eq!(other.outcome, Outcome::Covered);
    let sync = other.serialized.as_ref().expect("it serialized");
    assert_eq!(sync.cause, "sync_core in finish_task_switch");
    assert_eq!(sync.evidence, Evidence::Inferred);
    assert_eq!((call.call.targeted, call.call.skipped), (Some(1), Some(1)));
}

#[test]
fn a_finding_of_the_switch_tells_its_switch() {
    let story = lazily_and_back(Promise::Never);
    let list = asked(&story, Ask::List).list.expect("the list");
    let rules: Vec<_> = list.findings.iter().map(|one| one.rule.as_str()).collect();
    assert_eq!(rules, ["R1", "R2"]);

    let told = asked(&story, Ask::Finding(1));
    let finding = told.finding.expect("the finding");
    let BelongsTo::Switch { prev_tid, prev_mm, next_tid, next_mm, ts_ns } = finding.belongs_to
    else {
        panic!("a switch: {:?}", finding.belongs_to)
    };
    assert_eq!((prev_tid, prev_mm, next_tid, next_mm), (0, 0, U, A));
    assert!(ts_ns < finding.finding.ts_ns);
    assert_eq!(told.call, None, "R1 is not about a call");

    let call = asked(&story, Ask::Finding(2)).call.expect("its call");
    assert_eq!((call.cpus[1].outcome, call.cpus[1].finding), (Outcome::NotCovered, Some(2)));
    assert_eq!(reason(&call.cpus[1]), Some("idle_lazy"));
}

/// The hole: a kernel thread takes the mm that it is lazy on.
#[test]
fn a_change_of_mm_without_a_switch_is_told_as_such() {
    let mut story = Story::caller_and_sleeper(Config::default());
    story.switch(1, K, false).call(0).local(0, SYNC_CORE).call_returns(0, 0);
    story.uses(1, A).switch(1, U, false).round_trip(1);
    let finding = asked(&story, Ask::Finding(1)).finding.expect("the finding");
    assert_eq!(finding.finding.rule, "R1");
    assert!(matches!(finding.belongs_to, BelongsTo::MmChange { .. }), "{:?}", finding.belongs_to);
    let call = call(&story, 1);
    assert_eq!(reason(&call.cpus[1]), Some("kthread_lazy"));
    assert_eq!((call.cpus[1].outcome, call.cpus[1].finding), (Outcome::NotCovered, Some(2)));
}

#[test]
fn who_runs_another_process_owes_nothing_until_it_comes_back() {
    let mut story = Story::caller_and_sleeper(Config::default());
    story.switch(1, V, true).call(0).local(0, SYNC_CORE).call_returns(0, 0).round_trip(0);
    let call = call(&story, 1);
    let other = &call.cpus[1];
    assert_eq!((other.targeted, reason(other)), (Some(false), Some("other_mm")));
    assert_eq!((other.outcome, &other.user), (Outcome::NotRun, &None));
    assert_eq!(call.looked_until, Until::EndOfTrace);
    assert_eq!(call.cpus[0].outcome, Outcome::Covered);
}

#[test]
fn a_cpu_that_came_to_the_mm_while_the_call_looked_raced() {
    let mut story = Story::caller_and_sleeper(Config::default());
    story.switch(1, V, true).call(0).switch(1, U, true).local(0, SYNC_CORE).call_returns(0, 0);
    story.round_trip(1);
    let call = call(&story, 1);
    let other = &call.cpus[1];
    assert_eq!((other.targeted, reason(other)), (Some(false), Some("raced")));
    assert_eq!(other.at_begin.tid, Some(V));
    assert_eq!(other.at_decision.as_ref().and_then(|ran| ran.tid), Some(U));
    assert_eq!(other.outcome, Outcome::Covered);
    let sync = other.serialized.as_ref().expect("it serialized");
    assert_eq!(sync.cause, "CR3 write in switch_mm_irqs_off");
}

#[test]
fn what_can_not_be_decided_says_why() {
    let mut story = Story::caller_and_sleeper(Config::default());
    story.call(0).kernel_fault(1).local(0, SYNC_CORE).call_returns(0, 0).round_trip(1);
    let other = &call(&story, 1).cpus[1];
    assert_eq!(other.outcome, Outcome::Undecided);
    assert_eq!(other.why, "a serialization may have gone unseen");
    assert_eq!(other.serialized, None);
    assert!(other.decided_ns.is_some());
}

/// A thread in a loop, seen by its timer only: on its way back by IRET each time.
#[test]
fn a_spinning_thread_is_on_its_way_back() {
    let mut story = Story::caller_sleeper_and_runner(Config::default());
    let tick = |story: &mut Story| {
        story.irq(1, Kind::IrqEntry, Vector::LocalTimer, Frame::Interrupt);
        story.irq(1, Kind::IrqExit, Vector::LocalTimer, Frame::Interrupt);
    };
    tick(&mut story);
    story.call(0).queues(0, SYNC_CORE, 1).local(0, SYNC_CORE).ipi(1, SYNC_CORE);
    story.call_returns(0, 0);
    tick(&mut story);
    let other = &call(&story, 1).cpus[1];
    assert_eq!(other.outcome, Outcome::Covered);
    let user = other.user.as_ref().expect("user code");
    assert_eq!((user.way, user.on_its_way), (Some("iret"), true));
}

/// Two callers queue for one CPU: each has its own run there.
#[test]
fn the_second_in_the_queue_runs_second() {
    let mut story = Story::caller_sleeper_and_runner(Config::default());
    // U calls on CPU 1, and so does the caller on CPU 0; each interrupts the other.
    story.switch(1, U, false).sys_exit(1).call(1).queues(1, SYNC_CORE, 0);
    story.call(0).queues(0, SYNC_CORE, 1).local(0, SYNC_CORE).local(1, SYNC_CORE);
    story.ipi(0, SYNC_CORE).ipi(1, SYNC_CORE).call_returns(1, 0).call_returns(0, 0);
    story.sys_enter(0).sys_enter(1);
    let (first, second) = (call(&story, 1), call(&story, 2));
    let of = |call: &ExplainedCall, cpu: usize| {
        let work = call.cpus[cpu].work.clone().expect("its work");
        (work.direct, work.handler_begin_ns.map(|ts| ts - first.call.begin_ns))
    };
    assert_eq!(of(&first, 0), (false, Some(7 * STEP)));
    assert_eq!(of(&first, 1), (true, Some(5 * STEP)));
    assert_eq!(of(&second, 0), (true, Some(4 * STEP)));
    assert_eq!(of(&second, 1), (false, Some(11 * STEP)));
}

/// What full mode sees beyond: the function itself, the instruction, the return.
#[test]
fn full_mode_observes() {
    let config = Config { ipi_sync_core: Promise::Probed, ..Config::default() };
    let mut story = Story::caller_sleeper_and_runner(config);
    story.call(0).private(0, Kind::PrivateBegin).queues(0, SYNC_CORE, 1);
    story.local(0, SYNC_CORE).serialized(0);
    let vector = Vector::CallFunctionSingle;
    story.irq(1, Kind::IrqEntry, vector, Frame::Interrupt);
    // What the timer wakes up meanwhile is no concern of the call's.
    story.queues(0, 0x3000, 1).sends(0, 1);
    story.event(1, Kind::CsdEntry, 0, &wire::CsdRun { func: SYNC_CORE }).serialized(1);
    story.event(1, Kind::CsdExit, 0, &wire::CsdRun { func: SYNC_CORE });
    story.irq(1, Kind::IrqExit, vector, Frame::Interrupt);
    story.private(0, Kind::PrivateEnd).call_returns(0, 0);
    story.yields(1, U).sys_exit(1).user_return(1).user_return(0);
    let call = call(&story, 1);
    let begin = call.call.begin_ns;
    assert_eq!(call.call.known_by, Known::SystemCall);
    assert_eq!(call.function_begin_ns, Some(begin + STEP));
    assert_eq!(call.function_end_ns, Some(begin + 12 * STEP));
    assert_eq!(call.looked_until, Until::AllSettled);
    for (cpu, tid) in call.cpus.iter().zip([CALLER, U]) {
        assert_eq!(cpu.outcome, Outcome::Covered);
        let sync = cpu.serialized.as_ref().expect("it serialized");
        assert_eq!((sync.cause, sync.evidence), ("ipi_sync_core", Evidence::Observed));
        let work = cpu.work.as_ref().expect("its function");
        assert_eq!((work.handler_serialized, work.ipi_ns), (Some(true), None));
        let user = cpu.user.as_ref().expect("user code");
        assert_eq!((user.tid, user.evidence, user.way), (tid, Evidence::Observed, Some("sysret")));
        assert_eq!(user.since_ns, Some(user.seen_ns));
    }
}

/// a493d1ca1a03: the function runs, and does nothing; the interrupt's IRET saves it.
#[test]
fn a_function_that_does_nothing_is_told_as_such() {
    let config = Config { ipi_sync_core: Promise::Probed, ..Config::default() };
    let mut story = Story::caller_sleeper_and_runner(config);
    story.call(0).queues(0, SYNC_CORE, 1).local(0, SYNC_CORE).serialized(0);
    story.ipi(1, SYNC_CORE).call_returns(0, 0).sys_enter(1);
    let other = &call(&story, 1).cpus[1];
    let work = other.work.as_ref().expect("its function");
    assert_eq!((work.handler, work.handler_serialized), (Some("ipi_sync_core"), Some(false)));
    let sync = other.serialized.as_ref().expect("it serialized");
    assert_eq!((sync.cause, sync.evidence), ("IRET", Evidence::Inferred));
    assert_eq!(other.outcome, Outcome::Covered);
}

/// A call whose system call was not traced is known by its function.
#[test]
fn a_call_is_known_by_its_function_alone() {
    let mut story = Story::caller_and_sleeper(Config::default());
    story.private(0, Kind::PrivateBegin).local(0, SYNC_CORE).private(0, Kind::PrivateEnd);
    story.sys_exit(0).sys_enter(0).round_trip(1);
    let call = call(&story, 1);
    assert_eq!((call.call.known_by, call.call.latency_ns), (Known::Function, None));
    assert_eq!(call.call.end_ns, Some(call.call.begin_ns + 2 * STEP));
    assert_eq!(call.cpus[0].outcome, Outcome::Covered);
    assert_eq!(
        (call.cpus[1].outcome, reason(&call.cpus[1])),
        (Outcome::NotCovered, Some("missed"))
    );
}

/// A CPU that a probe saw go to user mode before, and that is there still, as the call returns.
#[test]
fn a_cpu_in_user_mode_is_judged_as_the_call_returns() {
    let mut story = Story::caller_sleeper_and_runner(Config::default());
    story.user_return(1);
    let there = story.now;
    story.call(0).local(0, SYNC_CORE).call_returns(0, 0).round_trip(0).round_trip(0);
    let told = asked(&story, Ask::Finding(1));
    let call = told.call.expect("its call");
    let other = &call.cpus[1];
    assert_eq!((other.outcome, other.finding), (Outcome::NotCovered, Some(1)));
    let user = other.user.as_ref().expect("user code");
    assert_eq!((user.tid, user.since_ns, user.evidence), (T, Some(there), Evidence::Observed));
}

#[test]
fn a_call_that_fails_promises_nothing() {
    let mut story = Story::caller_and_sleeper(Config::default());
    story.call(0).call_returns(0, -1).round_trip(1);
    let call = call(&story, 1);
    assert_eq!((call.call.returned, call.call.targeted), (Some(-1), Some(0)));
    assert_eq!(call.looked_until, Until::Failed);
    for cpu in &call.cpus {
        assert_eq!(
            (cpu.outcome, cpu.targeted, reason(cpu)),
            (Outcome::NoPromise, Some(false), None)
        );
    }
}

#[test]
fn a_call_that_is_not_seen_to_return_promises_nothing() {
    let mut story = Story::caller_and_sleeper(Config::default());
    story.call(0).queues(0, SYNC_CORE, 1).local(0, SYNC_CORE);
    let call = call(&story, 1);
    assert_eq!((call.call.end_ns, call.call.latency_ns), (None, None));
    assert_eq!(call.cpus[1].outcome, Outcome::NoPromise);
    assert_eq!(call.cpus[1].targeted, Some(true));
    let work = call.cpus[1].work.as_ref().expect("what was queued");
    assert_eq!((work.handler, work.handler_begin_ns), (None, None), "it never ran");
}

/// What the caller's CPU did was lost: whom it targeted is not known.
#[test]
fn lost_events_are_not_taken_for_a_cpu_left_alone() {
    let mut story = Story::caller_sleeper_and_runner(Config::default());
    story.call(0).lose(0, 1).local(0, SYNC_CORE).ipi(1, SYNC_CORE).call_returns(0, 0);
    story.sys_enter(1);
    let told = asked(&story, Ask::Call(1));
    assert_eq!(told.lost, 1);
    let call = told.call.expect("the call");
    assert!(call.caller_lost);
    let other = &call.cpus[1];
    assert_eq!((other.targeted, reason(other)), (None, None));
    assert_eq!(other.outcome, Outcome::Covered, "it ran ipi_sync_core, for whomever");
}

/// Without the tracepoints of csd nothing is known of targets.
#[test]
fn what_no_probe_sees_is_null() {
    let mut story = Story::caller_and_sleeper(Config { sees_csd: false, ..Config::default() });
    story.call(0).call_returns(0, 0).round_trip(0);
    let call = call(&story, 1);
    assert_eq!((call.call.targeted, call.call.skipped), (None, None));
    assert_eq!(call.cpus[1].targeted, None);
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

fn unlazy(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_unlazy"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("unlazy starts")
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
