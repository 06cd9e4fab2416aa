//! The recording: facts first, then all records by time.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{ImportError, Imported, missing::missing, translate::Translator};
use crate::{
    report::{Kernel, Mode, text::printable},
    stream::{Closing, Facts, Judging, Opening, Origin, Sink, TaskName},
    trace::{Batch, Composer, Writer},
};

/// All records of so long a time, in nanoseconds, are handed over together,
const STEP: u64 = 5_000_000;
/// or so many.
const MANY: u32 = 4096;

/// Writes it to `to`, as a whole or not at all.
pub(super) fn write(
    translator: Translator,
    imported: &mut Imported,
    to: &Path,
) -> Result<(), ImportError> {
    let Some(span) = translator.span.filter(|_| imported.events > 0) else {
        let first = imported.examples.first().map_or(String::new(), |unclear| {
            format!(" (the first is number {}: {})", unclear.place, printable(&unclear.text))
        });
        return Err(ImportError::Empty { lines: imported.not_understood, first });
    };
    let failed = |source| ImportError::Write { path: to.display().to_string(), source };
    // What is no regular file (/dev/null, a pipe) is written as it is.
    if fs::metadata(to).is_ok_and(|meta| !meta.is_file()) {
        let file = fs::OpenOptions::new().write(true).open(to).map_err(failed)?;
        return fill(file, translator, imported, span, &failed);
    }
    let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    let file = tempfile::Builder::new()
        .prefix(".unlazy-import")
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(directory.unwrap_or(Path::new(".")))
        .map_err(failed)?;
    fill(file.as_file(), translator, imported, span, &failed)?;
    file.persist(to).map_err(|error| failed(error.error))?;
    Ok(())
}

fn fill(
    file: impl io::Write,
    translator: Translator,
    imported: &Imported,
    (first, last): (u64, u64),
    failed: &dyn Fn(io::Error) -> ImportError,
) -> Result<(), ImportError> {
    let facts = facts(&translator, imported, first);
    let mut writer = Writer::new(io::BufWriter::new(file), &facts, first).map_err(failed)?;
    let Translator { spool, cpus, known_at, .. } = translator;
    let all_switched = facts.cpus_online.len() == cpus.iter().filter(|cpu| cpu.switched).count();
    let mut written = Ok(());
    let mut composer = Composer::new(facts.cpus_possible, |batch: Batch| {
        if written.is_ok() {
            written = writer.write(&batch);
        }
        Ok(())
    });
    composer.advance(first);
    composer.opened(&Opening { start_ns: first, known_at_ns: known_at.filter(|_| all_switched) });
    let (mut advanced, mut records) = (first, 0);
    spool
        .drain(|cpu, ts, record| {
            if ts.saturating_sub(advanced) >= STEP || records >= MANY {
                composer.advance(ts);
                (advanced, records) = (ts, 0);
            }
            composer.record(cpu, record);
            records += 1;
        })
        .map_err(ImportError::Spool)?;
    // The last event is in it, too.
    let end = last + 1;
    composer.advance(end);
    composer.closed(&Closing {
        end_ns: end,
        next_seq: (0..facts.cpus_possible as usize)
            .map(|cpu| cpus.get(cpu).map_or(0, |cpu| cpu.seq))
            .collect(),
        ..Closing::default()
    });
    drop(composer);
    written.map_err(failed)?;
    writer.finish().map_err(failed)
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
