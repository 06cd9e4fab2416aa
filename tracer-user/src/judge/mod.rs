//! From a run to its report: the engine judges, and what the run says of itself becomes the verdict.
//!
//! ```text
//! Facts + Sink calls -> Engine (order, merge, model) -> report (+ blind spots, reasons)
//! ```
//!
//! A judge knows the run only by what it is handed ([`crate::stream`]), so a recording is judged as
//! the live machine is.

mod ahead;
mod blind;
mod reasons;
pub mod recorded;

use std::sync::Arc;

use tracer_common::model::Rule;

use crate::{
    engine::{Engine, FreezeError, FrozenReader, FrozenWriter, Observer, Told},
    report::{self, CrossCheck, Report, SyscallCoverage},
    stream::{Closing, Facts, MissedRuns, Opening, Origin, Sink},
};

/// For how long, in nanoseconds, a run that begins in the middle waits until every CPU's state is
/// known before it counts.
const SETTLING: u64 = 500_000_000;

/// When what is seen begins to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opens {
    /// As the run says ([`Sink::opened`]).
    AsRecorded,
    /// The run begins in the middle: as soon as every CPU's state is known, but not before this time
    /// (nanoseconds), and half a second later at the latest.
    OnceKnown(u64),
}

/// Judges one run.
pub struct Judge<O = ()> {
    facts: Facts,
    engine: Engine<O>,
    opens: Opens,
    opening: Option<Opening>,
    closing: Option<Closing>,
    /// Everything up to here was handed over.
    until: u64,
    /// When the first was.
    since: Option<u64>,
    damaged: u64,
    /// Only a part of the run was asked for.
    excerpt: bool,
}

impl Judge {
    /// A judge for a run that has these facts.
    #[must_use]
    pub fn new(facts: Facts, opens: Opens) -> Self {
        Self::observed(facts, opens, ())
    }
}

impl<O: Observer> Judge<O> {
    /// A judge for a run that has these facts, and somebody who looks on.
    #[must_use]
    pub fn observed(facts: Facts, opens: Opens, observer: O) -> Self {
        let possible = facts.cpus_possible;
        let mut engine = Engine::new(facts.config(), possible, observer);
        if opens != Opens::AsRecorded {
            engine.join();
        }
        for cpu in (0..possible).filter(|cpu| !facts.cpus_online.contains(cpu)) {
            engine.set_offline(cpu);
        }
        for task in &facts.tasks {
            engine.name_task(task.tid, task.tgid, &task.comm);
        }
        engine.name_funcs(&facts.functions);
        Self {
            facts,
            engine,
            opens,
            opening: None,
            closing: None,
            until: 0,
            since: None,
            damaged: 0,
            excerpt: false,
        }
    }

    /// A later part of the run begins: names that were told before it.
    pub fn part(&mut self, facts: &Facts) {
        self.engine.name_funcs(&facts.functions);
    }

    /// So many bytes of a recording could not be read.
    pub const fn damaged(&mut self, bytes: u64) {
        self.damaged = self.damaged.saturating_add(bytes);
    }

    /// What comes is cut off on purpose: that it has no end means nothing.
    pub const fn excerpt(&mut self) {
        self.excerpt = true;
    }

    /// What orders the events and judges them.
    pub(crate) const fn engine(&self) -> &Engine<O> {
        &self.engine
    }

    /// What orders the events and judges them.
    pub(crate) const fn engine_mut(&mut self) -> &mut Engine<O> {
        &mut self.engine
    }

    /// What holds throughout the run.
    pub(crate) const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What was told when the window closed.
    pub(crate) const fn closing(&self) -> Option<&Closing> {
        self.closing.as_ref()
    }

    /// When the window opened.
    pub(crate) const fn opening(&self) -> Option<&Opening> {
        self.opening.as_ref()
    }

    /// What can't be seen here.
    pub(crate) fn blind_spots(&self) -> Vec<report::Blindness> {
        let closing = Closing { probes: self.facts.probes.clone(), ..Closing::default() };
        blind::spots(&self.facts, self.closing.as_ref().unwrap_or(&closing), &self.engine)
    }

    /// Says of each rule without a check why there was none.
    pub(crate) fn explain(&self, rules: &mut [report::Rule]) {
        let probes = self.closing.as_ref().map_or(&self.facts.probes, |closing| &closing.probes);
        let imported = self.facts.origin != Origin::Probes;
        reasons::explain(rules, probes, self.facts.mode, imported);
    }

    /// Writes down all but the facts and who looks on.
    ///
    /// # Errors
    /// Never, for what is in it.
    pub(crate) fn freeze(&self, to: &mut FrozenWriter) -> Result<(), FreezeError> {
        // Destructured in full: what is new must not be forgotten here.
        let Self { facts: _, engine, opens, opening, closing: _, until, since, damaged, excerpt } =
            self;
        let opens = match opens {
            Opens::AsRecorded => None,
            Opens::OnceKnown(from) => Some(from),
        };
        to.put(&(opens, opening, until, since, damaged, excerpt))?;
        engine.freeze(to)
    }

    /// A judge as it was.
    ///
    /// # Errors
    /// If this is no judge.
    pub(crate) fn thaw(
        facts: Facts,
        from: &mut FrozenReader<'_>,
        observer: O,
        told: &[Arc<Told>],
    ) -> Result<Self, FreezeError> {
        let (opens, opening, until, since, damaged, excerpt): (Option<u64>, _, _, _, _, _) =
            from.get()?;
        let opens = opens.map_or(Opens::AsRecorded, Opens::OnceKnown);
        let engine = Engine::thaw(from, observer, told)?;
        Ok(Self { facts, engine, opens, opening, closing: None, until, since, damaged, excerpt })
    }

    /// Events, lost events and findings so far.
    pub fn progress(&self) -> (u64, u64, u64) {
        (self.engine.events(), self.engine.lost(), self.engine.found())
    }

    /// The first finding of each rule that was broken so far: the rule, and one plain sentence.
    pub fn first_findings(&self) -> impl Iterator<Item = (Rule, String)> {
        self.engine.first_findings()
    }

    /// Whether anything counts yet.
    pub const fn is_open(&self) -> bool {
        self.opening.is_some()
    }

    /// Everything up to here was handed over, in nanoseconds.
    pub const fn until(&self) -> u64 {
        self.until
    }

    /// What it comes to.
    #[must_use]
    pub fn report(self) -> Report {
        self.report_with().1
    }

    /// What it comes to, and who looked on.
    pub(crate) fn report_with(self) -> (O, Report) {
        let Self { facts, mut engine, opens, opening, closing, until, damaged, excerpt, .. } = self;
        if opening.is_none() {
            // Nothing ever counted.
            engine.restart_counts();
        }
        let closed = closing.is_some();
        let closing = closing.unwrap_or_else(|| Closing {
            end_ns: until,
            probes: facts.probes.clone(),
            ..Closing::default()
        });
        // What was counted over the whole run can't be held against a part of it.
        let counted = closed && opens == Opens::AsRecorded;
        let opening = opening.unwrap_or(Opening { start_ns: closing.end_ns, known_at_ns: None });
        let blind_spots = blind::spots(&facts, &closing, &engine);
        let (start, end) = (opening.start_ns, closing.end_ns.max(opening.start_ns));
        let judged = engine.judged(end);
        let mut report = Report {
            unlazy: env!("CARGO_PKG_VERSION").to_owned(),
            mode: facts.mode,
            kernel: facts.kernel,
            probes: closing.probes,
            text_audit: facts.text_audit,
            duration_ns: end - start,
            window: report::Window {
                start_ns: start,
                end_ns: end,
                clock: facts.clock,
                known_after_ns: opening.known_at_ns.map(|at| at.saturating_sub(start)),
            },
            command: closing.command,
            events: judged.events,
            cpus: judged.cpus,
            membarrier: judged.membarrier,
            mms: judged.mms,
            mms_omitted: judged.mms_omitted,
            transitions: judged.transitions,
            user_returns: judged.user_returns,
            rules: judged.rules,
            findings_total: judged.findings_total,
            findings: judged.findings,
            findings_omitted: judged.findings_omitted,
            blind_spots,
            crosscheck: closing
                .ctxt
                .filter(|_| counted)
                .map(|ctxt| CrossCheck::new(ctxt, judged.transitions.switches)),
            syscall_coverage: (counted && facts.origin == Origin::Probes).then_some(
                SyscallCoverage {
                    attached_ns: closing.syscalls_attached_ns,
                    window_ns: end - start,
                },
            ),
            overhead: closing.overhead,
            ..Report::default()
        };
        report.events.lost.by_probe = closing.lost_by_probe;
        for MissedRuns { probe, count, .. } in closing.missed.iter().filter(|missed| missed.lost) {
            report.events.lost.by_probe.insert(format!("{probe} (nested)"), *count);
            report.events.lost.total += count;
        }
        let imported = match &facts.origin {
            Origin::Probes | Origin::Explored { .. } => None,
            Origin::Import { format, .. } => Some(&**format),
        };
        reasons::decide(
            &mut report,
            &reasons::Circumstances {
                imported,
                never_known: engine.never_known(),
                cut_off: !closed && !excerpt,
                damaged,
                dropped: closing.dropped,
                preempt: closing.preempt.as_deref(),
            },
        );
        (engine.into_observer(), report)
    }
}

impl<O: Observer> Sink for Judge<O> {
    fn record(&mut self, cpu: u32, record: &[u8]) {
        // One that can't be read is counted there; the next one may be fine.
        let _ = self.engine.push(cpu, record);
    }

    fn syscall_probes(&mut self, ts: u64, on: bool) {
        self.engine.syscall_probes(ts, on);
    }

    fn advance(&mut self, until: u64) {
        self.engine.advance(until);
        self.advanced(until);
    }

    fn opened(&mut self, opening: &Opening) {
        if self.opens == Opens::AsRecorded {
            self.engine.restart_counts();
            self.opening = Some(opening.clone());
        }
    }

    fn closed(&mut self, closing: &Closing) {
        self.closes(closing);
        self.advance(closing.end_ns);
    }
}

impl<O: Observer> Judge<O> {
    /// The window closes, once all up to its end has been judged.
    pub(crate) fn closes(&mut self, closing: &Closing) {
        for (cpu, &next) in closing.next_seq.iter().enumerate() {
            self.engine.expect(cpu as u32, next, closing.end_ns);
        }
        self.closing = Some(closing.clone());
    }

    /// All up to here has been judged.
    pub(crate) fn advanced(&mut self, until: u64) {
        self.until = self.until.max(until);
        let since = *self.since.get_or_insert(until);
        if let Opens::OnceKnown(from) = self.opens
            && let from = from.max(since)
            && self.opening.is_none()
            && until >= from
            && (self.engine.all_known() || until >= from.saturating_add(SETTLING))
        {
            let known_at_ns = self.engine.all_known().then_some(until);
            self.engine.restart_counts();
            self.opening = Some(Opening { start_ns: until, known_at_ns });
        }
    }
}
