//! A probe's programs: loaded and attached, each kind in its own way.

use aya::{
    Btf as KernelBtf, Ebpf,
    programs::{
        Program, ProgramError, fentry::FEntryLink, fexit::FExitLink,
        raw_trace_point::RawTracePointLink, tp_btf::BtfTracePointLink,
    },
};

use super::{
    refusal::reason,
    slot::Verifier,
    table::{Probe, ProbeKind},
};

/// A link that detaches when it is dropped.
#[expect(dead_code, reason = "links are held for what happens when they are dropped")]
pub(super) enum Link {
    TpBtf(BtfTracePointLink),
    RawTp(RawTracePointLink),
    Fentry(FEntryLink),
    Fexit(FExitLink),
}

/// Loads a probe's program, or its two, and says what the first cost the verifier.
pub(super) fn load(
    ebpf: &mut Ebpf,
    probe: &Probe,
    kernel: &KernelBtf,
) -> Result<Option<Verifier>, ProgramError> {
    if probe.kind == ProbeKind::PerCpuVar {
        return Ok(None);
    }
    for name in [probe.name, probe.again] {
        let target = probe.target();
        match (probe.kind, ebpf.program_mut(name)) {
            _ if name.is_empty() => {}
            (ProbeKind::TpBtf, Some(Program::BtfTracePoint(program))) => {
                program.load(target, kernel)?;
            }
            (ProbeKind::RawTp, Some(Program::RawTracePoint(program))) => program.load()?,
            (ProbeKind::Fentry, Some(Program::FEntry(program))) => program.load(target, kernel)?,
            (ProbeKind::Fexit, Some(Program::FExit(program))) => program.load(target, kernel)?,
            (ProbeKind::Kprobe, Some(Program::KProbe(program))) => program.load()?,
            _ => return Err(ProgramError::UnexpectedProgramType),
        }
    }
    let info = ebpf.program(probe.name).and_then(|program| program.info().ok());
    let cost = info.and_then(|info| info.verified_instruction_count());
    Ok(cost.map(|instructions| Verifier { instructions }))
}

/// Attaches one program of a probe.
pub(super) fn attach(ebpf: &mut Ebpf, probe: &Probe, program: &str) -> Result<Link, ProgramError> {
    match (probe.kind, ebpf.program_mut(program)) {
        (ProbeKind::TpBtf, Some(Program::BtfTracePoint(program))) => {
            let id = program.attach()?;
            Ok(Link::TpBtf(program.take_link(id)?))
        }
        (ProbeKind::RawTp, Some(Program::RawTracePoint(program))) => {
            let id = program.attach(probe.target())?;
            Ok(Link::RawTp(program.take_link(id)?))
        }
        (ProbeKind::Fentry, Some(Program::FEntry(program))) => {
            let id = program.attach()?;
            Ok(Link::Fentry(program.take_link(id)?))
        }
        (ProbeKind::Fexit, Some(Program::FExit(program))) => {
            let id = program.attach()?;
            Ok(Link::Fexit(program.take_link(id)?))
        }
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

/// Puts a program that does nothing on a function that nobody calls, and takes it away again:
/// whether programs can sit on functions.
///
/// # Errors
/// The kernel's reason.
pub(super) fn try_fentry(ebpf: &mut Ebpf, kernel: &KernelBtf) -> Result<(), String> {
    const FUNCTION: &str = "bpf_fentry_test1";
    let Some(Program::FEntry(program)) = ebpf.program_mut("fentry_test") else {
        return Err("the eBPF object has no program to try it with".to_owned());
    };
    let tried = program
        .load(FUNCTION, kernel)
        .and_then(|()| program.attach())
        .and_then(|id| program.take_link(id));
    // Loaded or not, it has served its purpose; the link goes here too.
    let result = tried.map(drop).map_err(|error| format!("fentry: {}", reason(&error)));
    let _ = program.unload();
    result
}
