//! What kind of trace a file is.

use std::fmt;

use super::{ImportError, ftrace, perf};

/// A format that can be imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// The text of `trace` or `trace_pipe`, or of `trace-cmd report`
    #[default]
    Ftrace,
    /// The text of `perf script`
    Perf,
    /// trace-cmd's `trace.dat`
    TraceDat,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ftrace => "ftrace text",
            Self::Perf => "perf script text",
            Self::TraceDat => "trace.dat",
        })
    }
}

/// How `trace.dat` begins.
pub(super) const TRACE_DAT: &[u8] = b"\x17\x08\x44tracing";

/// The formats of files that people may take for something that can be read here: how they begin, and
/// what to do.
const OTHERS: &[(&[u8], &str)] = &[
    (
        b"PERFILE2",
        "this is perf.data: make text of it with `perf script --show-lost-events -F +pid`, and import \
         that",
    ),
    (b"\x89MCAP0\r\n", "this is a recording already: give it to `unlazy report`"),
    (b"\x1f\x8b", "this is packed with gzip: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "this is packed with zstd: unpack it first"),
    (b"\xfd7zXZ", "this is packed with xz: unpack it first"),
];

/// What a file is that begins so.
pub(super) fn format(begin: &[u8]) -> Result<Format, ImportError> {
    if begin.starts_with(TRACE_DAT) {
        return Ok(Format::TraceDat);
    }
    if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| begin.starts_with(magic)) {
        return Err(ImportError::Unknown((*what).to_owned()));
    }
    let (mut ftrace, mut perf) = (0, 0);
    for line in begin.split(|&byte| byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        // Both take the other's lines now and then: names have all sorts of characters.
        ftrace += u32::from(ftrace::parse(&line).is_some());
        perf += u32::from(perf::parse(&line).is_some());
        if line.starts_with("# tracer:") {
            return Ok(Format::Ftrace);
        }
    }
    if ftrace == 0 && perf == 0 {
        return Err(ImportError::Unknown(
            "this is no ftrace text, no perf script text and no trace.dat; if it is, say which with \
             --format"
                .to_owned(),
        ));
    }
    Ok(if perf > ftrace { Format::Perf } else { Format::Ftrace })
}
