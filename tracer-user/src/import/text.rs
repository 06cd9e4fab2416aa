//! Traces as text: lines become events.

use std::{io::BufRead, path::Path};

use super::{
    Format, ImportError, Imported, fields, ftrace,
    lines::{Line, Lines},
    perf,
    point::Point,
    translate::Translator,
};

/// What all events have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Columns<'a> {
    pub(super) cpu: u32,
    /// In nanoseconds.
    pub(super) ts: u64,
    /// Where it is told.
    pub(super) tid: Option<u32>,
    pub(super) tgid: Option<u32>,
    pub(super) comm: &'a str,
    /// The event's name, without its subsystem.
    pub(super) event: &'a str,
    /// Its fields, as it prints them.
    pub(super) body: &'a str,
}

/// The columns of a line, by `columns` from what stands before the CPU in its brackets, the CPU, and
/// what stands after. A name may have brackets, too: the first that make sense are the CPU's.
pub(super) fn around_cpu(
    line: &str,
    columns: for<'a> fn(&'a str, u32, &'a str) -> Option<Columns<'a>>,
) -> Option<Columns<'_>> {
    line.match_indices('[').find_map(|(open, _)| {
        let (cpu, rest) = line[open + 1..].split_once(']')?;
        columns(&line[..open], cpu.parse().ok()?, rest.strip_prefix(' ')?)
    })
}

/// A time in seconds, with at most nine digits after the point, in nanoseconds. Without a point it
/// is no time: some of ftrace's clocks count something else.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let unit = 10u64.pow(9 - fraction.len() as u32);
    let ns = whole.parse::<u64>().ok()?.checked_mul(1_000_000_000)?;
    let ns = ns.checked_add(fraction.parse::<u64>().ok()? * unit)?;
    // Differences of times are signed.
    i64::try_from(ns).is_ok().then_some(ns)
}

/// Reads all of it.
pub(super) fn read(
    from: impl BufRead,
    path: &Path,
    translator: &mut Translator,
    imported: &mut Imported,
) -> Result<(), ImportError> {
    let mut lines = Lines::new(from);
    loop {
        let line = lines
            .next()
            .map_err(|source| ImportError::Read { path: path.display().to_string(), source })?;
        let Some(Line { number, bytes, too_long }) = line else { return Ok(()) };
        let done = if too_long {
            Ok(Err("the line is longer than any event's"))
        } else {
            one(&String::from_utf8_lossy(bytes), translator, imported)
        };
        if let Err(why) = done? {
            imported.unclear(number, why, bytes);
        }
    }
}

/// Takes a line, or says why it is not understood.
fn one(
    line: &str,
    translator: &mut Translator,
    imported: &mut Imported,
) -> Result<Result<(), &'static str>, ImportError> {
    if line.trim().is_empty() {
        return Ok(Ok(()));
    }
    if line.starts_with('#') {
        comment(line, translator);
        return Ok(Ok(()));
    }
    if let Some(cpus) = line.strip_prefix("cpus=") {
        translator.has_cpus(cpus.trim());
        return Ok(Ok(()));
    }
    if let Some((cpu, lost)) = lost(line) {
        return Ok(translator.lost(cpu, lost, imported));
    }
    let columns = match imported.format {
        Format::Perf => perf::parse(line),
        Format::Ftrace | Format::TraceDat => ftrace::parse(line),
    };
    let Some(Columns { cpu, ts, tid, tgid, comm, event, body }) = columns else {
        let chain = imported.format == Format::Perf && is_call_chain(line);
        return Ok(if chain { Ok(()) } else { Err("no event stands on it") });
    };
    if event.starts_with(perf::LOST) {
        let lost = body.rsplit_once(' ').map_or(body, |(_, count)| count).parse().unwrap_or(1);
        return Ok(translator.lost(cpu, lost, imported));
    }
    match fields::what(event, body) {
        Ok(what) => translator.take(&Point { cpu, ts, tid, tgid, comm, what }, imported),
        Err(why) => Ok(Err(why)),
    }
}

/// What ftrace says of the buffer.
fn comment(line: &str, translator: &mut Translator) {
    if let Some((_, entries)) = line.split_once("entries-in-buffer/entries-written:") {
        let mut words = entries.split_whitespace();
        let counts = words.next().and_then(|counts| counts.split_once('/'));
        if let Some((kept, written)) = counts
            && let (Ok(kept), Ok(written)) = (kept.parse::<u64>(), written.parse::<u64>())
        {
            translator.overwritten(written.saturating_sub(kept));
        }
        if let Some(cpus) = words.find_map(|word| word.strip_prefix("#P:")) {
            translator.has_cpus(cpus);
        }
    }
}

/// `CPU:3 [LOST 12 EVENTS]` (`kernel/trace/trace.c:print_trace_line`), or trace-cmd's
/// `CPU:3 [12 EVENTS DROPPED]`; without a number where that is not known.
fn lost(line: &str) -> Option<(u32, u64)> {
    let (cpu, what) = line.trim().strip_prefix("CPU:")?.split_once(' ')?;
    let what = what.trim().strip_prefix('[')?.strip_suffix(']')?;
    if !what.contains("EVENTS") || !(what.contains("LOST") || what.contains("DROPPED")) {
        return None;
    }
    let count = what.split_whitespace().find_map(|word| word.parse().ok()).unwrap_or(1);
    Some((cpu.parse().ok()?, count))
}

/// A line of a call chain: an address, and what is there.
fn is_call_chain(line: &str) -> bool {
    let address = line.split_whitespace().next().unwrap_or_default();
    line.starts_with([' ', '\t'])
        && !address.is_empty()
        && address.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(seconds("26472.154676"), Some(26_472_154_676_000));
        assert_eq!(seconds("0.000000001"), Some(1));
        assert_eq!(seconds("9223372036.854775807"), Some(i64::MAX as u64));
        let bad = ["1", "1.", ".1", "1.0000000001", "-1.0", "+1.0", "9223372036.854775808", "1.0:"];
        for text in bad {
            assert_eq!(seconds(text), None, "{text}");
        }
        assert_eq!(seconds("99999999999999999999999.0"), None);
    }

    #[test]
    fn losses() {
        assert_eq!(lost("CPU:3 [LOST 123 EVENTS]"), Some((3, 123)));
        assert_eq!(lost("CPU:3 [LOST EVENTS]"), Some((3, 1)));
        assert_eq!(lost("CPU:3 [123 EVENTS DROPPED]"), Some((3, 123)));
        assert_eq!(lost("CPU:x [LOST EVENTS]"), None);
        assert_eq!(lost("CPU:3 [LOST]"), None);
    }
}
