//! A way through the abstract kernel, as a recording.

use std::{
    io,
    time::{SystemTime, UNIX_EPOCH},
};

use tracer_common::model::Event;
use tracer_explore::{path, path::Walk, setup::World};

use super::{
    encode::{FUNCTIONS, encode},
    table::threads,
};
use crate::{
    output::{self, OutputError},
    report::{Kernel, Mode},
    stream::{Closing, Facts, Judging, Opening, Origin, Sink},
    trace::whole,
};

/// Writes it to `to`, as a whole or not at all.
///
/// # Errors
/// If that can't be written.
pub fn write(world: &World, walk: &Walk, to: output::Sink) -> Result<(), OutputError> {
    // Whether its reader stays to the end is the reader's affair.
    to.write(|to| fill(to, world, walk)).map(drop)
}

fn fill(to: &mut dyn io::Write, world: &World, walk: &Walk) -> io::Result<()> {
    let first = walk.events.first().map_or(0, |(_, ts, _)| *ts);
    let opens = walk.events.get(walk.prologue).or(walk.events.last()).map_or(0, |(_, ts, _)| *ts);
    let end = walk.events.last().map_or(0, |(_, ts, _)| ts + 500);
    let facts = facts(world, first);
    let mut next_seq = vec![0_u32; usize::from(world.setup.cpus)];
    let tell = |sink: &mut dyn Sink, next_seq: &mut [u32], events: &[path::Told]| {
        for (cpu, ts, event) in events {
            if let Event::SyscallProbes(on) = event {
                sink.syscall_probes(*ts, *on);
                continue;
            }
            let seq = &mut next_seq[*cpu as usize];
            let Some(record) = encode(event, *ts, *seq) else { continue };
            *seq += 1;
            sink.record(*cpu, &record);
        }
    };
    whole(to, &facts, first, |sink| {
        sink.advance(first);
        tell(sink, &mut next_seq, &walk.events[..walk.prologue]);
        sink.advance(opens);
        sink.opened(&Opening { start_ns: opens, known_at_ns: Some(first) });
        tell(sink, &mut next_seq, &walk.events[walk.prologue..]);
        sink.advance(end);
        sink.closed(&Closing { end_ns: end, next_seq, ..Closing::default() });
        Ok(())
    })
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
