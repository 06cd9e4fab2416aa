//! Version 7: options say where the sections are, which may be packed.

use std::fs::File;

use super::{
    Cursor, Fault,
    cursor::{bytes_at, unpack},
    header::{BUFFER, Buffer, Header, OfCpu},
};

/// Numbers of sections, and of the options that say where they are.
const HEADER_INFO: u16 = 16;
const EVENT_FORMATS: u16 = 18;
const KALLSYMS: u16 = 19;
const CMDLINES: u16 = 21;

/// A section is packed.
const PACKED: u16 = 1;

/// More sections of options than any file has.
const MOST_SECTIONS: usize = 1 << 12;

/// A section's header: number, flags, and where the rest begins and how long it is.
fn section(file: &File, at: u64) -> Result<(u16, u16, u64, u64), Fault> {
    let mut from = Cursor::file(file, at);
    let (id, flags) = (from.u16()?, from.u16()?);
    from.u32()?;
    let size = from.u64()?;
    Ok((id, flags, from.at(), size))
}

/// The whole of a section, unpacked, and where it was.
fn whole(file: &File, at: u64, wanted: u16) -> Result<(Vec<u8>, u64), Fault> {
    let (id, flags, begin, size) = section(file, at)?;
    if id != wanted {
        return Err(Fault::new(at, "another section is where one is said to be"));
    }
    let bytes = bytes_at(file, begin, size)?;
    if flags & PACKED == 0 {
        return Ok((bytes, begin));
    }
    let mut from = Cursor::memory(&bytes, begin);
    let (packed, unpacked) = (from.u32()?, from.u32()?);
    Ok((unpack(&from.bytes(packed.into())?, unpacked.into(), begin)?, begin))
}

/// Reads on behind the page size.
pub(super) fn read(file: &File, mut from: Cursor<'_>, header: &mut Header) -> Result<(), Fault> {
    let at = from.at();
    match from.string()?.as_str() {
        "zstd" => header.packed = true,
        "none" => {}
        _ => {
            return Err(Fault::new(
                at,
                "it is packed with something else than zstd: make it anew with `trace-cmd convert \
                 --compression none`, or import `trace-cmd report`'s text",
            ));
        }
    }
    from.string()?;
    let mut next = from.u64()?;
    let mut sections = 0;
    while next != 0 {
        sections += 1;
        if sections > MOST_SECTIONS {
            return Err(Fault::new(next, "its options never end"));
        }
        let (bytes, at) = whole(file, next, 0)?;
        let mut from = Cursor::memory(&bytes, at);
        loop {
            let (id, size) = (from.u16()?, from.u32()?);
            let at = from.at();
            let data = from.bytes(size.into())?;
            let mut option = Cursor::memory(&data, at);
            match id {
                0 => {
                    next = option.u64()?;
                    break;
                }
                BUFFER => {
                    let buffer = buffer(file, &mut option)?;
                    header.buffers.push(buffer);
                }
                HEADER_INFO | EVENT_FORMATS | KALLSYMS | CMDLINES => {
                    let (bytes, at) = whole(file, option.u64()?, id)?;
                    let mut from = Cursor::memory(&bytes, at);
                    match id {
                        HEADER_INFO => Header::ring_buffer(&mut from)?,
                        EVENT_FORMATS => header.formats(&mut from)?,
                        KALLSYMS => header.kallsyms(&mut from)?,
                        _ => header.cmdlines(&mut from)?,
                    }
                }
                _ => header.option(id, &data),
            }
        }
    }
    Ok(())
}

fn buffer(file: &File, option: &mut Cursor<'_>) -> Result<Buffer, Fault> {
    let at = option.u64()?;
    let name = option.string()?;
    let clock = option.string()?;
    let page_size = option.u32()?;
    let mut buffer = Buffer { name, page_size, ..Buffer::default() };
    // What the option says of the clock is its default where it was set later.
    buffer.clock = (clock != "local").then_some(clock);
    for _ in 0..option.u32()? {
        let (id, at, size) = (option.u32()?, option.u64()?, option.u64()?);
        buffer.cpus.push(OfCpu { id, at, size });
    }
    if !buffer.cpus.is_empty() {
        buffer.packed = section(file, at)?.1 & PACKED != 0;
    }
    Ok(buffer)
}
