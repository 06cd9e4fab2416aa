//! The page of counters that the parent and every process of the workload share.
//!
//! A memfd of plain 64-bit atomics: what a process counted stays counted when it crashes, a forked
//! child goes on counting into it, and an exec'ed one finds it again on its standard input.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::MemfdFlags;
use rustix::io;

use super::Scenario;
use super::counts::{Call, Count};
use super::sys::memory::map_shared;

/// One more than the largest errno of x86-64 Linux.
const ERRNOS: usize = 134;
/// The calls of one kind of process: its pid, calls by command, failures by errno.
const ROW: usize = 1 + Call::NUMBER + ERRNOS;
/// A scenario: its budget, its counts, and a row for each role.
const SCENARIO: usize = 1 + Count::ALL.len() + 2 * ROW;
/// The stop word, then the scenarios.
const WORDS: usize = 1 + Scenario::ALL.len() * SCENARIO;

/// A budget that never runs out.
const UNLIMITED: u64 = u64::MAX;

/// Which row a process counts its calls in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The scenario's own process.
    Main = 0,
    /// Any of its short-lived children, all together.
    Children = 1,
}

/// The mapped page.
#[derive(Clone, Copy)]
pub(super) struct Shared {
    words: &'static [AtomicU64],
}

impl Shared {
    /// Makes an empty page; the file is what children map.
    pub(super) fn create() -> io::Result<(Self, OwnedFd)> {
        let file = rustix::fs::memfd_create(c"unlazy-stress-counts", MemfdFlags::CLOEXEC)?;
        rustix::fs::ftruncate(&file, (WORDS * size_of::<u64>()) as u64)?;
        let words = map_shared(std::os::fd::AsFd::as_fd(&file), WORDS)?;
        Ok((Self { words }, file))
    }

    /// Maps the page that another process made.
    pub(super) fn open(file: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self { words: map_shared(file, WORDS)? })
    }

    /// Tells every scenario to end.
    pub(super) fn stop(self) {
        self.words[0].store(1, Ordering::Relaxed);
    }

    /// The part of one scenario.
    pub(super) fn scenario(self, scenario: Scenario) -> ScenarioPage {
        let at = 1 + scenario as usize * SCENARIO;
        ScenarioPage { stop: &self.words[0], words: &self.words[at..at + SCENARIO] }
    }
}

/// The counters of one scenario.
#[derive(Clone, Copy)]
pub(super) struct ScenarioPage {
    stop: &'static AtomicU64,
    words: &'static [AtomicU64],
}

impl ScenarioPage {
    fn budget(self) -> &'static AtomicU64 {
        &self.words[0]
    }

    fn count(self, count: Count) -> &'static AtomicU64 {
        &self.words[1 + count as usize]
    }

    fn row(self, role: Role) -> &'static [AtomicU64] {
        let at = 1 + Count::ALL.len() + role as usize * ROW;
        &self.words[at..at + ROW]
    }

    /// Whether the scenario should go on: nobody said stop, and SYNC_CORE calls are left to make.
    pub(super) fn running(self) -> bool {
        self.stop.load(Ordering::Relaxed) == 0 && self.budget().load(Ordering::Relaxed) > 0
    }

    /// Allows `calls` SYNC_CORE calls in all, or any number.
    pub(super) fn set_budget(self, calls: Option<u64>) {
        self.budget().store(calls.unwrap_or(UNLIMITED), Ordering::Relaxed);
    }

    /// Takes the right to one SYNC_CORE call; false when none is left.
    pub(super) fn take_ticket(self) -> bool {
        self.budget()
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| match left {
                0 => None,
                UNLIMITED => Some(UNLIMITED),
                left => Some(left - 1),
            })
            .is_ok()
    }

    /// Gives back a right that led to no successful call.
    pub(super) fn return_ticket(self) {
        // The closure always has an answer.
        let _ = self.budget().fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            Some(if left == UNLIMITED { UNLIMITED } else { left + 1 })
        });
    }

    /// Adds to a count.
    pub(super) fn add(self, count: Count, n: u64) {
        self.count(count).fetch_add(n, Ordering::Relaxed);
    }

    /// Reads a count.
    pub(super) fn get(self, count: Count) -> u64 {
        self.count(count).load(Ordering::Relaxed)
    }

    /// Stores the pid of the scenario's process.
    pub(super) fn set_pid(self, pid: u32) {
        self.row(Role::Main)[0].store(u64::from(pid), Ordering::Relaxed);
    }

    /// The pid of the scenario's process, if it came so far as to say.
    pub(super) fn pid(self) -> Option<u32> {
        let pid = self.row(Role::Main)[0].load(Ordering::Relaxed);
        (pid != 0).then_some(pid as u32)
    }

    /// Counts a membarrier call that returned 0.
    pub(super) fn called(self, role: Role, call: Call) {
        self.row(role)[1 + call as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a membarrier call that failed.
    pub(super) fn failed(self, role: Role, errno: io::Errno) {
        let errno = (errno.raw_os_error().max(0) as usize).min(ERRNOS - 1);
        self.row(role)[1 + Call::NUMBER + errno].fetch_add(1, Ordering::Relaxed);
    }

    /// How many calls of this kind returned 0.
    pub(super) fn calls(self, role: Role, call: Call) -> u64 {
        self.row(role)[1 + call as usize].load(Ordering::Relaxed)
    }

    /// How many calls failed, by errno; only the errnos that occurred.
    pub(super) fn failures(self, role: Role) -> impl Iterator<Item = (i32, u64)> {
        self.row(role)[1 + Call::NUMBER..]
            .iter()
            .enumerate()
            .map(|(errno, n)| (errno as i32, n.load(Ordering::Relaxed)))
            .filter(|&(_, n)| n > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_second_mapping_sees_the_same_counts() {
        let (ours, file) = Shared::create().expect("a page");
        let theirs = Shared::open(file.as_fd()).expect("a second mapping");
        let page = ours.scenario(Scenario::Jit);
        page.add(Count::Patches, 3);
        page.called(Role::Children, Call::SyncCore);
        page.failed(Role::Main, io::Errno::PERM);
        let seen = theirs.scenario(Scenario::Jit);
        assert_eq!(seen.get(Count::Patches), 3);
        assert_eq!(seen.calls(Role::Children, Call::SyncCore), 1);
        assert_eq!(seen.calls(Role::Main, Call::SyncCore), 0);
        assert_eq!(seen.failures(Role::Main).collect::<Vec<_>>(), [(1, 1)]);
        assert_eq!(theirs.scenario(Scenario::Lazy).get(Count::Patches), 0);
    }

    #[test]
    fn the_last_word_of_the_last_scenario_is_inside() {
        let (shared, _file) = Shared::create().expect("a page");
        let [.., last] = Scenario::ALL;
        let page = shared.scenario(last);
        page.failed(Role::Children, io::Errno::from_raw_os_error(4095));
        assert_eq!(page.failures(Role::Children).map(|(_, n)| n).sum::<u64>(), 1);
    }

    #[test]
    fn a_short_file_is_refused() {
        let file = rustix::fs::memfd_create(c"short", MemfdFlags::CLOEXEC).expect("a memfd");
        assert!(Shared::open(file.as_fd()).is_err());
    }

    #[test]
    fn tickets_are_exact_across_threads() {
        let (shared, _file) = Shared::create().expect("a page");
        let page = shared.scenario(Scenario::SyncCore);
        page.set_budget(Some(10_000));
        let taken: usize = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(move || {
                        std::iter::repeat_with(|| page.take_ticket())
                            .take_while(|&taken| taken)
                            .count()
                    })
                })
                .collect();
            takers.into_iter().map(|t| t.join().expect("a taker")).sum()
        });
        assert_eq!(taken, 10_000);
        assert!(!page.running());
        page.return_ticket();
        assert!(page.running() && page.take_ticket() && !page.take_ticket());
    }

    #[test]
    fn no_budget_is_no_limit_but_stop_is() {
        let (shared, _file) = Shared::create().expect("a page");
        let page = shared.scenario(Scenario::Lazy);
        page.set_budget(None);
        assert!((0..100_000).all(|_| page.take_ticket()));
        assert!(page.running());
        shared.stop();
        assert!(!page.running());
    }
}
