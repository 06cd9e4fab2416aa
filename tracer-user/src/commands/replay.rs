//! `unlazy replay`: the TUI on a recording, with time travel.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use anyhow::{Context as _, bail};
use ratatui::crossterm::event::Event;

use super::{
    looks::{self, Looks},
    recording,
};
use crate::{
    exit::Exit,
    output::{Sink, Target},
    timeline::Replay,
    trace::Part,
    tui::{
        app::App,
        config::Settings,
        keys::Chord,
        machine::Machine,
        picture::{self, Size},
        terminal::{self, Ui},
        theme::Theme,
    },
};

const ABOUT: &str = "Look at a recorded trace, moment by moment";

const LONG_ABOUT: &str = "\
Look at a recorded trace on six screens: CPUs (logical against real mm), mms, Calls, Findings, IPIs and \
Health, each as of any moment of the recording. Step by events, calls or findings, or scrub.

  unlazy replay trace.mcap
  unlazy replay trace.mcap --screen findings
  unlazy replay trace.mcap --filter 'mm=8 cpu=0-3'

It begins at the recording's end. ? is help, ] goes to the next finding, q quits. What w is still saving \
then is waited for; Ctrl-C gives it up.";

const AFTER_HELP: &str = "\
Exit codes:
  0  the user quit
  2  wrong usage, no terminal, or a file can't be read; the reason is on stderr";

/// The options of `unlazy replay`.
#[derive(Clone, Debug, clap::Args)]
#[command(about = ABOUT, long_about = LONG_ABOUT, after_long_help = AFTER_HELP)]
pub struct Args {
    /// The recording, or all its parts
    #[arg(required = true, value_name = "F")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    looks: Looks,

    #[command(flatten)]
    picture: Picture,
}

/// A screen as a picture, in place of the TUI: for documents, and for tests.
#[derive(Clone, Debug, clap::Args)]
struct Picture {
    /// Draw one screen of this size and print it, as 100x30
    #[arg(id = "picture", long = "picture", value_name = "SIZE", hide = true)]
    size: Option<Size>,

    /// The moment of the picture, from the beginning of the recording
    #[arg(long, value_name = "TIME", hide = true, requires = "picture", value_parser = humantime::parse_duration)]
    at: Option<Duration>,

    /// Keys to press before it is drawn, separated by spaces
    #[arg(long, value_name = "KEYS", hide = true, requires = "picture")]
    keys: Option<String>,

    /// Print SVG, not text
    #[arg(long, hide = true, requires = "picture")]
    svg: bool,
}

/// Runs the command.
///
/// # Errors
/// If a file can't be read, or there is no terminal; the exit code is then 2.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let settings = args.looks.settings()?;
    if args.picture.size.is_none() {
        terminal::require()?;
    }
    let mut runs = recording::open(&args.files)?;
    if runs.len() > 1 {
        bail!("these are {} runs, and one is shown at a time: give the files of one", runs.len());
    }
    let run = runs.pop().unwrap_or_default();
    match args.picture.size {
        Some(size) => picture(run, &args.picture, size, settings),
        None => show(run, &settings),
    }
}

fn show(run: Vec<Part>, settings: &Settings) -> anyhow::Result<Exit> {
    let stop = Arc::new(AtomicBool::new(false));
    stop_on_signals(&stop)?;
    let mut ui = Ui::open(App::new(Replay::new(run)?, settings), settings)?;
    let ran = ui.run(&stop);
    ui.give_back();
    looks::finish_saving(ui.app(), &stop)?;
    ran?;
    Ok(Exit::Clean)
}

/// Raises the flag at a signal that asks to end: the terminal is then given back in order.
pub(super) fn stop_on_signals(stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(stop)).context("can't watch for signals")?;
    }
    Ok(())
}

/// Draws without a terminal.
fn picture(run: Vec<Part>, args: &Picture, size: Size, settings: Settings) -> anyhow::Result<Exit> {
    // The picture is the same whoever draws it, but for a theme that was asked for.
    let theme = if args.svg { settings.theme } else { Theme::Mono };
    let settings = Settings { theme, ..settings };
    let mut app = App::new(Replay::new(run)?, &settings);
    settle(&mut app);
    if let Some(at) = args.at {
        let first = app.machine().span().0;
        app.machine().seek(first.saturating_add(at.as_nanos() as u64));
        settle(&mut app);
    }
    let mut buf = size.buffer();
    app.draw(&mut buf);
    for key in args.keys.as_deref().unwrap_or_default().split_whitespace() {
        let chord: Chord = key.parse()?;
        app.event(&Event::Key(chord.event()));
        settle(&mut app);
        buf.reset();
        app.draw(&mut buf);
    }
    settle(&mut app);
    buf.reset();
    app.draw(&mut buf);
    let drawn = if args.svg { picture::svg(&buf) } else { picture::text(&buf) };
    Sink::open(&Target::Stdout)?.write(|to| to.write_all(drawn.as_bytes()))?;
    Ok(Exit::Clean)
}

/// Lets the machine work until there is nothing to do.
fn settle(app: &mut App<Replay>) {
    loop {
        app.work(Duration::from_millis(50));
        let machine = app.machine();
        if !machine.busy() && machine.progress().is_none() && !app.awaits() {
            return;
        }
    }
}
