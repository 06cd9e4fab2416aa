//! Calls, CPU by CPU.

use tracer_common::{
    model::{Config, Promise},
    wire::{self, Frame, Kind, Vector},
};
use unlazy::{
    explain::{Ask, ExplainedCall, Known, Outcome, Until},
    report::Evidence,
};

use crate::{
    asked, call, ipi_then_reschedule, lazily_and_back, reason,
    story::{A, CALLER, STEP, SYNC_CORE, Story, T, U, V},
};

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

/// A thread that is left alone and never comes back to user mode may have let go of its mm: whether it
/// was missed can't be said.
#[test]
fn a_thread_that_goes_away_is_not_said_to_have_been_missed() {
    let mut story = Story::caller_and_sleeper(Config::default());
    story.call(0).local(0, SYNC_CORE).call_returns(0, 0).switch(1, 0, false);
    let other = &call(&story, 1).cpus[1];
    assert_eq!((reason(other), other.outcome), (Some("raced"), Outcome::NotRun));
}
