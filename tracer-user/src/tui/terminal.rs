//! The terminal: taken over, and given back whatever happens.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Write},
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor::Show,
        event::{
            self, DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste,
            EnableMouseCapture,
        },
        queue,
        terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
    },
    layout::{Position, Rect},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    io::Errno,
};

use super::{
    app::App,
    base64,
    config::Settings,
    machine::Machine,
    outlet::{Ink, Outlet},
};

/// How much longer than others a frame waits that only shows that the kernel went on.
const GOES_ON: f32 = 2.5;
/// How long the machine may work between two looks at the keyboard.
const BUDGET: Duration = Duration::from_millis(8);

/// How long to wait for a key while nothing is to be done.
const IDLE: Duration = Duration::from_millis(10);

/// How long the terminal may take for the last frame, and for being given back.
const PARTING: Duration = Duration::from_millis(300);

/// How much may be handed to a terminal's clipboard: more than that terminals refuse.
const CLIPBOARD: usize = 64 << 10;

/// Why there is no screen.
#[derive(Debug, thiserror::Error)]
pub enum ScreenError {
    /// Nobody could see it.
    #[error(
        "this needs a terminal on standard input and output; for text, use `unlazy check` or `unlazy \
         report`"
    )]
    NoTerminal,
    /// It was closed, or the connection to it is lost.
    #[error("the terminal is gone")]
    Gone,
    /// The terminal can't be used.
    #[error("can't use the terminal: {0}")]
    Io(#[from] io::Error),
}

/// The terminal is ours.
static TAKEN: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// Gives the terminal back, once. What can't be written to it can't be helped.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = disable_raw_mode();
        let mut words = Vec::new();
        let _ =
            queue!(words, DisableMouseCapture, DisableBracketedPaste, LeaveAlternateScreen, Show);
        let _ = Outlet::open().and_then(|mut outlet| outlet.last(&words, PARTING));
    }
}

/// Before a panic says a word, the terminal is one again.
fn hook() {
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            give_back();
            before(info);
        }));
    });
}

/// The TUI on the terminal. Dropping it gives the terminal back.
pub struct Ui<M> {
    app: App<M>,
    terminal: Terminal<CrosstermBackend<Ink>>,
    outlet: Outlet,
    every: Duration,
    drawn: Option<Instant>,
}

impl<M> Ui<M> {
    /// Gives the terminal back; nothing is drawn any more. What is behind the screen stays.
    pub fn give_back(&mut self) {
        if TAKEN.load(Ordering::SeqCst) {
            // What was copied is to arrive, where anything does.
            let _ = self.outlet.drain(PARTING);
        }
        give_back();
    }
}

impl<M> Drop for Ui<M> {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Says whether there is a terminal, before anything is done.
///
/// # Errors
/// [`ScreenError::NoTerminal`]
pub fn require() -> Result<(), ScreenError> {
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        Ok(())
    } else {
        Err(ScreenError::NoTerminal)
    }
}

impl<M: Machine> Ui<M> {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// If there is none, or it can't be used.
    pub fn open(app: App<M>, settings: &Settings) -> Result<Self, ScreenError> {
        require()?;
        hook();
        TAKEN.store(true, Ordering::SeqCst);
        let (terminal, outlet) = Self::take(settings.mouse).inspect_err(|_| give_back())?;
        let every = Duration::from_secs(1) / settings.fps.max(1);
        Ok(Self { app, terminal, outlet, every, drawn: None })
    }

    fn take(mouse: bool) -> io::Result<(Terminal<CrosstermBackend<Ink>>, Outlet)> {
        enable_raw_mode()?;
        let mut outlet = Outlet::open()?;
        let mut ink = outlet.ink();
        queue!(ink, EnterAlternateScreen, EnableBracketedPaste)?;
        if mouse {
            queue!(ink, EnableMouseCapture)?;
        }
        outlet.pump()?;
        Ok((Terminal::new(CrosstermBackend::new(ink))?, outlet))
    }

    /// The TUI behind the terminal.
    pub const fn app(&mut self) -> &mut App<M> {
        &mut self.app
    }

    /// What is behind the screen, when the terminal is given back.
    pub fn wants_to_quit(&self) -> bool {
        self.app.wants_to_quit()
    }

    /// One turn: waits so long for a key, takes what came, lets the machine work, and draws if there
    /// is anything new, it is time, and the terminal has taken what was drawn before. It never waits for
    /// the terminal.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn turn(&mut self, wait: Duration) -> Result<(), ScreenError> {
        await_key(wait, self.outlet.behind())?;
        while !self.app.wants_to_quit() && event::poll(Duration::ZERO)? {
            self.app.event(&event::read()?);
            await_key(Duration::ZERO, None)?;
        }
        self.app.work(BUDGET);
        if !self.outlet.pump()? {
            return Ok(());
        }
        if let Some(text) = self.app.take_clipboard() {
            copy(&text, &mut self.outlet.ink())?;
        }
        if self.app.take_repaint() {
            // Not `clear`, which asks the terminal where its cursor is and waits for the answer.
            let size = self.terminal.size()?;
            self.terminal.resize(Rect::from((Position::ORIGIN, size)))?;
        }
        let due = |every| self.drawn.is_none_or(|drawn| drawn.elapsed() >= every);
        if (self.app.is_dirty() && due(self.every))
            || (self.app.went_on() && due(self.every.mul_f32(GOES_ON)))
        {
            let app = &mut self.app;
            self.terminal.draw(|frame| app.draw(frame.buffer_mut()))?;
            self.drawn = Some(Instant::now());
        }
        self.outlet.pump()?;
        Ok(())
    }

    /// Takes turns until the user has had enough, or `stop` says so.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn run(&mut self, stop: &AtomicBool) -> Result<(), ScreenError> {
        while !self.app.wants_to_quit() && !stop.load(Ordering::Relaxed) {
            let wait = if self.app.machine().busy() { Duration::ZERO } else { IDLE };
            self.turn(wait)?;
        }
        Ok(())
    }
}

/// Waits so long for a key, or for room in a terminal that is behind. Whether the terminal is still there is asked here, because reading from one
/// that was closed finds neither a key nor an end.
fn await_key(wait: Duration, behind: Option<&File>) -> Result<(), ScreenError> {
    let stdin = io::stdin();
    let mut fds = vec![PollFd::new(&stdin, PollFlags::IN)];
    fds.extend(behind.map(|terminal| PollFd::new(terminal, PollFlags::OUT)));
    let limit = Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) };
    match rustix::event::poll(&mut fds, Some(&limit)) {
        Ok(_) if fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR) => {
            Err(ScreenError::Gone)
        }
        // A signal may mean that the window's size has changed.
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(ScreenError::Io(error.into())),
    }
}

/// Hands text to the terminal's clipboard (OSC 52): it works over ssh, where there is no other way.
fn copy(text: &str, to: &mut impl Write) -> io::Result<()> {
    let mut end = text.len().min(CLIPBOARD);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    write!(to, "\x1b]52;c;{}\x1b\\", base64::encode(&text.as_bytes()[..end]))
}
