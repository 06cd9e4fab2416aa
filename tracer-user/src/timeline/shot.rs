//! From a judge to what the screens show.

use std::collections::{BTreeMap, BTreeSet};

use tracer_common::{
    model::{Cpu, Rule, Skip, Way},
    wire::{UNKNOWN_MM, Vector},
};

use super::{
    collect::{Collector, CpuCounts},
    kept::Kept,
};
use crate::{
    engine::{Engine, Judged},
    judge::Judge,
    report::{self, Mode},
    tui::snapshot::{
        Asid, CallRow, CpuRow, FindingRow, Health, IpiCell, IpiSender, Ipis, LeftAlone, MmRow,
        Moment, Owed, Place, Received, Slice, Snapshot, Timeline, Totals,
    },
};

/// How many of the last events are told.
const RECENT: usize = 16;
/// How many senders of IPIs are listed.
const SENDERS: usize = 64;
/// How many mms are listed.
const MMS: usize = 512;

/// A moment's snapshot, but for the moment itself and what it costs. `now` is the cursor.
pub(super) fn shot(judge: &Judge<Collector>, now: u64, kept: &Kept) -> Snapshot {
    let engine = judge.engine();
    let collector = engine.observer();
    let since = judge.opening().map_or(collector.counted.since, |opening| opening.start_ns);
    let mut judged = engine.judged(now);
    judge.explain(&mut judged.rules);
    let cpus = cpus(engine, &judged, now, since);
    let (mms, mms_omitted) = mms(judge, &judged);
    let calls: Vec<CallRow> = collector.calls.rows().map(call).collect();
    let mut snapshot = Snapshot {
        totals: totals(&judged, collector, now, since),
        findings: findings(engine, &judged, kept),
        findings_omitted: judged.findings_omitted,
        findings_ahead: ahead(engine.found(), kept),
        calls_omitted: collector.calls.omitted(),
        recent: engine.recent(RECENT),
        ipis: ipis(engine, now.saturating_sub(since)),
        timeline: timeline(kept),
        owners: BTreeMap::new(),
        moment: Moment::default(),
        cpus,
        mms,
        mms_omitted,
        calls,
        health: Health {
            kernel: judge.facts().kernel.clone(),
            probes: judge
                .closing()
                .map_or(&judge.facts().probes, |closing| &closing.probes)
                .clone(),
            rules: judged.rules,
            events: judged.events,
            transitions: judged.transitions,
            user_returns: judged.user_returns,
            blind_spots: judge.blind_spots(),
            text_audit: judge.facts().text_audit.clone(),
            ..Health::default()
        },
    };
    snapshot.owners = owners(engine, &snapshot);
    snapshot
}

fn totals(judged: &Judged, collector: &Collector, now: u64, since: u64) -> Totals {
    let rates = collector.counted.cpus.iter().map(|cpu| cpu.events.per_second(now, since));
    let check = Rule::R7.id();
    let (mut findings, mut divergences, mut inconclusive) = (0, 0, 0);
    for rule in &judged.rules {
        inconclusive += rule.inconclusive;
        if rule.id == check {
            divergences += rule.findings;
        } else {
            findings += rule.findings;
        }
    }
    Totals {
        events: judged.events.total,
        events_per_s: rates.sum(),
        lost: judged.events.lost.total,
        inconclusive,
        findings,
        divergences,
    }
}

const fn reason(why: Skip) -> &'static str {
    match why {
        Skip::KthreadLazy => "kthread_lazy",
        Skip::KthreadOther => "kthread_other",
        Skip::IdleLazy => "idle_lazy",
        Skip::IdleOther => "idle_other",
        Skip::OtherMm => "other_mm",
        Skip::Offline => "offline",
        Skip::Raced => "raced",
        Skip::Unknown => "unknown",
    }
}

fn place(cpu: &Cpu) -> Place {
    match cpu.way {
        _ if !cpu.known => Place::Unknown,
        _ if cpu.irq_depth > 0 => Place::Interrupt,
        _ if cpu.tid == 0 => Place::Idle,
        _ if cpu.kthread => Place::Kernel,
        _ if cpu.in_user != 0 => Place::User,
        Way::User | Way::Leaving(..) => Place::User,
        Way::InSyscall => Place::Kernel,
        Way::Unknown => Place::Unknown,
    }
}

fn cpus(engine: &Engine<Collector>, judged: &Judged, now: u64, since: u64) -> Vec<CpuRow> {
    let counts = &engine.observer().counted;
    let lost = engine.lost_by_cpu();
    let none = CpuCounts::default();
    let mut told = judged.cpus.iter().peekable();
    let row = |(number, cpu): (u32, &Cpu)| {
        let state = told.next_if(|told| told.cpu == number).cloned();
        let state = state.unwrap_or_else(|| report::Cpu { cpu: number, ..report::Cpu::default() });
        let own = counts.cpus.get(number as usize).unwrap_or(&none);
        CpuRow {
            state,
            offline: cpu.offline,
            kthread: cpu.known.then_some(cpu.kthread),
            on_cpu_ns: (cpu.known && cpu.switched_at != 0)
                .then(|| now.saturating_sub(cpu.switched_at)),
            place: place(cpu),
            registered: (cpu.known && cpu.logical != UNKNOWN_MM).then(|| cpu.registered()),
            switching: cpu.in_switch.is_some()
                || cpu.switching.is_some()
                || cpu.entered.is_some()
                || cpu.temporary.is_some(),
            asid: asid(engine, cpu, own),
            owes: cpu.debt.map(|debt| Owed {
                mm: debt.mm,
                since_ns: debt.since,
                maybe_paid: debt.maybe_paid,
            }),
            left_alone: cpu.left_alone.filter(|left| cpu.sync.ts < left.ts).map(|left| LeftAlone {
                ts_ns: left.ts,
                mm: left.mm,
                reason: reason(left.why),
            }),
            interrupts: own.interrupts.total(),
            interrupts_per_s: own.interrupts.per_second(now, since),
            lost: lost.get(number as usize).copied().unwrap_or_default(),
        }
    };
    (0..).zip(engine.cpus_now()).map(row).collect()
}

fn asid(engine: &Engine<Collector>, cpu: &Cpu, own: &CpuCounts) -> Option<Asid> {
    let (number, mm, tlb_gen) = own.asid.filter(|&(_, mm, _)| mm != 0 && mm == cpu.real)?;
    let generation = engine.observer().counted.mms.get(&mm).map_or(0, |mm| mm.generation);
    Some(Asid {
        number: Some(number),
        global: cpu.global_asid,
        tlb_gen,
        behind: (generation != 0 && !cpu.global_asid).then(|| generation.saturating_sub(tlb_gen)),
    })
}

fn mms(judge: &Judge<Collector>, judged: &Judged) -> (Vec<MmRow>, u64) {
    let engine = judge.engine();
    let collector = engine.observer();
    let counted = &collector.counted;
    let full = judge.facts().mode == Mode::Full;
    let row = |state: report::Mm, gone: bool| {
        let counts = counted.mms.get(&state.id).copied().unwrap_or_default();
        MmRow {
            gone,
            membarrier_ns: counts.membarrier_ns,
            flushes: full.then_some(counts.flushes),
            shootdowns_sent: Some(counts.sent),
            shootdowns_received: Some(counts.received),
            state,
        }
    };
    let mut rows: Vec<MmRow> = judged
        .mms
        .iter()
        .map(|mm| {
            let tgid = mm.tgid.or_else(|| counted.owners.get(&mm.id).copied());
            let comm = tgid.and_then(|tgid| name(engine, tgid)).map(str::to_owned);
            report::Mm { tgid, comm: mm.comm.clone().or(comm), ..mm.clone() }
        })
        .map(|mm| (mm.id, mm))
        .map(|(id, mm)| row(mm, id != report::NO_MM && engine.mm_now(id).is_none()))
        .collect();
    let known: BTreeSet<u64> = rows.iter().map(|row| row.state.id).collect();
    let mut others: Vec<_> = counted.mms.iter().filter(|(id, _)| !known.contains(id)).collect();
    others.sort_by_key(|(id, mm)| (std::cmp::Reverse(mm.sent + mm.received + mm.flushes), **id));
    let room = MMS.saturating_sub(rows.len());
    let omitted = judged.mms_omitted + others.len().saturating_sub(room) as u64;
    for (&id, _) in others.into_iter().take(room) {
        let tgid = counted.owners.get(&id).copied();
        let comm = tgid.and_then(|tgid| name(engine, tgid)).map(str::to_owned);
        rows.push(row(report::Mm { id, tgid, comm, ..report::Mm::default() }, false));
    }
    (rows, omitted)
}

fn call(row: &super::collect::Row) -> CallRow {
    CallRow { kind: row.kind(), call: row.call.clone(), coverage: row.coverage() }
}

/// The findings so far. Their stories are taken from who saw all of it, where there is one.
fn findings(engine: &Engine<Collector>, judged: &Judged, kept: &Kept) -> Vec<FindingRow> {
    let told = engine.told().iter().zip(&judged.findings);
    (1..)
        .zip(told)
        .map(|(number, (told, finding))| {
            let mut finding = finding.clone();
            let whole = kept.told.get(number as usize - 1);
            if let Some(whole) = whole.filter(|whole| whole.finding == told.finding) {
                finding.chain.clone_from(&whole.chain);
            }
            FindingRow { number, finding }
        })
        .collect()
}

fn ahead(found: u64, kept: &Kept) -> u64 {
    (kept.broken.len() as u64 + kept.broken_beyond).saturating_sub(found)
}

fn ipis(engine: &Engine<Collector>, window_ns: u64) -> Ipis {
    let counted = &engine.observer().counted;
    let cells = counted.cells.iter().map(|(&(to, from), &count)| IpiCell {
        from: (from != u32::MAX).then_some(from),
        to,
        count,
    });
    let senders = counted.senders.top(SENDERS).into_iter().map(|(tid, reason, sender)| IpiSender {
        tid,
        tgid: engine.tgid(tid).or_else(|| engine.observer().counted.names.get(&tid).map(|n| n.0)),
        comm: name(engine, tid).map(str::to_owned),
        mm: (sender.mm != UNKNOWN_MM).then_some(sender.mm),
        reason: reason.to_owned(),
        count: sender.count,
        targets: sender.targets.iter().map(|(&cpu, &count)| (cpu, count)).collect(),
    });
    let received = (0..).zip(&counted.cpus).flat_map(|(cpu, counts)| {
        (0..).zip(counts.vectors).filter(|&(_, count)| count > 0).filter_map(
            move |(number, count)| {
                let vector = Vector::from_u8(number)?.name().to_owned();
                Some(Received { cpu, vector, count })
            },
        )
    });
    Ipis {
        window_ns,
        cells: cells.collect(),
        senders: senders.collect(),
        received: received.collect(),
    }
}

fn timeline(kept: &Kept) -> Timeline {
    let slices = &kept.slices;
    let mut cells: Vec<Slice> = slices.cells.clone();
    if slices.width > 0 {
        let all = slices.to.saturating_sub(slices.from).div_ceil(slices.width) as usize;
        cells.resize(cells.len().max(all), Slice::default());
    }
    Timeline {
        from_ns: slices.from,
        to_ns: slices.from + slices.width * cells.len() as u64,
        known_to_ns: kept.reached,
        slices: cells,
    }
}

/// A thread's name, or the last that it had.
fn name(engine: &Engine<Collector>, tid: u32) -> Option<&str> {
    let ended = || engine.observer().counted.names.get(&tid).map(|(_, comm)| &**comm);
    engine.comm(tid).or_else(ended)
}

/// Whose the mms are that are shown.
fn owners(engine: &Engine<Collector>, snapshot: &Snapshot) -> BTreeMap<u64, String> {
    let of_cpus = snapshot.cpus.iter().flat_map(|row| {
        let report::Cpu { logical_mm, active_mm, real_mm, .. } = row.state;
        [logical_mm, active_mm, real_mm, row.owes.map(|owed| owed.mm)]
    });
    let of_mms = snapshot.mms.iter().map(|row| Some(row.state.id));
    let of_calls = snapshot.calls.iter().map(|row| Some(row.call.mm));
    let of_findings = snapshot.findings.iter().map(|row| row.finding.mm);
    let all: BTreeSet<u64> =
        of_cpus.chain(of_mms).chain(of_calls).chain(of_findings).flatten().collect();
    let owners = &engine.observer().counted.owners;
    let owner = |id: u64| {
        let tgid = owners
            .get(&id)
            .copied()
            .or_else(|| engine.mm_now(id).map(|mm| mm.tgid).filter(|&tgid| tgid != 0))?;
        Some((id, format!("{}/{tgid}", name(engine, tgid).unwrap_or("?"))))
    };
    all.into_iter().filter_map(owner).collect()
}
