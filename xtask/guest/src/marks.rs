//! Marks by which a witness in the emulator can lay its clock beside the guest's.

use std::arch::asm;
use std::fmt::Write as _;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use unlazy_guest::witness::{MARK, WRITE_DOWN};

use crate::sequence;

/// How often it is marked in a row: the shortest time between two looks at the clock tells most.
const TIMES: u32 = 8;

/// The time between two rows of marks. The guest's clock may change its rate, as Linux does when it
/// has measured the TSC better: both clocks are laid side by side piece by piece.
const PAUSE: Duration = Duration::from_millis(20);

/// Runs a command, and marks from before it begins until it has ended. FILE gets a line for each
/// mark: the guest's clock before and after it, in nanoseconds.
///
/// # Errors
/// When the command can't be started, or the file not be written.
pub(crate) fn around(file: &str, command: &[String]) -> Result<u8> {
    let ended = AtomicBool::new(false);
    let (code, lines) = thread::scope(|scope| {
        let (begun, begins) = mpsc::channel();
        let marker = scope.spawn(|| until(&ended, begun));
        // A marker that could not begin says why when it is joined.
        let _ = begins.recv();
        let code = sequence::once(command);
        ended.store(true, Ordering::Relaxed);
        let lines = marker.join().map_err(|_| anyhow!("the thread that marks has died"))?;
        anyhow::Ok((code?, lines?))
    })?;
    fs::write(file, lines).with_context(|| format!("writing {file}"))?;
    Ok(code)
}

/// Marks on one CPU, whose order the witness keeps, until what is watched has ended, and once more.
fn until(ended: &AtomicBool, begun: mpsc::Sender<()>) -> Result<String> {
    let mut first = CpuSet::new();
    first.set(0);
    // Of this thread only.
    sched_setaffinity(None, &first).context("going to CPU 0")?;
    let mut lines = String::new();
    marks(&mut lines);
    drop(begun);
    while !ended.load(Ordering::Relaxed) {
        thread::sleep(PAUSE);
        marks(&mut lines);
    }
    marks(&mut lines);
    execute::<{ u64::from_le_bytes(WRITE_DOWN) }>();
    Ok(lines)
}

fn marks(lines: &mut String) {
    for _ in 0..TIMES {
        let from = now();
        execute::<{ u64::from_le_bytes(MARK) }>();
        let to = now();
        // Writing to a String cannot fail.
        let _ = writeln!(lines, "{from} {to}");
    }
}

/// The clock that eBPF programs read.
fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Executes an instruction that the witness knows, given as the number that its bytes are.
fn execute<const INSTRUCTION: u64>() {
    // SAFETY: MARK and WRITE_DOWN are NOPs: no operand of them is read.
    unsafe {
        asm!(".quad {}", const INSTRUCTION, options(nomem, nostack, preserves_flags));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn every_mark_stands_between_two_times() {
        let ended = AtomicBool::new(true);
        let lines = thread::scope(|scope| {
            scope.spawn(|| until(&ended, mpsc::channel().0)).join().unwrap().unwrap()
        });
        let mut last = 0;
        for line in lines.lines() {
            let (from, to) = line.split_once(' ').unwrap();
            let (from, to): (u64, u64) = (from.parse().unwrap(), to.parse().unwrap());
            assert!(last <= from && from <= to, "{line}");
            last = to;
        }
        assert_eq!(lines.lines().count(), 2 * TIMES as usize, "before and after");
    }

    #[test]
    fn the_command_s_end_ends_the_marks() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let begun = Instant::now();
        let command = ["sleep", "0.1"].map(str::to_owned);
        assert_eq!(around(path, &command).unwrap(), 0);
        assert!(begun.elapsed() >= Duration::from_millis(100));
        let lines = fs::read_to_string(path).unwrap();
        assert!(lines.lines().count() >= 3 * TIMES as usize, "{lines}");
        assert!(around(path, &["/nowhere".to_owned()]).is_err(), "and no thread is left");
    }

    #[test]
    fn the_instructions_are_those_that_are_looked_for() {
        assert_eq!(MARK, *b"\x0f\x1f\x84\x00UNLZ");
        assert_eq!(WRITE_DOWN, *b"\x0f\x1f\x84\x00UNLW");
        assert_eq!(b"UNLZW", &[0x55, 0x4e, 0x4c, 0x5a, 0x57]);
    }
}
