//! Tries everything out.

use std::path::Path;

use super::{
    advice::advice,
    report::{BtfFile, Doctor, Mode, Modes, ProbeLine, SCHEMA, Tried, Verifier, Works},
};
use crate::{
    audit::{self, Sources},
    probes::{
        LoadError, Options, ProbeState, Probes,
        btf::{Btf, KERNEL_BTF},
        object,
        plan::Plan,
        privileges::Privileges,
        rings::{self, Wish},
        table::{Need, PROBES},
    },
};

/// Loads every program, attaches each alone, takes it away again, and says what happened. `kernel`
/// is passed on; `btf` replaces the running kernel's.
#[must_use]
pub fn examine(kernel: serde_json::Value, btf: Option<&Path>) -> Doctor {
    let privileges = Privileges::current();
    let path = btf.unwrap_or(Path::new(KERNEL_BTF));
    let types = Btf::from_file(path);
    let file = BtfFile {
        path: path.display().to_string(),
        bytes: types.as_ref().ok().map(Btf::bytes),
        why: types.as_ref().err().map(ToString::to_string).unwrap_or_default(),
    };
    // Another kernel's types would not fit the running kernel's text.
    let own = btf.and_then(|_| Btf::from_file(Path::new(KERNEL_BTF)).ok());
    let types_of_text = if btf.is_some() { own.as_ref() } else { types.as_ref().ok() };
    let text_audit = audit::run(&Sources::live(types_of_text));
    let (probes, modes) = match types {
        Ok(types) => try_out(&Plan::new(&types), btf),
        Err(error) => {
            let why = LoadError::Btf(error).to_string();
            (
                lines(|_| Line::skipped("not tried: there is no usable BTF".to_owned())),
                neither(&why),
            )
        }
    };
    let mut doctor = Doctor {
        schema: SCHEMA,
        mode: match (modes.tracepoint.ok, modes.full.ok) {
            (_, true) => Some(Mode::Full),
            (true, false) => Some(Mode::Tracepoint),
            (false, false) => None,
        },
        kernel,
        privileges: privileges.into(),
        btf: file,
        probes,
        modes,
        text_audit,
        advice: Vec::new(),
    };
    doctor.advice = advice(&doctor);
    doctor
}

/// What there is to say of one probe.
struct Line {
    state: Tried,
    why: String,
    lost: bool,
    verifier: Option<Verifier>,
}

impl Line {
    const fn skipped(why: String) -> Self {
        Self { state: Tried::Skipped, why, lost: false, verifier: None }
    }
}

/// A line for each probe of the table.
fn lines(mut line: impl FnMut(usize) -> Line) -> Vec<ProbeLine> {
    PROBES
        .iter()
        .enumerate()
        .map(|(index, probe)| {
            let Line { state, why, lost, verifier } = line(index);
            ProbeLine {
                name: probe.name,
                subsystem: probe.subsystem,
                kind: probe.kind.name(),
                need: probe.need.name(),
                state,
                why,
                gives: probe.gives,
                lost,
                lost_without: probe.lost_without,
                verifier,
            }
        })
        .collect()
}

fn neither(why: &str) -> Modes {
    let no = || Works { ok: false, why: why.to_owned() };
    Modes { tracepoint: no(), full: no() }
}

/// What the plan alone says, where the kernel can't be asked because of `why`.
fn untried(plan: &Plan, why: &LoadError) -> (Vec<ProbeLine>, Modes) {
    let lines =
        lines(|index| match plan.probes.get(index).and_then(|planned| planned.skip.as_ref()) {
            Some(skip) => Line { lost: skip.is_loss(), ..Line::skipped(skip.to_string()) },
            None => Line::skipped(format!("not tried: {}", short(why))),
        });
    let mut modes = neither(&why.to_string());
    modes.full.why = format!("not tried: {}", short(why));
    (lines, modes)
}

/// The same in a few words, for a place where it stands fifty times.
fn short(why: &LoadError) -> &'static str {
    match why {
        LoadError::NoObject => "built without the eBPF programs",
        LoadError::Privileges => "needs root",
        LoadError::Foreign(_) => "the BTF is another kernel's",
        LoadError::NotPermitted(_) => "the kernel refuses eBPF",
        _ => "nothing could be loaded",
    }
}

fn try_out(plan: &Plan, btf: Option<&Path>) -> (Vec<ProbeLine>, Modes) {
    let options = Options {
        btf: btf.map(Path::to_owned),
        buffer: Wish::Exactly(u64::from(rings::MIN)),
        verifier: true,
        ..Options::default()
    };
    let loaded = object::embedded()
        .ok_or(LoadError::NoObject)
        .and_then(|object| Probes::load_planned(object, plan.clone(), &options));
    let mut probes = match loaded {
        Ok(probes) => probes,
        Err(error) => return untried(plan, &error),
    };
    for probe in PROBES {
        // What came of it stands in the states.
        let _ = probes.try_alone(probe.name);
    }
    let states = probes.states();
    let tracepoint = works(&states, false);
    let full = match probes.fentry() {
        Ok(()) if !tracepoint.ok => tracepoint.clone(),
        Ok(()) => works(&states, true),
        Err(why) => Works { ok: false, why: why.to_owned() },
    };
    let mut states = states.into_iter();
    let lines = lines(|_| match states.next() {
        Some(ProbeState { state, why, lost, verifier, .. }) => {
            Line { state: state.into(), why, lost, verifier: verifier.map(Into::into) }
        }
        None => Line::skipped("not tried".to_owned()),
    });
    (lines, Modes { tracepoint, full })
}

/// Whether enough was attached of what a mode has, or adds, and what of importance was not.
fn works(states: &[ProbeState], full: bool) -> Works {
    let missing = |need: Need| {
        states.iter().filter(move |state| {
            state.probe.kind.is_full() == full
                && state.probe.need == need
                // In tracepoint mode nothing of full mode takes another's place.
                && (state.lost || !full)
                && Tried::from(state.state) != Tried::Attached
        })
    };
    if let Some(state) = missing(Need::Required).next() {
        return Works { ok: false, why: format!("{}: {}", state.probe.name, state.why) };
    }
    let lost: Vec<_> = missing(Need::Important).map(|state| state.probe.name).collect();
    let why = if lost.is_empty() { String::new() } else { format!("without {}", lost.join(", ")) };
    Works { ok: true, why }
}
