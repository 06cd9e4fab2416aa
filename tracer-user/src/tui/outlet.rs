//! The way out to the terminal, which never waits for it.
//!
//! ```text
//! frame -> Ink -> what waits here -> the terminal, as fast as it takes it
//! ```
//!
//! A terminal may take nothing for minutes: an ssh that is stalled, a multiplexer that was stopped. Who
//! writes to it then sleeps, and what the same thread should have read meanwhile is lost. So it is opened
//! a second time, not to wait; and the next frame is made once all of the last one is out, of what is the
//! newest then. So no more than one frame ever waits.

use std::{
    cell::RefCell,
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::{fd::AsFd, unix::fs::OpenOptionsExt as _},
    rc::Rc,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    fs::OFlags,
    termios::{QueueSelector, tcflush, tcgetsid},
};

/// What the drawing is written to: it always has room.
#[derive(Clone, Default)]
pub(super) struct Ink(Rc<RefCell<Vec<u8>>>);

impl Write for Ink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The terminal, and what waits for it.
pub(super) struct Outlet {
    terminal: File,
    waiting: Ink,
    /// How much of it is out.
    sent: usize,
}

impl Outlet {
    /// The terminal on standard output.
    ///
    /// # Errors
    /// If it can't be used.
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self { terminal: terminal()?, waiting: Ink::default(), sent: 0 })
    }

    /// Where to write what is to go there.
    pub(super) fn ink(&self) -> Ink {
        self.waiting.clone()
    }

    /// The terminal, if something waits for it.
    pub(super) fn behind(&self) -> Option<&File> {
        (!self.waiting.0.borrow().is_empty()).then_some(&self.terminal)
    }

    /// Writes as much as the terminal takes now; whether all is out.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub(super) fn pump(&mut self) -> io::Result<bool> {
        let mut waiting = self.waiting.0.borrow_mut();
        while let Some(rest) = waiting.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match self.terminal.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        waiting.clear();
        self.sent = 0;
        Ok(true)
    }

    /// The same, and waits for so long at most that the terminal takes the rest.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub(super) fn drain(&mut self, within: Duration) -> io::Result<bool> {
        let begun = Instant::now();
        while !self.pump()? {
            let left = within.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Ok(false);
            }
            let limit = Timespec::try_from(left).map_err(io::Error::other)?;
            let mut fds = [PollFd::new(&self.terminal, PollFlags::OUT)];
            match rustix::event::poll(&mut fds, Some(&limit)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// Writes the last words. If the terminal does not take them within that time, what it has not
    /// taken of what came before is thrown away to make room: it will find these when it goes on.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub(super) fn last(&mut self, words: &[u8], within: Duration) -> io::Result<()> {
        let in_time = self.drain(within)?;
        if !in_time {
            self.waiting.0.borrow_mut().clear();
            self.sent = 0;
        }
        self.waiting.write_all(words)?;
        if !in_time || !self.drain(within)? {
            tcflush(&self.terminal, QueueSelector::OFlush)?;
            self.sent = 0;
            self.pump()?;
        }
        Ok(())
    }
}

/// The terminal on standard output, opened a second time: that it does not wait is a property of the
/// open file, and standard output's is shared with the shell and everybody else there.
fn terminal() -> io::Result<File> {
    let open = |path: &str| {
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
        OpenOptions::new().write(true).custom_flags(flags.cast_signed()).open(path)
    };
    let stdout = io::stdout();
    // It may be another user's terminal (su). Through its other name it may be opened all the same, if
    // it is the one that we were started from.
    let again = open("/proc/self/fd/1").or_else(|error| match tcgetsid(&stdout) {
        Ok(_) => open("/dev/tty"),
        Err(_) => Err(error),
    });
    // As a last resort, a terminal that may have to be waited for.
    again.or_else(|_| Ok(File::from(stdout.as_fd().try_clone_to_owned()?)))
}
