//! Two threads that wake each other in turn through a pipe, a pair of futexes, or eventfds.
//!
//! The leader drives: it sends a word and waits for its echo. The follower only echoes, until it
//! gets the word that ends it, so neither can be left asleep.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io;
use rustix::pipe::pipe;
use rustix::thread::futex;

use crate::stress::counts::Count;

/// The word that ends the follower.
const QUIT: u64 = u64::MAX - 1;

/// What the two threads wake each other by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Medium {
    Pipe,
    Futex,
    Eventfd,
}

impl Medium {
    /// Every medium, in the order that pairs take them.
    pub(super) const ALL: [Self; 3] = [Self::Pipe, Self::Futex, Self::Eventfd];

    /// What counts its rounds.
    pub(super) const fn count(self) -> Count {
        match self {
            Self::Pipe => Count::PipeRounds,
            Self::Futex => Count::FutexRounds,
            Self::Eventfd => Count::EventfdRounds,
        }
    }
}

/// A one-way channel for a word.
enum Line {
    /// A pipe or an eventfd: where to read, and where to write if that is another descriptor.
    Fd(OwnedFd, Option<OwnedFd>),
    /// 0 is empty; the words sent are never 0.
    Futex(AtomicU32),
}

impl Line {
    fn new(medium: Medium) -> io::Result<Self> {
        Ok(match medium {
            Medium::Pipe => {
                let (read, write) = pipe()?;
                Self::Fd(read, Some(write))
            }
            Medium::Eventfd => Self::Fd(eventfd(0, EventfdFlags::empty())?, None),
            Medium::Futex => Self::Futex(AtomicU32::new(0)),
        })
    }

    fn send(&self, word: u64) -> io::Result<()> {
        match self {
            Self::Fd(read, write) => {
                io::retry_on_intr(|| {
                    io::write(write.as_ref().unwrap_or(read), &word.to_ne_bytes())
                })?;
            }
            Self::Futex(slot) => {
                slot.store(word as u32, Ordering::Release);
                futex::wake(slot, futex::Flags::PRIVATE, 1)?;
            }
        }
        Ok(())
    }

    fn receive(&self) -> io::Result<u64> {
        match self {
            Self::Fd(read, _) => {
                let mut bytes = [0; 8];
                io::retry_on_intr(|| io::read(read, &mut bytes))?;
                Ok(u64::from_ne_bytes(bytes))
            }
            Self::Futex(slot) => loop {
                match slot.swap(0, Ordering::Acquire) {
                    0 => match futex::wait(slot, futex::Flags::PRIVATE, 0, None) {
                        Ok(()) | Err(io::Errno::AGAIN | io::Errno::INTR) => {}
                        Err(errno) => return Err(errno),
                    },
                    word => return Ok(u64::from(word)),
                }
            },
        }
    }
}

/// A line there and a line back.
pub(super) struct Pair {
    there: Line,
    back: Line,
}

impl Pair {
    /// Sets up the lines.
    pub(super) fn new(medium: Medium) -> io::Result<Self> {
        Ok(Self { there: Line::new(medium)?, back: Line::new(medium)? })
    }

    /// The leader: one round trip.
    pub(super) fn round(&self) -> io::Result<()> {
        self.there.send(1)?;
        self.back.receive().map(drop)
    }

    /// The leader: ends the follower.
    pub(super) fn quit(&self) -> io::Result<()> {
        self.there.send(QUIT)
    }

    /// The follower: echoes until told to end.
    pub(super) fn follow(&self) -> io::Result<()> {
        loop {
            // A futex holds the lower half of the word.
            let word = self.there.receive()?;
            if word as u32 == QUIT as u32 {
                return Ok(());
            }
            self.back.send(word)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_medium_goes_round_and_ends() {
        for medium in Medium::ALL {
            let pair = Pair::new(medium).expect("a pair");
            std::thread::scope(|scope| {
                let follower = scope.spawn(|| pair.follow());
                for _ in 0..100 {
                    pair.round().expect("a round trip");
                }
                pair.quit().expect("an end");
                follower.join().expect("no panic").expect("a clean end");
            });
        }
    }
}
