//! The rows of the grid: which kernel, what is wrong with it, what provokes that, and what unlazy
//! must find.

use std::collections::BTreeSet;
use std::time::Duration;

use super::load::Load;
use crate::kernel::bugs::{self, BUGS, Bug, Expect as BugExpect, Odds, Workload};
use crate::kernel::{Source, Variant, Without};

/// Debian's kernels that have the hole, and no other fault that is known: with modules.
const STOCK: [&str; 2] = ["6.1.0-56-cloud", "6.12.117+deb12-cloud"];
/// Their real-time siblings.
const STOCK_RT: [&str; 2] = ["6.1.0-56-rt", "6.12.117+deb12-rt"];
/// Debian's kernels with the mis-ordered backport of fea4e317f9e7: `LOADED_MM_SWITCHING` is stored
/// after the choice of ASID (CVE-2025-37964, CVE-2025-40174).
const STALE_TLB: [&str; 2] = ["6.1.0-47-cloud", "6.1.0-50-cloud"];
/// The same series without it.
const STALE_TLB_FIXED: &str = "6.1.0-56-cloud";
/// The one that stands for all where there is time for one only.
const ONE: &str = "6.12.117+deb12-cloud";

/// How long a run of a planted bug may take.
const BUG_TIME: Duration = Duration::from_secs(60);
/// The same where there is little time.
const BUG_TIME_QUICK: Duration = Duration::from_secs(20);
/// A run in which nothing may be found, where there is little time.
const CLEAN_TIME_QUICK: Duration = Duration::from_secs(30);
/// Runs of a bug that needs luck.
const TRIES: u32 = 3;

/// What is wrong with the kernel of a row, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    /// The kernel of the planted bugs, with none of them on.
    Control,
    /// A planted bug.
    Planted,
    /// A correct change that only looks like a bug.
    LookAlike,
    /// The hole around `kthread_use_mm`, on kernels as they are.
    Hole,
    /// Packages with a fault of their own.
    Real,
    /// Packages without one that is known.
    Stock,
}

impl Group {
    /// For `--only` and the reports.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Planted => "planted",
            Self::LookAlike => "look-alike",
            Self::Hole => "hole",
            Self::Real => "real",
            Self::Stock => "stock",
        }
    }
}

/// A kernel, by what `cargo xtask vm` or `cargo xtask kernel` finds it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// Debian's, by its version.
    Debian(&'static str),
    /// Ours with the planted bugs.
    Planted(Variant),
}

impl Which {
    /// What it is asked for as.
    pub(super) fn name(self) -> String {
        match self {
            Self::Debian(version) => version.to_owned(),
            Self::Planted(variant) => format!("planted-{variant}"),
        }
    }
}

/// What must, and what may be found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    /// Each of these rules.
    pub(super) all: BTreeSet<String>,
    /// These are no surprise.
    pub(super) may: BTreeSet<String>,
    /// If running does not show it, this finding of the text audit does: an order of the accesses
    /// in `switch_mm_irqs_off`.
    pub(super) or_order: Option<&'static str>,
    /// Each of these must have been checked at least once.
    pub(super) checked: BTreeSet<String>,
}

impl Expected {
    fn found(all: &[&str], may: &[&str]) -> Self {
        Self { all: rules(all), may: rules(may), ..Self::default() }
    }

    /// Nothing, and all of the rules were exercised.
    fn clean(checked: &[&str]) -> Self {
        Self { checked: rules(checked), ..Self::default() }
    }

    /// Whether any finding is a false alarm.
    pub(super) fn is_clean(&self) -> bool {
        self.all.is_empty() && self.may.is_empty()
    }
}

impl From<BugExpect> for Expected {
    fn from(expect: BugExpect) -> Self {
        let ids = |rules: &[bugs::Rule]| rules.iter().map(ToString::to_string).collect();
        Self { all: ids(expect.all), may: ids(expect.may), ..Self::default() }
    }
}

/// One line of the grid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) group: Group,
    pub(super) kernel: Which,
    /// The bug, or what else is special; unique together with kernel and CPUs.
    pub(super) what: String,
    /// `unlazy_bug=`, if one is on.
    pub(super) bug: Option<&'static str>,
    /// More kernel arguments.
    pub(super) append: Vec<String>,
    pub(super) load: Load,
    pub(super) smp: u32,
    pub(super) expected: Expected,
    /// How long a run is at most.
    pub(super) time: Duration,
    /// Runs until what is expected is found.
    pub(super) tries: u32,
    /// Each run is recorded as well.
    pub(super) record: bool,
}

impl Row {
    /// What `--only` looks at, and what files are named by.
    pub(super) fn name(&self) -> String {
        format!("{}/{}/{}/{}", self.group.name(), self.kernel.name(), self.what, self.smp)
    }
}

/// How much of the grid.
pub(super) struct Extent {
    /// What fits 15 minutes of a small machine.
    pub(super) quick: bool,
    /// How long a run is in which nothing may be found.
    pub(super) clean_time: Duration,
    /// Which planted kernels.
    pub(super) sources: Vec<Source>,
}

/// All rows, those that take long last.
pub(super) fn rows(extent: &Extent) -> Vec<Row> {
    let mut rows = Vec::new();
    for &source in &extent.sources {
        for bug in BUGS {
            let correct = bug.expect.is_nothing();
            if !(extent.quick && correct) {
                rows.push(planted(source, bug, extent));
            }
        }
    }
    rows.extend(hole(extent));
    rows.extend(real(extent));
    for &source in &extent.sources {
        let sizes: &[u32] = if extent.quick { &[4] } else { &[2, 8] };
        rows.extend(sizes.iter().map(|&smp| Row {
            group: Group::Control,
            what: "none".to_owned(),
            ..clean(Which::Planted(source.into()), smp, extent)
        }));
    }
    rows.extend(lacking(extent));
    rows.extend(stock(extent));
    rows
}

/// Kernels that lack something: what can be seen without it is judged, and nothing is found.
fn lacking(extent: &Extent) -> Vec<Row> {
    if extent.quick {
        return Vec::new();
    }
    let row = |source, without, checked: &[&str]| Row {
        group: Group::Control,
        what: "lacking".to_owned(),
        expected: Expected::clean(checked),
        ..clean(Which::Planted(Variant { source, without: Some(without) }), 2, extent)
    };
    // Where this CPU's variables are is told by symbols, or by a task's run queue, which our kernels
    // (without FAIR_GROUP_SCHED) don't tell: what is read from them can't be judged.
    let unread = &["R1", "R2", "R4", "R5"];
    let rows = |&source: &Source| {
        [row(source, Without::KallsymsAll, unread), row(source, Without::Fentry, &["R1", "R2"])]
    };
    extent.sources.iter().flat_map(rows).collect()
}

fn planted(source: Source, bug: &'static Bug, extent: &Extent) -> Row {
    let correct = bug.expect.is_nothing();
    Row {
        group: if correct { Group::LookAlike } else { Group::Planted },
        kernel: Which::Planted(source.into()),
        what: bug.name.to_owned(),
        bug: Some(bug.name),
        append: Vec::new(),
        load: load(bug),
        smp: u32::from(bug.cpus),
        expected: bug.expect.into(),
        time: if extent.quick { BUG_TIME_QUICK } else { BUG_TIME },
        // A bug that is certain to matter is found the first time, or missed.
        tries: if correct || bug.odds == Odds::Certain { 1 } else { TRIES },
        record: false,
    }
}

/// What provokes a bug. On a small machine scenarios are in each other's way, so no more than it
/// takes.
fn load(bug: &Bug) -> Load {
    match bug.workload {
        Workload::SyncCore => Load::stress(&["sync-core", "lazy", "preempt"]),
        // Beside other processes a CPU seldom comes back to the mm from laziness, and a switch from
        // another mm mends what the registration left out.
        Workload::Register if bug.name == "reg-skip" => Load::stress(&["register"]),
        Workload::Register => Load::stress(&["register", "procs"]),
        // A correct change is to be seen from every side.
        Workload::Flush if bug.expect.is_nothing() => {
            Load::stress(&["lazy-flush", "switch-flush", "shootdown"])
        }
        // A CPU that stays lazy needs one that is idle, one on the way to an mm a busy one.
        Workload::Flush if bug.name.starts_with("unlazy") => Load::stress(&["lazy-flush"]),
        Workload::Flush => Load::stress(&["switch-flush"]),
        Workload::FreeTables => Load::stress(&["lazy-flush"]),
        Workload::Exit => Load::stress(&["procs"]),
        Workload::KthreadUse => Load::module(&["hole"]),
    }
}

/// Full stress, and nothing may be found.
fn clean(kernel: Which, smp: u32, extent: &Extent) -> Row {
    // One CPU is never lazy while another flushes.
    let checked: &[&str] =
        if smp > 1 { &["R1", "R2", "R3", "R4", "R5", "R6"] } else { &["R1", "R2", "R5", "R6"] };
    Row {
        group: Group::Stock,
        kernel,
        what: "stress".to_owned(),
        bug: None,
        append: Vec::new(),
        load: if smp > 4 { Load::in_turns() } else { Load::stress(&[]) },
        smp,
        expected: Expected::clean(checked),
        time: if extent.quick { CLEAN_TIME_QUICK } else { extent.clean_time },
        tries: 1,
        record: false,
    }
}

/// The hole, and twice the same without its one step.
fn hole(extent: &Extent) -> Vec<Row> {
    let kernels: &[&str] = if extent.quick { &[ONE] } else { &STOCK };
    let row = |kernel, what: &str, load, expected| Row {
        group: Group::Hole,
        what: what.to_owned(),
        load,
        expected,
        time: if extent.quick { BUG_TIME_QUICK } else { BUG_TIME },
        ..clean(Which::Debian(kernel), 2, extent)
    };
    let mut rows = Vec::new();
    for &kernel in kernels {
        rows.push(Row {
            tries: TRIES,
            ..row(kernel, "hole", Load::module(&["hole"]), Expected::found(&["R1"], &["R2"]))
        });
        rows.push(row(
            kernel,
            "no-use-mm",
            Load::module(&["hole-control"]),
            Expected::clean(&["R1", "R2"]),
        ));
        if !extent.quick {
            rows.push(row(
                kernel,
                "module-idle",
                Load::module(&["sync-core", "lazy"]),
                Expected::clean(&["R1", "R2"]),
            ));
            rows.push(Row {
                append: vec!["pti=on".to_owned()],
                ..row(kernel, "hole,pti=on", Load::module(&["hole"]), Expected::clean(&[]))
            });
        }
    }
    rows
}

/// Faults of packages.
fn real(extent: &Extent) -> Vec<Row> {
    if extent.quick {
        return Vec::new();
    }
    let row = |kernel, expected, tries| Row {
        group: Group::Real,
        what: "stale-tlb".to_owned(),
        load: Load::stress(&["switch-flush", "shootdown"]),
        expected,
        tries,
        ..clean(Which::Debian(kernel), 2, extent)
    };
    let stale = || Expected { or_order: Some("after_tlb_gen"), ..Expected::found(&["R3"], &[]) };
    let mut rows: Vec<_> =
        STALE_TLB.into_iter().map(|kernel| row(kernel, stale(), TRIES)).collect();
    rows.push(row(STALE_TLB_FIXED, Expected::clean(&["R3"]), 1));
    rows
}

/// Packages as they are, on machines of every kind.
fn stock(extent: &Extent) -> Vec<Row> {
    let on = |kernel, smp| clean(Which::Debian(kernel), smp, extent);
    if extent.quick {
        return vec![on(ONE, 2)];
    }
    let mut rows = vec![
        on(ONE, 1),
        Row { what: "stress,pti=on".to_owned(), append: vec!["pti=on".to_owned()], ..on(ONE, 2) },
        Row { what: "hotplug".to_owned(), load: Load::hotplug(), ..on(ONE, 4) },
    ];
    for kernel in STOCK.into_iter().chain(STOCK_RT) {
        rows.extend([2, 8].map(|smp| on(kernel, smp)));
    }
    rows
}

fn rules(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|&id| id.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(quick: bool) -> Extent {
        Extent { quick, clean_time: Duration::from_secs(600), sources: vec![Source::V6_12] }
    }

    #[test]
    fn names_are_unique_in_the_whole_grid_and_in_the_quick_one() {
        for quick in [false, true] {
            let rows = rows(&extent(quick));
            let names: BTreeSet<_> = rows.iter().map(Row::name).collect();
            assert_eq!(names.len(), rows.len());
        }
    }

    #[test]
    fn both_have_every_planted_bug_the_control_the_hole_and_a_stock_kernel() {
        for quick in [false, true] {
            let rows = rows(&extent(quick));
            for bug in BUGS {
                let there = rows.iter().any(|row| row.bug == Some(bug.name));
                assert_eq!(there, !(quick && bug.expect.is_nothing()), "{}", bug.name);
            }
            for group in [Group::Control, Group::Hole, Group::Stock] {
                assert!(rows.iter().any(|row| row.group == group), "{quick} {group:?}");
            }
        }
    }

    #[test]
    fn what_must_be_clean_is_run_once() {
        for row in rows(&extent(false)) {
            assert!(!row.expected.is_clean() || row.tries == 1, "{}", row.name());
            assert!(row.tries <= 3 && (1..=8).contains(&row.smp), "{}", row.name());
        }
    }

    #[test]
    fn the_quick_grid_fits_a_quarter_of_an_hour_if_all_goes_well() {
        // Boot, attaching and the end take about 15 s; a bug is found in a few more.
        let seconds: u64 = rows(&extent(true))
            .iter()
            .map(|row| if row.expected.is_clean() { 15 + row.time.as_secs() } else { 25 })
            .sum();
        assert!(seconds < 15 * 60, "{seconds} s");
    }
}
