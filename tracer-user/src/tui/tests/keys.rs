//! Scripts of keys, and what comes of them.

use std::{
    cell::Cell,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use ratatui::crossterm::event::{Event, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use super::{app, press, show};
use crate::tui::{
    app::Unsaved,
    fake::{Fake, Log},
    machine::{Moved, Saved},
    samples,
    state::{Popup, Screen},
};

fn started(fake: Fake) -> (crate::tui::app::App<Fake>, Log) {
    let log = fake.log.clone();
    let mut app = app(fake);
    show(&mut app, "80x24");
    (app, log)
}

fn asked(log: &Log) -> Vec<String> {
    std::mem::take(&mut log.borrow_mut())
}

#[test]
fn screens_come_by_number_and_in_turn() {
    let (mut app, _) = started(Fake::new(samples::two_cpus()));
    press(&mut app, "4");
    assert_eq!(app.state().screen, Screen::Findings);
    press(&mut app, "tab tab tab");
    assert_eq!(app.state().screen, Screen::Cpus);
    press(&mut app, "backtab");
    assert_eq!(app.state().screen, Screen::Health);
}

/// What only goes on is drawn less often than what answers a key.
#[test]
fn a_frame_is_for_somebody_or_because_the_kernel_went_on() {
    for (live, goes_on) in [(Some(true), true), (Some(false), false), (None, false)] {
        let mut fake = Fake::new(samples::two_cpus());
        (fake.live, fake.goes_on) = (live.map(Cell::new), true);
        let (mut app, _) = started(fake);
        assert!(!app.is_dirty() && !app.went_on(), "just drawn");
        app.work(Duration::ZERO);
        assert_eq!((app.is_dirty(), app.went_on()), (!goes_on, goes_on));
        app.event(&Event::Resize(80, 24));
        assert!(app.is_dirty() && !app.went_on(), "somebody did something");
        show(&mut app, "80x24");
        assert!(!app.is_dirty() && !app.went_on());
    }
}

#[test]
fn time_goes_both_ways() {
    let (mut app, log) = started(Fake::new(samples::two_cpus()));
    press(&mut app, ". , > < ] [");
    assert_eq!(
        asked(&log),
        [
            "Event Forward",
            "Event Back",
            "Call Forward",
            "Call Back",
            "Finding Forward",
            "Finding Back"
        ]
    );
    press(&mut app, "left right s-left { }");
    let ms = |ms: u64| format!("seek {}", ms * 1_000_000);
    assert_eq!(asked(&log), [ms(1475), ms(1500), ms(1250), ms(0), ms(2500)]);
}

#[test]
fn the_end_of_time_is_told() {
    let mut fake = Fake::new(samples::two_cpus());
    fake.moves = Moved::No("there is no finding after this".to_owned());
    let (mut app, _) = started(fake);
    press(&mut app, "]");
    assert!(show(&mut app, "80x24").contains("there is no finding after this"));
}

#[test]
fn a_finding_that_was_jumped_to_is_chosen() {
    let (mut app, _) = started(Fake::new(samples::two_cpus()));
    press(&mut app, "]");
    assert!(show(&mut app, "80x24").contains("finding 1: cpu 1 ran user code"));
    assert_eq!(app.state().lists[Screen::Findings as usize].chosen, Some(1));
}

#[test]
fn a_running_machine_pauses_and_goes_on() {
    let mut fake = Fake::new(samples::two_cpus());
    fake.live = Some(Cell::new(true));
    let (mut app, log) = started(fake);
    assert!(show(&mut app, "80x24").starts_with(" LIVE "));
    press(&mut app, "space");
    assert!(show(&mut app, "80x24").starts_with(" PAUSED "));
    press(&mut app, "space space l");
    assert_eq!(asked(&log), ["pause", "live", "pause", "live"]);
}

#[test]
fn a_recording_has_no_keys_of_the_living() {
    let (mut app, log) = started(Fake::new(samples::two_cpus()));
    press(&mut app, "space");
    assert!(show(&mut app, "80x24").contains("space means nothing here"));
    press(&mut app, "?");
    assert!(!show(&mut app, "80x200").contains("back to now"));
    assert!(asked(&log).is_empty());
}

#[test]
fn enter_explains_and_escape_closes() {
    let (mut app, log) = started(Fake::new(samples::two_cpus()));
    press(&mut app, "3 down enter");
    assert_eq!(app.state().popup, Some(Popup::Explain(crate::explain::Ask::Call(2))));
    press(&mut app, "esc 4 enter");
    assert!(show(&mut app, "80x24").contains("jit/200 began a SYNC_CORE membarrier"));
    assert_eq!(asked(&log), ["explain Call(2)", "explain Finding(1)"]);
    press(&mut app, "esc 1 enter");
    assert!(matches!(app.state().popup, Some(Popup::Detail(Screen::Cpus, 0))));
    press(&mut app, "esc");
    assert_eq!(app.state().popup, None);
}

#[test]
fn a_filter_shows_less_and_a_wrong_one_says_why() {
    let (mut app, log) = started(Fake::new(samples::two_cpus()));
    press(&mut app, "f cpu=1 enter");
    assert_eq!(asked(&log), ["filter cpu=1"]);
    let text = show(&mut app, "80x24");
    assert!(text.contains("[cpu=1]") && text.contains("1 CPU:"), "{text}");
    press(&mut app, "f ctrl-u cpuu=1 enter");
    assert!(show(&mut app, "80x24").contains("there is no field cpuu"));
    press(&mut app, "ctrl-u cpu=9 enter");
    assert!(show(&mut app, "80x24").contains("Nothing that the filter shows"));
    press(&mut app, "esc");
    assert!(show(&mut app, "80x24").contains("2 CPUs:"));
}

#[test]
fn a_search_goes_from_row_to_row() {
    let (mut app, _) = started(Fake::new(samples::many_cpus(64)));
    press(&mut app, "/ WORKER enter");
    assert_eq!(app.state().list().key(), Some(0));
    press(&mut app, "n n n n");
    assert_eq!(app.state().list().key(), Some(11));
    press(&mut app, "N N N N N");
    assert_eq!(app.state().list().key(), Some(51));
    press(&mut app, "/ nobody enter");
    assert!(show(&mut app, "80x24").contains("no row has nobody"));
}

#[test]
fn rows_sort_by_every_column() {
    let (mut app, _) = started(Fake::new(samples::many_cpus(64)));
    press(&mut app, "s S");
    assert!(show(&mut app, "80x24").contains("sorted by cpu, reversed"));
    assert_eq!(app.state().list().key(), Some(63));
    press(&mut app, "s");
    let first = app.state().list().key();
    assert_eq!(first, Some(4), "idle comes before worker");
}

#[test]
fn the_palette_runs_a_command_by_its_name() {
    let (mut app, log) = started(Fake::new(samples::two_cpus()));
    press(&mut app, ": finding-b enter");
    assert_eq!(asked(&log), ["Finding Back"]);
    press(&mut app, ": nonsense enter");
    assert!(show(&mut app, "80x24").contains("no such command"));
    press(&mut app, "ctrl-c : quit enter");
    assert!(app.wants_to_quit());
}

#[test]
fn marks_are_a_span_to_save() {
    let (mut app, log) = started(Fake::new(samples::two_cpus()));
    press(&mut app, "m { m '");
    press(&mut app, "w ctrl-u out.mcap enter");
    let asked = asked(&log);
    assert_eq!(asked.last().map(String::as_str), Some("save 0 1500000000 out.mcap"), "{asked:?}");
    assert!(show(&mut app, "80x24").contains("saving out.mcap"));
    app.work(Duration::ZERO);
    assert!(show(&mut app, "80x24").contains("5 events, 500 bytes in out.mcap"));
}

#[test]
fn what_could_not_be_saved_is_told() {
    let mut fake = Fake::new(samples::two_cpus());
    fake.disk = Some(Err("out.mcap: there is no room".to_owned()));
    let (mut app, _) = started(fake);
    press(&mut app, "w ctrl-u out.mcap enter");
    app.work(Duration::ZERO);
    assert!(show(&mut app, "80x24").contains("not saved: out.mcap: there is no room"));
}

/// Has the user quit while a span is being saved to a disk that does this; what is said, and what comes
/// of it.
fn quit_while_saving(
    disk: Option<Result<Saved, String>>,
    stop: &AtomicBool,
) -> (Vec<String>, Result<(), Unsaved>) {
    let mut fake = Fake::new(samples::two_cpus());
    fake.disk = disk;
    let (mut app, _) = started(fake);
    press(&mut app, "w ctrl-u out.mcap enter q");
    assert!(app.wants_to_quit());
    let mut said = Vec::new();
    let end = app.finish_saving(stop, &mut |words| {
        said.push(words.to_owned());
        // It is said only if it takes long; then somebody has had enough.
        if words.contains("Ctrl-C") {
            stop.store(true, Ordering::Relaxed);
        }
    });
    (said, end)
}

#[test]
fn quitting_waits_for_what_is_being_saved() {
    let disk = Ok(Saved { events: 5, bytes: 500 });
    let (said, end) = quit_while_saving(Some(disk), &AtomicBool::new(false));
    assert_eq!(said, ["5 events, 500 bytes in out.mcap"]);
    assert!(end.is_ok());
    let (said, end) = quit_while_saving(Some(Err("no room".to_owned())), &AtomicBool::new(false));
    assert!(said.is_empty());
    assert_eq!(end.expect_err("it failed").to_string(), "not saved: no room");
}

#[test]
fn a_disk_that_stalls_can_be_given_up() {
    let stop = AtomicBool::new(false);
    let (said, end) = quit_while_saving(None, &stop);
    assert_eq!(said, ["still saving; Ctrl-C gives it up"]);
    assert!(matches!(end, Err(Unsaved::GivenUp)));
}

#[test]
fn what_is_chosen_goes_to_the_clipboard() {
    let (mut app, _) = started(Fake::new(samples::two_cpus()));
    press(&mut app, "down y");
    let text = app.take_clipboard().expect("text");
    assert!(text.contains("jit-u/201") && text.contains("left alone"), "{text}");
}

#[test]
fn what_is_pasted_is_no_command() {
    let (mut app, log) = started(Fake::new(samples::two_cpus()));
    app.event(&Event::Paste("q]q".to_owned()));
    assert!(!app.wants_to_quit() && asked(&log).is_empty());
    press(&mut app, "f");
    app.event(&Event::Paste("cpu=0\n".to_owned()));
    press(&mut app, "enter");
    assert_eq!(asked(&log), ["filter cpu=0"]);
}

#[test]
fn the_mouse_chooses_tabs_rows_and_moments() {
    let (mut app, log) = started(Fake::new(samples::two_cpus()));
    let click = |app: &mut crate::tui::app::App<Fake>, column, row| {
        app.event(&Event::Mouse(MouseEvent {
            kind: MouseEventKind::Down(MouseButton::Left),
            column,
            row,
            modifiers: KeyModifiers::NONE,
        }));
        show(app, "80x24");
    };
    // The timeline is the line above the last.
    click(&mut app, 0, 22);
    click(&mut app, 79, 22);
    assert_eq!(asked(&log), ["seek 0", "seek 2500000000"]);
    // Summary, heads, CPU 0, CPU 1.
    click(&mut app, 5, 5);
    assert_eq!(app.state().list().key(), Some(1));
    click(&mut app, 12, 1);
    assert_eq!(app.state().screen, Screen::Mms);
}

#[test]
fn quitting_is_always_possible() {
    for script in ["q", "ctrl-c", "? q", "? ctrl-c", "4 enter q", "f ctrl-c q"] {
        let (mut app, _) = started(Fake::new(samples::two_cpus()));
        press(&mut app, script);
        assert!(app.wants_to_quit(), "{script}");
    }
}
