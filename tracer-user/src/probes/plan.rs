//! What is going to be attached on this kernel, and why the rest is not.

use std::collections::BTreeMap;

use super::{
    btf::{Arg, Btf, Prototype},
    table::{Field, Need, PROBES, Probe, ProbeKind, Shape, UsedArg},
};

/// Decided from the table and a BTF; the kernel itself may still refuse.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Every probe of the table, in its order.
    pub probes: Vec<Planned>,
    /// The offset of every field that was found.
    pub offsets: BTreeMap<Field, u32>,
}

/// A probe and what is to become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The row of the table.
    pub probe: &'static Probe,
    /// `None` if it is to be attached, else why not.
    pub skip: Option<Skip>,
}

/// Why a probe is not even tried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Skip {
    /// The kernel has no such tracepoint.
    #[error("this kernel has no tracepoint {subsystem}:{name}{aside}")]
    Absent {
        /// The tracefs directory it would be in.
        subsystem: &'static str,
        /// The tracepoint.
        name: &'static str,
        /// Where it exists, in parentheses; may be empty.
        aside: String,
    },
    /// It has other arguments than the program reads.
    #[error("{0}")]
    Shape(String),
    /// A field that the program loads can't be found.
    #[error("{0}")]
    Field(String),
}

/// Nothing can be judged on this kernel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name} can't be used, and without it nothing can be judged: {why}. unlazy needs Linux 5.18 or \
     later with CONFIG_DEBUG_INFO_BTF; `unlazy doctor` shows all probes"
)]
pub struct Impossible {
    /// The probe.
    pub name: &'static str,
    /// Why it can't be used.
    pub why: String,
}

/// The plan was made from another kernel's BTF than the one that is running.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("that BTF describes another kernel: {path} is at byte {there} there and {here} here")]
pub struct Foreign {
    /// A field that tells them apart.
    pub path: &'static str,
    /// Its offset in the running kernel.
    pub here: u32,
    /// Its offset in the file.
    pub there: u32,
}

/// What is missing, and what that costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The probe.
    pub name: &'static str,
    /// What can't be seen without it.
    pub lost: &'static str,
    /// Why it is missing.
    pub why: String,
}

impl Plan {
    /// Looks up every field and tracepoint of the table in `btf`.
    #[must_use]
    pub fn new(btf: &Btf) -> Self {
        let mut offsets = BTreeMap::new();
        let mut missing = BTreeMap::new();
        for &field in Field::ALL {
            let info = field.info();
            match btf.member_sized(info.path, info.size) {
                Ok(member) => drop(offsets.insert(field, member.offset)),
                Err(error) => drop(missing.insert(field, error.to_string())),
            }
        }
        let probes = PROBES
            .iter()
            .map(|probe| Planned { probe, skip: obstacle(probe, btf, &missing) })
            .collect();
        Self { probes, offsets }
    }

    /// Whether anything can be judged at all.
    ///
    /// # Errors
    /// [`Impossible`] names the first probe that is required and can't be had.
    pub fn possible(&self) -> Result<(), Impossible> {
        self.probes
            .iter()
            .find_map(|planned| match &planned.skip {
                Some(skip) if planned.probe.need == Need::Required => {
                    Some(Err(Impossible { name: planned.probe.name, why: skip.to_string() }))
                }
                _ => None,
            })
            .unwrap_or(Ok(()))
    }

    /// Whether this plan's offsets are those of the kernel that `running` was made from. With others
    /// a program would be refused or, worse, read the wrong fields.
    ///
    /// # Errors
    /// [`Foreign`] names a field that is elsewhere.
    pub fn fits(&self, running: &Self) -> Result<(), Foreign> {
        for (field, &there) in &self.offsets {
            match running.offsets.get(field) {
                Some(&here) if here != there => {
                    return Err(Foreign { path: field.info().path, here, there });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What will be missed because a probe of some importance can't be had.
    pub fn losses(&self) -> impl Iterator<Item = Loss> + '_ {
        self.probes.iter().filter_map(|planned| {
            let skip = planned.skip.as_ref()?;
            (planned.probe.need <= Need::Important).then(|| Loss {
                name: planned.probe.name,
                lost: planned.probe.lost_without,
                why: skip.to_string(),
            })
        })
    }
}

fn obstacle(probe: &'static Probe, btf: &Btf, missing: &BTreeMap<Field, String>) -> Option<Skip> {
    match probe.kind {
        ProbeKind::TpBtf | ProbeKind::RawTp => match btf.tracepoint(probe.name) {
            Ok(Some(prototype)) => {
                if let Err(why) = has_arguments(probe, &prototype) {
                    return Some(Skip::Shape(why));
                }
            }
            Ok(None) => {
                let aside = match (probe.since, probe.config) {
                    ("any", "") => String::new(),
                    ("any", config) => format!(" (it takes {config})"),
                    (since, _) => format!(" (there from {since} on)"),
                };
                return Some(Skip::Absent { subsystem: probe.subsystem, name: probe.name, aside });
            }
            Err(error) => return Some(Skip::Shape(error.to_string())),
        },
        ProbeKind::Fentry | ProbeKind::Fexit | ProbeKind::Kprobe | ProbeKind::PerCpuVar => {}
    }
    let why = probe.fields.iter().find_map(|field| missing.get(field))?;
    Some(Skip::Field(why.clone()))
}

/// Whether the tracepoint has what the program reads.
fn has_arguments(probe: &Probe, prototype: &Prototype) -> Result<(), String> {
    let Prototype(args) = prototype;
    for used in probe.args {
        let place = format!("argument {} ({})", used.index + 1, used.name);
        let Some(found) = args.get(used.index) else {
            let since = used.since.map(|since| format!(", which came with {since}"));
            return Err(format!(
                "{} has {} arguments on this kernel; {place} is needed{}",
                probe.name,
                args.len(),
                since.unwrap_or_default(),
            ));
        };
        if !accepts(probe.kind, used, found) {
            return Err(format!(
                "{place} of {} is {found} on this kernel; {} is expected",
                probe.name,
                expected(used.shape),
            ));
        }
    }
    Ok(())
}

fn accepts(kind: ProbeKind, used: &UsedArg, found: &Arg) -> bool {
    match (used.shape, found) {
        (Shape::Struct(wanted), Arg::Struct(found)) => wanted == found,
        // kernel/bpf/btf.c:btf_ctx_access lets no BTF tracepoint touch a pointer to a function.
        (Shape::Word, Arg::Function) => kind == ProbeKind::RawTp,
        (Shape::Number | Shape::Word, Arg::Number)
        | (Shape::Word, Arg::Struct(_) | Arg::Pointer) => true,
        _ => false,
    }
}

fn expected(shape: Shape) -> String {
    match shape {
        Shape::Number => Arg::Number.to_string(),
        Shape::Struct(name) => Arg::Struct(name.to_owned()).to_string(),
        Shape::Word => "a number or pointer that a program may read".to_owned(),
    }
}

#[cfg(test)]
mod tests;
