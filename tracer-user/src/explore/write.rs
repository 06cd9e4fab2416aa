//! A way through the abstract kernel, as a recording.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use tracer_common::{model::Event, wire::Header};
use tracer_explore::{path, path::Walk, setup::World};
use zerocopy::IntoBytes;

use super::{
    encode::{FUNCTIONS, encode},
    table::threads,
};
use crate::{
    report::{Kernel, Mode},
    stream::{Closing, Facts, Judging, Opening, Origin, Sink},
    trace::{Batch, Composer, Writer},
};

/// Why it could not be written.
#[derive(Debug, thiserror::Error)]
#[error("can't write {path}: {source}")]
pub struct WriteError {
    path: String,
    source: io::Error,
}

/// Writes it to `to`, as a whole or not at all.
///
/// # Errors
/// If that can't be written.
pub fn write(world: &World, walk: &Walk, to: &Path) -> Result<(), WriteError> {
    let failed = |source| WriteError { path: to.display().to_string(), source };
    if fs::metadata(to).is_ok_and(|meta| !meta.is_file()) {
        let file = fs::OpenOptions::new().write(true).open(to).map_err(failed)?;
        return fill(file, world, walk).map_err(failed);
    }
    let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    let file = tempfile::Builder::new()
        .prefix(".unlazy-explore")
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(directory.unwrap_or(Path::new(".")))
        .map_err(failed)?;
    fill(file.as_file(), world, walk).map_err(failed)?;
    file.persist(to).map_err(|error| failed(error.error))?;
    Ok(())
}

fn fill(to: impl io::Write, world: &World, walk: &Walk) -> io::Result<()> {
    let first = walk.events.first().map_or(0, |(_, ts, _)| *ts);
    let opens = walk.events.get(walk.prologue).or(walk.events.last()).map_or(0, |(_, ts, _)| *ts);
    let end = walk.events.last().map_or(0, |(_, ts, _)| ts + 500);
    let facts = facts(world, first);
    let mut writer = Writer::new(io::BufWriter::new(to), &facts, first)?;
    let mut written = Ok(());
    let mut composer = Composer::new(facts.cpus_possible, |batch: Batch| {
        if written.is_ok() {
            written = writer.write(&batch);
        }
        Ok(())
    });
    composer.advance(first);
    let mut next_seq = vec![0_u32; usize::from(world.setup.cpus)];
    let mut tell = |composer: &mut Composer<_>, events: &[path::Told]| {
        for (cpu, ts, event) in events {
            if let Event::SyscallProbes(on) = event {
                composer.syscall_probes(*ts, *on);
                continue;
            }
            let Some((kind, flags, payload)) = encode(event) else { continue };
            let seq = &mut next_seq[*cpu as usize];
            let header = Header { ts: *ts, seq: *seq, kind: kind as u16, flags };
            *seq += 1;
            composer.record(*cpu, &[header.as_bytes(), &payload].concat());
        }
    };
    tell(&mut composer, &walk.events[..walk.prologue]);
    composer.advance(opens);
    composer.opened(&Opening { start_ns: opens, known_at_ns: Some(first) });
    tell(&mut composer, &walk.events[walk.prologue..]);
    composer.advance(end);
    composer.closed(&Closing { end_ns: end, next_seq, ..Closing::default() });
    drop(composer);
    written?;
    writer.finish()
}

fn facts(world: &World, first: u64) -> Facts {
    let cpus = u32::from(world.setup.cpus);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let config = path::config(world);
    let named = FUNCTIONS.iter().filter_map(|(func, address)| Some((*address, func.name()?)));
    Facts {
        unlazy: env!("CARGO_PKG_VERSION").to_owned(),
        run: format!("explore-{:x}-{:x}", now.as_nanos(), std::process::id()),
        origin: Origin::Explored { protocol: world.protocol.name.to_owned() },
        mode: Mode::Full,
        kernel: Kernel {
            release: Some(format!("abstract {}", world.protocol.name)),
            cpus_possible: Some(cpus),
            ..Kernel::default()
        },
        clock: "steps, a microsecond for each event".to_owned(),
        started_ns: first,
        cpus_possible: cpus,
        cpus_online: (0..cpus).collect(),
        judging: Judging::from(&config),
        tasks: threads(world),
        functions: named.map(|(address, name)| (address, name.to_owned())).collect(),
        ..Facts::default()
    }
}
