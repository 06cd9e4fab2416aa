//! The device of the kernel module `unlazy_hole`: a kernel thread that runs on the process's mm, one
//! step at a time. What each step does is told in the module's source, `unlazy_hole.c`.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::{self, Errno};

use crate::stress::StressError;

/// Where the module is reached.
const DEVICE: &str = "/dev/unlazy_hole";

/// What the kernel thread does before it wakes the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::stress) enum Step {
    /// `kthread_use_mm()`.
    Use,
    /// Nothing: it was lazily on the mm, like any kernel thread.
    Yield,
}

/// One kernel thread, bound to one CPU.
pub(in crate::stress) struct Hole {
    device: OwnedFd,
}

impl Hole {
    /// Opens the device, and makes a kernel thread on `cpu`.
    pub(in crate::stress) fn new(cpu: usize) -> Result<Self, StressError> {
        let device = rustix::fs::open(DEVICE, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| StressError::NoModule {
                device: DEVICE,
                source: errno.into(),
                remedy: match errno {
                    Errno::ACCESS | Errno::PERM => "it is for root only",
                    _ => {
                        "it needs the kernel module unlazy_hole; `cargo xtask hole` builds it and \
                          loads it into a virtual machine"
                    }
                },
            })?;
        let hole = Self { device };
        hole.command(&format!("cpu {cpu}"))
            .map_err(StressError::system("make a kernel thread on that CPU"))?;
        Ok(hole)
    }

    fn command(&self, command: &str) -> io::Result<()> {
        io::write(&self.device, command.as_bytes()).map(drop)
    }

    /// Once a thread sleeps in [`sleep`](Self::sleep): the kernel thread runs, and keeps running,
    /// lazily on this process's mm. False if its CPU was on another mm, so that it sleeps again.
    pub(in crate::stress) fn lazy(&self) -> io::Result<bool> {
        Self::unless(Errno::AGAIN, self.command("lazy"))
    }

    /// The running kernel thread does `step`, wakes the sleeper, and sleeps. False if it had given
    /// up waiting for this: it did nothing, and the sleeper sleeps.
    pub(in crate::stress) fn step(&self, step: Step) -> io::Result<bool> {
        Self::unless(
            Errno::TIMEDOUT,
            self.command(match step {
                Step::Use => "use",
                Step::Yield => "yield",
            }),
        )
    }

    /// `kthread_unuse_mm()`, after [`Step::Use`].
    pub(in crate::stress) fn leave(&self) -> io::Result<()> {
        self.command("leave")
    }

    /// Wakes the sleeper from here, by no kernel thread.
    pub(in crate::stress) fn wake(&self) -> io::Result<()> {
        self.command("wake")
    }

    /// Sleeps until woken by one of these.
    pub(in crate::stress) fn sleep(&self) -> io::Result<()> {
        io::retry_on_intr(|| io::read(&self.device, &mut [0_u8; 1])).map(drop)
    }

    fn unless(errno: Errno, result: io::Result<()>) -> io::Result<bool> {
        match result {
            Ok(()) => Ok(true),
            Err(error) if error == errno => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_module_the_error_says_what_to_do() {
        let Err(error) = Hole::new(0) else { return };
        let text = error.to_string();
        assert!(text.contains(DEVICE) && text.contains("cargo xtask hole"), "{text}");
    }
}
