//! The TUI as its users have it: the real program in a pseudo-terminal, on golden traces.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "in an integration test; clippy exempts only what stands under #[test]"
)]

#[path = "tui/pictures.rs"]
mod pictures;
#[path = "terminal/mod.rs"]
mod terminal;

use std::process::{Command, Stdio};

use terminal::{Pty, save, send};

pub(crate) fn golden(name: &str) -> String {
    format!("{}/tests/data/golden/{name}.mcap", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_newcomer_finds_the_first_finding_and_its_story() {
    let mut pty = Pty::start(&["replay", &golden("hole")], 80, 24);
    pty.wait("logical and real side by side", |screen| {
        let text = screen.contents();
        text.contains("logical") && text.contains("real") && text.contains("FINDINGS")
    });
    pty.keys("{]");
    // R1 and R2 are broken at one and the same moment: the last of them is told.
    pty.wait("the first finding is told", |screen| screen.contents().contains("finding 2:"));
    pty.keys("4");
    pty.wait("the list", |screen| screen.contents().contains("R1"));
    pty.keys("\r");
    pty.wait("its chain", |screen| screen.contents().contains("What led there"));
    pty.keys("\x1b");
    pty.wait("the list again", |screen| !screen.contents().contains("What led there"));
    pty.keys("q");
    pty.ended_well();
}

#[test]
fn it_follows_the_terminals_size() {
    let mut pty = Pty::start(&["replay", &golden("stock")], 80, 24);
    pty.wait("the wide footer", |screen| screen.contents().contains("sort"));
    for (columns, lines) in [(40, 10), (200, 60), (20, 5)] {
        pty.resize(columns, lines);
        pty.wait("all of the new size", |screen| {
            screen.contents().starts_with(" REPLAY") && screen.rows(0, columns).count() > 0
        });
    }
    pty.keys("q");
    pty.ended_well();
}

#[test]
fn a_signal_gives_the_terminal_back() {
    for signal in ["TERM", "HUP", "INT"] {
        let mut pty = Pty::start(&["replay", &golden("stock")], 80, 24);
        pty.wait("a screen", |screen| screen.contents().contains("CPUs"));
        send(signal, pty.pid());
        pty.ended_well();
    }
}

/// A terminal that takes no output, as over an ssh that is stalled: what is under it goes on, and ends
/// when it is told to, with the terminal given back.
#[test]
fn a_terminal_that_takes_nothing_holds_nobody_up() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("saved.mcap");
    for end in ["TERM", "HUP", "INT", "q"] {
        let mut pty = Pty::start(&["replay", &golden("hole"), "--fps", "60"], 200, 60);
        pty.wait("a screen", |screen| screen.contents().contains("FINDINGS"));
        pty.freeze(true);
        pty.fill("123456");
        save(&mut pty, &file);
        assert!(pty.is_full(), "somebody has read");
        std::fs::remove_file(&file).expect("it is there");
        match end {
            "q" => pty.keys("q"),
            signal => send(signal, pty.pid()),
        }
        pty.ends_unread();
        pty.freeze(false);
        pty.ended_well();
    }
}

/// It goes on where it was, with what is the newest then.
#[test]
fn a_terminal_that_thaws_shows_what_is_now() {
    let mut pty = Pty::start(&["replay", &golden("hole"), "--fps", "60"], 200, 60);
    pty.wait("a screen", |screen| screen.contents().contains("FINDINGS"));
    pty.freeze(true);
    pty.fill("12356");
    pty.keys("4");
    pty.freeze(false);
    pty.wait("the findings", |screen| screen.contents().contains("R2   violation"));
    pty.keys("q");
    pty.ended_well();
}

#[test]
fn it_ends_with_its_terminal() {
    Pty::hang_up(&["replay", &golden("hole")]);
}

#[test]
fn a_query_and_a_wrong_one() {
    let mut pty = Pty::start(&["replay", &golden("hole"), "--filter", "cpu=1"], 100, 24);
    pty.wait("one CPU", |screen| screen.contents().contains("1 CPU:"));
    pty.keys("f\x15cpu=0 or\r");
    pty.wait("what is wrong", |screen| screen.contents().contains("something is missing here"));
    pty.keys("\x15cpu=0-1\r");
    pty.wait("both CPUs", |screen| screen.contents().contains("2 CPUs:"));
    pty.keys("q");
    pty.ended_well();
}

#[test]
fn no_colour_means_no_colour() {
    let mut pty = Pty::start_with(&["replay", &golden("hole")], 80, 24, &[("NO_COLOR", "1")]);
    pty.wait("a screen", |screen| screen.contents().contains("FINDINGS"));
    pty.keys("q");
    let bytes = pty.ended_well();
    let text = String::from_utf8_lossy(&bytes);
    for colour in ["\x1b[38;", "\x1b[48;", "\x1b[31m", ";5;"] {
        assert!(!text.contains(colour), "{colour:?}");
    }
}

#[test]
fn without_a_terminal_it_says_so() {
    for args in [&["replay", &golden("hole")][..], &["live"]] {
        let out = Command::new(env!("CARGO_BIN_EXE_unlazy"))
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("unlazy starts");
        assert_eq!(out.status.code(), Some(2), "{args:?}");
        let said = String::from_utf8_lossy(&out.stderr);
        // Who may not trace is told that first.
        assert!(said.contains("terminal") || said.contains("root"), "{args:?}: {said}");
        assert!(out.stdout.is_empty());
    }
}

#[test]
fn what_is_wrong_is_said_before_the_screen_is_taken() {
    let missing = ["replay", "/no/such/file.mcap"];
    let wrong = ["replay", &golden("hole"), "--filter", "cpuu=1"];
    for (args, says) in
        [(&missing[..], "/no/such/file.mcap"), (&wrong[..], "there is no field cpuu")]
    {
        let mut pty = Pty::start(args, 80, 24);
        let (code, bytes) = pty.end();
        let said = String::from_utf8_lossy(&bytes);
        assert_eq!(code, 2, "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: {said}");
        assert!(!said.contains("\x1b[?1049h"), "{args:?}: the screen was taken");
    }
}
