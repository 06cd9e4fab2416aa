//! How fast this machine's TSC counts.
//!
//! QEMU's emulator hands it to the guest as it is. The guest's kernel would measure it against the
//! emulated timers, and on a busy host be wrong by any factor, for good: its clock then runs four
//! times too fast, and a run of 60 seconds ends after 15. So it is told
//! (`arch/x86/kernel/tsc.c:determine_cpu_tsc_frequencies`).

use std::arch::x86_64::_rdtsc;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

/// Between the two readings: enough for an error far below the percent within which the kernel
/// goes on to refine what it was told.
const BASE: Duration = Duration::from_millis(50);
/// So often each reading is tried; the one that took least counts.
const TRIES: u32 = 50;

/// Its frequency in kHz, measured once.
pub(super) fn khz() -> u64 {
    static KHZ: OnceLock<u64> = OnceLock::new();
    *KHZ.get_or_init(|| {
        let begin = reading();
        thread::sleep(BASE);
        let end = reading();
        rate(end.0 - begin.0, end.1.wrapping_sub(begin.1))
    })
}

/// A moment by both clocks.
fn reading() -> (Instant, u64) {
    let mut best: Option<(Duration, (Instant, u64))> = None;
    for _ in 0..TRIES {
        let before = Instant::now();
        let count = ticks();
        // Preempted in between, this would be far off.
        let took = before.elapsed();
        if best.is_none_or(|(least, _)| took < least) {
            best = Some((took, (before + took / 2, count)));
        }
    }
    best.map_or_else(|| (Instant::now(), ticks()), |(_, reading)| reading)
}

fn rate(time: Duration, ticks: u64) -> u64 {
    let khz = u128::from(ticks) * 1_000_000 / time.as_nanos().max(1);
    u64::try_from(khz).unwrap_or(u64::MAX)
}

#[expect(
    unsafe_code,
    reason = "there is no safe way to read the TSC, short of a crate around this"
)]
fn ticks() -> u64 {
    // SAFETY: every x86-64 CPU has RDTSC, and Linux leaves it to user mode.
    unsafe { _rdtsc() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_by_time() {
        assert_eq!(rate(Duration::from_millis(50), 115_000_000), 2_300_000);
        assert_eq!(rate(Duration::ZERO, 0), 0);
    }

    #[test]
    fn two_measurements_agree() {
        let again = {
            let begin = reading();
            thread::sleep(BASE);
            let end = reading();
            rate(end.0 - begin.0, end.1 - begin.1)
        };
        // The kernel takes what is within a percent.
        assert!(khz().abs_diff(again) * 100 < again, "{} and {again} kHz", khz());
    }
}
