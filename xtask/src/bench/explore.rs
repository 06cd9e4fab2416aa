//! `cargo xtask bench --explore`: the search of `unlazy explore` beside spin's, on the core space.
//!
//! Both count the states and the steps: `tracer-explore/benches/core.pml` is the same abstract kernel,
//! step for step. Rates are per second of CPU time, so that a busy machine and the number of threads
//! do not matter.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use tracer_explore::{
    protocol,
    rules::Rule,
    search::{End, Limits, search},
    setup::{Setup, World},
    step::Step,
};

use crate::shell;

/// Bytes that either may take.
const MEMORY: usize = 8 << 30;

/// A search through a space.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Searched {
    kthread_use_mm: bool,
    tool: String,
    states: u64,
    steps: u64,
    seconds: f64,
    cpu_seconds: f64,
    bytes: u64,
    broken: Vec<String>,
}

/// Searches with an optimized build; internal.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// `tracer-explore/benches/core.pml`
    #[arg(long)]
    model: PathBuf,
}

/// What has to be there besides Rust.
///
/// # Errors
/// Names what is not.
pub(crate) fn check() -> Result<()> {
    let missing: Vec<_> =
        ["spin", "cc"].into_iter().filter(|name| shell::find_program(name).is_none()).collect();
    ensure!(
        missing.is_empty(),
        "{} not found: the model checker spin and a C compiler for what it generates are needed \
         (on Debian the packages spin and gcc)",
        missing.join(" and ")
    );
    Ok(())
}

/// Searches, and hands the results over as JSON.
pub(crate) fn measure(args: &Args) -> Result<()> {
    let mut all = Vec::new();
    let folder = tempfile::tempdir().context("making a folder for spin")?;
    for uses in [false, true] {
        for symmetry in [false, true] {
            all.push(ours(uses, symmetry)?);
        }
        // In the smaller space all rules are asked, and hold; else the search would stop at the first.
        let ask: &[&str] = if uses { &[] } else { &["R1", "R2", "R3", "R6"] };
        for (name, flags) in [
            ("spin, every state in full", &["-DNOREDUCE"][..]),
            ("spin, states as hashes", &["-DNOREDUCE", "-DHC4"]),
            ("spin, partial-order reduction", &[]),
        ] {
            all.push(theirs(&args.model, folder.path(), (uses, ask), name, flags)?);
        }
    }
    for rule in ["R1", "R2"] {
        let name = format!("spin, until {rule} is broken");
        let found = theirs(&args.model, folder.path(), (true, &[rule]), &name, &["-DNOREDUCE"])?;
        ensure!(!found.broken.is_empty(), "spin does not find {rule} broken");
        all.push(found);
    }
    println!("{}", serde_json::to_string_pretty(&all).context("writing the results")?);
    Ok(())
}

fn ours(uses: bool, symmetry: bool) -> Result<Searched> {
    let core = Setup { symmetry, ..Setup::core() };
    let setup = if uses { core } else { core.without(Step::Use) };
    let linux = protocol::find("linux-6.12").context("linux-6.12 is no protocol any more")?;
    let world = World::new(linux, setup, &[]);
    let before = cpu_seconds(11)?;
    let outcome = search(&world, &Limits { memory: MEMORY, enough: 0 }, &mut |_| true);
    ensure!(outcome.end == End::Exhausted, "the space was not exhausted: {:?}", outcome.end);
    let tool = if symmetry { "unlazy explore" } else { "unlazy explore --no-symmetry" };
    let rules: Vec<Rule> = outcome.broken.iter().map(|broken| broken.rule).collect();
    Ok(Searched {
        kthread_use_mm: uses,
        tool: tool.to_owned(),
        states: outcome.status.states,
        steps: outcome.status.steps,
        seconds: outcome.status.elapsed.as_secs_f64(),
        cpu_seconds: cpu_seconds(11)? - before,
        bytes: outcome.status.bytes,
        broken: rules.into_iter().map(|rule| rule.id().to_owned()).collect(),
    })
}

fn theirs(
    model: &Path,
    folder: &Path,
    (uses, ask): (bool, &[&str]),
    name: &str,
    flags: &[&str],
) -> Result<Searched> {
    let mut spin = Command::new("spin");
    spin.current_dir(folder).arg(format!("-DUSES={}", u8::from(uses)));
    spin.args(ask.iter().map(|rule| format!("-DASK_{rule}"))).arg("-a").arg(model);
    shell::capture(&mut spin).context("generating a checker from the model")?;
    let mut compiler = Command::new("cc");
    compiler.current_dir(folder).args(["-O2", "-w", "-DSAFETY", "-DMEMLIM=8192"]).args(flags);
    shell::capture(compiler.args(["-o", "pan", "pan.c"])).context("compiling the checker")?;
    let (before, began) = (cpu_seconds(13)?, Instant::now());
    // As many slots as there are states, nearly; the depth is bounded well above what is reached, and
    // it would be told if it were not.
    let mut pan = Command::new(folder.join("pan"));
    pan.current_dir(folder).args(["-m20000", if uses { "-w23" } else { "-w19" }]);
    // It ends well, too, if an assertion is violated.
    let output = pan.output().context("starting the checker")?;
    let (seconds, cpu_seconds) = (began.elapsed().as_secs_f64(), cpu_seconds(13)? - before);
    let said = String::from_utf8_lossy(&output.stdout);
    let number = |after: &str| {
        let line = said.lines().find(|line| line.contains(after))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    let (Some(states), Some(steps), Some(megabytes)) =
        (number("states, stored"), number("transitions (="), number("total actual memory usage"))
    else {
        bail!("the checker says neither states, transitions nor memory:\n{said}");
    };
    ensure!(!said.contains("too small"), "the depth is bounded too low:\n{said}");
    let found = !said.contains("errors: 0");
    ensure!(found || !said.contains("not completed"), "not exhausted:\n{said}");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
    Ok(Searched {
        kthread_use_mm: uses,
        tool: name.to_owned(),
        states: states as u64,
        steps: steps as u64,
        seconds,
        cpu_seconds,
        bytes: (megabytes * 1_048_576.0) as u64,
        broken: if found { ask.iter().map(|&rule| rule.to_owned()).collect() } else { vec![] },
    })
}

/// CPU time of this process (`field` 11) or of those that it waited for (13): `/proc/self/stat`.
fn cpu_seconds(field: usize) -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat").context("reading /proc/self/stat")?;
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().skip(field).take(2));
    let ticks: u64 =
        fields.into_iter().flatten().filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    // USER_HZ is 100 on every x86-64 kernel.
    #[expect(clippy::cast_precision_loss, reason = "days of it would still be exact")]
    Ok(ticks as f64 / 100.0)
}

/// The table.
pub(crate) fn render(all: &[Searched]) -> String {
    let mut out = String::new();
    for uses in [false, true] {
        let here: Vec<_> = all.iter().filter(|one| one.kthread_use_mm == uses).collect();
        let space = if uses { "the core space" } else { "the core space without kthread_use_mm" };
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{space}\n  {:<30} {:>10} {:>11} {:>7} {:>7} {:>12} {:>13}  broken",
            "", "states", "steps", "s", "CPU s", "states/CPU s", "bytes a state"
        );
        for one in &here {
            let _ = writeln!(
                out,
                "  {:<30} {:>10} {:>11} {:>7.1} {:>7.1} {:>12.0} {:>13.0}  {}",
                one.tool,
                one.states,
                one.steps,
                one.seconds,
                one.cpu_seconds,
                one.rate(),
                one.bytes_a_state(),
                one.broken.join(" ")
            );
        }
        out += &ratios(&here);
    }
    out
}

/// Ours to spin's: the same states in both, and what each does to have fewer.
fn ratios(here: &[&Searched]) -> String {
    let find = |tool: &str| here.iter().find(|one| one.tool == tool);
    let (Some(full), Some(folded), Some(spin), Some(reduced)) = (
        find("unlazy explore --no-symmetry"),
        find("unlazy explore"),
        find("spin, every state in full"),
        find("spin, partial-order reduction"),
    ) else {
        return String::new();
    };
    // spin counts the state before its init has set anything, and the two steps that it takes.
    let same = full.states + 1 == spin.states && full.steps + 2 == spin.steps;
    let mut out = format!(
        "  {}: {} states and {} steps of ours, and spin's init (1 and 2)\n",
        if same { "the same space" } else { "NOT THE SAME SPACE" },
        full.states,
        full.steps
    );
    for (what, ours, theirs) in
        [("the same states", full, spin), ("each with its own reduction", folded, reduced)]
    {
        let _ = writeln!(
            out,
            "  {what}: states/CPU s {:.2} of spin's, bytes a state {:.2}, CPU time {:.2}, time {:.2}",
            ours.rate() / theirs.rate(),
            ours.bytes_a_state() / theirs.bytes_a_state(),
            ours.cpu_seconds / theirs.cpu_seconds.max(0.01),
            ours.seconds / theirs.seconds.max(0.01),
        );
    }
    out + "\n"
}

#[expect(clippy::cast_precision_loss, reason = "rates")]
impl Searched {
    fn rate(&self) -> f64 {
        self.states as f64 / self.cpu_seconds.max(0.01)
    }

    fn bytes_a_state(&self) -> f64 {
        self.bytes as f64 / self.states.max(1) as f64
    }
}
