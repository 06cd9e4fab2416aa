//! What watching a running machine costs.

use std::time::{Duration, Instant};

use crate::{
    probes::ProgramTime,
    session::{self, Vitals},
    tui::snapshot::{Cost, ProgramCost},
};

/// Measures it.
pub(super) struct Meter {
    since: Instant,
    cpu: Duration,
    percent: Option<f64>,
    /// How the session fares, if it said so.
    pub(super) vitals: Option<Vitals>,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), cpu: session::cpu_time(), percent: None, vitals: None }
    }

    /// CPU time in percent of one CPU, over the last second or so.
    fn percent(&mut self) -> Option<f64> {
        let passed = self.since.elapsed();
        if passed >= Duration::from_secs(1) {
            let cpu = session::cpu_time();
            let used = cpu.saturating_sub(self.cpu).as_secs_f64();
            self.percent = Some(100.0 * used / passed.as_secs_f64());
            (self.since, self.cpu) = (Instant::now(), cpu);
        }
        self.percent
    }

    /// All of it but the history.
    pub(super) fn cost(&mut self) -> Cost {
        let cpu_percent = self.percent();
        let vitals = self.vitals.as_ref();
        let program = |one: &ProgramTime| ProgramCost {
            name: one.name.to_owned(),
            runs: one.runs,
            ns: one.ns,
        };
        Cost {
            cpu_percent,
            rss_kib: session::rss_kib(),
            ring_bytes_per_cpu: vitals.and_then(|vitals| vitals.ring_bytes_per_cpu),
            ring_high_water: vitals.and_then(|vitals| vitals.ring_high_water),
            programs: vitals
                .filter(|vitals| !vitals.programs.is_empty())
                .map(|vitals| vitals.programs.iter().map(program).collect()),
            ..Cost::default()
        }
    }
}
