//! What the programs count about their own records.

use aya::{
    Ebpf,
    maps::{MapError, PerCpuArray},
};

use super::table::Probe;

/// How many kinds are counted apart; tracer-ebpf's `cpu.rs` has the same number.
pub const LOST_KINDS: usize = 64;

/// What the programs keep there for themselves, in words: pairs, the last switch, the run queue.
const THEIRS: usize = 4 * 5 + 2 + 1;

/// `Slot` of tracer-ebpf's `cpu.rs`, as an array of words.
type Words = [u64; 1 + 2 * LOST_KINDS + THEIRS + 1];

/// One CPU's counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuCounters {
    /// How many records were numbered so far, the lost ones included. The lower 32 bits are the
    /// number that the next record will have.
    pub next_seq: u64,
    /// Records that found no room, by the number of their kind.
    pub lost: [u64; LOST_KINDS],
    /// Records that a pair's second program wrote because the first could not, by the number of
    /// their kind.
    pub recovered: [u64; LOST_KINDS],
    /// Readings of the kernel's variables that were thrown away, because an interrupt or another
    /// task came in between: comparisons that were not made, not losses.
    pub disturbed: u64,
}

impl CpuCounters {
    /// All records of this CPU that found no room.
    #[must_use]
    pub fn lost_total(&self) -> u64 {
        self.lost.iter().sum()
    }
}

/// Runs of a program that the kernel skipped.
///
/// A program does not run while the same program is already running on that CPU
/// (`kernel/trace/bpf_trace.c:__bpf_trace_run`, `kernel/bpf/trampoline.c:__bpf_prog_enter_recur`): an
/// interrupt that hits a program of ours, and in which the same tracepoint fires, goes unseen. What
/// that means, the probe's row says ([`Missing`](super::table::Missing)). The kernel counts that by program, not by CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The probe.
    pub probe: &'static Probe,
    /// How often, since it was loaded.
    pub count: u64,
}

pub(super) fn read(ebpf: &Ebpf) -> Result<Vec<CpuCounters>, MapError> {
    let map =
        ebpf.map("COUNTERS").ok_or_else(|| MapError::InvalidName { name: "COUNTERS".into() })?;
    let counters = PerCpuArray::<_, Words>::try_from(map)?.get(&0, 0)?;
    Ok(counters
        .iter()
        .map(|words| {
            let (mut lost, mut recovered) = ([0; LOST_KINDS], [0; LOST_KINDS]);
            lost.copy_from_slice(&words[1..=LOST_KINDS]);
            recovered.copy_from_slice(&words[1 + LOST_KINDS..=2 * LOST_KINDS]);
            CpuCounters {
                next_seq: words[0],
                lost,
                recovered,
                disturbed: words[1 + 2 * LOST_KINDS + THEIRS],
            }
        })
        .collect())
}

/// `recursion_misses` of a program, from `/proc/self/fdinfo/FD`
/// (`kernel/bpf/syscall.c:bpf_prog_show_fdinfo`).
pub(super) fn recursion_misses(fdinfo: &str) -> Option<u64> {
    field(fdinfo, "recursion_misses:")
}

/// How long a program ran. The kernel counts it while `kernel.bpf_stats_enabled` is 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramTime {
    /// Its probe's name.
    pub name: &'static str,
    /// How often it ran.
    pub runs: u64,
    /// For how long in all, in nanoseconds.
    pub ns: u64,
}

impl ProgramTime {
    /// From the same file; `None` where nothing was counted.
    pub(super) fn read(name: &'static str, fdinfo: &str) -> Option<Self> {
        let (runs, ns) = (field(fdinfo, "run_cnt:")?, field(fdinfo, "run_time_ns:")?);
        (runs > 0).then_some(Self { name, runs, ns })
    }
}

fn field(fdinfo: &str, name: &str) -> Option<u64> {
    fdinfo.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_misses() {
        let text = "pos:\t0\nrun_cnt:\t0\nrecursion_misses:\t17\nverified_insns:\t322\n";
        assert_eq!(recursion_misses(text), Some(17));
        assert_eq!(recursion_misses("pos:\t0\n"), None);
    }

    #[test]
    fn reads_run_times() {
        let text = "run_time_ns:\t4100\nrun_cnt:\t20\nrecursion_misses:\t0\n";
        let read = ProgramTime::read("sched_switch", text);
        assert_eq!(read, Some(ProgramTime { name: "sched_switch", runs: 20, ns: 4100 }));
        assert_eq!(ProgramTime::read("x", "run_time_ns:\t0\nrun_cnt:\t0\n"), None, "not counted");
        assert_eq!(ProgramTime::read("x", "pos:\t0\n"), None);
    }

    #[test]
    fn adds_up() {
        let mut counters = CpuCounters {
            next_seq: 9,
            lost: [0; LOST_KINDS],
            recovered: [0; LOST_KINDS],
            disturbed: 0,
        };
        counters.lost[1] = 2;
        counters.lost[63] = 3;
        assert_eq!(counters.lost_total(), 5);
    }
}
