//! The programs' own diagnostics, from aya-log to stderr.

use std::io::Write as _;

/// Prints what the programs say; unlike a general logger it has nothing to set up or filter, the
/// programs' level is fixed when they are loaded.
pub(super) struct ToStderr;

impl log::Log for ToStderr {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        // Nobody is left to tell if stderr is gone.
        let _ = writeln!(
            std::io::stderr(),
            "unlazy: eBPF {}: {}: {}",
            record.level(),
            record.target(),
            record.args()
        );
    }

    fn flush(&self) {}
}
