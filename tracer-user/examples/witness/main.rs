//! Holds what unlazy concluded from a recording against a witness in the emulator, which told every
//! serializing instruction and every return to user mode of the same machine
//! (`cargo xtask witness`).
//!
//! ```text
//! witness TRACE FOLDER MARKS
//! ```
//!
//! unlazy says of a serialization, or of a return to user mode, that it happened between two times.
//! The witness must have seen one of that kind on that CPU between them; how often it saw one between
//! two times somewhat later tells what that is worth. Of a finding of R1 or R2 unlazy says that nothing
//! serialized before a return; then the witness must have seen nothing that does. Exits with 1 if the two disagree.
#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

mod clock;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use anyhow::{Context as _, Result, bail};
use tracer_common::model::{Event, Evidence, Finding, Rule, SyncCause, SyncPoint, UserRan};
use unlazy::engine::{Observer, Seen};
use unlazy::judge::recorded;
use unlazy::trace::{self, Range};
use unlazy_guest::witness::{Kind, Told, file};

use self::clock::Clock;

fn main() -> Result<ExitCode> {
    let args: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [trace, folder, marks] = args.as_slice() else {
        bail!("usage: witness TRACE FOLDER MARKS");
    };
    let part = trace::open(trace)?;
    let facts = part.facts();
    let release = facts.kernel.release.clone().unwrap_or_else(|| "a kernel".to_owned());
    let count = facts.cpus_possible;
    let told = (0..count).map(|cpu| read(&folder.join(file(cpu)))).collect::<Result<Vec<_>>>()?;
    let clock = Clock::new(marks, told.first().map_or(&[], Vec::as_slice))?;
    let witness = Witness::new(&clock, told);
    let mut claims = Claims::new(count as usize);
    let judged = recorded::observe(&[part], Range::default(), &mut claims)?;
    let report = judged.report;
    println!(
        "{release}, {count} CPUs, {:.1} s: {} events, {} lost, {:?}; the clocks agree to {:.1} us but \
         for {:.1} s",
        report.duration_ns as f64 / 1e9,
        report.events.total,
        report.events.lost.total,
        report.verdict,
        clock.error as f64 / 1e3,
        clock.blind_ns() as f64 / 1e9,
    );
    Ok(hold(&claims, &witness, &clock))
}

fn read(path: &Path) -> Result<Vec<Told>> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(Told::all(&bytes).collect())
}

/// What the witness told, by CPU, in the guest's time.
struct Witness {
    cpus: Vec<Vec<Told>>,
    /// Between the marks, which is where it can be compared.
    from: u64,
    to: u64,
}

impl Witness {
    fn new(clock: &Clock, told: Vec<Vec<Told>>) -> Self {
        let guest = |told: Told| Told { ts: clock.guest(told.ts), ..told };
        let cpus = told.into_iter().map(|cpu| cpu.into_iter().map(guest).collect()).collect();
        let (from, to) = clock.span();
        Self { cpus, from, to }
    }

    /// All of a CPU from one time on.
    fn since(&self, cpu: usize, from: u64) -> &[Told] {
        let all = self.cpus.get(cpu).map_or(&[][..], Vec::as_slice);
        all.get(all.partition_point(|told| told.ts < from)..).unwrap_or_default()
    }

    /// When it was over at the latest, as unlazy says.
    fn end_of(&self, claim: &Claim) -> u64 {
        if claim.what != What::Sync(SyncCause::FinishTaskSwitch as u8) {
            return claim.to;
        }
        // It is said at the switch, and holds for whatever user code runs next.
        let user = self.since(claim.cpu, claim.from).iter().find(|told| told.kind == Kind::User);
        user.map_or(self.to, |told| told.ts)
    }

    /// When the CPU returned to user mode without serializing, as a finding says. An interrupt may come
    /// before its first instruction there, so that an IRET is between: it has returned all the same.
    fn returned(&self, finding: &Finding, error: u64) -> Option<u64> {
        let returns = |told: &&Told| matches!(told.kind, Kind::Sysret | Kind::User);
        let cpu = finding.cpu as usize;
        let all = self.since(cpu, finding.since + error);
        if finding.rule == Rule::R1 {
            return all.iter().find(returns).map(|told| told.ts);
        }
        // It was seen on its way, and arrives.
        let after = || self.since(cpu, finding.ts).iter().find(returns);
        // It has been there.
        let before = || {
            let past = all.iter().take_while(|told| told.ts <= finding.ts + error);
            past.filter(returns).last()
        };
        let returned = match finding.evidence {
            Evidence::Observed => after(),
            Evidence::Inferred => before(),
            // Something else may be what is assumed.
            Evidence::Assumed => before().or_else(after),
        };
        returned.map(|told| told.ts)
    }

    /// All of a CPU between two times.
    fn between(&self, cpu: usize, from: u64, to: u64) -> impl Iterator<Item = Kind> {
        self.since(cpu, from).iter().take_while(move |told| told.ts <= to).map(|told| told.kind)
    }
}

/// What unlazy says that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Sync(u8),
    Sysret,
    Iret,
}

impl What {
    fn fits(self, kind: Kind) -> bool {
        match self {
            Self::Sysret => kind == Kind::Sysret,
            Self::Iret => kind == Kind::Iret,
            Self::Sync(cause) => match SyncCause::from_u8(cause) {
                SyncCause::None => false,
                SyncCause::Cr3 | SyncCause::Pti => kind == Kind::Cr3,
                SyncCause::TlbFlush => {
                    matches!(kind, Kind::Cr3 | Kind::Invalidate | Kind::Control)
                }
                SyncCause::Iret => kind == Kind::Iret,
                // sync_core: whatever instruction the CPU has for it.
                _ => matches!(kind, Kind::Iret | Kind::Cpuid | Kind::Serialize | Kind::Control),
            },
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sync(cause) => write!(f, "serialized: {}", SyncCause::from_u8(*cause).name()),
            Self::Sysret => f.write_str("returned to user mode by SYSRET"),
            Self::Iret => f.write_str("returned to user mode by IRET"),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Claim {
    cpu: usize,
    what: What,
    from: u64,
    to: u64,
}

#[derive(Clone, Copy, Default)]
struct Last {
    sync: SyncPoint,
    user: UserRan,
}

/// What unlazy says, as it says it.
struct Claims {
    cpus: Vec<Last>,
    /// What is over by the next event of the CPU at the latest; an IRET, by the next of its task: what
    /// an interrupt has left to do may come before.
    open: Vec<Vec<Claim>>,
    settled: Vec<Claim>,
    findings: Vec<Finding>,
}

impl Claims {
    fn new(cpus: usize) -> Self {
        let (last, open) = (vec![Last::default(); cpus], vec![Vec::new(); cpus]);
        Self { cpus: last, open, settled: Vec::new(), findings: Vec::new() }
    }
}

impl Observer for Claims {
    fn event(&mut self, seen: &Seen<'_>) {
        let cpu = seen.cpu as usize;
        let (Some(now), Some(last), Some(open)) =
            (seen.state(seen.cpu), self.cpus.get_mut(cpu), self.open.get_mut(cpu))
        else {
            return;
        };
        let over = |claim: &Claim| claim.what != IRET || is_of_a_task(seen.event);
        for claim in open.extract_if(.., |claim| over(claim)) {
            self.settled.push(Claim { to: seen.ts, ..claim });
        }
        let mut claim = |what, from| open.push(Claim { cpu, what, from, to: 0 });
        if now.sync != last.sync && now.sync.ts != 0 {
            claim(What::Sync(now.sync.cause as u8), now.sync.ts);
        }
        let UserRan { since, mm, tid, frame, on_its_way, .. } = now.user;
        if (since, mm, tid) != (last.user.since, last.user.mm, last.user.tid)
            && since != 0
            && !on_its_way
        {
            match frame.leaves_by_iret() {
                Some(true) => claim(What::Iret, since),
                Some(false) => claim(What::Sysret, since),
                None => {}
            }
        }
        *last = Last { sync: now.sync, user: now.user };
    }

    fn broken(&mut self, finding: &Finding) {
        self.findings.push(*finding);
    }
}

const IRET: What = What::Sync(SyncCause::Iret as u8);

/// Whether it comes from what a task does itself, and so not between an interrupt's handler and its
/// IRET.
const fn is_of_a_task(event: &Event) -> bool {
    matches!(
        event,
        Event::Switch { .. }
            | Event::SysEnter(_)
            | Event::SysExit(_)
            | Event::MembarrierEnter(_)
            | Event::MembarrierExit(_)
            | Event::PageFault { .. }
            | Event::UserReturn(_)
    )
}

/// What came of one kind of claim.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    times: u64,
    not_so: u64,
    /// How many would hold at another time as well: what agreement is worth.
    by_chance: u64,
}

/// That other time, in nanoseconds later.
const ELSEWHERE: u64 = 3_456_789;

/// How many disagreements are told in full.
const TOLD: usize = 10;

/// Prints how the two agree.
fn hold(claims: &Claims, witness: &Witness, clock: &Clock) -> ExitCode {
    let mut rows: BTreeMap<What, Row> = BTreeMap::new();
    let mut wrong = Vec::new();
    let error = clock.error;
    for claim in &claims.settled {
        let inside = witness.from <= claim.from && claim.to <= witness.to;
        if !inside || !clock.comparable(claim.from, claim.to) {
            continue;
        }
        let row = rows.entry(claim.what).or_default();
        row.times += 1;
        let from = claim.from.saturating_sub(error);
        let to = witness.end_of(claim) + error;
        let holds = |from, to| witness.between(claim.cpu, from, to).any(|it| claim.what.fits(it));
        if !holds(from, to) {
            row.not_so += 1;
            wrong.push(format!("{claim:?}: {}", claim.what));
        }
        row.by_chance += u64::from(holds(from + ELSEWHERE, to + ELSEWHERE));
    }
    let mut broken = [(Rule::R1, 0, 0), (Rule::R2, 0, 0)];
    let mut assumed = 0;
    for finding in &claims.findings {
        let Some((_, findings, refuted)) = broken.iter_mut().find(|row| row.0 == finding.rule)
        else {
            continue;
        };
        let Some(returned) = witness.returned(finding, error) else { continue };
        if finding.since < witness.from || !clock.comparable(finding.since, returned) {
            continue;
        }
        *findings += 1;
        let told = witness.since(finding.cpu as usize, finding.since + error).iter();
        let until_return = told.take_while(|told| told.ts < returned);
        let serialized: Vec<_> = until_return.filter(|told| told.kind.serializes()).collect();
        if !serialized.is_empty() && finding.evidence == Evidence::Assumed {
            assumed += 1;
        } else if !serialized.is_empty() {
            *refuted += 1;
            wrong.push(format!("{finding:?}: returned at {returned}: {serialized:?}"));
        }
    }
    println!("{:<50} {:>10} {:>10} {:>10}", "what unlazy says", "times", "not so", "by chance");
    for (what, Row { times, not_so, by_chance }) in &rows {
        let percent = 100.0 * *by_chance as f64 / *times as f64;
        println!("{:<50} {times:>10} {not_so:>10} {percent:>8.0} %", what.to_string());
    }
    for (rule, findings, refuted) in broken {
        let row = format!("{rule:?}: ran user code, and had not serialized");
        println!("{row:<50} {findings:>10} {refuted:>10} {:>10}", "-");
    }
    if assumed != 0 {
        println!("not so, and said to be assumed only: {assumed}");
    }
    let told = witness.cpus.iter().flatten();
    let mut kinds: BTreeMap<u8, (Kind, u64)> = BTreeMap::new();
    for told in told.filter(|told| (witness.from..=witness.to).contains(&told.ts)) {
        kinds.entry(told.kind as u8).or_insert((told.kind, 0)).1 += 1;
    }
    let kinds = kinds.values().map(|(kind, count)| format!("{kind:?} {count}"));
    println!("the witness saw: {}", kinds.collect::<Vec<_>>().join(", "));
    for line in wrong.iter().take(TOLD) {
        println!("not so: {line}");
    }
    if wrong.is_empty() && !rows.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
