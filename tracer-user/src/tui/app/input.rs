//! What the terminal says: keys, the mouse, pasted text, and the prompt that is typed into.

use ratatui::{
    crossterm::event::{
        Event, KeyCode, KeyEvent, KeyEventKind, MouseButton, MouseEvent, MouseEventKind,
    },
    layout::Position,
};

use super::App;
use crate::{
    filter::Filter,
    tui::{
        command::Command,
        keys::Chord,
        machine::{Direction, Machine},
        state::{Prompt, PromptKind, Target},
        theme::Tone,
        view,
    },
};

impl<M: Machine> App<M> {
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
}
