//! From keys to commands to what they do: to what the user has chosen, or to the machine.

use std::{collections::VecDeque, path::Path, time::Duration};

use ratatui::{
    buffer::Buffer,
    crossterm::event::{
        Event, KeyCode, KeyEvent, KeyEventKind, MouseButton, MouseEvent, MouseEventKind,
    },
    layout::Position,
};

use super::{
    command::Command,
    config::Settings,
    keys::{Chord, Keymap},
    machine::{Direction, Explained, Machine, Moved, Step},
    snapshot::Snapshot,
    state::{Popup, Prompt, PromptKind, Screen, State, Target},
    theme::Tone,
    view::{self, Shown},
};
use crate::{explain::Ask, filter::Filter};

/// How many steps may wait: who holds a key down does not mean to go on for minutes.
const WAITING: usize = 8;

/// The TUI without its terminal.
#[expect(clippy::struct_excessive_bools, reason = "each says of another thing that it is due")]
pub struct App<M> {
    machine: M,
    state: State,
    keymap: Keymap,
    snapshot: Snapshot,
    /// The snapshot is not the machine's any more.
    stale: bool,
    /// What is drawn is not what there is any more.
    dirty: bool,
    explained: Option<Explained>,
    /// The moment that the machine shows was asked for by a step; its event is told once it is there.
    stepped: Option<Step>,
    /// Steps that wait until the machine has come to where it was sent before.
    waiting: VecDeque<(Step, Direction)>,
    clipboard: Option<String>,
    repaint: bool,
    quit: bool,
}

impl<M: Machine> App<M> {
    /// A TUI of what `machine` shows.
    pub fn new(machine: M, settings: &Settings) -> Self {
        let state = State { screen: settings.screen, theme: settings.theme, ..State::default() };
        let mut app = Self {
            machine,
            state,
            keymap: settings.keymap.clone(),
            snapshot: Snapshot::default(),
            stale: true,
            dirty: true,
            explained: None,
            stepped: None,
            waiting: VecDeque::new(),
            clipboard: None,
            repaint: false,
            quit: false,
        };
        app.set_filter(settings.filter.clone());
        app
    }

    /// The machine.
    pub const fn machine(&mut self) -> &mut M {
        &mut self.machine
    }

    /// What the user has chosen.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Whether the user has had enough.
    pub const fn wants_to_quit(&self) -> bool {
        self.quit
    }

    /// Whether there is anything new to draw.
    pub const fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// What is to go to the terminal's clipboard.
    pub const fn take_clipboard(&mut self) -> Option<String> {
        self.clipboard.take()
    }

    /// Whether everything is to be painted anew.
    pub const fn take_repaint(&mut self) -> bool {
        std::mem::replace(&mut self.repaint, false)
    }

    /// Says a word in the last line.
    pub fn say(&mut self, tone: Tone, text: impl Into<String>) {
        self.state.say(tone, text);
        self.dirty = true;
    }

    /// Lets the machine work.
    pub fn work(&mut self, budget: Duration) {
        if self.machine.work(budget) {
            self.stale = true;
            self.dirty = true;
        }
        if !self.machine.busy()
            && let Some((step, direction)) = self.waiting.pop_front()
        {
            self.dirty = true;
            self.step(step, direction);
        }
        if let (Some(Popup::Explain(ask)), Some(Explained::Working)) =
            (&self.state.popup, &self.explained)
        {
            let explained = self.machine.explain(*ask);
            if explained != Explained::Working {
                self.explained = Some(explained);
                self.dirty = true;
            }
        }
    }

    /// Whether something that was asked of the machine is still to come.
    pub fn awaits(&self) -> bool {
        let explaining = matches!(self.state.popup, Some(Popup::Explain(_)));
        (explaining && self.explained == Some(Explained::Working)) || !self.waiting.is_empty()
    }

    /// Draws what there is.
    pub fn draw(&mut self, buf: &mut Buffer) {
        self.refresh();
        let shown = shown(&self.machine, &self.snapshot, self.explained.as_ref(), &self.keymap);
        view::draw(buf, &shown, &mut self.state);
        self.dirty = false;
    }

    /// Has the snapshot be the machine's.
    fn refresh(&mut self) {
        if std::mem::replace(&mut self.stale, false) {
            self.snapshot = self.machine.snapshot();
        }
        if self.snapshot.moment.seeking {
            return;
        }
        match self.stepped.take() {
            Some(Step::Finding) => {
                if let Some(last) = self.snapshot.findings.last() {
                    self.state.lists[Screen::Findings as usize].chosen = Some(last.number);
                    let text = format!("finding {}: {}", last.number, last.finding.summary);
                    self.state.say(Tone::Bad, text);
                }
            }
            Some(Step::Event | Step::Call) => {
                if let Some(event) = self.snapshot.recent.last() {
                    let text = format!("cpu {}: {}", event.cpu, event.what);
                    self.state.say(Tone::Plain, text);
                }
            }
            None => {}
        }
    }

    /// Takes what the terminal says.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.key(*key),
            Event::Mouse(mouse) => self.mouse(*mouse),
            Event::Paste(text) => {
                // What is pasted is text, never commands.
                if let Some(prompt) = &mut self.state.prompt {
                    text.chars().for_each(|c| prompt.put(c));
                }
            }
            Event::Resize(..) => {}
            _ => return,
        }
        self.dirty = true;
    }

    /// Takes a key.
    fn key(&mut self, key: KeyEvent) {
        let chord = Chord::pressed(key);
        self.state.message = None;
        if self.state.prompt.is_some() {
            self.typed(chord);
            return;
        }
        if let Some(command) = self.keymap.command(chord, self.machine.can_live()) {
            self.run(command);
        } else {
            let help = self.keymap.key(Command::Help);
            self.state.say(Tone::Dim, format!("{chord} means nothing here; {help} is help"));
        }
    }

    fn mouse(&mut self, mouse: MouseEvent) {
        match mouse.kind {
            MouseEventKind::ScrollDown => self.run(Command::Down),
            MouseEventKind::ScrollUp => self.run(Command::Up),
            MouseEventKind::Down(MouseButton::Left) => {
                let at = Position::new(mouse.column, mouse.row);
                let hit = self.state.targets.iter().find(|(area, _)| area.contains(at));
                let Some(&(area, target)) = hit else { return };
                match target {
                    Target::Screen(screen) => self.run(Command::Screen(screen)),
                    Target::Column(column) => self.state.list_mut().sort_by(column),
                    Target::Row(key) => {
                        if self.state.list().key() == Some(key) {
                            self.run(Command::Open);
                        } else {
                            let at = self.state.list().keys.iter().position(|known| *known == key);
                            self.state.list_mut().choose_at(at.unwrap_or(0));
                        }
                    }
                    Target::Timeline => {
                        let (from, to) = self.machine.span();
                        let part = f64::from(mouse.column - area.x)
                            / f64::from(area.width.saturating_sub(1).max(1));
                        self.seek(from + ((to - from) as f64 * part) as u64);
                    }
                }
            }
            _ => {}
        }
    }

    /// Types into the prompt.
    fn typed(&mut self, chord: Chord) {
        let Some(prompt) = &mut self.state.prompt else { return };
        if chord.is(KeyCode::Enter) {
            self.entered();
        } else if chord.is(KeyCode::Esc) || chord.to_string() == "ctrl-c" {
            self.state.prompt = None;
        } else if chord.is(KeyCode::Backspace) {
            prompt.backspace();
        } else if chord.is(KeyCode::Delete) {
            prompt.delete();
        } else if chord.is(KeyCode::Left) {
            prompt.go(-1);
        } else if chord.is(KeyCode::Right) {
            prompt.go(1);
        } else if chord.is(KeyCode::Home) {
            prompt.go(isize::MIN);
        } else if chord.is(KeyCode::End) {
            prompt.go(isize::MAX);
        } else if chord.to_string() == "ctrl-u" {
            prompt.clear();
        } else if chord.is(KeyCode::Up) {
            prompt.choice = prompt.choice.saturating_sub(1);
        } else if chord.is(KeyCode::Down) {
            let found = view::palette_matches(&prompt.text, self.machine.can_live()).len();
            prompt.choice = (prompt.choice + 1).min(found.saturating_sub(1));
        } else if let Some(c) = chord.typed() {
            prompt.put(c);
        }
    }

    /// The prompt's line is complete.
    fn entered(&mut self) {
        let Some(prompt) = self.state.prompt.take() else { return };
        match prompt.kind {
            PromptKind::Filter => match prompt.text.parse::<Filter>() {
                Ok(filter) => self.set_filter(filter),
                Err(error) => {
                    self.state.prompt = Some(Prompt { error: error.to_string(), ..prompt });
                }
            },
            PromptKind::Search => {
                self.state.search = prompt.text.trim().to_lowercase();
                self.search(Direction::Forward, true);
            }
            PromptKind::Palette => {
                let found = view::palette_matches(&prompt.text, self.machine.can_live());
                if let Some(entry) = found.get(prompt.choice) {
                    self.run(entry.command);
                } else {
                    let error = "no such command".to_owned();
                    self.state.prompt = Some(Prompt { error, ..prompt });
                }
            }
            PromptKind::Save => self.save(prompt.text.trim()),
        }
    }

    fn set_filter(&mut self, filter: Filter) {
        self.machine.set_filter(&filter);
        self.state.filter = filter;
        self.stale = true;
    }

    fn search(&mut self, direction: Direction, here_too: bool) {
        if self.state.search.is_empty() {
            return;
        }
        let shown = shown(&self.machine, &self.snapshot, self.explained.as_ref(), &self.keymap);
        let found = view::matching(&shown, &self.state, &self.state.search);
        let keys = &self.state.list().keys;
        let place = |key: &u64| keys.iter().position(|known| known == key).unwrap_or(0);
        let now = self.state.list().position();
        let next = match direction {
            Direction::Forward => found
                .iter()
                .find(|key| place(key) > now || (here_too && place(key) == now))
                .or(found.first()),
            Direction::Back => found.iter().rev().find(|key| place(key) < now).or(found.last()),
        };
        if let Some(at) = next.map(place) {
            self.state.list_mut().choose_at(at);
        } else {
            let text = format!("no row has {}", self.state.search);
            self.state.say(Tone::Doubt, text);
        }
    }

    /// The span that is saved: between the first and the last mark, or all of it.
    fn to_be_saved(&self) -> (u64, u64) {
        match self.state.marks[..] {
            [first, .., last] => (first, last),
            _ => self.machine.span(),
        }
    }

    fn save(&mut self, name: &str) {
        if name.is_empty() {
            return;
        }
        match self.machine.save(self.to_be_saved(), Path::new(name)) {
            Ok(saved) => {
                let text = format!("{} events, {} bytes in {name}", saved.events, saved.bytes);
                self.state.say(Tone::Good, text);
            }
            Err(why) => self.state.say(Tone::Bad, format!("not saved: {why}")),
        }
    }

    fn seek(&mut self, ts: u64) {
        self.waiting.clear();
        self.machine.seek(ts);
        self.stale = true;
    }

    fn step(&mut self, step: Step, direction: Direction) {
        if self.machine.busy() {
            if self.waiting.len() < WAITING {
                self.waiting.push_back((step, direction));
            }
            return;
        }
        match self.machine.step(step, direction) {
            Moved::Yes => {
                self.stepped = Some(step);
                self.stale = true;
            }
            Moved::No(_) if step == Step::Finding && self.machine.progress().is_some() => {
                // Further on in the recording there may be one.
                self.waiting.push_front((step, direction));
                let text = "reading on: it goes to the finding as soon as one is known";
                self.state.say(Tone::Doubt, text);
            }
            Moved::No(why) => self.state.say(Tone::Doubt, why),
        }
    }

    /// Moves the cursor by so many thousandths of the span.
    fn scrub(&mut self, thousandths: i64) {
        let (from, to) = self.machine.span();
        let at = self.snapshot.moment.at_ns.clamp(from, to);
        let by = i128::from(to - from) * i128::from(thousandths) / 1000;
        let ts = (i128::from(at) + by).clamp(i128::from(from), i128::from(to));
        self.seek(ts as u64);
    }

    fn open(&mut self) {
        let Some(key) = self.state.list().key() else { return };
        match view::question(self.state.screen, key, &self.snapshot) {
            Some(ask) => self.explain(ask),
            None if self.state.screen == Screen::Health => {}
            None => self.state.open(Popup::Detail(self.state.screen, key)),
        }
    }

    fn explain(&mut self, ask: Ask) {
        self.explained = Some(self.machine.explain(ask));
        self.state.open(Popup::Explain(ask));
    }

    /// Does what a command says.
    pub fn run(&mut self, command: Command) {
        use Command as C;
        self.dirty = true;
        if self.state.moved(command) {
            return;
        }
        match command {
            C::Screen(screen) => self.show(screen),
            C::NextScreen => self.show(self.state.screen.further(1)),
            C::PreviousScreen => self.show(self.state.screen.further(Screen::ALL.len() - 1)),
            C::Open => self.open(),
            C::Close => self.close(),
            C::Pause if self.machine.is_live() => {
                self.machine.pause();
                self.stale = true;
            }
            C::Pause | C::Live => {
                self.machine.live();
                self.stale = true;
            }
            C::EventBack => self.step(Step::Event, Direction::Back),
            C::EventForward => self.step(Step::Event, Direction::Forward),
            C::CallBack => self.step(Step::Call, Direction::Back),
            C::CallForward => self.step(Step::Call, Direction::Forward),
            C::FindingBack => self.step(Step::Finding, Direction::Back),
            C::FindingForward => self.step(Step::Finding, Direction::Forward),
            C::ScrubBack => self.scrub(-10),
            C::ScrubForward => self.scrub(10),
            C::ScrubFarBack => self.scrub(-100),
            C::ScrubFarForward => self.scrub(100),
            C::Beginning => self.seek(self.machine.span().0),
            C::End => self.seek(self.machine.span().1),
            C::Mark => {
                let marked = self.state.mark(self.snapshot.moment.at_ns);
                self.state.say(Tone::Plain, if marked { "marked" } else { "unmarked" });
            }
            C::NextMark => match self.state.next_mark(self.snapshot.moment.at_ns) {
                Some(ts) => self.seek(ts),
                None => self.state.say(Tone::Doubt, "no moment is marked"),
            },
            C::Filter => {
                let text = self.state.filter.to_string();
                self.state.prompt = Some(Prompt::new(PromptKind::Filter, text));
            }
            C::Search => self.state.prompt = Some(Prompt::new(PromptKind::Search, "")),
            C::NextMatch => self.search(Direction::Forward, false),
            C::PreviousMatch => self.search(Direction::Back, false),
            C::Sort => {
                self.state.list_mut().sort_next();
                self.say_sort();
            }
            C::Reverse => {
                let list = self.state.list_mut();
                list.reverse = !list.reverse;
                self.say_sort();
            }
            C::Copy => self.copy(),
            C::Save => {
                let name = format!("unlazy-{}.mcap", self.snapshot.moment.at_ns);
                self.state.prompt = Some(Prompt::new(PromptKind::Save, name));
            }
            C::Theme => {
                self.state.theme = self.state.theme.next();
                let text = format!("colours: {}", self.state.theme.name());
                self.state.say(Tone::Plain, text);
            }
            C::Palette => self.state.prompt = Some(Prompt::new(PromptKind::Palette, "")),
            C::Help => match self.state.popup {
                Some(Popup::Help) => self.state.popup = None,
                _ => self.state.open(Popup::Help),
            },
            C::Redraw => self.repaint = true,
            C::Quit => self.quit = true,
            C::Up | C::Down | C::PageUp | C::PageDown | C::Top | C::Bottom => {}
        }
    }

    fn show(&mut self, screen: Screen) {
        self.state.screen = screen;
        self.state.popup = None;
    }

    fn close(&mut self) {
        self.waiting.clear();
        if self.state.popup.take().is_none() {
            if !self.state.search.is_empty() {
                self.state.search.clear();
            } else if !self.state.filter.is_empty() {
                self.set_filter(Filter::default());
                self.state.say(Tone::Plain, "no filter any more");
            }
        }
    }

    fn say_sort(&mut self) {
        let list = self.state.list();
        let by = match list.sort {
            Some(column) => format!("sorted by {}", view::column_title(self.state.screen, column)),
            None => "in the screen's own order".to_owned(),
        };
        let way = if list.reverse { ", reversed" } else { "" };
        self.state.say(Tone::Plain, format!("{by}{way}"));
    }

    fn copy(&mut self) {
        let shown = shown(&self.machine, &self.snapshot, self.explained.as_ref(), &self.keymap);
        let text = view::copied(&shown, &self.state);
        if text.is_empty() {
            self.state.say(Tone::Doubt, "there is nothing to copy");
            return;
        }
        let lines = text.lines().count();
        self.clipboard = Some(text);
        let words = format!("{lines} lines handed to the terminal's clipboard, if it takes them");
        self.state.say(Tone::Plain, words);
    }
}

fn shown<'a>(
    machine: &impl Machine,
    snapshot: &'a Snapshot,
    explained: Option<&'a Explained>,
    keymap: &'a Keymap,
) -> Shown<'a> {
    Shown {
        snapshot,
        can_live: machine.can_live(),
        is_live: machine.is_live(),
        progress: machine.progress(),
        explained,
        keymap,
    }
}
