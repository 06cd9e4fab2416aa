//! Versions of the format, and what became of each.

use super::TraceError;

/// The version that is written. It covers the topics, the blocks and the wire records in them
/// ([`tracer_common::wire::VERSION`]).
pub const VERSION: u32 = 1;

/// A version that can be read.
struct Known {
    version: u32,
    /// The version of the wire records in it.
    wire: u32,
}

/// Every version that can be read, with how it differs from the next. A change of a record's layout
/// or meaning adds a line here and what translates it to [`super::read`]; what only adds a kind of
/// record or a key of JSON needs none.
const KNOWN: &[Known] = &[
    // The first.
    Known { version: 1, wire: 1 },
];

/// Whether a trace that says to be of these versions can be read.
///
/// # Errors
/// [`TraceError::Newer`] if it comes from a later unlazy, [`TraceError::Foreign`] if no such version
/// ever was.
pub(super) fn check(version: u32, wire: u32) -> Result<(), TraceError> {
    if version > VERSION || wire > tracer_common::wire::VERSION {
        return Err(TraceError::Newer { version, wire });
    }
    match KNOWN.iter().find(|known| known.version == version && known.wire == wire) {
        Some(_) => Ok(()),
        None => Err(TraceError::Foreign(format!("it claims version {version}.{wire}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read_and_newer_is_refused() {
        assert!(check(VERSION, tracer_common::wire::VERSION).is_ok());
        assert!(matches!(check(VERSION + 1, 1), Err(TraceError::Newer { .. })));
        assert!(matches!(check(1, u32::MAX), Err(TraceError::Newer { .. })));
        assert!(matches!(check(0, 0), Err(TraceError::Foreign(_))));
    }
}
