//! What tracing takes and how it fares, while it goes on.

use super::{Session, probe_states};
use crate::{probes::ProgramTime, report::Probe};

/// A session as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Size of each CPU's buffer in bytes.
    pub ring_bytes_per_cpu: Option<u64>,
    /// The most bytes that were found in any of them.
    pub ring_high_water: Option<u64>,
    /// The run time of each program, as far as the kernel counts it.
    pub programs: Vec<ProgramTime>,
    /// What became of each probe.
    pub probes: Vec<Probe>,
}

impl Session {
    /// How it fares. It reads a small file for each program: not for every sweep.
    pub fn vitals(&mut self) -> Vitals {
        let (ring_bytes_per_cpu, ring_high_water) = self.rings();
        let probes = self.live.probes();
        Vitals {
            ring_bytes_per_cpu,
            ring_high_water,
            programs: probes.run_times(),
            probes: probe_states(probes),
        }
    }

    /// Size of each CPU's buffer in bytes, and the most that was found in any.
    pub(super) fn rings(&self) -> (Option<u64>, Option<u64>) {
        let size = self.live.rings().map(|ring| u64::from(ring.size)).max();
        (size, self.live.rings().map(|ring| ring.high_water).max())
    }
}
