//! Lost events, and stores that are full: the model knows less, and is never wrong for it.

use crate::common::{A, B, IDLE, Kernel, Maps, Told, judge, kthread, user, with_gap};
use std::collections::BTreeSet;
use tracer_common::model::{Config, Func, Promise, Rule, Store};

const CALLER: u32 = 100;
const T: u32 = 101;
const U: u32 = 102;
const K: u32 = 7;

/// A long story in which everything happens: correct, or with the holes of a bad kernel.
fn long_story(bad: bool) -> Kernel {
    let config = Config { finish_task_switch: promise(bad), ..Config::default() };
    let mut k = Kernel::traced_with(config);
    k.cpu(0).yields_to(user(CALLER, A)).cr3_in_switch().sys_enter().sys_exit().in_user();
    k.cpu(1).yields_to(user(U, A)).cr3_in_switch().sys_enter();
    for _ in 0..3 {
        k.cpu(1).sleeps_for(kthread(K));
        k.cpu(0).call().local(Func::SyncCore).call_returns();
        if bad {
            k.cpu(1).becomes(kthread(K).with_mm(A));
        }
        k.cpu(1).sleeps_for(user(U, A)).round_trip().sleeps_for(user(T, B)).cr3_in_switch();
        k.cpu(1).tick().sleeps_for(user(U, A)).cr3_in_switch().round_trip().sleeps_for(IDLE);
        k.cpu(0).call().local(Func::SyncCore).call_returns().tick();
        k.cpu(1).yields_to(user(U, A)).round_trip();
        k.cpu(0).call().queues(Func::SyncCore, 1).local(Func::SyncCore);
        if !bad {
            k.cpu(1).ipi(Func::SyncCore);
        }
        k.cpu(0).call_returns().sys_enter().forks(user(300, A)).round_trip();
        k.cpu(1).round_trip().preempted_by(user(300, A)).sys_exit().in_user().sys_enter();
        k.cpu(1).exits().sleeps_for(user(U, A)).round_trip();
        k.cpu(0).frees(user(300, A));
    }
    k
}

const fn promise(bad: bool) -> Promise {
    if bad { Promise::Never } else { Promise::Assumed }
}

type Identity = (Rule, u32, u64);

fn identities(store: &Maps) -> BTreeSet<Identity> {
    store.findings.iter().map(|found| (found.rule, found.cpu, found.mm)).collect()
}

fn config_of(bad: bool) -> Config {
    Config { finish_task_switch: promise(bad), ..Config::default() }
}

#[test]
fn the_story_itself() {
    long_story(false).clean();
    let bad = identities(&long_story(true).store);
    assert_eq!(bad, [(Rule::R1, 1, A), (Rule::R2, 1, A)].into());
}

/// Any run of events of one CPU is lost, and a gap stands in its place.
#[test]
fn a_gap_anywhere() {
    for bad in [false, true] {
        let events = long_story(bad).events;
        let whole = identities(&judge(config_of(bad), Maps::new(4), &events));
        for cpu in 0..2 {
            let own: Vec<usize> = (0..events.len()).filter(|&i| events[i].0 == cpu).collect();
            for from in 0..own.len() {
                for length in [1, 2, 3, 5, 8, 13, 40] {
                    let lost = &own[from..own.len().min(from + length)];
                    let cut = with_gap(&events, lost, Told::AtItsEnd);
                    let found = identities(&judge(config_of(bad), Maps::new(4), &cut));
                    assert!(found.is_subset(&whole), "{found:?} without {lost:?}");
                }
            }
        }
    }
}

/// What was found does not depend on what comes after it.
#[test]
fn any_prefix() {
    for bad in [false, true] {
        let events = long_story(bad).events;
        let whole = judge(config_of(bad), Maps::new(4), &events).findings;
        for length in 0..events.len() {
            let found = judge(config_of(bad), Maps::new(4), &events[..length]).findings;
            assert_eq!(found, whole[..found.len()]);
        }
    }
}

/// A store that is full makes no findings of its own.
#[test]
fn full_stores() {
    for limit in 0..4 {
        for bad in [false, true] {
            let events = long_story(bad).events;
            let whole = identities(&judge(config_of(bad), Maps::new(4), &events));
            let store = judge(config_of(bad), Maps::limited(4, limit), &events);
            assert!(identities(&store).is_subset(&whole), "{limit}");
        }
    }
    // Fewer CPUs than there are: the others are ignored.
    let events = long_story(false).events;
    assert!(judge(config_of(false), Maps::new(1), &events).findings.is_empty());
    assert!(judge(config_of(false), Maps::new(0), &events).findings.is_empty());
}

/// Calls are counted once also by a store that can't remember who made them.
#[test]
fn a_full_store_counts_calls_once() {
    let mut k = Kernel::traced();
    k.cpu(0).yields_to(user(CALLER, A)).cr3_in_switch();
    for _ in 0..10 {
        k.cpu(0).call().local(Func::SyncCore).call_returns();
    }
    // Room for the mm, and for one task that is not the caller.
    let mut store = Maps::limited(4, 1);
    store.task(1);
    let mut store = judge(Config::default(), store, &k.events);
    assert_eq!(store.known_mm(A).unwrap().calls.sync_core, 10);
}

/// Lost events are never "clean": what they hide is counted as undecided.
#[test]
fn a_gap_is_counted() {
    let mut k = Kernel::traced();
    k.cpu(0).yields_to(user(CALLER, A)).cr3_in_switch().sys_enter().sys_exit().in_user();
    k.cpu(1).yields_to(user(U, A)).cr3_in_switch().sys_enter();
    k.cpu(0).call().queues(Func::SyncCore, 1).local(Func::SyncCore);
    k.cpu(1).gap();
    k.cpu(0).call_returns();
    k.cpu(1).round_trip();
    k.clean();
    assert_eq!(k.inconclusive(Rule::R2), 1);
    // And what came before is forgotten.
    assert!(!k.store.cpu(1).unwrap().known);
    // From the next switch on it is known again, and the next call is decided.
    k.cpu(1).sleeps_for(IDLE);
    k.cpu(0).call().local(Func::SyncCore).call_returns();
    k.cpu(1).yields_to(user(U, A));
    k.cpu(1).round_trip();
    assert_eq!(k.inconclusive(Rule::R2), 1);
}
