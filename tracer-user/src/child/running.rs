//! A command at the gate, and running.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::fcntl_dupfd_cloexec,
    process::{
        Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
    },
};

use super::{
    Account, ChildError,
    sys::{self, Plan},
    word::{Step, Word},
};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It returned this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl Ended {
    /// The exit code; `None` if a signal ended it.
    pub fn code(self) -> Option<i32> {
        match self {
            Self::Code(code) => Some(code),
            Self::Signal(_) => None,
        }
    }

    /// The signal; `None` if it returned by itself.
    pub fn signal(self) -> Option<i32> {
        match self {
            Self::Code(_) => None,
            Self::Signal(signal) => Some(signal),
        }
    }
}

/// A command at the gate: forked, found, not yet executed. Dropping it ends it.
#[derive(Debug)]
pub struct Prepared {
    program: OsString,
    account: Option<Account>,
    gate: File,
    status: File,
    // The last field: its process ends after the gate is closed.
    running: Running,
}

impl Prepared {
    pub(super) fn fork(
        program: &OsStr,
        plan: Plan,
        account: Option<Account>,
    ) -> Result<Self, ChildError> {
        let failed = |source: io::Error| ChildError::Step { step: Step::Fork, source };
        let (gate_end, gate) = pipe().map_err(failed)?;
        let (status, status_end) = pipe().map_err(failed)?;
        let pid = sys::fork(plan, &gate_end, &status_end).map_err(failed)?;
        drop((gate_end, status_end));
        let running = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => Running { pid, pidfd, ended: None, wanted: false },
            Err(errno) => {
                // It sees the gate close and ends by itself; this collects it.
                drop(gate);
                let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
                return Err(failed(errno.into()));
            }
        };
        let (gate, status) = (File::from(gate), File::from(status));
        let mut prepared = Self { program: program.to_owned(), account, gate, status, running };
        match prepared.hear().map_err(failed)? {
            Some(Word::Ready) => Ok(prepared),
            Some(Word::Failed(step, errno)) => Err(prepared.error(step, errno)),
            None => Err(failed(io::Error::other("it ended before it was ready"))),
        }
    }

    /// Its pid, in our pid namespace.
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// As whom it runs; `None` if as we are.
    pub fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// Opens the gate, and returns once the program has replaced us in the child.
    ///
    /// # Errors
    /// [`ChildError::Exec`] if the kernel refused the program after all.
    pub fn release(mut self) -> Result<Running, ChildError> {
        let failed = |source: io::Error| ChildError::Step { step: Step::Exec, source };
        match self.gate.write_all(&[1]) {
            Ok(()) => {}
            // A signal ended it at the gate: waiting will tell.
            Err(err) if err.kind() == io::ErrorKind::BrokenPipe => {}
            Err(err) => return Err(failed(err)),
        }
        match self.hear().map_err(failed)? {
            // The pipe closed with the old image.
            None => {
                self.running.wanted = true;
                Ok(self.running)
            }
            Some(Word::Failed(step, errno)) => Err(self.error(step, errno)),
            Some(Word::Ready) => Err(failed(io::Error::other("it spoke twice"))),
        }
    }

    /// The child's next word; `None` if the pipe closed.
    fn hear(&mut self) -> io::Result<Option<Word>> {
        let mut bytes = [0; Word::LEN];
        match self.status.read_exact(&mut bytes) {
            Ok(()) => Word::decode(bytes)
                .map(Some)
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not understood")),
            Err(err) if err.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(err) => Err(err),
        }
    }

    fn error(&self, step: Step, errno: i32) -> ChildError {
        let source = io::Error::from_raw_os_error(errno);
        let program = self.program.clone();
        match (step, errno) {
            (Step::Find, libc::ENOENT) => ChildError::NotFound { program },
            (Step::Find, _) => ChildError::NotExecutable { program, who: self.who() },
            (Step::Exec, _) => ChildError::Exec { program, source },
            _ => ChildError::Step { step, source },
        }
    }

    fn who(&self) -> String {
        match &self.account {
            Some(Account { name: Some(name), .. }) => name.clone(),
            Some(account) => format!("uid {}", account.uid),
            None => format!("uid {}", rustix::process::geteuid().as_raw()),
        }
    }
}

/// A pipe whose ends are above 2, so that they can't be taken for standard streams.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    Ok((fcntl_dupfd_cloexec(reader, 3)?, fcntl_dupfd_cloexec(writer, 3)?))
}

/// A command that runs. Dropping it lets it run on.
#[derive(Debug)]
pub struct Running {
    pid: Pid,
    pidfd: OwnedFd,
    ended: Option<Ended>,
    /// The program runs; before that, the process is ours to end.
    wanted: bool,
}

impl Running {
    /// Its pid, in our pid namespace.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    /// Readable once the command has ended: for event loops. Then call [`Running::try_wait`].
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// If the system refuses the question (`ECHILD`: SIGCHLD is ignored in this process, or
    /// somebody else collected it).
    pub fn try_wait(&mut self) -> io::Result<Option<Ended>> {
        self.collect(WaitIdOptions::NOHANG)
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// As [`Running::try_wait`].
    pub fn wait(&mut self) -> io::Result<Ended> {
        loop {
            if let Some(ended) = self.collect(WaitIdOptions::empty())? {
                return Ok(ended);
            }
        }
    }

    /// Waits until it has ended, but not longer than `limit`; `None` if it still runs then.
    ///
    /// # Errors
    /// As [`Running::try_wait`].
    pub fn wait_timeout(&mut self, limit: Duration) -> io::Result<Option<Ended>> {
        let deadline = Instant::now().checked_add(limit);
        loop {
            if let Some(ended) = self.try_wait()? {
                return Ok(Some(ended));
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(None);
            }
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            match poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], left.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Sends it a signal. One that has ended already gets none, which is no error.
    ///
    /// # Errors
    /// If there is no such signal, or the system refuses.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        let wrong = || io::Error::new(io::ErrorKind::InvalidInput, format!("no signal {signal}"));
        let signal = Signal::from_named_raw(signal).ok_or_else(wrong)?;
        match pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Ends it with SIGKILL.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn kill(&self) -> io::Result<()> {
        self.signal(libc::SIGKILL)
    }

    fn collect(&mut self, how: WaitIdOptions) -> io::Result<Option<Ended>> {
        if self.ended.is_some() {
            return Ok(self.ended);
        }
        let status = match waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED | how) {
            Ok(status) => status,
            Err(rustix::io::Errno::INTR) => None,
            Err(errno) => return Err(errno.into()),
        };
        if let Some(status) = status {
            self.ended = match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => Some(Ended::Code(code)),
                (None, Some(signal)) => Some(Ended::Signal(signal)),
                (None, None) => None,
            };
        }
        Ok(self.ended)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.wanted && self.ended.is_none() && self.kill().is_ok() {
            let _ = self.wait();
        }
    }
}
