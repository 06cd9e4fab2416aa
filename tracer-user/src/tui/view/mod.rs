//! The screens, as functions of a snapshot and of what the user has chosen.
//!
//! One file a screen; `table` is shared by all lists, `canvas` is the only way to the terminal's cells.

mod calls;
mod canvas;
mod chrome;
mod cpus;
mod findings;
mod health;
mod ipis;
mod mms;
mod popup;
mod table;
mod words;

use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    keys::Keymap,
    machine::{Explained, Progress},
    snapshot::{CallKind, Snapshot},
    state::{Key, Screen, State},
    theme::Tone,
};
use crate::{explain::Ask, report::text::Page};
pub use chrome::palette_matches;

use canvas::{Canvas, bottom, row, top};

/// What is shown, beside what the user has chosen.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// The moment.
    pub snapshot: &'a Snapshot,
    /// It is a running kernel.
    pub can_live: bool,
    /// The cursor follows it.
    pub is_live: bool,
    /// How far a recording is read.
    pub progress: Option<Progress>,
    /// The explanation that was asked for.
    pub explained: Option<&'a Explained>,
    /// The keys.
    pub keymap: &'a Keymap,
}

/// Below this height every line goes to the rows.
const ROOMY: u16 = 14;

/// Draws everything.
pub fn draw(buf: &mut Buffer, shown: &Shown<'_>, state: &mut State) {
    let area = buf.area;
    state.targets.clear();
    let mut canvas = Canvas::new(buf, state.theme);
    let (head, rest) = top(area, 2.min(area.height.saturating_sub(1)));
    chrome::header(&mut canvas, row(head, 0), shown, state);
    chrome::tabs(&mut canvas, row(head, 1), shown, state);
    let (rest, foot) = bottom(rest, 1);
    let mut body = rest;
    if area.height >= ROOMY {
        let (above, timeline) = bottom(body, 1);
        chrome::timeline(&mut canvas, timeline, shown, state);
        body = above;
    }
    if state.popup.is_some() {
        popup::draw(&mut canvas, body, shown, state);
    } else {
        screen(&mut canvas, body, shown, state);
    }
    chrome::palette(&mut canvas, rest, shown, state);
    chrome::footer(&mut canvas, foot, shown, state);
}

fn screen(canvas: &mut Canvas<'_>, body: Rect, shown: &Shown<'_>, state: &mut State) {
    let mut body = body;
    // What is chosen, in words, where there is room.
    let list = matches!(state.screen, Screen::Cpus | Screen::Mms | Screen::Findings | Screen::Ipis);
    let rows = match state.screen {
        Screen::Mms => shown.snapshot.mms.len(),
        Screen::Findings => shown.snapshot.findings.len(),
        Screen::Cpus => shown.snapshot.cpus.len() + 7,
        // The map of who interrupts whom has as many lines again.
        _ => 2 * shown.snapshot.cpus.len() + 6,
    };
    // The rows with their heads come first, then words; but a few words there are always.
    let free = usize::from(body.height).saturating_sub(rows + 4) as u16;
    let detail = (list && body.height >= 17).then(|| {
        let (above, below) = bottom(body, free.clamp(7, 14));
        body = above;
        below
    });
    // Standing still, what happened last is of interest.
    if state.screen == Screen::Cpus && !shown.is_live && body.height >= 11 {
        let free = usize::from(body.height).saturating_sub(shown.snapshot.cpus.len() + 3);
        let lines = free.clamp(4, 9).min(shown.snapshot.recent.len() + 1) as u16;
        let (above, below) = bottom(body, lines);
        cpus::recent(canvas, below, shown.snapshot);
        body = above;
    }
    match state.screen {
        Screen::Cpus => cpus::draw(canvas, body, shown, state),
        Screen::Mms => mms::draw(canvas, body, shown, state),
        Screen::Calls => calls::draw(canvas, body, shown, state),
        Screen::Findings => findings::draw(canvas, body, shown, state),
        Screen::Ipis => ipis::draw(canvas, body, shown, state),
        Screen::Health => health::draw(canvas, body, shown, state),
    }
    if let (Some(area), Some(key)) = (detail, state.list().key()) {
        let (rule, area) = top(area, 1);
        canvas.put(rule, &[(Tone::Dim, "-".repeat(usize::from(rule.width)))]);
        canvas.page(area, &detail_page(state.screen, key, shown.snapshot, area.width), 0);
    }
}

/// A screen without rows says why.
fn nothing(canvas: &mut Canvas<'_>, area: Rect, shown: &Shown<'_>, state: &mut State, text: &str) {
    state.list_mut().lay_out(Vec::new(), usize::from(area.height));
    let reason = if state.filter.is_empty() {
        text.to_owned()
    } else {
        let key = shown.keymap.key(super::command::Command::Close);
        format!("Nothing that the filter shows ({}); {key} drops it.", state.filter)
    };
    let mut page = Page::new(usize::from(area.width.max(2)));
    page.hanging(crate::report::text::Line::new(), crate::report::text::Ink::Plain, &reason);
    canvas.page(area, &page, 0);
}

/// A row of a screen in words.
fn detail_page(screen: Screen, key: Key, snapshot: &Snapshot, width: u16) -> Page {
    let mut page = Page::new(usize::from(width.max(24)));
    match screen {
        Screen::Cpus => {
            if let Some(cpu) = snapshot.cpus.iter().find(|cpu| Key::from(cpu.state.cpu) == key) {
                cpus::detail(cpu, snapshot, &mut page);
            }
        }
        Screen::Mms => {
            if let Some(mm) = snapshot.mms.iter().find(|mm| mm.state.id == key) {
                mms::detail(mm, snapshot, &mut page);
            }
        }
        Screen::Calls => {
            if let Some(call) = snapshot.calls.iter().find(|call| calls::key(call) == key) {
                calls::detail(call, snapshot, &mut page);
            }
        }
        Screen::Findings => {
            if let Some(row) = snapshot.findings.iter().find(|row| row.number == key) {
                findings::detail(row, snapshot, &mut page);
            }
        }
        Screen::Ipis => {
            if let Ok(cpu) = u32::try_from(key) {
                ipis::detail(cpu, snapshot, &mut page);
            }
        }
        Screen::Health => {}
    }
    page
}

/// What Enter asks of the machine for a row; `None` if its own words are all there is.
pub fn question(screen: Screen, key: Key, snapshot: &Snapshot) -> Option<Ask> {
    match screen {
        Screen::Calls => {
            let row = snapshot.calls.iter().find(|call| calls::key(call) == key)?;
            (row.kind == CallKind::SyncCore).then_some(Ask::Call(row.call.number))
        }
        Screen::Findings => Some(Ask::Finding(key)),
        _ => None,
    }
}

/// The rows whose text has `search` in it, in the order in which they are shown.
pub fn matching(shown: &Shown<'_>, state: &State, search: &str) -> Vec<Key> {
    let rows = match state.screen {
        Screen::Cpus => cpus::rows(shown, state),
        Screen::Mms => mms::rows(shown, state),
        Screen::Calls => calls::rows(shown, state),
        Screen::Findings => findings::rows(shown, state),
        Screen::Ipis => ipis::rows(shown, state),
        Screen::Health => {
            let page = health::page(shown.snapshot, 80);
            let line = |(at, line): (u64, &[(_, String)])| {
                line.iter().any(|(_, text)| text.to_lowercase().contains(search)).then_some(at)
            };
            return (0..).zip(page.lines()).filter_map(line).collect();
        }
    };
    let found: Vec<Key> =
        rows.iter().filter(|row| table::found(row, search)).map(|row| row.key).collect();
    let mut found: Vec<(usize, Key)> = found
        .into_iter()
        .filter_map(|key| Some((state.list().keys.iter().position(|known| *known == key)?, key)))
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, key)| key).collect()
}

/// The title of a column of a screen.
pub fn column_title(screen: Screen, column: usize) -> &'static str {
    let columns = match screen {
        Screen::Cpus => cpus::columns(),
        Screen::Mms => mms::columns(),
        Screen::Calls => calls::columns(),
        Screen::Findings => findings::columns(),
        Screen::Ipis => ipis::columns(),
        Screen::Health => return "",
    };
    match columns.get(column).map_or("", |column| column.title) {
        "" => "how they stand to each other",
        title => title,
    }
}

/// What is in view as text: the row that is chosen, or the page that is open.
pub fn copied(shown: &Shown<'_>, state: &State) -> String {
    let page = match (&state.popup, state.list().key()) {
        (Some(popup), _) => popup::page(popup, shown, state, 100),
        (None, _) if state.screen == Screen::Health => health::page(shown.snapshot, 100),
        (None, Some(key)) => detail_page(state.screen, key, shown.snapshot, 100),
        (None, None) => return String::new(),
    };
    let mut text = String::new();
    for line in page.lines() {
        let line: String = line.iter().map(|(_, text)| text.as_str()).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
