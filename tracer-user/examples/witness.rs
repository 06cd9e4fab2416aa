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
//! two times somewhat later tells what that is worth. Of a finding of R1 unlazy says that nothing
//! serialized; then the witness must have seen nothing that does. Exits with 1 if the two disagree.
#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use anyhow::{Context as _, Result, bail};
use tracer_common::model::{Finding, Rule, SyncCause, SyncPoint, UserRan};
use unlazy::engine::{Observer, Seen};
use unlazy::judge::recorded;
use unlazy::trace::{self, Range};
use unlazy_guest::witness::{Kind, Told, file};

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
        "{release}, {count} CPUs, {:.1} s: {} events, {} lost, {:?}; the clocks agree to {:.1} us",
        report.duration_ns as f64 / 1e9,
        report.events.total,
        report.events.lost.total,
        report.verdict,
        clock.error as f64 / 1e3,
    );
    Ok(hold(&claims, &witness, &clock))
}

fn read(path: &Path) -> Result<Vec<Told>> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(Told::all(&bytes).collect())
}

/// The guest's clock by the host's: a straight line through the shortest mark at the beginning and
/// the shortest one at the end.
struct Clock {
    host: [u64; 2],
    guest: [u64; 2],
    /// How far it may be off, in nanoseconds: half a mark's length, and what any mark is outside of
    /// where it should be.
    error: u64,
}

impl Clock {
    fn new(marks: &Path, told: &[Told]) -> Result<Self> {
        let text =
            fs::read_to_string(marks).with_context(|| format!("reading {}", marks.display()))?;
        let host = told.iter().filter(|told| told.kind == Kind::Mark).map(|told| told.ts);
        let guest = text.lines().map(|line| {
            let (from, to) = line.split_once(' ')?;
            Some((from.parse().ok()?, to.parse().ok()?))
        });
        let guest: Vec<(u64, u64)> = guest.collect::<Option<_>>().context("these are no marks")?;
        let host: Vec<u64> = host.collect();
        if host.len() != guest.len() || host.len() < 4 {
            bail!("the guest marked {} times, and the witness saw {}", guest.len(), host.len());
        }
        let marks: Vec<(u64, (u64, u64))> = host.into_iter().zip(guest).collect();
        let (begin, end) = marks.split_at(marks.len() / 2);
        let shortest = |marks: &[(u64, (u64, u64))]| {
            let mark = marks.iter().min_by_key(|(_, (from, to))| to - from).copied();
            mark.context("there are no marks")
        };
        let (first, last) = (shortest(begin)?, shortest(end)?);
        let middle = |(from, to): (u64, u64)| from.midpoint(to);
        let half = (first.1.1 - first.1.0).max(last.1.1 - last.1.0).div_ceil(2);
        let mut clock =
            Self { host: [first.0, last.0], guest: [middle(first.1), middle(last.1)], error: 0 };
        let outside = marks.iter().map(|&(host, (from, to))| {
            let at = clock.guest(host);
            from.saturating_sub(at).max(at.saturating_sub(to))
        });
        clock.error = half + outside.max().unwrap_or(0);
        Ok(clock)
    }

    /// The guest's time at a time of the host's.
    fn guest(&self, host: u64) -> u64 {
        let [begin, end] = self.host.map(i128::from);
        let [from, to] = self.guest.map(i128::from);
        let at = from + (i128::from(host) - begin) * (to - from) / (end - begin).max(1);
        u64::try_from(at).unwrap_or(0)
    }
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
        let [from, to] = clock.guest;
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
    /// What is over by the next event of the CPU at the latest.
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
        for claim in open.drain(..) {
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
        if claim.from < witness.from || claim.to > witness.to {
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
    let (mut findings, mut refuted) = (0, 0);
    for finding in claims.findings.iter().filter(|finding| finding.rule == Rule::R1) {
        findings += 1;
        let after = witness.since(finding.cpu as usize, finding.since + error);
        let until_user = after.iter().take_while(|told| told.kind != Kind::User);
        let serialized: Vec<_> = until_user.filter(|told| told.kind.serializes()).collect();
        if !serialized.is_empty() {
            refuted += 1;
            wrong.push(format!("{finding:?}: {serialized:?}"));
        }
    }
    println!("{:<50} {:>10} {:>10} {:>10}", "what unlazy says", "times", "not so", "by chance");
    for (what, Row { times, not_so, by_chance }) in &rows {
        let percent = 100.0 * *by_chance as f64 / *times as f64;
        println!("{:<50} {times:>10} {not_so:>10} {percent:>8.0} %", what.to_string());
    }
    println!(
        "{:<50} {findings:>10} {refuted:>10} {:>10}",
        "R1: returned, and had not serialized", "-"
    );
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
