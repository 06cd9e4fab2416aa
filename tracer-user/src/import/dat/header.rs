//! What a file says before its events.

use std::{collections::HashMap, fs::File};

use tracer_common::model::MAX_CPUS;

use super::{
    Cursor, Fault,
    shape::{self, Shape},
    symbols::Symbols,
    v6, v7,
};
use crate::import::sniff::TRACE_DAT;

/// More events than any kernel has.
const MOST_EVENTS: usize = 1 << 16;

/// All that is needed to understand the events.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub(super) page_size: u32,
    /// Sections may be packed, with zstd.
    pub(super) packed: bool,
    pub(super) shapes: HashMap<u16, Shape>,
    pub(super) symbols: Symbols,
    /// Names of tasks.
    pub(super) comms: HashMap<u32, String>,
    pub(super) release: Option<String>,
    pub(super) clock: Option<String>,
    /// How times of `x86-tsc` become nanoseconds.
    pub(super) tsc: Option<Scale>,
    pub(super) cpus: u32,
    pub(super) buffers: Vec<Buffer>,
}

/// A buffer with events.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    pub(super) name: String,
    pub(super) clock: Option<String>,
    pub(super) page_size: u32,
    /// Its pages are packed.
    pub(super) packed: bool,
    pub(super) cpus: Vec<OfCpu>,
}

/// Where a CPU's pages are.
#[derive(Clone, Copy, Debug)]
pub(super) struct OfCpu {
    pub(super) id: u32,
    pub(super) at: u64,
    pub(super) size: u64,
}

/// `(time * mult >> shift) + offset`
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    pub(super) mult: u32,
    pub(super) shift: u32,
    pub(super) offset: u64,
}

impl Scale {
    pub(super) fn nanoseconds(self, ts: u64) -> Option<u64> {
        let scaled = (u128::from(ts) * u128::from(self.mult)) >> self.shift.min(127);
        let ns = scaled.checked_add(self.offset.into())?;
        u64::try_from(ns).ok().filter(|&ns| i64::try_from(ns).is_ok())
    }
}

/// Reads what is before the events.
pub(super) fn read(file: &File) -> Result<Header, Fault> {
    let mut from = Cursor::file(file, 0);
    from.expect(TRACE_DAT, "this is no trace.dat")?;
    let version = from.string()?;
    let at = from.at();
    if from.u8()? != 0 {
        return Err(Fault::new(at, "it is of a big endian machine: x86-64 is none"));
    }
    if from.u8()? != 8 {
        return Err(Fault::new(at, "it is of a 32-bit system"));
    }
    let page_size = from.u32()?;
    let mut header = Header { page_size, ..Header::default() };
    match version.as_str() {
        "6" => v6::read(file, from, &mut header)?,
        "7" => v7::read(file, from, &mut header)?,
        _ => return Err(Fault::new(10, "its version is neither 6 nor 7: use `trace-cmd report`")),
    }
    let mut all = header.buffers.iter().flat_map(|buffer| &buffer.cpus);
    if all.any(|cpu| cpu.id as usize >= MAX_CPUS) {
        return Err(Fault::new(0, "it has a CPU beyond 1023, and unlazy tells 1024 apart"));
    }
    Ok(header)
}

impl Header {
    /// What makes nanoseconds of the clock's times.
    pub(super) fn scale(&self, clock: &str) -> Option<Scale> {
        match clock {
            "counter" | "uptime" => None,
            "x86-tsc" | "tsc2nsec" => self.tsc,
            _ => Some(Scale { mult: 1, shift: 0, offset: 0 }),
        }
    }

    /// `header_page` and `header_event`.
    pub(super) fn ring_buffer(from: &mut Cursor<'_>) -> Result<(), Fault> {
        from.expect(b"header_page\0", "header_page is missing")?;
        let (at, size) = (from.at(), from.u64()?);
        let page = String::from_utf8_lossy(&from.bytes(size)?).into_owned();
        let field = |name: &str| shape::fields(&page).find(|(field, _)| *field == name);
        let commit = field("commit").map(|(_, field)| (field.offset, field.size));
        let data = field("data").map(|(_, field)| field.offset);
        if commit != Some((8, 8)) || data != Some(16) {
            return Err(Fault::new(at, "its ring buffer's pages are not those of a 64-bit kernel"));
        }
        from.expect(b"header_event\0", "header_event is missing")?;
        let size = from.u64()?;
        from.bytes(size)?;
        Ok(())
    }

    /// The formats of ftrace's own events, which are not needed.
    pub(super) fn ftrace_formats(from: &mut Cursor<'_>) -> Result<(), Fault> {
        for _ in 0..from.u32()? {
            let size = from.u64()?;
            from.bytes(size)?;
        }
        Ok(())
    }

    /// The formats of events.
    pub(super) fn formats(&mut self, from: &mut Cursor<'_>) -> Result<(), Fault> {
        for _ in 0..from.u32()? {
            let system = from.string()?;
            for _ in 0..from.u32()? {
                let (at, size) = (from.at(), from.u64()?);
                let format = from.bytes(size)?;
                if let Some((id, shape)) = Shape::read(&system, &String::from_utf8_lossy(&format)) {
                    self.shapes.insert(id, shape);
                }
                if self.shapes.len() > MOST_EVENTS {
                    return Err(Fault::new(at, "it has more events than any kernel"));
                }
            }
        }
        Ok(())
    }

    pub(super) fn kallsyms(&mut self, from: &mut Cursor<'_>) -> Result<(), Fault> {
        let size = from.u32()?;
        self.symbols = Symbols::read(&from.bytes(size.into())?);
        Ok(())
    }

    /// Lines of a pid and a name.
    pub(super) fn cmdlines(&mut self, from: &mut Cursor<'_>) -> Result<(), Fault> {
        let size = from.u64()?;
        for line in String::from_utf8_lossy(&from.bytes(size)?).lines() {
            if let Some((pid, comm)) = line.split_once(' ')
                && let Ok(pid) = pid.parse()
            {
                self.comms.insert(pid, comm.chars().take(15).collect());
            }
        }
        Ok(())
    }

    /// An option that both versions have.
    pub(super) fn option(&mut self, id: u16, data: &[u8]) {
        let text = || String::from_utf8_lossy(data).trim_end_matches('\0').to_owned();
        match id {
            TRACECLOCK => {
                let chosen = text();
                let chosen = chosen.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
                self.clock = chosen.map(|(clock, _)| clock.to_owned());
            }
            UNAME => self.release = text().split_whitespace().nth(2).map(str::to_owned),
            CPUCOUNT => {
                let count = data.get(..4).and_then(|bytes| bytes.try_into().ok());
                self.cpus = count.map_or(0, u32::from_le_bytes);
            }
            TSC2NSEC if data.len() >= 16 => {
                let mut from = Cursor::memory(data, 0);
                if let (Ok(mult), Ok(shift), Ok(offset)) = (from.u32(), from.u32(), from.u64()) {
                    self.tsc = Some(Scale { mult, shift, offset });
                }
            }
            _ => {}
        }
    }
}

/// Numbers of options (trace-cmd.dat.v7(5)).
pub(super) const BUFFER: u16 = 3;
const TRACECLOCK: u16 = 4;
const UNAME: u16 = 5;
const CPUCOUNT: u16 = 8;
const TSC2NSEC: u16 = 14;
