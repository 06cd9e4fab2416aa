//! Events that do not tell which mm they are about: nothing is judged by them, and all is counted.

use crate::{
    common::{A, Entry, IDLE, Kernel, Maps, judge, runs, user},
    sim::{Bug, Setup, run},
};
use proptest::prelude::*;
use tracer_common::{
    model::{Config, Doubt, Event, Func, Promise, Rule},
    wire::{UNKNOWN_MM, membarrier_cmd},
};

/// What another tool would have of this event: tasks and functions, but no mm, no frame and no
/// registration.
fn told_by_others(event: Event) -> Event {
    let mut event = event;
    let unknown = |tid: u32| if tid == 0 { 0 } else { UNKNOWN_MM };
    match &mut event {
        Event::Switch { switch: w, .. } => {
            (w.prev_mm, w.next_mm) = (unknown(w.prev_tid), unknown(w.next_tid));
            w.prev_active = UNKNOWN_MM;
            (w.prev_state, w.next_state, w.prev_frame, w.next_frame) = (0, 0, 0, 0);
        }
        Event::TlbFlush(w) => w.mm = UNKNOWN_MM,
        Event::IrqEntry(w) | Event::IrqExit(w) => (w.frame, w.state) = (0, 0),
        Event::CsdLocal { local: w, .. } | Event::Handler { handler: w, .. } => {
            (w.mm, w.nr, w.cmd) = (UNKNOWN_MM, -1, -1);
        }
        Event::SysEnter(w) | Event::SysExit(w) => {
            (w.mm, w.frame, w.state) = (UNKNOWN_MM, 0, 0);
        }
        Event::MembarrierEnter(w) | Event::MembarrierExit(w) => {
            (w.mm, w.frame, w.state) = (UNKNOWN_MM, 0, 0);
        }
        Event::PageFault { fault: w, .. } | Event::Redirect(w) | Event::Nmi(w) => {
            (w.frame, w.state) = (0, 0);
        }
        Event::Fork(w) => (w.child_mm, w.state) = (UNKNOWN_MM, 0),
        Event::Exec(w) => w.mm = UNKNOWN_MM,
        Event::Exit(w) | Event::Free(w) => w.mm = UNKNOWN_MM,
        Event::MmGone(w) | Event::MmDrop(w) => (w.mm, w.state) = (UNKNOWN_MM, 0),
        Event::TlbState(w) => w.loaded_mm = UNKNOWN_MM,
        Event::FlushBegin { flush: w, .. } | Event::FlushEnd { flush: w, .. } => w.mm = UNKNOWN_MM,
        Event::RqState(w) => w.mm = UNKNOWN_MM,
        Event::UserReturn(w) => (w.mm, w.frame, w.state) = (UNKNOWN_MM, 0, 0),
        Event::KthreadUse(w) | Event::KthreadUnuse(w) => (w.mm, w.state) = (UNKNOWN_MM, 0),
        Event::FlushMulti { flush: w, .. } => w.mm = UNKNOWN_MM,
        Event::PrivateBegin(w) | Event::PrivateEnd(w) => (w.mm, w.state) = (UNKNOWN_MM, 0),
        _ => {}
    }
    event
}

fn by_others(events: &[Entry]) -> Vec<Entry> {
    events.iter().map(|&(cpu, ts, event)| (cpu, ts, told_by_others(event))).collect()
}

/// The hole, seen without mms: found with them, and undecided without.
#[test]
fn a_broken_kernel_is_not_found_out_and_not_called_right() {
    let config = Config { finish_task_switch: Promise::Never, ..Config::default() };
    let mut k = Kernel::with(config);
    k.cpu(1).traced().yields_to(user(101, A)).cr3_in_switch().sys_enter().sleeps_for(IDLE);
    k.cpu(0).yields_to(user(102, A)).cr3_in_switch().sys_enter().sys_exit();
    k.cpu(0).membarrier_enter(membarrier_cmd::PRIVATE_EXPEDITED_SYNC_CORE).local(Func::SyncCore);
    k.cpu(0).membarrier_exit(membarrier_cmd::PRIVATE_EXPEDITED_SYNC_CORE, 0);
    k.wait(10_000);
    k.cpu(1).yields_to(user(101, A)).sys_exit().sys_enter();
    assert_ne!(k.rules(), [], "the story has a finding");
    let store = judge(config, Maps::new(4), &by_others(&k.events));
    assert_eq!(store.findings, []);
    for (rule, undecided) in [(Rule::R1, 3), (Rule::R2, 1)] {
        let tally = store.tally.rules[rule as usize];
        assert_eq!((tally.checked, tally.inconclusive), (0, undecided), "{rule:?}");
        assert_eq!(tally.doubts[Doubt::Identity as usize], undecided, "{rule:?}");
    }
    assert_eq!(store.tally.switches, store.tally.unknown_mms);
}

/// A call whose system call nobody traced is seen by its work, and is undecided, too.
#[test]
fn a_call_that_is_seen_by_its_work_alone() {
    let mut k = Kernel::new();
    k.cpu(0).yields_to(user(102, A)).local(Func::SyncCore).local(Func::Mb);
    let store = judge(Config::default(), Maps::new(4), &by_others(&k.events));
    assert_eq!(store.tally.rules[Rule::R2 as usize].inconclusive, 1);
}

/// A task that was switched in and is not the one that is switched out: a switch is missing.
#[test]
fn a_switch_that_is_not_in_the_trace_is_counted() {
    let mut k = Kernel::new();
    k.cpu(0).yields_to(user(101, A)).sleeps_for(IDLE).yields_to(user(101, A));
    k.cpu(0).becomes(user(102, A)).sleeps_for(IDLE);
    let store = judge(Config::default(), Maps::new(4), &by_others(&k.events));
    assert_eq!(store.findings, []);
    assert_eq!((store.tally.switches, store.tally.unseen_switches), (5, 1));
}

fn setups() -> impl Strategy<Value = Setup> {
    let bugs = [None, Some(Bug::IpiMb), Some(Bug::NoLocal), Some(Bug::SkipUser)];
    (2..=3_usize, any::<[bool; 5]>(), prop::sample::select(bugs.to_vec())).prop_map(
        |(cpus, [full, old, probed, traced, quiet], bug)| Setup {
            cpus,
            bug,
            full,
            old,
            probed,
            traced,
            quiet,
        },
    )
}

fn choices() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 100..2_000)
}

proptest! {
    #![proptest_config(runs(300))]

    /// Whatever the kernel does: without mms nothing is found, and nothing passes.
    #[test]
    fn without_mms_nothing_is_decided(setup in setups(), choices in choices(), sees in any::<bool>()) {
        let config = Config { sees_cr3: sees, sees_csd: sees, ..Config::default() };
        let events = by_others(&run(setup, choices));
        let store = judge(config, Maps::new(3), &events);
        prop_assert_eq!(&store.findings, &[]);
        for rule in Rule::ALL {
            prop_assert_eq!(store.tally.rules[rule as usize].checked, 0, "{:?}", rule);
        }
        let tasks = |event: &Event| matches!(event, Event::Switch { switch, .. } if switch.next_tid != 0);
        let switched = events.iter().filter(|(.., event)| tasks(event)).count() as u64;
        prop_assert_eq!(store.tally.rules[Rule::R1 as usize].inconclusive, switched);
    }
}
