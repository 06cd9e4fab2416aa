//! What we were started with, to be handed on to the command as it was.

use std::{fs, io};

use rustix::{
    process::{Resource, Rlimit, getrlimit},
    thread::{CpuSet, sched_getaffinity},
};

use super::sys::{self, Restore, SchedAttr};

/// The limits that a tracer may change for itself, with the numbers `setrlimit` takes.
const LIMITS: [(Resource, libc::__rlimit_resource_t); 16] = [
    (Resource::Cpu, libc::RLIMIT_CPU),
    (Resource::Fsize, libc::RLIMIT_FSIZE),
    (Resource::Data, libc::RLIMIT_DATA),
    (Resource::Stack, libc::RLIMIT_STACK),
    (Resource::Core, libc::RLIMIT_CORE),
    (Resource::Rss, libc::RLIMIT_RSS),
    (Resource::Nproc, libc::RLIMIT_NPROC),
    (Resource::Nofile, libc::RLIMIT_NOFILE),
    (Resource::Memlock, libc::RLIMIT_MEMLOCK),
    (Resource::As, libc::RLIMIT_AS),
    (Resource::Locks, libc::RLIMIT_LOCKS),
    (Resource::Sigpending, libc::RLIMIT_SIGPENDING),
    (Resource::Msgqueue, libc::RLIMIT_MSGQUEUE),
    (Resource::Nice, libc::RLIMIT_NICE),
    (Resource::Rtprio, libc::RLIMIT_RTPRIO),
    (Resource::Rttime, libc::RLIMIT_RTTIME),
];

/// The state of the process before it changed anything about itself. Capture it first thing in
/// `main`, on the main thread.
#[derive(Debug, Clone)]
pub struct Start {
    limits: [Rlimit; LIMITS.len()],
    sched: Option<SchedAttr>,
    affinity: Option<CpuSet>,
    oom_score_adj: Option<i32>,
    signals: Signals,
}

/// Signal sets as bits: signal *n* is bit *n* - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Signals {
    blocked: u64,
    ignored: u64,
}

impl Start {
    /// Reads the state. What cannot be read is later left alone.
    pub fn capture() -> Self {
        Self {
            limits: LIMITS.map(|(resource, _)| getrlimit(resource)),
            sched: sys::sched_attr().ok(),
            affinity: sched_getaffinity(None).ok(),
            oom_score_adj: oom_score_adj().ok(),
            signals: fs::read_to_string("/proc/thread-self/status")
                .map(|text| Signals::parse(&text))
                .unwrap_or_default(),
        }
    }

    /// What the calling thread would hand on differently by now.
    pub(super) fn differences(&self) -> Restore {
        let now = Self::capture();
        let changed = |a: Option<_>, b: Option<_>| a.filter(|_| a != b);
        Restore {
            limits: LIMITS
                .iter()
                .zip(self.limits.iter().zip(&now.limits))
                .filter(|(_, (then, now))| then != now)
                .map(|(&(_, number), (then, _))| (number, then.current, then.maximum))
                .collect(),
            sched: changed(self.sched, now.sched),
            affinity: self.affinity.filter(|_| self.affinity != now.affinity),
            oom_score_adj: self
                .oom_score_adj
                .filter(|_| self.oom_score_adj != now.oom_score_adj)
                .map(|value| value.to_string()),
        }
    }

    /// Signals that whoever started us wanted ignored. SIGPIPE is not among them: Rust's runtime
    /// ignores it before `main`, whatever it was before.
    pub(super) fn ignored(&self) -> u64 {
        self.signals.ignored & !(1 << (libc::SIGPIPE - 1))
    }

    /// Whether whoever started us wanted this signal ignored, as nohup does.
    pub fn ignores(&self, signal: i32) -> bool {
        (1..=64).contains(&signal) && self.signals.ignored >> (signal - 1) & 1 == 1
    }

    /// Signals that were blocked.
    pub(super) fn blocked(&self) -> u64 {
        self.signals.blocked
    }
}

fn oom_score_adj() -> io::Result<i32> {
    let text = fs::read_to_string("/proc/self/oom_score_adj")?;
    text.trim().parse().map_err(io::Error::other)
}

impl Signals {
    fn parse(status: &str) -> Self {
        let set = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0)
        };
        Self { blocked: set("SigBlk:"), ignored: set("SigIgn:") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signal_sets_from_the_status_file() {
        let text =
            "SigPnd:\t0000000000000000\nSigBlk:\t0000000000000002\nSigIgn:\t0000000000001001\n";
        assert_eq!(Signals::parse(text), Signals { blocked: 2, ignored: 0x1001 });
        assert_eq!(Signals::parse("SigIgn: nonsense"), Signals::default());
    }

    #[test]
    fn the_runtimes_own_sigpipe_is_not_handed_on() {
        let mut start = Start::capture();
        start.signals.ignored = 0x1001;
        assert_eq!(start.ignored(), 1, "SIGHUP stays, SIGPIPE goes");
        assert!(start.ignores(libc::SIGHUP) && !start.ignores(libc::SIGINT));
        assert!(!start.ignores(0) && !start.ignores(65));
    }

    #[test]
    fn nothing_changed_nothing_to_restore() {
        // On a thread of its own: other tests change their threads.
        let restore = std::thread::spawn(|| Start::capture().differences()).join().expect("fine");
        assert!(restore.sched.is_none() && restore.affinity.is_none());
    }
}
