//! What a run is made of, whoever hands it over: the running kernel, a recording, an import.
//!
//! ```text
//! Facts                          what holds throughout: kernel, probes, names
//! record, syscall_probes, ...    what happened, in the order in which it was read
//! advance                        everything older than this has been handed over
//! opened, closed                 the window that is judged
//! ```
//!
//! A [`Sink`] gets all of it in this order, and nothing else: a [`Judge`](crate::judge::Judge), a
//! recorder, or [both](Both). So what was recorded is judged just as it was on the live machine.

mod facts;
mod window;

pub use facts::{Facts, Judging, Loss, Origin, TaskName};
pub use window::{Closing, MissedRuns, Opening};

/// Takes a run.
pub trait Sink {
    /// A record of one CPU, as its bytes ([`tracer_common::wire`]). Records of a CPU come in the
    /// order of its buffer; see [`Source::poll`](crate::source::Source::poll).
    fn record(&mut self, cpu: u32, record: &[u8]);

    /// From `ts` on system calls of registered processes are traced, or no longer.
    fn syscall_probes(&mut self, ts: u64, on: bool);

    /// All records written before `until` were handed over.
    fn advance(&mut self, until: u64);

    /// The window opens: from here on everything counts.
    fn opened(&mut self, opening: &Opening);

    /// The window closes; nothing follows.
    fn closed(&mut self, closing: &Closing);
}

/// Two sinks that both take all of it, one after the other.
#[derive(Debug)]
pub struct Both<'a, A: ?Sized, B: ?Sized>(pub &'a mut A, pub &'a mut B);

impl<A: Sink + ?Sized, B: Sink + ?Sized> Sink for Both<'_, A, B> {
    fn record(&mut self, cpu: u32, record: &[u8]) {
        self.0.record(cpu, record);
        self.1.record(cpu, record);
    }

    fn syscall_probes(&mut self, ts: u64, on: bool) {
        self.0.syscall_probes(ts, on);
        self.1.syscall_probes(ts, on);
    }

    fn advance(&mut self, until: u64) {
        self.0.advance(until);
        self.1.advance(until);
    }

    fn opened(&mut self, opening: &Opening) {
        self.0.opened(opening);
        self.1.opened(opening);
    }

    fn closed(&mut self, closing: &Closing) {
        self.0.closed(closing);
        self.1.closed(closing);
    }
}
