//! What the abstract kernel does, told as a tracer would tell it, is something that it can do.

use tracer_common::{
    model::{Event, Func},
    wire,
};
use tracer_explore::{
    bug::{self, BUGS},
    conform::{Conform, Sees, Tally},
    kernel, path,
    protocol::{self, PROTOCOLS, Protocol},
    setup::{Setup, World},
    step::Action,
};
use zerocopy::FromZeros as _;

/// Numbers that look as if they were drawn.
struct Draw(u64);

impl Draw {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) as usize % most
    }
}

/// A way of so many steps, as far as it goes.
fn way(world: &World, seed: u64, most: usize) -> Vec<Action> {
    let (mut draw, mut state) = (Draw(seed), world.begin());
    let (mut actions, mut way) = (Vec::new(), Vec::new());
    for _ in 0..most {
        kernel::actions(world, &state, &mut actions);
        if actions.is_empty() {
            break;
        }
        let action = actions[draw.below(actions.len())];
        kernel::apply(world, &mut state, action, &mut tracer_explore::tell::Silent);
        way.push(action);
    }
    way
}

/// Holds a way through one world against a kernel.
fn held(world: &World, way: &[Action], against: &Protocol, flags: &[bug::Flag]) -> Tally {
    let sees = Sees::new(&path::config(world), true, true);
    let mut conform = Conform::new(against, flags, sees, usize::from(world.setup.cpus));
    let walk = path::walk(world, way);
    for (number, (cpu, ts, event)) in walk.events.iter().enumerate() {
        if number == walk.prologue {
            // It tells how the beginning came about, and not all of it.
            conform.open(true);
        }
        conform.event(*cpu, *ts, event);
    }
    conform.finish()
}

fn told(world: &World, way: &[Action]) -> String {
    let walk = path::walk(world, way);
    let line = |(cpu, ts, event): &(u32, u64, Event)| format!("{ts} {cpu} {event:?}\n");
    walk.events.iter().map(line).collect()
}

/// Every protocol, with every bug, in the bug's bounds.
#[test]
fn the_abstract_kernel_conforms_to_itself() {
    for protocol in PROTOCOLS {
        for bug in BUGS {
            for fine in [false, true] {
                let world = World::new(protocol, Setup { fine, ..(bug.setup)() }, bug.flags);
                for seed in 0..12 {
                    let way = way(&world, seed, 60);
                    let tally = held(&world, &way, protocol, bug.flags);
                    assert_eq!(
                        tally.diverged,
                        0,
                        "{} {} fine {fine} seed {seed}: {:#?}\n{}",
                        protocol.name,
                        bug.name,
                        tally.divergences,
                        told(&world, &way)
                    );
                    assert!(tally.passed() > 0, "{} {}", protocol.name, bug.name);
                }
            }
        }
    }
}

/// In the core space too, with all that may happen in it at once.
#[test]
fn the_core_space_conforms() {
    for protocol in PROTOCOLS {
        let setup = Setup { calls: 2, flushes: 3, uses: 2, exits: 1, execs: 1, ..Setup::core() };
        let world = World::new(protocol, setup, &[]);
        for seed in 0..200 {
            let way = way(&world, seed, 80);
            let tally = held(&world, &way, protocol, &[]);
            assert_eq!(
                tally.diverged,
                0,
                "{} seed {seed}: {:#?}\n{}",
                protocol.name,
                tally.divergences,
                told(&world, &way)
            );
        }
    }
}

/// A switch of a thread and its mm to another.
fn switch(prev: (u32, u64), next: (u32, u64), active: u64, flags: u16) -> Event {
    let ((prev_tid, prev_mm), (next_tid, next_mm)) = (prev, next);
    Event::Switch {
        flags,
        switch: wire::Switch {
            prev_mm,
            prev_active: active,
            next_mm,
            prev_tid,
            next_tid,
            next_tgid: next_tid,
            prev_state: 0,
            next_state: 0,
            prev_frame: 0,
            next_frame: 0,
        },
    }
}

/// The switch wrote CR3.
fn cr3(tid: u32, mm: u64) -> Event {
    let reason = wire::tlb_reason::TASK_SWITCH;
    Event::TlbFlush(wire::TlbFlush { pages: u64::MAX, mm, tid, reason })
}

/// A pid is used again: the new task has nothing to do with the old one.
#[test]
fn pids_are_used_again() {
    let linux = protocol::find("linux-6.12").expect("known");
    let world = World::new(linux, Setup::new(1, 1, 1, 1), &[]);
    let sees = Sees::new(&path::config(&world), true, true);
    let begin = || Conform::new(linux, &[], sees, 1);
    let fork = Event::Fork(wire::Fork {
        child_mm: 12,
        parent_tid: 300,
        child_tid: 201,
        child_tgid: 201,
        state: 0,
        zero: [0; 3],
        comm: [0; wire::COMM_LEN],
    });
    let (to_idle, from_idle) = (wire::switch_flags::NEXT_KTHREAD, wire::switch_flags::PREV_KTHREAD);
    for (forked, diverged) in [(true, 0), (false, 1)] {
        let mut conform = begin();
        let mut told = vec![
            switch((0, 0), (201, 10), 1, from_idle),
            cr3(0, 0),
            switch((201, 10), (0, 0), 10, to_idle),
        ];
        told.extend(forked.then_some(fork));
        told.extend([switch((0, 0), (201, 12), 10, from_idle), cr3(0, 0)]);
        for (n, event) in told.iter().enumerate() {
            conform.event(0, 1_000 * (n as u64 + 1), event);
        }
        assert_eq!(conform.finish().diverged, diverged, "forked: {forked}");
    }
}

/// While a task without probes runs, its CPU may answer a call unseen.
#[test]
fn a_task_without_probes_may_have_answered() {
    let linux = protocol::find("linux-6.12").expect("known");
    let world = World::new(linux, Setup::new(2, 2, 1, 1), &[]);
    let sees = Sees::new(&path::config(&world), true, true);
    let (to_user, func) = (wire::switch_flags::PREV_KTHREAD, Func::SyncCore);
    let call = wire::Membarrier {
        mm: 10,
        tid: 100,
        tgid: 100,
        cmd: wire::membarrier_cmd::PRIVATE_EXPEDITED_SYNC_CORE,
        state: 0x32,
        ..wire::Membarrier::new_zeroed()
    };
    let local = wire::CsdLocal { mm: 10, tid: 100, tgid: 100, ..wire::CsdLocal::new_zeroed() };
    // Whoever is switched out after task 300 was switched in: it, or another that nobody saw come.
    for (out, diverged) in [((300, 20), 1), ((102, 30), 0)] {
        let mut conform = Conform::new(linux, &[], sees, 2);
        let told = [
            (0, switch((0, 0), (100, 10), 1, to_user)),
            (0, cr3(0, 0)),
            (1, switch((0, 0), (101, 10), 1, to_user)),
            (1, cr3(0, 0)),
            (0, Event::MembarrierEnter(call)),
            (0, Event::CsdQueue { func, target: 1, tid: 100 }),
            (1, switch((101, 10), (300, 20), 10, 0)),
            (1, cr3(101, 10)),
            (0, Event::CsdLocal { func, local }),
            (0, Event::MembarrierExit(call)),
            (1, switch(out, (101, 10), out.1, 0)),
        ];
        for (n, (cpu, event)) in told.iter().enumerate() {
            conform.event(*cpu, 1_000 * (n as u64 + 1), event);
        }
        let tally = conform.finish();
        assert_eq!(tally.diverged, diverged, "{out:?}: {:?}", tally.divergences);
    }
}

/// A kernel with one of these bugs does what one without cannot.
#[test]
fn bugs_diverge() {
    let linux = protocol::find("linux-6.12").expect("known");
    for name in [
        "lazy-nosync",
        "ipi-mb",
        "irq-skip",
        "caller-skip",
        "ipi-lost",
        "rq-stale",
        "reg-skip",
        "exec-norq",
        "use-norq",
        "unlazy-nogen",
        "unlazy-noflush",
        "cpumask-late",
        "switching-ignored",
        "ok-extra-ipi",
        "ok-always-flush",
        "ok-eager",
        "ok-use-reload",
    ] {
        let bug = bug::find(name).expect("known");
        let world = World::new(linux, (bug.setup)(), bug.flags);
        let diverges = |seed| held(&world, &way(&world, seed, 60), linux, &[]).diverged > 0;
        assert!((0..300).any(diverges), "{name} is never seen");
    }
}
