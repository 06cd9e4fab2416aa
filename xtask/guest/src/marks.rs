//! Marks by which a witness in the emulator can lay its clock beside the guest's.

use std::arch::asm;
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

use crate::sequence;

/// How often it is marked: the shortest time between two looks at the clock tells most.
const TIMES: u32 = 64;

/// Marks, runs a command, and marks again. FILE gets a line for each mark: the guest's clock before
/// and after it, in nanoseconds.
///
/// # Errors
/// When the command can't be started, or the file not be written.
pub(crate) fn around(file: &str, command: &[String]) -> Result<u8> {
    let mut lines = String::new();
    marks(&mut lines)?;
    let code = sequence::once(command)?;
    marks(&mut lines)?;
    fs::write(file, lines).with_context(|| format!("writing {file}"))?;
    Ok(code)
}

/// All on one CPU, whose order the witness keeps.
fn marks(lines: &mut String) -> Result<()> {
    let before = sched_getaffinity(None).context("asking where this may run")?;
    let mut first = CpuSet::new();
    first.set(0);
    sched_setaffinity(None, &first).context("going to CPU 0")?;
    for _ in 0..TIMES {
        let from = now();
        mark();
        let to = now();
        // Writing to a String cannot fail.
        let _ = writeln!(lines, "{from} {to}");
    }
    sched_setaffinity(None, &before).context("going back")
}

/// The clock that eBPF programs read.
fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Executes [`unlazy_guest::witness::MARK`].
fn mark() {
    // SAFETY: it is a NOP: no operand of it is read.
    unsafe {
        asm!(
            ".byte 0x0f, 0x1f, 0x84, 0x00, 0x55, 0x4e, 0x4c, 0x5a",
            options(nomem, nostack, preserves_flags)
        );
    }
}

#[cfg(test)]
mod tests {
    use unlazy_guest::witness::MARK;

    use super::*;

    #[test]
    fn every_mark_stands_between_two_times() {
        let mut lines = String::new();
        marks(&mut lines).unwrap();
        let mut last = 0;
        for line in lines.lines() {
            let (from, to) = line.split_once(' ').unwrap();
            let (from, to): (u64, u64) = (from.parse().unwrap(), to.parse().unwrap());
            assert!(last <= from && from <= to, "{line}");
            last = to;
        }
        assert_eq!(lines.lines().count(), TIMES as usize);
    }

    #[test]
    fn the_mark_is_the_one_that_is_looked_for() {
        assert_eq!(MARK, *b"\x0f\x1f\x84\x00UNLZ");
        assert_eq!(b"UNLZ", &[0x55, 0x4e, 0x4c, 0x5a]);
    }
}
