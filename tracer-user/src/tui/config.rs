//! The configuration file: `$XDG_CONFIG_HOME/unlazy/config.toml`, or `~/.config/unlazy/config.toml`.
//!
//! ```toml
//! theme = "light"       # safe, light, ansi, mono
//! fps = 5               # frames a second at most
//! mouse = false
//! screen = "findings"   # the first screen
//!
//! [keys]                # commands by the palette's names; a key, or several
//! quit = "Q"
//! finding = ["]", "ctrl-n"]
//! ```

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    command::TABLE,
    keys::{Chord, Keymap},
    state::Screen,
    theme::Theme,
};
use crate::filter::Filter;

/// Frames a second, unless told otherwise: enough to follow, little enough for a slow link.
const FPS: u32 = 10;

/// How the TUI is to be.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The colours.
    pub theme: Theme,
    /// Frames a second at most.
    pub fps: u32,
    /// Whether the terminal is to report the mouse.
    pub mouse: bool,
    /// The first screen.
    pub screen: Screen,
    /// The keys.
    pub keymap: Keymap,
    /// What is shown at first.
    pub filter: Filter,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            theme: Theme::default(),
            fps: FPS,
            mouse: true,
            screen: Screen::default(),
            keymap: Keymap::default(),
            filter: Filter::default(),
        }
    }
}

/// A configuration file that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It can't be read.
    #[error("can't read the configuration {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// What is in it is wrong.
    #[error("the configuration {path} is wrong: {what}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What, and what would be right.
        what: String,
    },
}

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    theme: Option<String>,
    fps: Option<u32>,
    mouse: Option<bool>,
    screen: Option<String>,
    #[serde(default)]
    keys: BTreeMap<String, Keys>,
}

/// A key or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Keys {
    One(String),
    Several(Vec<String>),
}

/// Where the file is, by the environment.
fn usual(var: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name| var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CONFIG_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(base.join("unlazy/config.toml"))
}

/// Reads the configuration: `path`, which must be there, or the usual file, which need not.
///
/// # Errors
/// [`ConfigError`] says what is wrong with it.
pub fn read(path: Option<&Path>) -> Result<Settings, ConfigError> {
    let usual = usual(|name| std::env::var_os(name));
    let settings = match (path, usual) {
        (Some(path), _) => parse_file(path)?,
        (None, Some(path)) if path.exists() => parse_file(&path)?,
        (None, _) => Settings::default(),
    };
    // https://no-color.org: present and not empty.
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    Ok(if no_colour { Settings { theme: Theme::Mono, ..settings } } else { settings })
}

fn parse_file(path: &Path) -> Result<Settings, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Io { path: path.to_owned(), source })?;
    parse(&text).map_err(|what| ConfigError::Wrong { path: path.to_owned(), what })
}

fn parse(text: &str) -> Result<Settings, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    let mut settings = Settings::default();
    if let Some(name) = &file.theme {
        settings.theme = Theme::named(name).ok_or_else(|| {
            let names: Vec<_> = Theme::ALL.iter().map(|&(_, name, _)| name).collect();
            format!("there is no theme {name}; there are {}", names.join(", "))
        })?;
    }
    if let Some(name) = &file.screen {
        settings.screen = Screen::named(name).ok_or_else(|| {
            let names = Screen::ALL.map(|screen| screen.title().to_lowercase());
            format!("there is no screen {name}; there are {}", names.join(", "))
        })?;
    }
    settings.fps = match file.fps {
        Some(fps @ 1..=60) => fps,
        Some(fps) => return Err(format!("fps is from 1 to 60, not {fps}")),
        None => settings.fps,
    };
    settings.mouse = file.mouse.unwrap_or(settings.mouse);
    for (name, keys) in &file.keys {
        let entry = TABLE
            .iter()
            .find(|entry| entry.name == name)
            .ok_or_else(|| format!("there is no command {name}; the help lists them"))?;
        let keys = match keys {
            Keys::One(key) => std::slice::from_ref(key),
            Keys::Several(keys) => keys,
        };
        let keys: Vec<Chord> = keys
            .iter()
            .map(|key| key.parse::<Chord>().map_err(|error| error.to_string()))
            .collect::<Result<_, _>>()?;
        settings.keymap.bind(entry.command, &keys);
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::super::command::Command;
    use super::*;

    #[test]
    fn what_is_written_holds() {
        let settings = parse(
            "theme = 'light'\nfps = 5\nmouse = false\nscreen = 'Findings'\n\
             [keys]\nquit = 'Q'\nfinding = [']', 'ctrl-n']\n",
        )
        .expect("right");
        assert_eq!((settings.theme, settings.fps, settings.mouse), (Theme::Light, 5, false));
        assert_eq!(settings.screen, Screen::Findings);
        assert_eq!(settings.keymap.key(Command::Quit), "Q");
        assert_eq!(settings.keymap.keys(Command::FindingForward).count(), 2);
        assert!(parse("").is_ok());
    }

    #[test]
    fn what_is_wrong_is_told_with_what_would_be_right() {
        for (text, says) in [
            ("theme = 'pink'", "safe, light"),
            ("screen = 'desk'", "cpus, mms"),
            ("fps = 0", "from 1 to 60"),
            ("colour = 1", "colour"),
            ("[keys]\nfly = 'x'", "no command fly"),
            ("[keys]\nquit = 'hyper-q'", "no key hyper-q"),
            ("theme = ", "line 1"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn where_the_file_is() {
        let env = |pairs: &'static [(&str, &str)]| {
            usual(move |name| {
                pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
            })
        };
        let path = |path| Some(PathBuf::from(path));
        assert_eq!(env(&[("HOME", "/h")]), path("/h/.config/unlazy/config.toml"));
        assert_eq!(
            env(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]),
            path("/x/unlazy/config.toml")
        );
        // The standard has relative paths ignored.
        assert_eq!(
            env(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "x")]),
            path("/h/.config/unlazy/config.toml")
        );
        assert_eq!(env(&[]), None);
    }
}
