//! `unlazy explore --mutants`: every guard of the abstract kernel dropped in turn.

use std::io::{self, IsTerminal, Write};

use anyhow::anyhow;
use serde::Serialize;
use tracer_explore::mutant::{Fate, Found, Hunt, Mutant, SPACES};

use crate::{
    exit::Exit,
    output::{Sink, Target},
};

/// `unlazy.mutants/1`
#[derive(Debug, Serialize)]
struct Hunted {
    schema: &'static str,
    verdict: &'static str,
    spaces: Vec<OfSpace>,
    mutants: Vec<OfMutant>,
}

#[derive(Debug, Serialize)]
struct OfSpace {
    name: &'static str,
    protocol: &'static str,
    states: u64,
    steps: u64,
}

#[derive(Debug, Serialize)]
struct OfMutant {
    name: String,
    source: &'static str,
    guard: &'static str,
    fate: &'static str,
    settled: bool,
    by: Option<String>,
    space: Option<&'static str>,
    differs_in: Vec<&'static str>,
    reason: Option<&'static str>,
}

/// Drops these guards, or all; prints what became of each.
///
/// # Errors
/// If there is no such mutant, or something can't be written.
pub fn mutants(names: &[String], json: Option<Sink>) -> anyhow::Result<Exit> {
    let named = |name: &String| {
        let known = Mutant::from_name(name);
        known.ok_or_else(|| anyhow!("no mutant {name}; `unlazy explore --mutants` prints them"))
    };
    let chosen: Vec<_> = match names {
        [] => Mutant::all().collect(),
        names => names.iter().map(named).collect::<Result<_, _>>()?,
    };
    let shows = io::stderr().is_terminal();
    let hunt = Hunt::new(SPACES);
    let found = hunt.hunt_all(&chosen, &|found| {
        if shows {
            eprint!("\r{}\x1b[K", found.mutant.name());
        }
    });
    if shows {
        eprint!("\r\x1b[K");
    }
    let settled = found.iter().all(Found::is_settled);
    let text = !json.as_ref().is_some_and(Sink::is_stdout);
    if text {
        // A reader that goes away is no failure.
        Sink::open(&Target::Stdout)?.write(|to| print(&found, to))?;
    }
    if let Some(json) = json {
        let hunted = Hunted {
            schema: "unlazy.mutants/1",
            verdict: if settled { "clean" } else { "findings" },
            spaces: hunt
                .looked_through()
                .map(|(space, graph)| OfSpace {
                    name: space.name,
                    protocol: space.protocol,
                    states: graph.states,
                    steps: graph.steps,
                })
                .collect(),
            mutants: found.iter().map(of_mutant).collect(),
        };
        json.write(|to| {
            serde_json::to_writer_pretty(&mut *to, &hunted)?;
            writeln!(to)
        })?;
    }
    Ok(if settled { Exit::Clean } else { Exit::Findings })
}

fn of_mutant(found: &Found) -> OfMutant {
    let guard = found.mutant.guard;
    let (fate, by, space, differs_in) = match &found.fate {
        Fate::Caught { by, space, .. } => ("caught", Some(by.describe()), Some(*space), vec![]),
        Fate::Same => ("same", None, None, vec![]),
        Fate::Clean(spaces) => ("clean", None, None, spaces.clone()),
        Fate::NotAsked => ("not asked", None, None, vec![]),
        Fate::TooMany(space) => ("too many states", None, Some(*space), vec![]),
    };
    OfMutant {
        name: found.mutant.name(),
        source: guard.source(),
        guard: guard.about(),
        fate,
        settled: found.is_settled(),
        by,
        space,
        differs_in,
        reason: found.survivor().map(|survivor| survivor.reason),
    }
}

fn print(found: &[Found], out: &mut dyn Write) -> io::Result<()> {
    let count = |fate: &str| found.iter().filter(|found| of_mutant(found).fate == fate).count();
    for found in found {
        let told = of_mutant(found);
        let how = match (&told.by, told.space, told.reason) {
            (Some(by), Some(space), _) => format!("{by} ({space})"),
            (_, Some(space), _) => format!("({space})"),
            (_, _, Some(reason)) => reason.to_owned(),
            _ => told.differs_in.join(", "),
        };
        let mark = if told.settled { ' ' } else { '!' };
        writeln!(out, "{mark} {:<24} {:<10} {how}", told.name, told.fate)?;
    }
    let open = found.iter().filter(|found| !found.is_settled()).count();
    writeln!(
        out,
        "\n{} mutants: {} caught, {} the same in every space, {} clean with a reason; {open} unsettled",
        found.len(),
        count("caught"),
        count("same"),
        count("clean"),
    )
}
