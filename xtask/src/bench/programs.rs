//! The kernel's own statistics of BPF programs: how often each ran, and for how long.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use aya::programs::loaded_programs;
use aya::sys::{Stats, enable_stats};
use serde::{Deserialize, Serialize};

/// The kernel takes times while this lives (`BPF_ENABLE_STATS`); that costs time itself.
pub(super) struct Statistics {
    _on: std::os::fd::OwnedFd,
}

impl Statistics {
    pub(super) fn enable() -> Result<Self> {
        let on = enable_stats(Stats::RunTime).context("switching the BPF statistics on")?;
        Ok(Self { _on: on })
    }
}

/// How a program ran in one loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ProgramRun {
    pub(crate) program: String,
    pub(crate) runs: u64,
    pub(crate) ns_per_run: f64,
}

/// The counters of every loaded program, by id.
pub(super) struct Snapshot(BTreeMap<u32, Counters>);

struct Counters {
    name: String,
    runs: u64,
    time: Duration,
}

impl Snapshot {
    pub(super) fn take() -> Result<Self> {
        let mut programs = BTreeMap::new();
        for info in loaded_programs() {
            // Unloaded between its listing and the look at it: not one of ours.
            let Ok(info) = info else { continue };
            let name = String::from_utf8_lossy(info.name()).into_owned();
            let counters = Counters { name, runs: info.run_count(), time: info.run_time() };
            programs.insert(info.id(), counters);
        }
        Ok(Self(programs))
    }

    /// What of `own` ran since `earlier`, the busiest first. Programs of one name (a tracer may
    /// load one for each tracepoint) are added up.
    pub(super) fn since(&self, earlier: &Self, own: &BTreeSet<u32>) -> Vec<ProgramRun> {
        let mut by_name: BTreeMap<&str, (u64, Duration)> = BTreeMap::new();
        for (id, now) in self.0.iter().filter(|(id, _)| own.contains(id)) {
            let (runs, time) =
                earlier.0.get(id).map_or((0, Duration::ZERO), |then| (then.runs, then.time));
            let sum = by_name.entry(&now.name).or_default();
            sum.0 += now.runs.saturating_sub(runs);
            sum.1 += now.time.saturating_sub(time);
        }
        let mut all: Vec<ProgramRun> = by_name
            .into_iter()
            .filter(|(_, (runs, _))| *runs > 0)
            .map(|(name, (runs, time))| ProgramRun {
                program: name.to_owned(),
                runs,
                ns_per_run: time.as_nanos() as f64 / runs as f64,
            })
            .collect();
        all.sort_by(|a, b| b.runs.cmp(&a.runs).then_with(|| a.program.cmp(&b.program)));
        all
    }
}

/// The programs that a process holds open: somebody else may be tracing this machine as well.
pub(super) fn held_by(pid: u32) -> Result<BTreeSet<u32>> {
    let folder = format!("/proc/{pid}/fdinfo");
    let entries = fs::read_dir(&folder).with_context(|| format!("reading {folder}"))?;
    // A descriptor may be closed between its listing and the look at it.
    let infos = entries.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
    Ok(infos.filter_map(|info| prog_id(&info)).collect())
}

/// The id in a descriptor's `fdinfo`, if it is a program's (`kernel/bpf/syscall.c:bpf_prog_show_fdinfo`).
fn prog_id(fdinfo: &str) -> Option<u32> {
    // A link's fdinfo names its program too, besides its own id: the same program.
    fdinfo.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(programs: &[(u32, &str, u64, u64)]) -> Snapshot {
        let counters = |&(id, name, runs, ns): &(u32, &str, u64, u64)| {
            (id, Counters { name: name.to_owned(), runs, time: Duration::from_nanos(ns) })
        };
        Snapshot(programs.iter().map(counters).collect())
    }

    #[test]
    fn reads_a_programs_id() {
        assert_eq!(prog_id("pos:\t0\nflags:\t02\nprog_type:\t26\nprog_id:\t57\n"), Some(57));
        assert_eq!(prog_id("pos:\t0\nmap_id:\t57\n"), None);
    }

    #[test]
    fn counts_only_what_ran_since_and_is_ours() {
        let before = snapshot(&[(1, "foreign", 5, 50), (2, "switch", 10, 1_000)]);
        let after = snapshot(&[
            (1, "foreign", 9, 90),
            (2, "switch", 30, 3_000),
            (3, "switch", 20, 3_000),
            (4, "idle", 0, 0),
        ]);
        let runs = after.since(&before, &BTreeSet::from([2, 3, 4]));
        assert_eq!(
            runs,
            [ProgramRun { program: "switch".to_owned(), runs: 40, ns_per_run: 125.0 }]
        );
    }
}
