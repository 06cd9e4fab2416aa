//! trace-cmd's `trace.dat`, versions 6 and 7 (trace-cmd.dat.v6(5), trace-cmd.dat.v7(5)), of 64-bit
//! little endian kernels.
//!
//! ```text
//! header  (v6, v7)   what is where: event formats, symbols, names, each CPU's pages
//! pages              a CPU's pages, unpacked where they are packed
//! page               a page of the ring buffer: events with their times, and what was lost
//! shape, record      an event's bytes, by its format -> What
//! ```
//!
//! No crate does this: what there is binds libtracecmd, which is C and trusts its input.

mod cursor;
mod header;
mod page;
mod pages;
mod record;
mod shape;
mod symbols;
mod v6;
mod v7;

use std::{fs::File, path::Path};

use super::{ImportError, Imported, point::Point, translate::Translator};
use cursor::{Cursor, Fault};
use header::{Buffer, Header};
use pages::Pages;
use record::Record;

/// Reads all of it.
pub(super) fn read(
    file: &File,
    path: &Path,
    translator: &mut Translator,
    imported: &mut Imported,
) -> Result<(), ImportError> {
    let told = |fault: Fault| fault.told(path);
    let mut header = header::read(file).map_err(told)?;
    translator.release = header.release.take();
    translator.has_cpus(&header.cpus.to_string());
    // A CPU's records of two buffers would have to be merged; as a rule there is one.
    let size = |buffer: &Buffer| buffer.cpus.iter().map(|cpu| cpu.size).sum::<u64>();
    header.buffers.sort_by_key(|buffer| std::cmp::Reverse(size(buffer)));
    let others = header.buffers.iter().skip(1).filter(|buffer| size(buffer) > 0);
    translator.other_buffers = others.map(|buffer| buffer.name.clone()).collect();
    let Some(buffer) = header.buffers.first() else { return Ok(()) };
    let clock = buffer.clock.as_deref().or(header.clock.as_deref()).unwrap_or("local").to_owned();
    let scale = header.scale(&clock).ok_or_else(|| {
        ImportError::Unknown(format!(
            "its clock is \"{}\", which counts no nanoseconds: record with `trace-cmd record -C mono`",
            crate::report::text::printable(&clock)
        ))
    })?;
    translator.clock = Some(clock);
    for cpu in &buffer.cpus {
        let mut pages = Pages::open(file, buffer, cpu, header.packed).map_err(told)?;
        loop {
            let at = pages.at();
            match pages.next() {
                Ok(Some(bytes)) => {
                    one_page(bytes, at, cpu.id, &header, scale, translator, imported)?;
                }
                Ok(None) => break,
                Err(fault) => {
                    // What else this CPU has can't be found.
                    imported.unclear(fault.at, fault.why, b"");
                    if let Err(why) = translator.lost(cpu.id, 1, imported) {
                        imported.unclear(at, why, b"");
                    }
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Takes a page of a CPU.
fn one_page(
    bytes: &[u8],
    at: u64,
    cpu: u32,
    header: &Header,
    scale: header::Scale,
    translator: &mut Translator,
    imported: &mut Imported,
) -> Result<(), ImportError> {
    let lost = page::lost(bytes);
    if lost > 0
        && let Err(why) = translator.lost(cpu, lost, imported)
    {
        imported.unclear(at, why, b"");
    }
    let mut failed = None;
    let whole = page::events(bytes, |ts, data| {
        let Some(ts) = scale.nanoseconds(ts) else {
            imported.unclear(at, "its time is beyond any", b"");
            return;
        };
        let Some(Record { tid, what }) = record::read(data, header) else {
            imported.unclear(at, "an event does not fit its format", b"");
            return;
        };
        let comm = header.comms.get(&tid).map_or("", |comm| comm);
        let point = Point { cpu, ts, tid: Some(tid), tgid: None, comm, what };
        match translator.take(&point, imported) {
            Ok(Ok(())) => {}
            Ok(Err(why)) => imported.unclear(at, why, b""),
            Err(error) => failed = Some(error),
        }
    });
    if let Err(why) = whole {
        imported.unclear(at, why, b"");
        if let Err(why) = translator.lost(cpu, 1, imported) {
            imported.unclear(at, why, b"");
        }
    }
    failed.map_or(Ok(()), Err)
}
