//! What holds for any stream of events: of simulated kernels, correct or not, and of no kernel at
//! all.

use crate::{
    common::{Entry, Maps, Told, cr3_told_later, judge, runs, with_gap},
    sim::{Bug, Setup, run},
};
use proptest::prelude::*;
use std::collections::BTreeSet;
use tracer_common::model::{Config, Promise, Rule};

fn setups(full: impl Strategy<Value = bool>) -> impl Strategy<Value = Setup> {
    (2..=3_usize, full, any::<[bool; 4]>()).prop_map(
        |(cpus, full, [old, probed, traced, quiet])| Setup {
            cpus,
            bug: None,
            full,
            old,
            probed,
            traced,
            quiet,
        },
    )
}

fn choices() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 100..3_000)
}

/// Bugs that tracepoints can show; `None` is a kernel whose `finish_task_switch` does nothing.
fn bugs() -> impl Strategy<Value = Option<Bug>> {
    prop::sample::select(vec![
        None,
        Some(Bug::IpiMb),
        Some(Bug::NoLocal),
        Some(Bug::SkipUser),
        Some(Bug::KthreadUseMm),
    ])
}

fn config_of(bug: Option<Bug>) -> Config {
    let finish_task_switch = bug.map_or(Promise::Never, |_| Promise::Assumed);
    Config { finish_task_switch, ..Config::default() }
}

/// What is known of a kernel that promises right.
fn config_for(setup: Setup) -> Config {
    let promise = if setup.full && setup.probed { Promise::Probed } else { Promise::Audited };
    Config { finish_task_switch: promise, ipi_sync_core: promise, ..Config::default() }
}

fn whole(config: Config, events: &[Entry]) -> Maps {
    judge(config, Maps::new(3), events)
}

/// Which events of `cpu` are lost: about `length` in a row, from somewhere.
fn lost(events: &[Entry], cpu: u32, from: usize, length: usize) -> Vec<usize> {
    let own: Vec<usize> = (0..events.len()).filter(|&index| events[index].0 == cpu).collect();
    let from = from % own.len().max(1);
    own.into_iter().skip(from).take(length).collect()
}

proptest! {
    #![proptest_config(runs(500))]

    /// A correct kernel is never blamed, and the reconstruction always agrees with it.
    #[test]
    fn correct_kernels_are_clean(setup in setups(any::<bool>()), choices in choices()) {
        let store = whole(config_for(setup), &run(setup, choices));
        prop_assert!(store.findings.is_empty(), "{:#?}", store.findings);
    }

    /// Nor is it when events are lost, or when the store is small.
    #[test]
    fn correct_kernels_stay_clean(
        setup in setups(any::<bool>()),
        choices in choices(),
        gaps in prop::collection::vec((0..3_u32, any::<u16>(), 1..200_usize), 0..3),
        limit in prop::option::of(0..20_usize),
    ) {
        // Rules that look at what other CPUs are doing must know when they don't know.
        let told = if setup.full { Told::AtBothEnds } else { Told::AtItsEnd };
        let mut events = run(setup, choices);
        for (cpu, from, length) in gaps {
            let lost = lost(&events, cpu, from.into(), length);
            events = with_gap(&events, &lost, told);
        }
        let store = Maps::limited(setup.cpus, limit.unwrap_or(usize::MAX));
        let store = judge(config_for(setup), store, &events);
        prop_assert!(store.findings.is_empty(), "{:#?}", store.findings);
    }

    /// What is found in a bad kernel without some of its events is found with them too.
    ///
    /// This needs the gap at both ends: a task that ran unseen may be seen on another CPU before
    /// the loss is told, and then what is known of it is old.
    #[test]
    fn a_gap_finds_nothing_new(
        setup in setups(Just(false)),
        bug in bugs(),
        choices in choices(),
        (cpu, from, length) in (0..3_u32, any::<u16>(), 1..200_usize),
    ) {
        let events = run(Setup { bug, ..setup }, choices);
        let all = whole(config_of(bug), &events);
        let lost = lost(&events, cpu, from.into(), length);
        let cut = whole(config_of(bug), &with_gap(&events, &lost, Told::AtBothEnds));
        for found in &cut.findings {
            let known = |f: &&_| {
                let f: &tracer_common::model::Finding = f;
                (f.rule, f.cpu, f.tid, f.mm) == (found.rule, found.cpu, found.tid, found.mm)
            };
            prop_assert!(all.findings.iter().find(known).is_some(), "{found:#?}");
        }
    }

    /// A CR3 write that is told by the record after it finds nothing else than one with its own. (It may
    /// find less: a call between the two may have looked before the write, or after it.)
    #[test]
    fn cr3_may_be_told_later(
        setup in setups(Just(false)),
        bug in bugs(),
        choices in choices(),
    ) {
        let events = run(Setup { bug, ..setup }, choices);
        let all = whole(config_of(bug), &events);
        let later = whole(config_of(bug), &cr3_told_later(&events));
        let told = |store: &Maps| -> Vec<_> {
            let findings = store.findings.iter();
            findings.map(|f| (f.rule, f.cpu, f.tid, f.mm, f.ts, f.since)).collect()
        };
        let (all, later) = (told(&all), told(&later));
        prop_assert!(later.iter().all(|found| all.contains(found)), "{later:?} {all:?}");
    }

    /// What was found does not depend on what comes after it.
    #[test]
    fn a_prefix_finds_a_prefix(
        setup in setups(any::<bool>()),
        bug in bugs(),
        choices in choices(),
        length in any::<prop::sample::Index>(),
    ) {
        let events = run(Setup { bug, ..setup }, choices);
        let all = whole(config_of(bug), &events).findings;
        let some = whole(config_of(bug), &events[..length.index(events.len() + 1)]).findings;
        prop_assert_eq!(&some, &all[..some.len()]);
    }
}

/// A long run from a seed.
fn long(seed: u64, steps: usize) -> Vec<u8> {
    let mut state = seed;
    let mut choices = Vec::with_capacity(steps);
    for _ in 0..steps {
        // splitmix64
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        choices.push((z ^ (z >> 31)) as u8);
    }
    choices
}

/// The kernel with this bug is caught by each rule of `must`, and by none outside `may`.
#[expect(clippy::panic, reason = "a test's failure, in a function that tests call")]
fn caught(bug: Option<Bug>, full: bool, config: Config, must: &[Rule], may: &[Rule]) {
    let mut found = BTreeSet::new();
    for seed in 0..1_500 {
        let (cpus, traced, quiet) = (2 + (seed % 2) as usize, seed % 4 != 0, seed % 8 != 0);
        let (old, probed) = (seed % 3 == 1, config.ipi_sync_core == Promise::Probed);
        let setup = Setup { cpus, bug, full, old, probed, traced, quiet };
        let store = whole(config, &run(setup, long(seed, 10_000)));
        for finding in &store.findings {
            assert!(may.contains(&finding.rule), "{bug:?}, seed {seed}: {finding:#?}");
            found.insert(finding.rule);
        }
        if seed >= 10 && must.iter().all(|rule| found.contains(rule)) {
            return;
        }
    }
    panic!("{bug:?}, full: {full}: only {found:?}");
}

#[test]
fn planted_bugs_are_caught() {
    use Rule::{R1, R2, R4, R5, R7};
    let config = Config::default();
    for full in [false, true] {
        caught(Some(Bug::IpiMb), full, config, &[R2], &[R2]);
        caught(Some(Bug::NoLocal), full, config, &[R2], &[R2]);
        caught(Some(Bug::SkipUser), full, config, &[R2], &[R2]);
        caught(Some(Bug::KthreadUseMm), full, config, &[R1, R2], &[R1, R2]);
        caught(Some(Bug::NoCr3), full, config, &[R1, R2, R7], &[R1, R2, R4, R5, R7]);
        let inverted = Config { finish_task_switch: Promise::Never, ..config };
        caught(None, full, inverted, &[R1, R2], &[R1, R2]);
        let nothing_in_hardirq = Config { ipi_sync_core: Promise::Never, ..config };
        caught(None, full, nothing_in_hardirq, &[R2], &[R2]);
    }
}

#[test]
fn planted_bugs_of_full_mode_are_caught() {
    use Rule::{R1, R2, R3, R4, R5, R6};
    let config = Config {
        finish_task_switch: Promise::Probed,
        ipi_sync_core: Promise::Probed,
        ..Config::default()
    };
    caught(Some(Bug::LazyNosync), true, config, &[R1, R2], &[R1, R2]);
    caught(Some(Bug::IrqSkip), true, config, &[R2], &[R2]);
    caught(Some(Bug::IpiMb), true, config, &[R2], &[R2]);
    caught(Some(Bug::NoLocal), true, config, &[R2], &[R2]);
    caught(Some(Bug::KthreadUseMm), true, config, &[R1, R2], &[R1, R2]);
    caught(Some(Bug::StaleTlb), true, config, &[R3], &[R3]);
    caught(Some(Bug::UnlazyNogen), true, config, &[R3], &[R3]);
    caught(Some(Bug::UnlazyNoflush), true, config, &[R3], &[R3]);
    caught(Some(Bug::LazyTables), true, config, &[R4], &[R4]);
    caught(Some(Bug::EarlyFree), true, config, &[R5], &[R5]);
    caught(Some(Bug::RqStale), true, config, &[R6], &[R6]);
    caught(Some(Bug::RegSkip), true, config, &[R6], &[R6]);
}

/// Correct kernels over a longer time, and nearly everything about them is decided.
#[test]
fn long_correct_runs_are_clean_and_decided() {
    let mut sums = [(0, 0, 0); 7];
    for seed in 0..12 {
        let (full, quiet) = (seed % 2 == 0, seed % 3 == 0);
        let (old, probed) = (seed % 4 == 0, seed % 8 == 2);
        let setup = Setup { cpus: 3, bug: None, full, old, probed, traced: true, quiet };
        let store = whole(config_for(setup), &run(setup, long(seed, 60_000)));
        assert!(store.findings.is_empty(), "seed {seed}: {:#?}", store.findings);
        for (sum, tally) in sums.iter_mut().zip(store.tally.rules) {
            sum.0 += tally.checked;
            sum.1 += tally.inconclusive;
            sum.2 += tally.excused;
        }
    }
    for (rule, (checked, inconclusive, excused)) in Rule::ALL.into_iter().zip(sums) {
        assert!(checked > 100, "{rule:?} was checked {checked} times");
        assert!(inconclusive * 100 <= checked, "{rule:?}: {inconclusive} of {checked}");
        assert_eq!(excused > 100, rule == Rule::R6, "{rule:?}: {excused}");
    }
}
