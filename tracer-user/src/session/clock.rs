//! The events' clock, and what this process has used up.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// `CLOCK_MONOTONIC` in nanoseconds: what `bpf_ktime_get_ns` reads.
pub(super) fn now() -> u64 {
    nanoseconds(ClockId::Monotonic)
}

/// What to add to [`now`] for nanoseconds since 1970 (UTC).
pub(super) fn to_realtime() -> Option<i64> {
    i64::try_from(nanoseconds(ClockId::Realtime)).ok()?.checked_sub_unsigned(now())
}

fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}

/// CPU time of this process, all threads.
pub(crate) fn cpu_time() -> Duration {
    Duration::from_nanos(nanoseconds(ClockId::ProcessCPUTime))
}

/// The most memory that this process had resident, in KiB.
pub(super) fn max_rss_kib() -> Option<u64> {
    status_kib("VmHWM:")
}

/// The memory that this process has resident, in KiB.
pub(crate) fn rss_kib() -> Option<u64> {
    status_kib("VmRSS:")
}

fn status_kib(key: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
}
