//! What the guest's kernel printed on its console.

use std::fs;
use std::path::Path;

use crate::shell;

/// How much of it is shown.
const TAIL_LINES: usize = 40;
/// What our own init puts before its words.
const INIT: &str = "unlazy-guest: ";

/// All of it; nothing if there is none yet.
pub(super) fn read(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    // A serial console ends its lines with both.
    String::from_utf8_lossy(&bytes).replace('\r', "")
}

/// The last lines.
pub(super) fn tail(console: &str) -> String {
    shell::tail(console, TAIL_LINES)
}

/// Why the kernel panicked, if it did (`kernel/panic.c:panic`).
pub(super) fn panic(console: &str) -> Option<String> {
    let line = console.lines().find_map(|line| line.split_once("Kernel panic - not syncing: "));
    line.map(|(_, why)| why.trim().to_owned())
}

/// What our init had to say when it had no other way to say it.
pub(super) fn of_init(console: &str) -> Option<String> {
    let line = console.lines().rev().find_map(|line| line.split_once(INIT));
    line.map(|(_, what)| what.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSOLE: &str = "[    1.000000] unlazy-guest: opening /dev/mem: gone\n\
        [    2.000000] Kernel panic - not syncing: sysrq triggered crash\n[    2.1] CPU: 0\n";

    #[test]
    fn a_panic_and_its_reason_are_found() {
        assert_eq!(panic(CONSOLE).as_deref(), Some("sysrq triggered crash"));
        assert_eq!(panic("[    1.0] all is well\n"), None);
        assert_eq!(of_init(CONSOLE).as_deref(), Some("opening /dev/mem: gone"));
        assert_eq!(of_init(""), None);
        assert_eq!(tail(CONSOLE).lines().count(), 3);
    }
}
