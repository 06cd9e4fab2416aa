//! What the commands with a screen have in common: the options for how it looks.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use super::only::Only;
use crate::tui::{
    app::{App, Unsaved},
    config::{self, ConfigError, Settings},
    machine::Machine,
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

    /// Frames a second at most, from 1 to 60 [default: 10]; two in five of them while nothing happens
    /// but that a running kernel goes on
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

/// Waits for what is still being saved, with the terminal given back; says so on standard error. A signal
/// from now on gives it up.
///
/// # Errors
/// [`Unsaved`] if not all of it was written.
pub(super) fn finish_saving(app: &mut App<impl Machine>, stop: &AtomicBool) -> Result<(), Unsaved> {
    // The one that ended the run did not ask for that.
    stop.store(false, Ordering::Relaxed);
    // Who closed the terminal reads no words.
    app.finish_saving(stop, &mut |words| _ = writeln!(io::stderr(), "unlazy: {words}"))
}
