//! `cargo xtask grid`: kernels whose faults are known, against what unlazy finds in each.

mod junit;
mod load;
mod markdown;
mod observed;
mod plan;
mod results;
#[cfg(test)]
mod samples;
mod table;
mod trial;
mod verdict;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use self::observed::Observed;
use self::plan::{Extent, Row};
use self::results::{Grid, KernelFacts, RowResult, SCHEMA};
use self::trial::Kernel;
use self::verdict::{Surprise, Verdict};
use crate::kernel::Source;
use crate::shell::say;
use crate::toolchain::Choice;
use crate::vm;
use crate::workspace::Workspace;

/// Hold unlazy against kernels whose faults are known: planted bugs, real ones, and none.
///
/// Each row boots a kernel in a virtual machine, runs `unlazy check` around a workload, and compares
/// what was found with what is known. Exits with 0 if every row is as expected, 1 if there is a
/// surprise (a wrong finding or a missing one, a loss, a divergence), 2 if the grid could not run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The part that fits 15 minutes on two cores
    #[arg(long)]
    quick: bool,
    /// Only rows whose name has this in it, as `--list` shows them; may be repeated
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Show the rows, and run none
    #[arg(long)]
    list: bool,
    /// Minutes of each run in which nothing may be found (not with --quick)
    #[arg(long, value_name = "MINUTES", default_value_t = 10.0, value_parser = minutes)]
    clean_minutes: f64,
    /// Which of our kernels with planted bugs; may be repeated
    #[arg(long = "source", value_enum, value_name = "VERSION", default_value = "6.12")]
    sources: Vec<Source>,
    /// Machines at a time [default: one for every two cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: Option<u8>,
    /// How long each workload runs at most, whatever its row says
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    seconds: Option<Duration>,
    /// Also keep a trace of each row's last run in DIR
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// Write the grid as JSON (unlazy.grid/1)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write it as JUnit XML, a test case for each row
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write it as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    #[command(flatten)]
    options: vm::Options,
}

/// A number of seconds, for clap.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if (0.1..=86400.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("give a number from 0.1 to 86400".to_owned())
    }
}

/// A number of minutes, for clap.
fn minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if (0.1..=24.0 * 60.0).contains(&minutes) {
        Ok(minutes)
    } else {
        Err("give a number from 0.1 to 1440".to_owned())
    }
}

/// The quick grid, as a part of `cargo xtask test`; what it wrote is in target/grid.
///
/// # Errors
/// When it can't run, or there is a surprise.
pub(crate) fn quick(workspace: &Workspace, choice: Choice) -> Result<()> {
    let files = workspace.target.join("grid");
    fs::create_dir_all(&files).with_context(|| format!("making {}", files.display()))?;
    let args = Args {
        quick: true,
        only: Vec::new(),
        list: false,
        clean_minutes: 0.0,
        sources: vec![Source::V6_12],
        jobs: None,
        seconds: None,
        record: None,
        json: Some(files.join("grid.json")),
        junit: Some(files.join("grid.xml")),
        markdown: Some(files.join("grid.md")),
        options: vm::Options::with(choice),
    };
    if run(workspace, &args)? != ExitCode::SUCCESS {
        bail!("the grid has surprises; {} has them in full", files.join("grid.json").display());
    }
    Ok(())
}

/// Carries out `cargo xtask grid`.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let extent = Extent {
        quick: args.quick,
        clean_time: Duration::from_secs_f64(args.clean_minutes * 60.0),
        sources: args.sources.clone(),
    };
    let mut rows = plan::rows(&extent);
    if !args.only.is_empty() {
        rows.retain(|row| args.only.iter().any(|text| row.name().contains(text.as_str())));
        if rows.is_empty() {
            bail!("no row's name has {} in it: `--list` shows them", args.only.join(" or "));
        }
    }
    for row in &mut rows {
        row.time = args.seconds.unwrap_or(row.time);
        row.record = args.record.is_some();
    }
    if args.list {
        for row in &rows {
            println!("{}", row.name());
        }
        return Ok(ExitCode::SUCCESS);
    }
    args.options.prepare(workspace)?;
    let files = workspace.target.join("grid");
    say(format_args!("{} rows; each run's files are kept in {}", rows.len(), files.display()));
    let begun = Instant::now();
    println!("{}", table::head());
    let (kernels, facts) = kernels(workspace, &rows, &files);
    let jobs = args.jobs.map_or_else(default_jobs, usize::from);
    let mut results = all(&rows, jobs, |row| {
        let result = one(workspace, row, kernels.get(&row.kernel.name()), &facts, &files);
        println!("{}", table::row(&result));
        if let Some(to) = &args.record
            && let Err(error) = keep_trace(row, &result, &files, to)
        {
            say(format_args!("{}: {error:#}", row.name()));
        }
        result
    });
    // In the order of the plan, whoever was done first.
    results.sort_by_key(|(index, _)| *index);
    let rows: Vec<_> = results.into_iter().map(|(_, result)| result).collect();
    let grid = Grid {
        schema: SCHEMA,
        quick: args.quick,
        seconds: begun.elapsed().as_secs_f64(),
        surprises: rows.iter().filter(|row| !row.good).count(),
        kernels: facts,
        rows,
    };
    println!("{}", table::foot(&grid));
    write(&grid, args)?;
    Ok(ExitCode::from(u8::from(grid.surprises > 0)))
}

/// Every kernel of these rows, each found or built, and examined, once; and the facts of those that
/// could not be had as well.
fn kernels(
    workspace: &Workspace,
    rows: &[Row],
    files: &Path,
) -> (BTreeMap<String, Kernel>, Vec<KernelFacts>) {
    let (mut kernels, mut facts) = (BTreeMap::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for which in rows.iter().map(|row| row.kernel) {
        let name = which.name();
        if !seen.insert(name.clone()) {
            continue;
        }
        let module = rows.iter().any(|row| row.kernel == which && row.load.module);
        let dir = files.join("kernels").join(&name);
        match Kernel::ready(workspace, which, module, &dir) {
            Ok(kernel) => {
                facts.push(KernelFacts::of(&name, &kernel));
                kernels.insert(name, kernel);
            }
            Err(error) => {
                say(format_args!("{name}: {error:#}"));
                facts.push(KernelFacts::missing(&name, &error));
            }
        }
    }
    (kernels, facts)
}

/// Runs a row until it is settled.
fn one(
    workspace: &Workspace,
    row: &Row,
    kernel: Option<&Kernel>,
    facts: &[KernelFacts],
    files: &Path,
) -> RowResult {
    let not_run = |why: String| Verdict::Surprise(vec![Surprise::NotRun(why)]);
    let Some(kernel) = kernel else {
        let name = row.kernel.name();
        let error =
            facts.iter().find(|fact| fact.kernel == name).and_then(|fact| fact.error.clone());
        return RowResult::new(row, Vec::new(), not_run(error.unwrap_or_default()));
    };
    let mut round = 1;
    loop {
        let (tries, verdict) = tried(workspace, row, kernel, files, round);
        let starved = matches!(&verdict, Verdict::Surprise(surprises)
            if verdict::may_be_the_hosts(surprises));
        if round == ROUNDS || !starved {
            return RowResult { rounds: round, ..RowResult::new(row, tries, verdict) };
        }
        round += 1;
        say(format_args!("{}: {verdict}; once more", row.name()));
        for dead in tries.iter().filter(|run| !run.console.is_empty()) {
            say(format_args!("the end of its console:\n{}", dead.console));
        }
    }
}

/// Where the files of a row's run go.
fn folder(files: &Path, row: &Row, round: u32, number: u32) -> PathBuf {
    files.join(row.name()).join(format!("{round}.{number}"))
}

/// Copies the trace of a row's last run to `to`.
fn keep_trace(row: &Row, result: &RowResult, files: &Path, to: &Path) -> Result<()> {
    let from = folder(files, row, result.rounds, result.tries.len() as u32).join(trial::TRACE);
    fs::create_dir_all(to).with_context(|| format!("making {}", to.display()))?;
    let to = to.join(format!("{}.mcap", row.name().replace('/', "_")));
    fs::copy(&from, &to).with_context(|| format!("copying {}", from.display()))?;
    Ok(())
}

/// How often a row is begun whose faults may all be the host's.
const ROUNDS: u32 = 3;

fn tried(
    workspace: &Workspace,
    row: &Row,
    kernel: &Kernel,
    files: &Path,
    round: u32,
) -> (Vec<Observed>, Verdict) {
    let mut tries = Vec::new();
    for number in 1..=row.tries {
        let dir = folder(files, row, round, number);
        match trial::run(workspace, row, kernel, &dir) {
            Ok(observed) => tries.push(observed),
            Err(error) => {
                let why = Surprise::NotRun(format!("{error:#}"));
                return (tries, Verdict::Surprise(vec![why]));
            }
        }
        if verdict::settled(&row.expected, &tries) {
            break;
        }
    }
    let verdict = verdict::judge(&row.expected, &tries, kernel.order());
    (tries, verdict)
}

/// A machine has up to eight virtual CPUs; two cores keep one of them going.
fn default_jobs() -> usize {
    thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
}

/// Does all rows, `jobs` of them at a time; each result with its row's index.
fn all<T: Send>(rows: &[Row], jobs: usize, work: impl Fn(&Row) -> T + Sync) -> Vec<(usize, T)> {
    let queue: Mutex<VecDeque<_>> = Mutex::new(rows.iter().enumerate().collect());
    let done = Mutex::new(Vec::new());
    // A panic ends the whole grid when the scope does; until then the locks guard nothing torn.
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some((index, row)) = next() {
                    let result = work(row);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn write(grid: &Grid, args: &Args) -> Result<()> {
    let put = |path: &Option<PathBuf>, text: &dyn Fn() -> Result<Vec<u8>>| {
        let Some(path) = path else { return Ok(()) };
        fs::write(path, text()?).with_context(|| format!("writing {}", path.display()))
    };
    put(&args.json, &|| {
        let mut json = serde_json::to_vec_pretty(grid).context("writing the grid as JSON")?;
        json.push(b'\n');
        Ok(json)
    })?;
    put(&args.junit, &|| {
        let mut xml = Vec::new();
        junit::write(grid, &mut xml).context("writing the grid as JUnit XML")?;
        Ok(xml)
    })?;
    put(&args.markdown, &|| Ok(markdown::markdown(grid).into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_done_once_by_any_number_of_workers() {
        let extent =
            Extent { quick: true, clean_time: Duration::ZERO, sources: vec![Source::V6_12] };
        let rows = plan::rows(&extent);
        for jobs in [1, 3] {
            let mut done = all(&rows, jobs, Row::name);
            done.sort();
            let names: Vec<_> = rows.iter().map(Row::name).enumerate().collect();
            assert_eq!(done, names);
        }
    }

    #[test]
    fn minutes_are_positive() {
        assert_eq!(minutes("0.5"), Ok(0.5));
        assert!(minutes("0").is_err() && minutes("-1").is_err() && minutes("x").is_err());
        assert!(minutes("NaN").is_err());
    }
}
