//! What is going to be attached on this kernel, and why the rest is not.

use std::collections::BTreeMap;

use super::{
    btf::{Arg, Btf, Prototype},
    percpu::{PerCpu, Symbols},
    table::{Field, Need, PROBES, Probe, ProbeKind, Shape, UsedArg},
};

/// Decided from the table and a BTF; the kernel itself may still refuse.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Every probe of the table, in its order.
    pub probes: Vec<Planned>,
    /// The offset of every field that was found.
    pub offsets: BTreeMap<Field, u32>,
    /// Where the per-CPU variables are.
    pub per_cpu: PerCpu,
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
    /// The kernel has no such function that a program could sit on.
    #[error(
        "this kernel has no function {0} that a program can sit on: it is inlined, or the compiler has \
         made another of it ({0}.isra.0)"
    )]
    NoFunction(&'static str),
    /// A per-CPU variable can't be read, and there is nothing else to tell.
    #[error("{name} can't be read: {why}")]
    Variable {
        /// The variable.
        name: &'static str,
        /// Why not.
        why: String,
    },
    /// Another probe tells the same.
    #[error("{0} tells the same")]
    Told(&'static str),
    /// It belongs to full mode, and this isn't it.
    #[error("it takes full mode: {0}")]
    Mode(String),
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
    /// What will be missed because a probe of some importance can't be had.
    pub fn losses(&self) -> impl Iterator<Item = Loss> + '_ {
        self.probes.iter().filter_map(|planned| {
            let skip = planned.skip.as_ref().filter(|skip| skip.is_loss())?;
            (planned.probe.need <= Need::Important).then(|| Loss {
                name: planned.probe.name,
                lost: planned.probe.lost_without,
                why: skip.to_string(),
            })
        })
    }

    /// Looks up every field, tracepoint and function of the table in `btf`; what that doesn't tell of
    /// per-CPU variables, in the running kernel's symbols.
    #[must_use]
    pub fn new(btf: &Btf) -> Self {
        Self::with_symbols(btf, Symbols::read)
    }

    /// As [`new`](Self::new), with symbols from elsewhere; they may not be asked for.
    #[must_use]
    pub fn with_symbols(btf: &Btf, symbols: impl FnOnce() -> Result<Symbols, String>) -> Self {
        let per_cpu = PerCpu::find(btf, symbols);
        let mut offsets = BTreeMap::new();
        let mut missing = BTreeMap::new();
        for &field in Field::ALL {
            let info = field.info();
            match btf.member_sized(info.path, info.size) {
                Ok(member) => drop(offsets.insert(field, member.offset)),
                Err(error) => drop(missing.insert(field, error.to_string())),
            }
        }
        let mut probes: Vec<Planned> = Vec::with_capacity(PROBES.len());
        for probe in PROBES {
            let skip = obstacle(probe, btf, &missing, &per_cpu, &probes);
            probes.push(Planned { probe, skip });
        }
        Self { probes, offsets, per_cpu }
    }

    /// Leaves out what only full mode has, for this reason.
    pub fn without_full(&mut self, why: &str) {
        for planned in self.probes.iter_mut().filter(|planned| planned.probe.kind.is_full()) {
            planned.skip = Some(Skip::Mode(why.to_owned()));
        }
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
}

impl Skip {
    /// Whether something is missed for this reason: not where another probe takes its place, nor
    /// where a whole mode is left out, which is said elsewhere.
    #[must_use]
    pub const fn is_loss(&self) -> bool {
        !matches!(self, Self::Told(_) | Self::Mode(_))
    }
}

/// Why `probe` can't be had, or need not be; `before` is what was decided on the rows before it.
fn obstacle(
    probe: &'static Probe,
    btf: &Btf,
    missing: &BTreeMap<Field, String>,
    per_cpu: &PerCpu,
    before: &[Planned],
) -> Option<Skip> {
    let there = |name: &str| {
        before.iter().any(|planned| planned.probe.name == name && planned.skip.is_none())
    };
    if let Some(skip) = lacking(probe, btf) {
        return Some(skip);
    }
    if probe.kind == ProbeKind::PerCpuVar
        && let Some(why) = per_cpu.obstacle(probe.name)
    {
        return Some(Skip::Variable { name: probe.name, why: why.to_owned() });
    }
    if let Some(why) = probe.fields.iter().find_map(|field| missing.get(field)) {
        return Some(Skip::Field(why.clone()));
    }
    if probe.only_reads
        && let Some(&name) = probe.reads.iter().find(|name| !there(name))
    {
        let why = "it has nothing else to tell".to_owned();
        return Some(Skip::Variable { name, why });
    }
    (!probe.replaces.is_empty() && there(probe.replaces)).then_some(Skip::Told(probe.replaces))
}

/// What the kernel lacks of what the program sits on.
fn lacking(probe: &'static Probe, btf: &Btf) -> Option<Skip> {
    let (prototype, absent) = match probe.kind {
        ProbeKind::TpBtf | ProbeKind::RawTp => {
            let aside = match (probe.since, probe.config) {
                ("any", "") => String::new(),
                ("any", config) => format!(" (it takes {config})"),
                (since, _) => format!(" (there from {since} on)"),
            };
            let absent = Skip::Absent { subsystem: probe.subsystem, name: probe.name, aside };
            (btf.tracepoint(probe.name), absent)
        }
        ProbeKind::Fentry | ProbeKind::Fexit => {
            (btf.function(probe.target()), Skip::NoFunction(probe.target()))
        }
        // Where an instruction is, only the kernel's text tells.
        ProbeKind::Kprobe | ProbeKind::PerCpuVar => return None,
    };
    match prototype {
        Ok(Some(prototype)) => has_arguments(probe, &prototype).err().map(Skip::Shape),
        Ok(None) => Some(absent),
        Err(error) => Some(Skip::Shape(error.to_string())),
    }
}

/// Whether the tracepoint or function has what the program reads.
fn has_arguments(probe: &Probe, prototype: &Prototype) -> Result<(), String> {
    let Prototype(args) = prototype;
    for used in probe.args {
        let place = format!("argument {} ({})", used.index + 1, used.name);
        let Some(found) = args.get(used.index) else {
            let since = used.since.map(|since| format!(", which came with {since}"));
            return Err(format!(
                "{} has {} arguments on this kernel; {place} is needed{}",
                probe.target(),
                args.len(),
                since.unwrap_or_default(),
            ));
        };
        if !accepts(probe.kind, used, found) {
            return Err(format!(
                "{place} of {} is {found} on this kernel; {} is expected",
                probe.target(),
                expected(used.shape),
            ));
        }
    }
    Ok(())
}

fn accepts(kind: ProbeKind, used: &UsedArg, found: &Arg) -> bool {
    match (used.shape, found) {
        (Shape::Struct(wanted), Arg::Struct(found)) => wanted == found,
        // kernel/bpf/btf.c:btf_ctx_access lets no program touch a pointer to a function that has a
        // type; to a raw tracepoint it is a number, and on a function a helper gives it as one.
        (Shape::Word, Arg::Function) => kind != ProbeKind::TpBtf,
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
