//! The recording: facts first, then all records by time.

use std::{
    io,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{ImportError, Imported, missing::missing, translate::Translator};
use crate::{
    output,
    report::{Kernel, Mode, text::printable},
    stream::{Closing, Facts, Judging, Opening, Origin, TaskName},
    trace::whole,
};

/// All records of so long a time, in nanoseconds, are handed over together,
const STEP: u64 = 5_000_000;
/// or so many.
const MANY: u32 = 4096;

/// Writes it to `to`, as a whole or not at all.
pub(super) fn write(
    translator: Translator,
    imported: &mut Imported,
    to: output::Sink,
) -> Result<(), ImportError> {
    let Some(span) = translator.span.filter(|_| imported.events > 0) else {
        let first = imported.examples.first().map_or(String::new(), |unclear| {
            format!(" (the first is number {}: {})", unclear.place, printable(&unclear.text))
        });
        return Err(ImportError::Empty { lines: imported.not_understood, first });
    };
    let mut unsorted = None;
    let written = to.write(|to| fill(to, translator, imported, span, &mut unsorted));
    match unsorted {
        Some(source) => Err(ImportError::Spool(source)),
        // Whether its reader stays to the end is the reader's affair.
        None => Ok(written.map(drop)?),
    }
}

/// If it is not the recording that fails but what is sorted on the way, `unsorted` says why.
fn fill(
    to: &mut dyn io::Write,
    translator: Translator,
    imported: &Imported,
    (first, last): (u64, u64),
    unsorted: &mut Option<io::Error>,
) -> io::Result<()> {
    let facts = facts(&translator, imported, first);
    let Translator { spool, cpus, known_at, .. } = translator;
    let all_switched = facts.cpus_online.len() == cpus.iter().filter(|cpu| cpu.switched).count();
    whole(to, &facts, first, |sink| {
        sink.advance(first);
        sink.opened(&Opening { start_ns: first, known_at_ns: known_at.filter(|_| all_switched) });
        let (mut advanced, mut records) = (first, 0);
        let drained = spool.drain(|cpu, ts, record| {
            if ts.saturating_sub(advanced) >= STEP || records >= MANY {
                sink.advance(ts);
                (advanced, records) = (ts, 0);
            }
            sink.record(cpu, record);
            records += 1;
        });
        drained.map_err(|source| {
            let kind = source.kind();
            *unsorted = Some(source);
            io::Error::from(kind)
        })?;
        // The last event is in it, too.
        let end = last + 1;
        sink.advance(end);
        sink.closed(&Closing {
            end_ns: end,
            next_seq: (0..facts.cpus_possible as usize)
                .map(|cpu| cpus.get(cpu).map_or(0, |cpu| cpu.seq))
                .collect(),
            ..Closing::default()
        });
        Ok(())
    })
}

fn facts(translator: &Translator, imported: &Imported, first: u64) -> Facts {
    let cpus = translator.cpus_told.max(translator.cpus.len() as u32);
    let seen = |cpu: &u32| translator.cpus.get(*cpu as usize).is_some_and(|cpu| cpu.seen);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Facts {
        unlazy: env!("CARGO_PKG_VERSION").to_owned(),
        run: format!("import-{:x}-{:x}", now.as_nanos(), std::process::id()),
        origin: Origin::Import {
            format: imported.format.to_string(),
            missing: missing(translator, imported),
        },
        mode: Mode::Tracepoint,
        kernel: Kernel {
            release: translator.release.clone(),
            cpus_possible: Some(cpus),
            ..Kernel::default()
        },
        clock: match translator.clock.as_deref() {
            Some("mono") => "CLOCK_MONOTONIC".to_owned(),
            Some(clock) => format!("the trace's clock ({clock})"),
            None => "the trace's clock".to_owned(),
        },
        started_ns: first,
        cpus_possible: cpus,
        cpus_online: (0..cpus).filter(seen).collect(),
        judging: Judging {
            // Whatever the machine may have that makes less certain.
            fred: true,
            invlpgb: true,
            pv_flush: true,
            sees_cr3: translator.kinds.contains(&tracer_common::wire::Kind::TlbFlush),
            ..Judging::default()
        },
        tasks: translator
            .names
            .tasks
            .iter()
            .map(|(&tid, (tgid, comm))| TaskName { tid, tgid: *tgid, comm: comm.clone() })
            .collect(),
        functions: translator.names.functions(),
        ..Facts::default()
    }
}
