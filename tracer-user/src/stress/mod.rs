//! The built-in workload: threads that make the interesting things happen.
//!
//! `unlazy stress` exists so that a tracer (ours or another) has something to see, and so that what
//! it saw can be held against exact counts. It needs no rights beyond an ordinary user's.
//!
//! # Processes
//! Membarrier registration belongs to the mm, so each [`Scenario`] runs in a process of its own:
//! the parent ([`run`]) starts `/proc/self/exe` once per scenario with a hidden first argument
//! ([`CHILD_ARG`]), which the program's `main` hands to [`child_entry`] before anything else. That
//! gives each scenario a fresh, unregistered mm and one thread, whatever the parent's state. The
//! children ignore SIGINT, SIGTERM and SIGHUP (the parent takes those and ends the run in order)
//! and are killed by the kernel when the parent dies.
//!
//! # Counts
//! All processes count into one shared page of atomics. A membarrier call is counted when, and only
//! when, it has returned 0; a failed one is counted by its errno. No thread is ever killed between
//! a call and its count (unless [`Plan::kill_inside`] asks for it, and then the number of calls
//! that are uncertain for this reason is reported), so at the end of an undisturbed run the numbers
//! are exact.
//!
//! # Fairness
//! Bursts of user code are limited to 40 % of the machine over all scenarios, storms sleep now and
//! then, and the children run at nice 5: a tracer on the same CPUs gets its turn.

mod calls;
mod child;
mod counts;
mod pace;
mod parent;
mod report;
mod scenario;
mod scenarios;
mod shared;
mod sys;
mod text;

use std::time::Duration;

pub use child::{CHILD_ARG, child_entry};
pub use parent::run;
pub use report::{
    CallCounts, JitCounts, ProcessCalls, ProcessCounts, RegisterCounts, Report, SCHEMA,
    ScenarioReport,
};
pub use scenario::Scenario;
pub use text::text;

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How long, at most.
    pub duration: Duration,
    /// Which scenarios; each at most once, at least one.
    pub scenarios: Vec<Scenario>,
    /// If set, each scenario ends after exactly this many successful SYNC_CORE calls.
    pub calls: Option<u64>,
    /// Threads (or processes) that each scenario uses, about; `None` means by the number of CPUs.
    pub threads: Option<usize>,
    /// SYNC_CORE calls a second that each scenario aims at; `None` means its own default.
    pub rate: Option<u64>,
    /// Kill some processes of `procs` while a thread of theirs is inside membarrier. What such a
    /// thread's last call came to can't be known from user space.
    pub kill_inside: bool,
}

/// Why the workload could not run.
#[derive(Debug, thiserror::Error)]
pub enum StressError {
    /// The kernel lacks what everything here is about.
    #[error(
        "this kernel's membarrier does not support PRIVATE_EXPEDITED_SYNC_CORE (query says {query:#x}); \
         it needs CONFIG_MEMBARRIER and Linux 4.16 or later, and no seccomp filter that refuses it"
    )]
    NoSyncCore {
        /// The commands it supports, by `MEMBARRIER_CMD_QUERY`.
        query: u32,
    },
    /// A system call failed that should not have.
    #[error("cannot {what}{}", remedy(.source))]
    System {
        /// What was being done.
        what: &'static str,
        /// The kernel's reason.
        source: std::io::Error,
    },
    /// A scenario needs more CPUs than it may use.
    #[error(
        "needs two CPUs, and may use {cpus}: widen the CPU affinity, or name another --scenario"
    )]
    TooFewCpus {
        /// How many it may use.
        cpus: usize,
    },
    /// The module that drives a kernel thread is not there, or not for us.
    #[error("cannot open {device}: {source} ({remedy})")]
    NoModule {
        /// Its device.
        device: &'static str,
        /// The kernel's reason.
        source: std::io::Error,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A scenario's short-lived processes ended in a way they should not have.
    #[error("{failures} short-lived processes failed; the first one ended with {first}")]
    Children {
        /// How many.
        failures: u64,
        /// The first one's end.
        first: String,
    },
}

impl StressError {
    /// Wraps an error with what was being done; for `map_err`.
    fn system<E: Into<std::io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::System { what, source: source.into() }
    }
}

/// What to do about an error of the kernel's, where something can be done.
fn remedy(error: &std::io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE) => {
            " (take fewer --threads or name a --scenario, or raise the limits that `ulimit -a` shows)"
        }
        Some(libc::EPERM | libc::EACCES) => {
            " (a security policy of this system forbids it; name the other scenarios by --scenario)"
        }
        _ => "",
    }
}
