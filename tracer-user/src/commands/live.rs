//! `unlazy live`: the TUI on the running kernel.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::bail;

use super::{
    looks::{self, Looks},
    replay::stop_on_signals,
    tracing::{self, Left, Next, Task, Terms, Tracing},
};
use crate::{
    child::{Start, Stdout},
    exit::Exit,
    probes::{LoadError, privileges::Privileges},
    session::Vitals,
    stream::{Facts, Sink},
    timeline,
    tui::{
        app::App,
        config::Settings,
        heap,
        terminal::{self, Ui},
        theme::Tone,
    },
};

/// Bytes of each CPU's buffer unless told otherwise. What this thread does beside emptying them, for the
/// screen, it does in pieces of some milliseconds; `check`, which must lose nothing, has more.
const BUFFER: u64 = 8 << 20;

const ABOUT: &str = "Look at the running kernel: who runs where on which mm, and what is wrong";

const LONG_ABOUT: &str = "\
Look at the running kernel on six screens: CPUs (logical against real mm), mms, Calls, Findings, IPIs \
and Health. Space stands still; the last minutes can be gone back to.

  unlazy live
  unlazy live --filter 'comm=java'
  unlazy live -- unlazy stress        with the built-in workload beside it

? is help, ] goes to the next finding, q quits.";

const AFTER_HELP: &str = "\
A command's own output is dropped: the screen is not its. When it has ended, or the time is over, \
nothing is traced any more, and what was seen stays on the screen until q. If the command still runs at \
q, it is asked to end (SIGTERM). What w is still saving at q is waited for; Ctrl-C gives it up.

Exit codes, whatever was found (use check for a verdict):
  0  the user quit, or a signal ended it
  2  wrong usage, no terminal, or the environment refused something; the reason is on stderr";

/// The options of `unlazy live`.
#[derive(Clone, Debug, clap::Args)]
#[command(about = ABOUT, long_about = LONG_ABOUT, after_long_help = AFTER_HELP)]
pub struct Args {
    #[command(flatten)]
    looks: Looks,

    #[command(flatten)]
    tracing: Tracing,
}

/// Runs the command. `start` is how the process was started: what a child inherits.
///
/// # Errors
/// If nothing can be traced, or there is no terminal; the exit code is then 2.
pub fn run(args: &Args, start: &Start) -> anyhow::Result<Exit> {
    // All that can fail is tried while there is a terminal to say so on.
    let settings = args.looks.settings()?;
    if !Privileges::current().suffice() {
        bail!(LoadError::Privileges);
    }
    terminal::require()?;
    heap::keep_small();
    let stop = Arc::new(AtomicBool::new(false));
    stop_on_signals(&stop)?;
    let terms = Terms {
        stdout: Stdout::Nowhere,
        duration: None,
        hangup: false,
        buffer: Some(BUFFER),
        quiet: true,
    };
    let make = |facts: &Facts| Watching::new(facts, &settings);
    let (watching, child) = tracing::run(&args.tracing, start, terms, make)?;
    let (mut ui, mut ran) = (watching.ui, Ok(()));
    if !ui.wants_to_quit() && !stop.load(Ordering::Relaxed) {
        // It ended by itself: what was seen can still be looked at.
        ui.app().say(Tone::Doubt, "tracing has ended, and nothing is attached any more");
        ran = ui.run(&stop);
    }
    ui.give_back();
    let parted = child.map_or(Ok(()), Left::say_goodbye);
    // Nothing is attached any more, so that this may take its time.
    looks::finish_saving(ui.app(), &stop)?;
    ran?;
    parted?;
    Ok(Exit::Clean)
}

/// A run that is watched as it goes on.
struct Watching {
    ui: Ui<timeline::Live>,
}

impl Watching {
    fn new(facts: &Facts, settings: &Settings) -> anyhow::Result<Self> {
        let app = App::new(timeline::Live::new(facts), settings);
        Ok(Self { ui: Ui::open(app, settings)? })
    }
}

impl Task for Watching {
    fn feed(&mut self, with: &mut dyn FnMut(&mut dyn Sink)) {
        with(self.ui.app().machine());
    }

    fn fares(&mut self, look: &mut dyn FnMut() -> Vitals) {
        self.ui.app().machine().fares(look());
    }

    fn tick(&mut self, _: Duration, _: Option<Duration>) -> anyhow::Result<Next> {
        self.ui.turn(Duration::ZERO)?;
        Ok(if self.ui.wants_to_quit() { Next::Enough } else { Next::Go })
    }
}
