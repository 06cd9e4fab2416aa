//! What stands around every screen: header, tabs, timeline, footer, and the palette.

use ratatui::layout::Rect;

use super::{
    super::{
        command::{Command, Entry, entries},
        snapshot::{Slice, Timeline},
        state::{PromptKind, Screen, State, Target},
        theme::Tone,
    },
    Shown,
    canvas::{Canvas, Piece, bottom, plain, row},
    words,
};
use crate::report::text::{compact, count, width};

/// The state of time in a word: what nobody may overlook.
fn pace(shown: &Shown<'_>) -> String {
    let reading = shown.progress.map(|progress| format!("READING {:.0}%", progress.done * 100.0));
    match (shown.can_live, shown.is_live) {
        _ if shown.snapshot.moment.seeking => "SEEKING".to_owned(),
        (true, true) => "LIVE".to_owned(),
        (true, false) => "PAUSED".to_owned(),
        (false, _) => reading.unwrap_or_else(|| "REPLAY".to_owned()),
    }
}

/// A time within the span, as seconds and nanoseconds.
fn since(ns: u64) -> String {
    format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000)
}

pub(super) fn header(canvas: &mut Canvas<'_>, area: Rect, shown: &Shown<'_>, state: &State) {
    let moment = &shown.snapshot.moment;
    let totals = &shown.snapshot.totals;
    let at = moment.at_ns.saturating_sub(moment.first_ns);
    let length = moment.last_ns.saturating_sub(moment.first_ns);
    // What must be read first comes first; what does not fit is left out as a whole.
    let mut parts = vec![pace(shown)];
    let mut counts = Vec::new();
    if totals.findings > 0 {
        let word = if totals.findings == 1 { "FINDING" } else { "FINDINGS" };
        counts.push(format!("{} {word}", compact(totals.findings)));
    }
    if totals.lost > 0 {
        counts.push(format!("{} LOST", compact(totals.lost)));
    }
    if totals.divergences > 0 {
        counts.push(format!("R7 {}", compact(totals.divergences)));
    }
    parts.extend(counts);
    parts.push(format!("+{} s", since(at)));
    if totals.inconclusive > 0 {
        parts.push(format!("{} inconclusive", compact(totals.inconclusive)));
    }
    if !state.filter.is_empty() {
        parts.push(format!("[{}]", state.filter));
    }
    parts.push(format!("of {}", words::short(length)));
    parts.push(moment.source.clone());
    if let Some(event) = moment.event {
        parts.push(format!("event {}", count(event)));
    }
    match totals.events_per_s {
        Some(per_s) => parts.push(format!("{} events/s", compact(per_s.round() as u64))),
        None => parts.push(format!("{} events", compact(totals.events))),
    }
    if totals.lost == 0 {
        parts.push("none lost".to_owned());
    }
    if totals.findings == 0 {
        parts.push("no findings".to_owned());
    }
    parts.push(format!("{} mode", moment.mode.name()));
    let room = usize::from(area.width);
    let mut text = String::from(" ");
    for part in parts {
        let part = crate::report::text::printable(&part);
        if width(&text) + width(&part) + 2 <= room {
            text.push_str(&part);
            text.push_str("  ");
        }
    }
    canvas.put(area, &[plain(text)]);
    canvas.tone(area, Tone::Bar);
}

pub(super) fn tabs(canvas: &mut Canvas<'_>, area: Rect, shown: &Shown<'_>, state: &mut State) {
    let snapshot = shown.snapshot;
    let badge = |screen: Screen| match screen {
        Screen::Calls => {
            let calls = snapshot.calls.len() as u64 + snapshot.calls_omitted;
            (calls > 0).then(|| compact(calls))
        }
        Screen::Findings => {
            let findings = snapshot.findings.len() as u64 + snapshot.findings_omitted;
            (findings > 0).then(|| format!("{}!", compact(findings)))
        }
        Screen::Health => {
            let totals = &snapshot.totals;
            (totals.lost + totals.inconclusive + totals.divergences > 0).then(|| "?".to_owned())
        }
        _ => None,
    };
    let label = |screen: Screen, names: bool| {
        let number = screen as usize + 1;
        let badge = badge(screen).map_or_else(String::new, |badge| format!(" {badge}"));
        if names || screen == state.screen {
            format!(" {number} {}{badge} ", screen.title())
        } else {
            format!(" {number}{} ", badge.trim_start())
        }
    };
    let wide =
        |names: bool| Screen::ALL.iter().map(|&screen| width(&label(screen, names))).sum::<usize>();
    let names = wide(true) <= usize::from(area.width);
    let mut x = area.x;
    let labels: Vec<(Screen, String)> =
        Screen::ALL.iter().map(|&screen| (screen, label(screen, names))).collect();
    for (screen, text) in labels {
        let place =
            Rect { x, width: (width(&text) as u16).min(area.right().saturating_sub(x)), ..area };
        let tone = match screen {
            Screen::Findings if snapshot.totals.findings > 0 => Tone::Bad,
            Screen::Health if text.contains('?') => Tone::Doubt,
            _ => Tone::Plain,
        };
        canvas.put(place, &[(tone, text)]);
        if screen == state.screen {
            canvas.tone(place, Tone::Chosen);
        }
        state.targets.push((place, Target::Screen(screen)));
        x += place.width;
    }
}

/// The whole span in one line: how busy, calls, findings, what was lost, marks, and the cursor.
pub(super) fn timeline(canvas: &mut Canvas<'_>, area: Rect, shown: &Shown<'_>, state: &mut State) {
    let timeline = &shown.snapshot.timeline;
    if area.width < 3 || timeline.to_ns <= timeline.from_ns {
        return;
    }
    let columns = usize::from(area.width);
    let slices = slices(timeline, columns);
    let most = slices.iter().map(|slice| slice.events).max().unwrap_or(0);
    let place = |ts: u64| {
        let (from, to) = (timeline.from_ns, timeline.to_ns);
        let at =
            u128::from(ts.clamp(from, to) - from) * (columns as u128 - 1) / u128::from(to - from);
        at as usize
    };
    let known = place(timeline.known_to_ns);
    let cursor = place(shown.snapshot.moment.at_ns);
    let marks: Vec<usize> = state
        .marks
        .iter()
        .filter(|&&mark| (timeline.from_ns..=timeline.to_ns).contains(&mark))
        .map(|&mark| place(mark))
        .collect();
    let pieces: Vec<Piece> = (0..columns)
        .map(|at| {
            let slice = slices.get(at).copied().unwrap_or_default();
            let (tone, c) = if marks.contains(&at) {
                (Tone::Key, 'm')
            } else if slice.findings > 0 {
                (Tone::Bad, 'F')
            } else if slice.lost > 0 {
                (Tone::Doubt, 'L')
            } else if at > known {
                (Tone::Dim, '?')
            } else if slice.calls > 0 {
                (Tone::Plain, 'c')
            } else {
                (Tone::Dim, busy(slice.events, most))
            };
            if at == cursor && matches!(c, ' ' | '.' | ':' | '?' | 'c') {
                (Tone::Head, "^".to_owned())
            } else {
                (tone, c.to_string())
            }
        })
        .collect();
    canvas.put(area, &pieces);
    canvas.tone(Rect { x: area.x + cursor as u16, width: 1, ..area }, Tone::Chosen);
    state.targets.push((area, Target::Timeline));
}

const fn busy(events: u64, most: u64) -> char {
    match events {
        0 => ' ',
        events if events.saturating_mul(3) > most => ':',
        _ => '.',
    }
}

/// The timeline's slices, summed up or spread to so many columns.
fn slices(timeline: &Timeline, columns: usize) -> Vec<Slice> {
    let mut out = vec![Slice::default(); columns];
    let count = timeline.slices.len();
    for (at, slice) in timeline.slices.iter().enumerate() {
        let first = at * columns / count;
        let last = ((at + 1) * columns / count).max(first + 1).min(columns);
        let spread = (last - first) as u64;
        for (column, place) in (first..last).enumerate() {
            let place = &mut out[place];
            place.events += slice.events / spread;
            // What is rare is shown where it begins.
            if column == 0 {
                place.calls += slice.calls;
                place.findings += slice.findings;
                place.lost += slice.lost;
            }
        }
    }
    out
}

/// What the footer offers on each screen.
fn offered(state: &State) -> &'static [Command] {
    use Command as C;
    if state.popup.is_some() {
        return &[C::Close, C::Down, C::Copy, C::Quit];
    }
    match state.screen {
        Screen::Calls | Screen::Findings => &[
            C::Open,
            C::Help,
            C::Quit,
            C::FindingForward,
            C::CallForward,
            C::Filter,
            C::Search,
            C::Sort,
            C::Palette,
        ],
        Screen::Health => &[C::Help, C::Quit, C::Down, C::PageDown, C::Copy, C::Palette],
        _ => &[
            C::Help,
            C::Quit,
            C::FindingForward,
            C::CallForward,
            C::EventForward,
            C::Filter,
            C::Search,
            C::Sort,
            C::Open,
            C::Palette,
        ],
    }
}

pub(super) fn footer(canvas: &mut Canvas<'_>, area: Rect, shown: &Shown<'_>, state: &State) {
    if let Some(prompt) = &state.prompt {
        let at = prompt.at;
        let before: String = prompt.text.chars().take(at).collect();
        let after: String = prompt.text.chars().skip(at).collect();
        let error = match prompt.error.as_str() {
            "" => String::new(),
            error => format!("   {error}"),
        };
        let mut after = after.chars();
        let under = after.next().map_or_else(|| " ".to_owned(), |c| c.to_string());
        canvas.put(
            area,
            &[
                (Tone::Key, prompt.kind.label().to_owned()),
                plain(before),
                (Tone::Chosen, under),
                plain(after.as_str()),
                (Tone::Bad, error),
            ],
        );
        return;
    }
    if let Some(message) = &state.message {
        canvas.put(area, &[(message.tone, message.text.clone())]);
        return;
    }
    if !shown.snapshot.moment.note.is_empty() {
        canvas.put(area, &[(Tone::Doubt, shown.snapshot.moment.note.clone())]);
        return;
    }
    let mut pieces: Vec<Piece> = Vec::new();
    let mut used = 0;
    let mut hint = |key: String, name: &str| {
        let long = width(&key) + 1 + width(name) + 2;
        if key.is_empty() || used + long > usize::from(area.width) {
            return;
        }
        used += long;
        pieces.extend([(Tone::Key, key), plain(format!(" {name}  "))]);
    };
    if shown.can_live {
        let name = if shown.is_live { "pause" } else { "go on" };
        hint(shown.keymap.key(Command::Pause), name);
    }
    for &command in offered(state) {
        if let Some(entry) = super::super::command::entry_of(command) {
            hint(shown.keymap.key(command), entry.name);
        }
    }
    canvas.put(area, &pieces);
}

/// The commands that the palette's text means, best first.
pub fn palette_matches(text: &str, live: bool) -> Vec<&'static Entry> {
    let text = text.trim().to_lowercase();
    let mut found: Vec<(usize, &'static Entry)> = entries(live)
        .filter_map(|entry| {
            let rank = if entry.name.starts_with(&text) {
                0
            } else if entry.name.contains(&text) {
                1
            } else if entry.what.to_lowercase().contains(&text) {
                2
            } else {
                return None;
            };
            Some((rank, entry))
        })
        .collect();
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, entry)| entry).collect()
}

pub(super) fn palette(canvas: &mut Canvas<'_>, area: Rect, shown: &Shown<'_>, state: &State) {
    let Some(prompt) = state.prompt.as_ref().filter(|prompt| prompt.kind == PromptKind::Palette)
    else {
        return;
    };
    let found = palette_matches(&prompt.text, shown.can_live);
    let rows = (found.len().max(1) as u16).min(area.height.min(12));
    let (_, place) = bottom(area, rows);
    canvas.clear(place);
    if found.is_empty() {
        canvas.put(row(place, 0), &[(Tone::Doubt, "no command has that in its name".to_owned())]);
    }
    let first = prompt.choice.saturating_sub(usize::from(rows.saturating_sub(1)));
    for (line, (at, entry)) in
        found.iter().enumerate().skip(first).take(usize::from(rows)).enumerate()
    {
        let line = row(place, line as u16);
        canvas.put(
            line,
            &[
                (Tone::Head, format!("{:<16} ", entry.name)),
                (Tone::Key, format!("{:<11} ", shown.keymap.key(entry.command))),
                plain(entry.what),
            ],
        );
        if at == prompt.choice.min(found.len() - 1) {
            canvas.tone(line, Tone::Chosen);
        }
    }
}
