//! `unlazy explore`: every order of steps of an abstract kernel.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail};
use tracer_explore::{
    bug, judge, path, protocol,
    rules::Rule,
    search::{self, End, Limits, Outcome, Status},
    setup::{Setup, World},
    step::Step,
};

use crate::{
    exit::Exit,
    explore::{explored, mutants, text, write},
    output::{OutputError, Sink, Target},
    report::text::count,
};

const ABOUT: &str = "Check a protocol exhaustively, on an abstract kernel";

const LONG_ABOUT: &str = "\
Check a protocol exhaustively: an abstract kernel takes its steps in every order that there is, within \
bounds, and the rules are asked at each. The first way to a broken rule is a shortest one; it is \
printed, and with -o written as a recording for `unlazy report` and `unlazy explain`.

  unlazy explore                                       Linux 6.12 in the core space
  unlazy explore --exclude kthread_use_mm              the same without that step
  unlazy explore --bug ipi-mb                          a bug, in bounds in which it shows
  unlazy explore --protocol linux-6.12-repaired --json r.json
  unlazy explore --mutants                             every guard dropped in turn
  unlazy explore --list                                protocols, bugs and steps by name

docs/explore.md says what is abstract, what was proved, and within which bounds.";

const AFTER_HELP: &str = "\
Exit codes:
  0  every rule that was exercised holds in the whole space
  1  a rule is broken; with --mutants, a mutant is neither caught nor known to be as good
  2  wrong usage, or something can't be written
  3  the space was not exhausted, and nothing was found broken";

/// The options of `unlazy explore`.
#[derive(Clone, Debug, clap::Args)]
#[command(about = ABOUT, long_about = LONG_ABOUT, after_long_help = AFTER_HELP)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
pub struct Args {
    /// The protocol
    #[arg(long, default_value = "linux-6.12", value_name = "P")]
    protocol: String,

    /// What is wrong with the kernel; its bounds become the default
    #[arg(long, value_name = "B", value_delimiter = ',')]
    bug: Vec<String>,

    /// CPUs
    #[arg(long, value_name = "N")]
    cpus: Option<u8>,
    /// Threads of process A, which calls and flushes
    #[arg(long, value_name = "N")]
    threads: Option<u8>,
    /// Threads of another process
    #[arg(long, value_name = "N")]
    others: Option<u8>,
    /// Kernel threads
    #[arg(long, value_name = "N")]
    kthreads: Option<u8>,
    /// Membarrier calls
    #[arg(long, value_name = "N")]
    calls: Option<u8>,
    /// TLB flushes
    #[arg(long, value_name = "N")]
    flushes: Option<u8>,
    /// Flushes free page tables
    #[arg(long)]
    tables: bool,
    /// Calls of `kthread_use_mm`
    #[arg(long, value_name = "N")]
    uses: Option<u8>,
    /// Threads that exit
    #[arg(long, value_name = "N")]
    exits: Option<u8>,
    /// Threads that call execve
    #[arg(long, value_name = "N")]
    execs: Option<u8>,
    /// Registrations; A begins without one then
    #[arg(long, value_name = "N")]
    registrations: Option<u8>,
    /// Threads that store and then load, against a caller that stores before and loads after
    #[arg(long, value_name = "N")]
    tests: Option<u8>,
    /// The call is `PRIVATE_EXPEDITED`
    #[arg(long)]
    private: bool,
    /// Every access is a step of its own: more states, for small bounds
    #[arg(long)]
    fine: bool,
    /// CPUs and threads that are alike are told apart all the same
    #[arg(long)]
    no_symmetry: bool,

    /// Leave out a step
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    exclude: Vec<String>,

    /// Stop at the first broken rule
    #[arg(long)]
    first: bool,

    /// Memory for the states
    #[arg(long, value_name = "SIZE", default_value = "4G", value_parser = super::size)]
    memory: u64,

    /// Which rule's counterexample to print and write [default: the worst]
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,

    /// Write the verdict as JSON (unlazy.explore/1) to F [default: standard output]
    #[arg(long, value_name = "F", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,

    /// Write the counterexample as a recording
    #[arg(short, long, value_name = "TRACE")]
    output: Option<PathBuf>,

    /// Hold the search's rules against the model core's, step by step, from so many states
    #[arg(long, value_name = "STATES", conflicts_with_all = ["output", "json"])]
    agree: Option<usize>,

    /// Drop every guard of the abstract kernel in turn, or these; fails if one is missed by no rule
    #[arg(long, value_name = "MUTANT", num_args = 0.., value_delimiter = ',', conflicts_with_all = ["output", "agree"])]
    mutants: Option<Vec<String>>,

    /// List protocols, bugs and steps
    #[arg(long)]
    list: bool,
}

/// Runs the command.
///
/// # Errors
/// If the bounds are none, or something can't be written; the exit code is then 2.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    if args.list {
        print(&text::list())?;
        return Ok(Exit::Clean);
    }
    if let Some(names) = &args.mutants {
        let json = args.json.as_deref().map(Target::from);
        return mutants(names, json.as_ref().map(Sink::open).transpose()?);
    }
    let world = world(args)?;
    if let Some(states) = args.agree {
        return agree(&world, states);
    }
    let rule = args.rule.as_deref().map(rule_of).transpose()?;
    let sink = |path: &Option<PathBuf>| {
        path.as_deref().map(|path| Sink::open(&Target::from(path))).transpose()
    };
    let (json, trace) = (sink(&args.json)?, sink(&args.output)?);
    let taken = [&json, &trace].into_iter().flatten().any(Sink::is_stdout);
    let enough = if args.first { rule.map_or(0, Rule::bit) } else { 0 };
    let limits = Limits { memory: usize::try_from(args.memory)?, enough };
    let mut shown = Shown::new(args.first && rule.is_none());
    let outcome = search::search(&world, &limits, &mut |status| shown.watch(status));
    shown.clear();
    let (said, exit) = said(&outcome);
    if !taken {
        print(&text::told(&world, &args.bug, &args.exclude, &outcome, said))?;
    }
    if let Some(json) = json {
        let explored = explored(&world, &args.bug, &outcome, said);
        json.write(|to| {
            serde_json::to_writer_pretty(&mut *to, &explored)?;
            writeln!(to)
        })?;
    }
    let told = counterexample(&world, &outcome, rule, trace)?;
    if !taken {
        print(&told)?;
    }
    Ok(exit)
}

fn rule_of(id: &str) -> anyhow::Result<Rule> {
    let known = Rule::ALL.into_iter().find(|rule| rule.id().eq_ignore_ascii_case(id));
    known.ok_or_else(|| anyhow!("there is no rule {id}; try R1 to R6, or order"))
}

fn world(args: &Args) -> anyhow::Result<World> {
    let protocol = protocol::find(&args.protocol)
        .ok_or_else(|| anyhow!("no protocol {}; --list has them", args.protocol))?;
    let bugs: Vec<_> = args
        .bug
        .iter()
        .map(|name| bug::find(name).ok_or_else(|| anyhow!("no bug {name}; --list has them")))
        .collect::<Result<_, _>>()?;
    let mut setup = bugs.first().map_or_else(Setup::core, |bug| (bug.setup)());
    let given = [
        (&mut setup.cpus, args.cpus),
        (&mut setup.threads_a, args.threads),
        (&mut setup.threads_b, args.others),
        (&mut setup.kthreads, args.kthreads),
        (&mut setup.calls, args.calls),
        (&mut setup.flushes, args.flushes),
        (&mut setup.uses, args.uses),
        (&mut setup.exits, args.exits),
        (&mut setup.execs, args.execs),
        (&mut setup.registrations, args.registrations),
        (&mut setup.tests, args.tests),
    ];
    for (bound, given) in given {
        *bound = given.unwrap_or(*bound);
    }
    setup.tables |= args.tables;
    setup.private |= args.private;
    setup.fine |= args.fine;
    setup.symmetry &= !args.no_symmetry;
    for name in &args.exclude {
        let step = Step::from_name(name).ok_or_else(|| anyhow!("no step {name}; see --list"))?;
        setup = setup.without(step);
    }
    setup.check()?;
    if setup.private && setup.registrations > 0 {
        bail!("--private and --registrations exclude each other");
    }
    let flags: Vec<_> = bugs.iter().flat_map(|bug| bug.flags).copied().collect();
    Ok(World::new(protocol, setup, &flags))
}

fn said(outcome: &Outcome) -> (&'static str, Exit) {
    if !outcome.broken.is_empty() {
        ("findings", Exit::Findings)
    } else if outcome.end != End::Exhausted || outcome.stuck > 0 {
        ("inconclusive", Exit::Inconclusive)
    } else {
        ("clean", Exit::Clean)
    }
}

/// Writes the way to a broken rule, and tells it with what the model core says of it.
fn counterexample(
    world: &World,
    outcome: &Outcome,
    rule: Option<Rule>,
    to: Option<Sink>,
) -> anyhow::Result<Vec<String>> {
    const WORST: [Rule; 7] =
        [Rule::R2, Rule::R3, Rule::R5, Rule::Order, Rule::R1, Rule::R4, Rule::R6];
    let shown = match rule {
        Some(rule) => outcome.of(rule),
        None => WORST.iter().find_map(|&rule| outcome.of(rule)),
    };
    let Some(broken) = shown else {
        if to.is_some() {
            eprintln!("unlazy: no rule is broken: there is no counterexample to write");
        }
        return Ok(Vec::new());
    };
    let walk = path::walk(world, &broken.path);
    let told = text::counterexample(world, broken.rule, &walk);
    if let Some(to) = to {
        write(world, &walk, to).context("the counterexample is lost")?;
    }
    Ok(told)
}

/// Holds the two judges against each other.
fn agree(world: &World, states: usize) -> anyhow::Result<Exit> {
    let agreed = judge::agree(world, states);
    print(&text::agreement(world, &agreed))?;
    let one = |rule: Rule| agreed.only_search[rule as usize] + agreed.only_model[rule as usize];
    let same = agreed.r7 == 0 && Rule::ALL.into_iter().all(|rule| one(rule) == 0);
    Ok(if same { Exit::Clean } else { Exit::Findings })
}

/// Prints lines. A reader that goes away is no failure.
fn print(lines: &[String]) -> Result<(), OutputError> {
    let stdout = Sink::open(&Target::Stdout)?;
    stdout.write(|to| lines.iter().try_for_each(|line| writeln!(to, "{line}"))).map(drop)
}

/// The progress line.
struct Shown {
    terminal: bool,
    last: Option<Instant>,
    stop_at_any: bool,
}

impl Shown {
    fn new(stop_at_any: bool) -> Self {
        Self { terminal: io::stderr().is_terminal(), last: None, stop_at_any }
    }

    /// Shows it, at most twice a second; whether to go on.
    fn watch(&mut self, status: &Status) -> bool {
        let fresh = self.last.is_some_and(|last| last.elapsed() < Duration::from_millis(500));
        if self.terminal && !fresh {
            self.last = Some(Instant::now());
            eprint!(
                "\r{} states  depth {}  {} waiting  {} MiB  {} s\x1b[K",
                count(status.states),
                status.depth,
                count(status.waiting),
                status.bytes >> 20,
                status.elapsed.as_secs()
            );
        }
        !(self.stop_at_any && status.broken > 0)
    }

    fn clear(&mut self) {
        if self.terminal && self.last.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}
