//! How fast and how greedily threads work: heavy, but leaving room for a tracer on the same CPUs.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rustix::thread::{ClockId, Timespec, clock_nanosleep_relative};

/// The longest sleep between two looks at whether to go on.
const LONGEST_NAP: Duration = Duration::from_millis(20);
/// Being ahead by less than this is not worth a sleep; it sets the size of bursts.
const SLACK: Duration = Duration::from_micros(500);
/// What is lost by more than this is not caught up with.
const FORGIVE: Duration = Duration::from_millis(50);
/// One long burst of user code without a break.
const BURST: Duration = Duration::from_micros(400);

/// Sleeps by `clock_nanosleep`, once: a signal ends it early. Touches no thread-local state.
pub(super) fn nap(time: Duration) {
    let request =
        Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) };
    let _ = clock_nanosleep_relative(ClockId::Monotonic, &request);
}

/// Runs user code for about `time` without a system call (the clock is read through the vDSO).
pub(super) fn spin(time: Duration) {
    let start = Instant::now();
    let mut x = 1_u64;
    while start.elapsed() < time {
        for _ in 0..64 {
            x = black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
    }
}

/// Holds one thread to a rate.
pub(super) struct Pacer {
    start: Instant,
    done: u64,
    rate: u64,
}

impl Pacer {
    /// At most `rate` (at least 1) operations a second.
    pub(super) fn new(rate: u64) -> Self {
        Self { start: Instant::now(), done: 0, rate: rate.max(1) }
    }

    /// Accounts for `n` operations and sleeps while they are ahead of the rate, as long as
    /// `running` holds. A thread that can't keep the rate still yields the CPU for a moment.
    pub(super) fn step(&mut self, n: u64, running: impl Fn() -> bool) {
        self.done = self.done.saturating_add(n);
        let due = Duration::from_secs_f64(self.done as f64 / self.rate as f64);
        let now = self.start.elapsed();
        if now > due + FORGIVE {
            self.start = Instant::now();
            self.done = 0;
            nap(Duration::from_micros(50));
            return;
        }
        if due < now + SLACK {
            return;
        }
        while let Some(left) = due.checked_sub(self.start.elapsed()).filter(|d| !d.is_zero()) {
            if !running() {
                return;
            }
            nap(left.min(LONGEST_NAP));
        }
    }
}

/// Bursts of user code with pauses between, so that a thread takes a fixed share of one CPU.
#[derive(Clone, Copy, Debug)]
pub(super) struct Duty {
    burst: Duration,
    off: Duration,
}

impl Duty {
    /// The share left to each of `spinners` threads of one of `scenarios` scenarios on `cpus` CPUs,
    /// if all spinning together is to take no more than 40 % of the machine.
    pub(super) fn new(cpus: usize, scenarios: usize, spinners: usize) -> Self {
        let share = 0.4 * cpus as f64 / scenarios.max(1) as f64 / spinners.max(1) as f64;
        let share = share.clamp(0.02, 0.5);
        Self { burst: BURST, off: BURST.mul_f64((1.0 - share) / share) }
    }

    /// How long each burst is.
    pub(super) fn burst(self) -> Duration {
        self.burst
    }

    /// Sleeps for the pause that follows a burst.
    pub(super) fn rest(self) {
        nap(self.off);
    }
}

/// A small random generator (xorshift64): cheap, per thread, and free of thread-local state.
pub(super) struct Random(u64);

impl Random {
    /// A generator for `seed`, which may be any number.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `limit`, which must not be 0.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spinning_leaves_half_of_the_machine() {
        for (cpus, scenarios, spinners) in [(1, 1, 2), (2, 1, 4), (2, 8, 2), (8, 8, 4), (8, 1, 8)] {
            let duty = Duty::new(cpus, scenarios, spinners);
            let share = BURST.as_secs_f64() / (BURST + duty.off).as_secs_f64();
            let all = share * (spinners * scenarios) as f64 / cpus as f64;
            assert!(all <= 0.51, "{cpus} CPUs, {scenarios} x {spinners}: {all}");
        }
    }

    #[test]
    fn a_pacer_never_runs_ahead() {
        let start = Instant::now();
        let mut pacer = Pacer::new(20_000);
        for _ in 0..100 {
            pacer.step(10, || true);
        }
        assert!(start.elapsed() + SLACK >= Duration::from_millis(50));
    }

    #[test]
    fn a_slow_pacer_ends_when_told_to() {
        Pacer::new(1).step(1_000_000, || false);
    }

    #[test]
    fn random_numbers_stay_below_their_limit_and_vary() {
        let mut random = Random::new(0);
        let seen: std::collections::BTreeSet<_> = (0..200).map(|_| random.below(10)).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
    }
}
