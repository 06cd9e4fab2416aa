//! What runs in the guest beside the tracer.

use std::time::Duration;

/// What `unlazy stress` runs by itself.
const SCENARIOS: [&str; 11] = [
    "sync-core",
    "jit",
    "lazy",
    "shootdown",
    "procs",
    "migrate",
    "siblings",
    "register",
    "preempt",
    "switch-flush",
    "lazy-flush",
];

/// A workload of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Load {
    /// Scenarios of `unlazy stress`; none means those that it runs by itself.
    scenarios: Vec<&'static str>,
    /// Whether the module `unlazy_hole` is loaded.
    pub(super) module: bool,
    /// Whether a CPU goes and comes meanwhile.
    hotplug: bool,
    /// Every scenario by itself, one after the other.
    in_turns: bool,
}

impl Load {
    /// Scenarios that need nothing.
    pub(super) fn stress(scenarios: &[&'static str]) -> Self {
        Self { scenarios: scenarios.to_vec(), module: false, hotplug: false, in_turns: false }
    }

    /// Any scenarios, with the module loaded.
    pub(super) fn module(scenarios: &[&'static str]) -> Self {
        Self { module: true, ..Self::stress(scenarios) }
    }

    /// All scenarios, while CPU 1 goes and comes.
    pub(super) fn hotplug() -> Self {
        Self { hotplug: true, ..Self::stress(&[]) }
    }

    /// All scenarios in turns, for machines that have many times the CPUs of their host: what reads
    /// the buffers has one of them, and beside all scenarios at once it can't keep up.
    pub(super) fn in_turns() -> Self {
        Self { in_turns: true, ..Self::stress(&[]) }
    }

    /// In a word or two.
    pub(super) fn name(&self) -> String {
        let mut name =
            if self.scenarios.is_empty() { "all".to_owned() } else { self.scenarios.join("+") };
        if self.hotplug {
            name.push_str(" hotplug");
        }
        if self.in_turns {
            name.push_str(" in turns");
        }
        name
    }

    /// The command line, for `time`.
    pub(super) fn command(&self, time: Duration) -> Vec<String> {
        if self.in_turns {
            return in_turns(time);
        }
        let seconds = time.as_secs().max(1);
        let length = match time.subsec_millis() {
            0 => format!("{seconds}s"),
            _ => format!("{}ms", time.as_millis()),
        };
        let mut words: Vec<String> =
            ["unlazy", "stress", "--for", &length, "--json", "/out/stress.json"]
                .map(str::to_owned)
                .into();
        if !self.scenarios.is_empty() {
            words.extend(["--scenario".to_owned(), self.scenarios.join(",")]);
        }
        if self.hotplug {
            let line = format!(
                "+ guest repeat {seconds} guest seq guest cpu-online 1 0 , guest sleep 0.5 , \
                 guest cpu-online 1 1 , guest sleep 0.5"
            );
            words.splice(0..0, ["guest".to_owned(), "par".to_owned()]);
            words.extend(line.split_whitespace().map(str::to_owned));
        }
        words
    }
}

/// Each scenario for its part of `time`, whatever becomes of the one before.
fn in_turns(time: Duration) -> Vec<String> {
    let turn = (time / SCENARIOS.len() as u32).as_millis().max(1);
    let one = |scenario| {
        format!("unlazy stress --for {turn}ms --scenario {scenario} --json /out/{scenario}.json")
    };
    let line = format!("guest all {}", SCENARIOS.map(one).join(" , "));
    line.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(load: &Load) -> String {
        load.command(Duration::from_secs(9)).join(" ")
    }

    #[test]
    fn scenarios_are_named_or_left_to_the_workload() {
        assert_eq!(
            line(&Load::stress(&["lazy", "procs"])),
            "unlazy stress --for 9s --json /out/stress.json --scenario lazy,procs"
        );
        assert_eq!(line(&Load::stress(&[])), "unlazy stress --for 9s --json /out/stress.json");
        assert_eq!(Load::stress(&[]).name(), "all");
        assert_eq!(Load::module(&["hole", "lazy"]).name(), "hole+lazy");
    }

    #[test]
    fn many_cpus_are_driven_in_turns() {
        assert_eq!(Load::in_turns().name(), "all in turns");
        let line = Load::in_turns().command(Duration::from_secs(11)).join(" ");
        assert!(
            line.starts_with(
                "guest all unlazy stress --for 1000ms --scenario sync-core --json \
                 /out/sync-core.json , unlazy stress --for 1000ms --scenario jit --json"
            ),
            "{line}"
        );
        assert!(line.ends_with("--scenario lazy-flush --json /out/lazy-flush.json"), "{line}");
    }

    #[test]
    fn a_cpu_goes_and_comes_beside_the_workload() {
        let line = line(&Load::hotplug());
        assert!(line.starts_with("guest par unlazy stress --for 9s"), "{line}");
        assert!(line.contains(" + guest repeat 9 guest seq guest cpu-online 1 0 ,"), "{line}");
        assert_eq!(Load::hotplug().name(), "all hotplug");
    }
}
