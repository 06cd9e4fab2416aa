//! When system calls are traced.
//!
//! A program on `raw_syscalls` puts every system call of the machine on the slow path, so it is
//! attached only while a SYNC_CORE-registered mm exists, as the context switches tell. What happens
//! between a registration and the attaching is known from other events, and by less: calls are
//! counted by the work they do, and what could not be judged is inconclusive.

use crate::{source::live::Live, stream::Sink};

use super::clock::now;

/// How long after the last registered mm was seen the probes stay, in nanoseconds: programs start
/// one after the other.
const LINGER: u64 = 5_000_000_000;

/// How long, in nanoseconds, they are there for a command from its first moment, so that a program
/// that registers as it starts is judged from its first call.
const START: u64 = 1_000_000_000;

/// When system calls are traced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum When {
    /// While a SYNC_CORE-registered process exists, and in a command's first second
    #[default]
    Auto,
    /// All the time: every system call of the machine becomes slower
    Always,
}

pub(super) struct Syscalls {
    when: When,
    attached: bool,
    /// Until then they stay, whoever is registered.
    keep_until: u64,
    attached_since: u64,
    /// Time attached since the window opened, but for the current stretch.
    total: u64,
}

impl Syscalls {
    pub(super) const fn new(when: When) -> Self {
        Self { when, attached: false, keep_until: 0, attached_since: 0, total: 0 }
    }

    /// A command that may register starts at `now`.
    pub(super) fn expect_registration(&mut self, now: u64) {
        self.keep_until = self.keep_until.max(now + START);
    }

    /// Attaches or detaches, as the time calls for. `registered`: an mm that is registered for
    /// SYNC_CORE exists.
    pub(super) fn attend(&mut self, live: &mut Live, registered: bool, sink: &mut dyn Sink) {
        let before = now();
        if registered {
            self.keep_until = before + LINGER;
        }
        let wanted = self.when == When::Always || before < self.keep_until;
        if wanted == self.attached {
            return;
        }
        if wanted {
            live.probes().attach_registered();
            // Only from here on is nothing missed.
            self.attached_since = now();
            sink.syscall_probes(self.attached_since, true);
        } else {
            sink.syscall_probes(before, false);
            live.probes().detach_registered();
            self.total += before - self.attached_since.min(before);
        }
        self.attached = wanted;
    }

    /// The window opens.
    pub(super) fn restart(&mut self, now: u64) {
        self.total = 0;
        self.attached_since = self.attached_since.max(now);
    }

    /// The window closes.
    pub(super) fn close(&mut self, now: u64) {
        if self.attached {
            self.total += now.saturating_sub(self.attached_since);
            self.attached = false;
        }
    }

    /// How long they were attached while the window was open, in nanoseconds.
    pub(super) const fn attached_for(&self) -> u64 {
        self.total
    }
}
