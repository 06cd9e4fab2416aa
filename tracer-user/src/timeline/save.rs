//! A span of a run as a trace of its own.

use std::{
    cell::RefCell,
    fs::{self, File},
    io::{self, BufWriter},
    path::Path,
};

use tracer_common::model;

use super::{
    collect::Collector,
    desk::{Run, lock},
    player::Goal,
};
use crate::{
    judge::Judge,
    stream::{Closing, Facts, Opening, Sink, TaskName},
    trace::{Batch, Composer, Piece, Writer, hand_on},
    tui::machine::Saved,
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
fn facts(judge: &Judge<Collector>) -> Facts {
    let engine = judge.engine();
    let task = |(tid, tgid, comm): (u32, u32, &str)| TaskName { tid, tgid, comm: comm.to_owned() };
    let mut tasks: Vec<_> = engine.named_tasks().map(task).collect();
    tasks.sort_by_key(|task| task.tid);
    let functions = engine.named_functions().map(|(func, name)| (func, name.to_owned()));
    Facts { part: 0, joined: true, tasks, functions: functions.collect(), ..judge.facts().clone() }
}

/// Writes what lies between two moments to a file that is not there yet.
///
/// # Errors
/// Why not, in words.
pub(super) fn save(run: &Run, (from, to): (u64, u64), path: &Path) -> Result<Saved, String> {
    if from > to {
        return Err("the span ends before it begins".to_owned());
    }
    let checkpoint = {
        let kept = lock(&run.kept);
        kept.checkpoints.by_time(from).or_else(|| kept.checkpoints.first()).cloned()
    };
    let checkpoint = checkpoint.ok_or("nothing has been read yet")?;
    let mut player = run.resume(&checkpoint)?;
    let words = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    player.play(Goal::Time(from), &mut || false).map_err(|error| error.to_string())?;
    let judge = player.into_judge();

    let file = File::create_new(path).map_err(|error| words(&error))?;
    let result = (|| {
        let to_file = BufWriter::new(file);
        let writer = Writer::new(to_file, &facts(&judge), from)?;
        write(run, &checkpoint, writer, &judge, (from, to))
    })();
    match result {
        Ok(events) => {
            let bytes = fs::metadata(path).map_or(0, |meta| meta.len());
            Ok(Saved { events, bytes })
        }
        Err(error) => {
            // Half of it is of no use to anybody.
            let _ = fs::remove_file(path);
            Err(words(&error))
        }
    }
}

fn write(
    run: &Run,
    checkpoint: &super::checkpoint::Checkpoint,
    writer: Writer<BufWriter<File>>,
    judge: &Judge<Collector>,
    (from, to): (u64, u64),
) -> io::Result<u64> {
    let writer = RefCell::new(writer);
    let failed = RefCell::new(None);
    let hand = |batch: Batch| {
        if let Err(error) = writer.borrow_mut().write(&batch) {
            failed.borrow_mut().get_or_insert(error);
        }
        Ok(())
    };
    let composer = Composer::new(run.facts.cpus_possible, hand);
    let mut cut = Cut { composer, from, to, events: 0, over: false };
    if judge.engine().traces_syscalls() {
        cut.composer.syscall_probes(from, true);
    }
    let mut roll = (run.open)(checkpoint.from);
    let mut message = checkpoint.from.message;
    while !cut.over {
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
    let probes = judge.closing().map_or(&run.facts.probes, |closing| &closing.probes).clone();
    cut.composer.closed(&Closing { end_ns: to, probes, ..Closing::default() });
    let events = cut.events;
    drop(cut);
    if let Some(error) = failed.into_inner() {
        return Err(error);
    }
    writer.into_inner().finish()?;
    Ok(events)
}
