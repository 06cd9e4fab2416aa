//! A live run, of which only the last is kept.

use std::ops::Range;

use tracer_common::wire::{Header, Kind, Switch};
use zerocopy::IntoBytes as _;

use super::{NEAR, from_the_start, golden, passed, play, settle, state, times};
use crate::{
    probes::ProgramTime,
    report::Probe,
    session::Vitals,
    stream::{Facts, Opening, Sink as _},
    timeline::{Live, desk::lock, player::Goal},
    trace,
    tui::machine::Machine as _,
};

#[test]
fn a_live_run_can_be_gone_back_in() {
    for path in golden() {
        let run = passed(std::slice::from_ref(&path), usize::MAX);
        let parts = run.parts.clone().expect("a recording");
        if parts[0].facts().joined {
            continue;
        }
        let mut live = Live::with(parts[0].facts(), usize::MAX, usize::MAX, NEAR);
        parts[0].play(trace::Range::default(), &mut live).expect("it can be read");
        let followed = live.snapshot();
        assert_eq!(
            followed.totals.events,
            lock(&run.kept).report.as_ref().expect("one").events.total
        );
        let mut player = from_the_start(&run);
        for ts in times(&run, 6) {
            play(&mut player, Goal::Time(ts));
            let (first, last) = live.span();
            if (first..=last).contains(&ts) {
                live.seek(ts);
                settle(&mut live);
                let sought = live.player().expect("it is there");
                assert_eq!(sought.index(), player.index(), "{} {ts}", path.display());
                let (one, other) = (state(sought.judge()), state(player.judge()));
                let differs = one.iter().zip(&other).position(|(one, other)| one != other);
                assert!(one == other, "{} {ts}: {differs:?}", path.display());
            }
        }
    }
}

/// Of a machine with one CPU, where two threads take turns a thousand times a second: the turns with
/// these numbers.
pub(super) fn turns(live: &mut Live, numbers: Range<u32>) {
    if numbers.start == 0 {
        live.opened(&Opening { start_ns: 1_000, known_at_ns: None });
    }
    for seq in numbers {
        let (from, ts) = (100 + seq % 2, 1_000_000 * u64::from(seq + 1));
        let switch = Switch {
            prev_mm: 8,
            prev_active: 8,
            next_mm: 8,
            prev_tid: from,
            next_tid: 201 - from,
            next_tgid: 100,
            prev_state: 0,
            next_state: 0,
            prev_frame: 1,
            next_frame: 1,
        };
        let header = Header { ts, seq, kind: Kind::Switch as u16, flags: 0 };
        live.record(0, &[header.as_bytes(), switch.as_bytes()].concat());
        if seq % 10 == 9 {
            live.advance(ts + 1_000_000);
        }
    }
}

/// So many of them are a minute.
pub(super) const MINUTE: u32 = 60_000;

/// What holds of such a machine.
pub(super) fn one_cpu() -> Facts {
    Facts { cpus_possible: 1, cpus_online: vec![0], ..Facts::default() }
}

#[test]
fn a_live_run_forgets_what_there_is_no_room_for() {
    let facts = one_cpu();
    let mut all = Live::with(&facts, usize::MAX, usize::MAX, NEAR);
    turns(&mut all, 0..MINUTE);
    let room = all.ring_bytes() / 4;
    let mut live = Live::with(&facts, room, 100_000, NEAR);
    turns(&mut live, 0..MINUTE);
    assert!(live.ring_bytes() <= room);
    let (first, last) = live.span();
    assert!(first > all.span().0 + 40_000_000_000, "the last quarter: {first}");
    assert!(last > first + 8_000_000_000, "{first} {last}");
    for ts in [first, first + (last - first) / 2, last] {
        live.seek(ts);
        all.seek(ts);
        let (one, other) = (settle(&mut live), settle(&mut all));
        assert_eq!(one.moment.at_ns, ts);
        assert_eq!((one.moment.event, one.cpus), (other.moment.event, other.cpus));
    }
    live.fares(Vitals {
        ring_bytes_per_cpu: Some(4096),
        ring_high_water: Some(17),
        programs: vec![ProgramTime { name: "tlb_flush", runs: 3, ns: 240 }],
        probes: vec![Probe::default()],
    });
    let health = live.snapshot().health;
    let cost = health.cost;
    assert!(cost.history_bytes <= Some(room as u64 + 100_000), "{cost:?}");
    assert_eq!((cost.ring_bytes_per_cpu, cost.ring_high_water), (Some(4096), Some(17)));
    assert_eq!(cost.programs.map(|programs| programs[0].ns), Some(240));
    assert_eq!(health.probes.len(), 1, "as they are now");
}
