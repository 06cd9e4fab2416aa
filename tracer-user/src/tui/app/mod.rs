//! From keys to commands to what they do: to what the user has chosen, or to the machine.

mod commands;
mod input;
mod saving;
mod time;

use std::{collections::VecDeque, time::Duration};

use ratatui::buffer::Buffer;

use super::{
    config::Settings,
    keys::Keymap,
    machine::{Direction, Explained, Machine, Step},
    snapshot::Snapshot,
    state::{Popup, Screen, State},
    theme::Tone,
    view::{self, Shown},
};
pub use saving::Unsaved;

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
    /// Nobody did anything, but the running kernel went on.
    went_on: bool,
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
            went_on: false,
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

    /// Whether there is anything new to draw only because the running kernel went on. Numbers that
    /// change by themselves need not change as often as what answers a key.
    pub const fn went_on(&self) -> bool {
        self.went_on && !self.dirty
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
            if self.machine.is_live() {
                self.went_on = true;
            } else {
                self.dirty = true;
            }
        }
        self.look_for_saved();
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
        self.went_on = false;
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
