//! Keys by name, and the keymap.

use std::{fmt, str::FromStr};

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::command::{Command, TABLE, entries};

/// A key with what is held down beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chord {
    code: KeyCode,
    modifiers: KeyModifiers,
}

/// The names of keys that are no character.
const NAMED: [(&str, KeyCode); 16] = [
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("pageup", KeyCode::PageUp),
    ("pagedown", KeyCode::PageDown),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("backtab", KeyCode::BackTab),
    ("backspace", KeyCode::Backspace),
    ("delete", KeyCode::Delete),
    ("insert", KeyCode::Insert),
    ("space", KeyCode::Char(' ')),
];

impl Chord {
    /// What was pressed, in one way of writing it: a capital letter has no shift of its own.
    pub fn pressed(event: KeyEvent) -> Self {
        let mut modifiers =
            event.modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT);
        if matches!(event.code, KeyCode::Char(_) | KeyCode::BackTab) {
            modifiers.remove(KeyModifiers::SHIFT);
        }
        Self { code: event.code, modifiers }
    }

    /// The event of pressing it.
    pub const fn event(self) -> KeyEvent {
        KeyEvent::new(self.code, self.modifiers)
    }

    /// The character that it types, if it types one.
    pub fn typed(self) -> Option<char> {
        match self.code {
            KeyCode::Char(c) if self.modifiers.is_empty() => Some(c),
            _ => None,
        }
    }

    /// Whether it is this key alone.
    pub fn is(self, code: KeyCode) -> bool {
        self.code == code && self.modifiers.is_empty()
    }
}

/// A name that is no key's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no key {0}; keys are named as x, ctrl-x, shift-left, f1, space, enter")]
pub struct KeyError(String);

impl FromStr for Chord {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let error = || KeyError(text.to_owned());
        let mut modifiers = KeyModifiers::NONE;
        let mut rest = text;
        for (prefix, modifier) in [
            ("ctrl-", KeyModifiers::CONTROL),
            ("alt-", KeyModifiers::ALT),
            ("shift-", KeyModifiers::SHIFT),
        ] {
            if let Some(after) = rest.strip_prefix(prefix).filter(|after| !after.is_empty()) {
                modifiers |= modifier;
                rest = after;
            }
        }
        let mut chars = rest.chars();
        let code = match (chars.next(), chars.as_str()) {
            (Some(c), "") => KeyCode::Char(c),
            (Some('f'), digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                let number = digits.parse::<u8>().ok().filter(|number| (1..=24).contains(number));
                KeyCode::F(number.ok_or_else(error)?)
            }
            _ => NAMED
                .iter()
                .find(|(name, _)| *name == rest)
                .map(|&(_, code)| code)
                .ok_or_else(error)?,
        };
        Ok(Self { code, modifiers })
    }
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (modifier, name) in [
            (KeyModifiers::CONTROL, "ctrl-"),
            (KeyModifiers::ALT, "alt-"),
            (KeyModifiers::SHIFT, "shift-"),
        ] {
            if self.modifiers.contains(modifier) {
                f.write_str(name)?;
            }
        }
        if let Some((name, _)) = NAMED.iter().find(|(_, code)| *code == self.code) {
            return f.write_str(name);
        }
        match self.code {
            KeyCode::Char(c) => write!(f, "{c}"),
            KeyCode::F(number) => write!(f, "f{number}"),
            other => write!(f, "{other:?}"),
        }
    }
}

/// Which key stands for which command.
#[derive(Debug, Clone)]
pub struct Keymap(Vec<(Chord, Command)>);

impl Default for Keymap {
    fn default() -> Self {
        let keys = TABLE.iter().flat_map(|entry| {
            entry.keys.iter().filter_map(|key| Some((key.parse().ok()?, entry.command)))
        });
        Self(keys.collect())
    }
}

impl Keymap {
    /// Gives a command other keys. A key that stood for another command then stands for this one.
    pub fn bind(&mut self, command: Command, keys: &[Chord]) {
        self.0.retain(|(chord, other)| *other != command && !keys.contains(chord));
        self.0.extend(keys.iter().map(|&chord| (chord, command)));
    }

    /// What a key stands for.
    pub fn command(&self, chord: Chord, live: bool) -> Option<Command> {
        let command =
            self.0.iter().find(|(known, _)| *known == chord).map(|&(_, command)| command)?;
        entries(live).any(|entry| entry.command == command).then_some(command)
    }

    /// The keys of a command.
    pub fn keys(&self, command: Command) -> impl Iterator<Item = Chord> {
        self.0.iter().filter(move |(_, of)| *of == command).map(|&(chord, _)| chord)
    }

    /// The first key of a command, as it is written.
    pub fn key(&self, command: Command) -> String {
        self.keys(command).next().map(|chord| chord.to_string()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_key_of_the_table_is_one_and_stands_for_one_command() {
        let mut seen = HashSet::new();
        let mut names = HashSet::new();
        for entry in TABLE {
            assert!(names.insert(entry.name), "{} twice", entry.name);
            assert!(!entry.what.is_empty());
            for key in entry.keys {
                let chord: Chord = key.parse().expect(key);
                assert_eq!(chord.to_string(), *key);
                assert!(seen.insert(chord), "{key} twice");
            }
        }
    }

    #[test]
    fn a_key_that_is_given_away_is_gone() {
        let mut map = Keymap::default();
        let q = "q".parse().expect("a key");
        map.bind(Command::Help, &[q]);
        assert_eq!(map.command(q, true), Some(Command::Help));
        assert_eq!(map.key(Command::Quit), "ctrl-c");
        assert!("hyper-x".parse::<Chord>().is_err());
        assert!("f99".parse::<Chord>().is_err());
        assert!("".parse::<Chord>().is_err());
    }
}
