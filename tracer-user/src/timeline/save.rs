//! A span of a run as a trace of its own.

use std::{
    cell::RefCell,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tracer_common::model;

use super::{
    checkpoint::Checkpoint,
    collect::Collector,
    desk::{Run, lock},
    place::Roll,
    player::{Goal, Played, Player},
};
use crate::{
    engine::Told,
    judge::Judge,
    stream::{Closing, Facts, Opening, Sink, TaskName},
    trace::{Batch, Composer, Part, Piece, Writer, hand_on},
};

/// Takes what lies in a span, and leaves out the rest.
struct Cut<F> {
    composer: Composer<F>,
    from: u64,
    to: u64,
    events: u64,
    over: bool,
}

impl<F: FnMut(Batch) -> Result<(), Batch>> Sink for Cut<F> {
    fn record(&mut self, cpu: u32, record: &[u8]) {
        let inside = |ts| (self.from..=self.to).contains(&ts);
        if model::header(record).is_ok_and(|header| inside(header.ts)) {
            self.events += 1;
            self.composer.record(cpu, record);
        }
    }

    fn syscall_probes(&mut self, ts: u64, on: bool) {
        if (self.from..=self.to).contains(&ts) {
            self.composer.syscall_probes(ts, on);
        }
    }

    fn advance(&mut self, until: u64) {
        self.composer.advance(until.clamp(self.from, self.to));
        self.over |= until >= self.to;
    }

    // It has a window of its own.
    fn opened(&mut self, _: &Opening) {}

    fn closed(&mut self, closing: &Closing) {
        self.advance(closing.end_ns.max(self.to));
    }
}

/// Facts for a recording that begins in the middle, where the judge is now.
fn joining(judge: &Judge<Collector>) -> Facts {
    let engine = judge.engine();
    let task = |(tid, tgid, comm): (u32, u32, &str)| TaskName { tid, tgid, comm: comm.to_owned() };
    let mut tasks: Vec<_> = engine.named_tasks().map(task).collect();
    tasks.sort_by_key(|task| task.tid);
    let functions = engine.named_functions().map(|(func, name)| (func, name.to_owned()));
    Facts { part: 0, joined: true, tasks, functions: functions.collect(), ..judge.facts().clone() }
}

/// A span that is to be saved, with all that this takes: what a live run forgets meanwhile is kept for it.
pub(super) struct Span {
    from: u64,
    to: u64,
    facts: Arc<Facts>,
    parts: Option<Arc<[Part]>>,
    told: Vec<Arc<Told>>,
    /// The last before the span.
    checkpoint: Arc<Checkpoint>,
    /// From that checkpoint to the span.
    lead: Box<dyn Roll>,
    /// From that checkpoint once more, through the span.
    roll: Box<dyn Roll>,
}

impl Span {
    /// What lies between two moments of a run.
    ///
    /// # Errors
    /// Why it can't be had, in words.
    pub(super) fn of(run: &Run, (from, to): (u64, u64)) -> Result<Self, String> {
        if from > to {
            return Err("the span ends before it begins".to_owned());
        }
        let (checkpoint, told) = {
            let kept = lock(&run.kept);
            let all = &kept.checkpoints;
            (all.by_time(from).or_else(|| all.first()).cloned(), kept.told.clone())
        };
        let checkpoint = checkpoint.ok_or("nothing has been read yet")?;
        Ok(Self {
            from,
            to,
            facts: Arc::clone(&run.facts),
            parts: run.parts.clone(),
            told,
            lead: (run.open)(checkpoint.from),
            roll: (run.open)(checkpoint.from),
            checkpoint,
        })
    }

    /// Writes it as a trace; how many events it has. `stop` gives it up.
    ///
    /// # Errors
    /// If it can't be read or written, or was given up.
    pub(super) fn write(self, to: impl Write, stop: &AtomicBool) -> io::Result<u64> {
        let Self { from, to: until, facts, parts, told, checkpoint, lead, mut roll } = self;
        let judge = checkpoint.judge(&facts, &told).map_err(io::Error::other)?;
        let mut player = Player::resume(judge, &checkpoint, lead, parts);
        let mut stopped = || stop.load(Ordering::Relaxed);
        let played = player.play(Goal::Time(from), &mut stopped).map_err(io::Error::other)?;
        if played == Played::Paused {
            return Err(given_up());
        }
        let judge = player.into_judge();

        let writer = RefCell::new(Writer::new(to, &joining(&judge), from)?);
        let failed = RefCell::new(None);
        let hand = |batch: Batch| {
            if let Err(error) = writer.borrow_mut().write(&batch) {
                failed.borrow_mut().get_or_insert(error);
            }
            Ok(())
        };
        let composer = Composer::new(facts.cpus_possible, hand);
        let mut cut = Cut { composer, from, to: until, events: 0, over: false };
        if judge.engine().traces_syscalls() {
            cut.composer.syscall_probes(from, true);
        }
        let mut message = checkpoint.from.message;
        while !cut.over && failed.borrow().is_none() {
            if stop.load(Ordering::Relaxed) {
                return Err(given_up());
            }
            match roll.next().map_err(io::Error::other)? {
                Some(Piece::Chunk(_, _, chunk)) => {
                    for index in message..chunk.len() {
                        if let Some((topic, _, data)) = chunk.message(index)
                            && !cut.over
                        {
                            // What is damaged is left out, as everywhere.
                            let _ = hand_on(topic, data, &mut cut, &mut 0);
                        }
                    }
                    message = 0;
                }
                Some(_) => message = 0,
                None => break,
            }
        }
        let probes = judge.closing().map_or(&facts.probes, |closing| &closing.probes).clone();
        cut.composer.closed(&Closing { end_ns: until, probes, ..Closing::default() });
        let events = cut.events;
        drop(cut);
        if let Some(error) = failed.into_inner() {
            return Err(error);
        }
        writer.into_inner().finish()?;
        Ok(events)
    }
}

/// Nobody waits for it any more.
pub(super) fn given_up() -> io::Error {
    // Not `Interrupted`, after which writing is tried again.
    io::Error::other("it was given up")
}
