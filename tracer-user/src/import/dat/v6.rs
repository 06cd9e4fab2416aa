//! Version 6: one part after another.

use std::fs::File;

use tracer_common::model::MAX_CPUS;

use super::{
    Cursor, Fault,
    header::{BUFFER, Buffer, Header, OfCpu},
};

/// Reads on behind the page size.
pub(super) fn read(file: &File, mut from: Cursor<'_>, header: &mut Header) -> Result<(), Fault> {
    Header::ring_buffer(&mut from)?;
    Header::ftrace_formats(&mut from)?;
    header.formats(&mut from)?;
    header.kallsyms(&mut from)?;
    let printk = from.u32()?;
    from.bytes(printk.into())?;
    header.cmdlines(&mut from)?;
    let at = from.at();
    header.cpus = from.u32()?;
    if header.cpus as usize > MAX_CPUS {
        return Err(Fault::new(at, "it has a CPU beyond 1023, and unlazy tells 1024 apart"));
    }
    // Other buffers than the top one: where, and what they are called.
    let mut others = Vec::new();
    let cpus = header.cpus;
    let mut what = from.bytes(10)?;
    if what == b"options  \0" {
        loop {
            let id = from.u16()?;
            if id == 0 {
                break;
            }
            let size = from.u32()?;
            let (at, data) = (from.at(), from.bytes(size.into())?);
            if id == BUFFER {
                let mut option = Cursor::memory(&data, at);
                others.push((option.u64()?, option.string()?));
            } else {
                header.option(id, &data);
            }
        }
        what = from.bytes(10)?;
    }
    header.cpus = header.cpus.max(cpus);
    let buffer = |from: &mut Cursor<'_>, what: &[u8], name: String, page_size| {
        if what != b"flyrecord\0" {
            return Err(Fault::new(
                from.at(),
                "it has no recorded pages (latency traces are text)",
            ));
        }
        let mut buffer = Buffer { name, page_size, ..Buffer::default() };
        for id in 0..cpus {
            let (at, size) = (from.u64()?, from.u64()?);
            buffer.cpus.push(OfCpu { id, at, size });
        }
        Ok(buffer)
    };
    let top = buffer(&mut from, &what, String::new(), header.page_size)?;
    header.buffers.push(top);
    for (at, name) in others {
        let mut from = Cursor::file(file, at);
        let what = from.bytes(10)?;
        header.buffers.push(buffer(&mut from, &what, name, header.page_size)?);
    }
    Ok(())
}
