//! `unlazy live` as its users have it, in a pseudo-terminal, on this machine's kernel.
//!
//! Needs root and the eBPF object, so all of it is marked ignored; `cargo xtask test` runs it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "in an integration test; clippy exempts only what stands under #[test]"
)]

#[expect(dead_code, reason = "the other test of the terminal needs more of it")]
#[path = "terminal/mod.rs"]
mod terminal;

use terminal::{Pty, save, send};

/// The running kernel is read, judged and kept all the while, and what is seen of it can be saved.
#[test]
#[ignore = "traces this machine: as root, with the eBPF programs inside"]
fn a_frozen_terminal_does_not_hold_up_what_is_traced() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut pty = Pty::start(&["live", "--fps", "60"], 200, 60);
    pty.wait("a screen", |screen| screen.contents().contains("LIVE"));
    pty.freeze(true);
    pty.fill("123456");
    let frozen = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let frozen = frozen.tv_sec.cast_unsigned() * 1_000_000_000 + frozen.tv_nsec.cast_unsigned();
    // What it is told to save is what it has by then, and each time it has more.
    let (mut last, mut later) = (frozen, 0);
    for n in 0.. {
        let file = dir.path().join(format!("{n}.mcap"));
        let end = save(&mut pty, &file).window.end_ns;
        later += usize::from(end > last);
        last = last.max(end);
        assert!(pty.is_full(), "somebody has read");
        assert!(n < 100, "nothing is traced any more");
        if later == 3 {
            break;
        }
    }
    send("TERM", pty.pid());
    pty.ends_unread();
    pty.freeze(false);
    pty.ended_well();
}
