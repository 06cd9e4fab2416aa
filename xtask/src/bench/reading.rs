//! `cargo xtask bench --recordings`: what a recording costs, and how fast it is judged, beside perf and
//! trace-cmd merely printing a recording of the same tracepoints.
//!
//! Each tool records the same workload for the same time, one after the other; then all read what
//! they recorded, in interleaved rounds, with their output thrown away.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Seek as _},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::fifo::Folder;
use super::stats::Spread;
use super::tracepoints::{Tracepoints, in_tracefs};
use crate::shell::{self, say};

/// How often a running process is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// The measuring part: needs root, prints JSON.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    unlazy: PathBuf,
    #[arg(long)]
    rounds: u32,
    #[arg(long)]
    seconds: u64,
}

/// A tool that records and reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Tool {
    Unlazy,
    Perf,
    TraceCmd,
}

const TOOLS: [Tool; 3] = [Tool::Unlazy, Tool::Perf, Tool::TraceCmd];

/// What a benchmark run found, as data: `unlazy.bench-recordings/1`.
#[derive(Serialize, Deserialize)]
pub(super) struct Results {
    schema: String,
    kernel: String,
    cpus: usize,
    load: f64,
    rounds: u32,
    /// How long each recorded, in seconds.
    seconds: u64,
    tracepoints: Vec<String>,
    tools: Vec<Measured>,
}

#[derive(Serialize, Deserialize)]
struct Measured {
    tool: Tool,
    /// Why there is nothing else.
    missing: Option<String>,
    events: u64,
    bytes: u64,
    /// What recording took.
    recorded: Taken,
    /// What reading took, round by round.
    read: Vec<Taken>,
    events_per_second: Option<Spread>,
    /// unlazy's events a second over its own, in the same round.
    unlazy_is_faster: Option<Spread>,
}

/// What a process took.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Taken {
    seconds: f64,
    /// User and system time of the process itself, not of its children.
    cpu_seconds: f64,
    /// `VmHWM`, read until 10 ms before its end.
    resident_kib: u64,
}

/// Carries out `bench-recordings`.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let load = super::measure::load()?;
    let tracepoints = Tracepoints::of(&args.unlazy)?;
    let folder = Folder::new()?;
    let bench = Bench { args, tracepoints: &tracepoints, folder: folder.path() };
    let mut tools =
        TOOLS.map(|tool| bench.recorded(tool)).into_iter().collect::<Result<Vec<_>>>()?;
    for round in 0..args.rounds {
        say(format_args!("reading, round {} of {}", round + 1, args.rounds));
        for measured in tools.iter_mut().filter(|measured| measured.missing.is_none()) {
            measured.read.push(bench.read(measured.tool)?);
        }
    }
    compare(&mut tools);
    let results = Results {
        schema: "unlazy.bench-recordings/1".to_owned(),
        kernel: super::measure::release()?,
        cpus: thread::available_parallelism().context("counting CPUs")?.get(),
        load,
        rounds: args.rounds,
        seconds: args.seconds,
        tracepoints: tracepoints.0.clone(),
        tools,
    };
    println!("{}", serde_json::to_string_pretty(&results).context("writing the results")?);
    Ok(ExitCode::SUCCESS)
}

struct Bench<'a> {
    args: &'a Args,
    tracepoints: &'a Tracepoints,
    folder: &'a Path,
}

impl Bench<'_> {
    fn file(&self, tool: Tool) -> PathBuf {
        self.folder.join(match tool {
            Tool::Unlazy => "unlazy.mcap",
            Tool::Perf => "perf.data",
            Tool::TraceCmd => "trace.dat",
        })
    }

    /// Has a tool record the workload.
    fn recorded(&self, tool: Tool) -> Result<Measured> {
        let mut measured = Measured {
            tool,
            missing: tool.missing(),
            events: 0,
            bytes: 0,
            recorded: Taken::default(),
            read: Vec::new(),
            events_per_second: None,
            unlazy_is_faster: None,
        };
        if let Some(why) = &measured.missing {
            say(format_args!("{}: {why}", tool.title()));
            return Ok(measured);
        }
        say(format_args!("{} records for {} s", tool.title(), self.args.seconds));
        let file = self.file(tool);
        let mut command = match tool {
            Tool::Unlazy => Command::new(&self.args.unlazy),
            Tool::Perf => in_tracefs("perf"),
            Tool::TraceCmd => in_tracefs("trace-cmd"),
        };
        match tool {
            Tool::Unlazy => {
                command.args(["record", "--syscalls", "always", "-o"]).arg(&file).arg("--")
            }
            Tool::Perf => {
                command.args(["record", "-q", "-a", "-m", "16M", "-o"]).arg(&file);
                command.arg("-e").arg(self.tracepoints.0.join(","))
            }
            Tool::TraceCmd => {
                command.args(["record", "-q", "-b", "16384", "-o"]).arg(&file);
                for tracepoint in &self.tracepoints.0 {
                    command.arg("-e").arg(tracepoint);
                }
                &mut command
            }
        };
        let length = format!("{}s", self.args.seconds);
        command.arg(&self.args.unlazy).args(["stress", "--for", &length]);
        // Its temporary files belong to the folder, too.
        command.current_dir(self.folder).stdout(Stdio::null());
        match watch(&mut command, &[0]) {
            Ok(taken) => measured.recorded = taken,
            Err(error) if tool == Tool::Unlazy => return Err(error),
            // Not every kernel lets everybody record.
            Err(error) => {
                measured.missing = Some(format!("{error:#}"));
                return Ok(measured);
            }
        }
        measured.bytes =
            fs::metadata(&file).with_context(|| format!("looking at {}", file.display()))?.len();
        measured.events = self.events(tool)?;
        ensure!(measured.events > 0, "{} recorded nothing", tool.title());
        Ok(measured)
    }

    /// How many events a recording has: a line each, where they are printed.
    fn events(&self, tool: Tool) -> Result<u64> {
        let mut command = self.reader(tool);
        if tool == Tool::Unlazy {
            let output = command.arg("--json").output().context("starting unlazy report")?;
            let report: serde_json::Value =
                serde_json::from_slice(&output.stdout).context("reading its report")?;
            return report["events"]["total"].as_u64().context("its report has no events.total");
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {}", tool.title()))?;
        let lines = count_lines(child.stdout.take().context("its output")?)?;
        child.wait().with_context(|| format!("waiting for {}", tool.title()))?;
        Ok(lines)
    }

    fn reader(&self, tool: Tool) -> Command {
        let file = self.file(tool);
        let mut command = match tool {
            Tool::Unlazy => Command::new(&self.args.unlazy),
            Tool::Perf => Command::new("perf"),
            Tool::TraceCmd => Command::new("trace-cmd"),
        };
        match tool {
            Tool::Unlazy => command.arg("report").arg(file),
            Tool::Perf => command.args(["script", "-f", "-i"]).arg(file),
            Tool::TraceCmd => command.args(["report", "-i"]).arg(file),
        };
        command.current_dir(self.folder);
        command
    }

    fn read(&self, tool: Tool) -> Result<Taken> {
        // What unlazy thinks of the recording does not matter here.
        let fine: &[i32] = if tool == Tool::Unlazy { &[0, 1, 3] } else { &[0] };
        watch(self.reader(tool).stdout(Stdio::null()), fine)
    }
}

impl Tool {
    const fn title(self) -> &'static str {
        match self {
            Self::Unlazy => "unlazy",
            Self::Perf => "perf",
            Self::TraceCmd => "trace-cmd",
        }
    }

    /// Why it can't be used here, and what to do; `None` if it can.
    fn missing(self) -> Option<String> {
        let package = match self {
            Self::Unlazy => return None,
            Self::Perf => "linux-perf",
            Self::TraceCmd => "trace-cmd",
        };
        shell::find_program(self.title())
            .is_none()
            .then(|| format!("not installed; on Debian: apt-get install {package}"))
    }
}

/// Runs a command to its end, and looks at it now and then. `fine` are the exit codes that are.
fn watch(command: &mut Command, fine: &[i32]) -> Result<Taken> {
    let name = command.get_program().to_string_lossy().into_owned();
    let begun = Instant::now();
    // A file, because nobody reads a pipe while it runs.
    let mut said = tempfile::tempfile().context("making a temporary file")?;
    let mut child = command
        .stdin(Stdio::null())
        .stderr(said.try_clone().context("opening a temporary file once more")?)
        .spawn()
        .with_context(|| format!("starting {name}"))?;
    let mut taken = Taken::default();
    let status = loop {
        if let Some(status) = child.try_wait().with_context(|| format!("waiting for {name}"))? {
            break status;
        }
        look(child.id(), &mut taken);
        thread::sleep(LOOK);
    };
    taken.seconds = begun.elapsed().as_secs_f64();
    if !status.code().is_some_and(|code| fine.contains(&code)) {
        let mut text = String::new();
        said.rewind().and_then(|()| said.read_to_string(&mut text)).context("reading stderr")?;
        bail!("{name} failed ({status}): {}", shell::tail(&text, 2).replace('\n', "; "));
    }
    Ok(taken)
}

/// What a process has taken so far; if it has just ended, what it had before stands.
fn look(pid: u32, taken: &mut Taken) {
    if let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status"))
        && let Some(peak) = peak(&status)
    {
        taken.resident_kib = taken.resident_kib.max(peak);
    }
    if let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat"))
        && let Some(ticks) = ticks(&stat)
    {
        // USER_HZ is 100 on every x86-64 kernel.
        #[expect(clippy::cast_precision_loss, reason = "days of it would still be exact")]
        let seconds = ticks as f64 / 100.0;
        taken.cpu_seconds = taken.cpu_seconds.max(seconds);
    }
}

/// `VmHWM` in `/proc/PID/status`.
fn peak(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// `utime` and `stime` in `/proc/PID/stat`; the name before them may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

fn count_lines(from: impl std::io::Read) -> Result<u64> {
    let mut from = BufReader::with_capacity(1 << 16, from);
    let mut lines = 0;
    while from.skip_until(b'\n').context("counting lines")? > 0 {
        lines += 1;
    }
    Ok(lines)
}

fn compare(tools: &mut [Measured]) {
    let rates = |measured: &Measured| -> Vec<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let events = measured.events as f64;
        measured.read.iter().map(|taken| events / taken.seconds).collect()
    };
    let ours = tools.first().map(&rates).unwrap_or_default();
    for measured in tools {
        let theirs = rates(measured);
        measured.events_per_second = Spread::of(&theirs);
        measured.unlazy_is_faster = Spread::of_ratios(&ours, &theirs);
    }
}

/// The results as text.
pub(super) fn render(results: &Results) -> String {
    use std::fmt::Write as _;
    let mut text = format!(
        "Linux {}, {} CPUs, load {:.1} at the start; each recorded the whole workload for {} s, {} \
         tracepoints; medians of {} rounds, ratios within a round\n\n",
        results.kernel,
        results.cpus,
        results.load,
        results.seconds,
        results.tracepoints.len(),
        results.rounds
    );
    // Here and below: writing to a String cannot fail.
    let _ = writeln!(
        text,
        "  {:<10} {:>12} {:>8} {:>9} {:>9} | {:>12} {:>9} {:>16}",
        "", "events", "bytes/ev", "CPU s", "RSS MiB", "events/s", "RSS MiB", "unlazy is faster"
    );
    for measured in &results.tools {
        let Measured { tool, missing, events, bytes, recorded, read, .. } = measured;
        if let Some(why) = missing {
            let _ = writeln!(text, "  {:<10} {why}", tool.title());
            continue;
        }
        let resident = read.iter().map(|taken| taken.resident_kib).max().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let each = *bytes as f64 / *events as f64;
        let rate = measured.events_per_second.map_or(0.0, |spread| spread.median);
        let faster = match (*tool, measured.unlazy_is_faster) {
            (Tool::Unlazy, _) | (_, None) => String::new(),
            (_, Some(Spread { median, min, max })) => {
                format!("{median:.1} ({min:.1} .. {max:.1})")
            }
        };
        let line = format!(
            "  {:<10} {events:>12} {each:>8.1} {:>9.1} {:>9} | {rate:>12.0} {:>9} {faster:>16}",
            tool.title(),
            recorded.cpu_seconds,
            recorded.resident_kib >> 10,
            resident >> 10,
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proc_says_of_a_process() {
        assert_eq!(peak("Name:\tx\nVmHWM:\t   52604 kB\nVmRSS:\t 1 kB\n"), Some(52_604));
        assert_eq!(peak("Name:\tx\n"), None);
        let stat = "7 (a) b) R 1 2 3 4 5 6 7 8 9 10 11 12 13 14";
        assert_eq!(ticks(stat), Some(11 + 12));
        assert_eq!(ticks("7 (a"), None);
    }

    #[test]
    fn rates_are_compared_round_by_round() {
        let read = |seconds: [f64; 2]| {
            seconds.map(|seconds| Taken { seconds, ..Taken::default() }).to_vec()
        };
        let tool = |tool, events, seconds| Measured {
            tool,
            missing: None,
            events,
            bytes: events * 5,
            recorded: Taken::default(),
            read: read(seconds),
            events_per_second: None,
            unlazy_is_faster: None,
        };
        let mut tools =
            vec![tool(Tool::Unlazy, 1000, [1.0, 2.0]), tool(Tool::Perf, 500, [5.0, 10.0])];
        compare(&mut tools);
        let faster = tools[1].unlazy_is_faster.unwrap();
        assert_eq!((faster.min, faster.max), (10.0, 10.0));
        let results = Results {
            schema: String::new(),
            kernel: "6.12".to_owned(),
            cpus: 2,
            load: 0.0,
            rounds: 2,
            seconds: 30,
            tracepoints: Vec::new(),
            tools,
        };
        let text = render(&results);
        assert!(text.contains("10.0 (10.0 .. 10.0)") && text.contains("750"), "{text}");
    }

    #[test]
    fn a_process_is_watched_to_its_end() {
        let taken = watch(Command::new("sleep").arg("0.05"), &[0]).unwrap();
        assert!(taken.seconds >= 0.05 && taken.resident_kib > 0, "{taken:?}");
        assert!(watch(&mut Command::new("false"), &[0]).is_err());
        assert!(watch(&mut Command::new("false"), &[0, 1]).is_ok());
    }
}
