//! What the commands with a screen have in common: the options for how it looks.

use std::path::PathBuf;

use super::only::Only;
use crate::tui::{
    config::{self, ConfigError, Settings},
    state::Screen,
    theme::Theme,
};

/// How the screen looks.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Looks {
    #[command(flatten)]
    only: Only,

    /// The first screen: cpus, mms, calls, findings, ipis or health
    #[arg(long, value_name = "NAME", value_parser = screen)]
    screen: Option<Screen>,

    /// The colours: safe (colour-blind-safe, the default), light, ansi or mono
    #[arg(long, value_name = "NAME", value_parser = theme)]
    theme: Option<Theme>,

    /// Frames a second at most, from 1 to 60 [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=60))]
    fps: Option<u32>,

    /// The configuration [default: ~/.config/unlazy/config.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

fn screen(name: &str) -> Result<Screen, String> {
    Screen::named(name).ok_or_else(|| format!("there is no screen {name}"))
}

fn theme(name: &str) -> Result<Theme, String> {
    Theme::named(name).ok_or_else(|| format!("there is no theme {name}"))
}

impl Looks {
    /// The configuration, with what the options say instead.
    ///
    /// # Errors
    /// If the configuration can't be used.
    pub(super) fn settings(&self) -> Result<Settings, ConfigError> {
        let mut settings = config::read(self.config.as_deref())?;
        if let Some(filter) = self.only.query() {
            settings.filter = filter.clone();
        }
        settings.screen = self.screen.unwrap_or(settings.screen);
        settings.theme = self.theme.unwrap_or(settings.theme);
        settings.fps = self.fps.unwrap_or(settings.fps);
        Ok(settings)
    }
}
