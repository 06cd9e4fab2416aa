//! What each program costs the kernel's verifier, as the verifier itself says.
//!
//! It says so in its log, of which aya gives nothing for a program that loads. So each program is
//! handed to the kernel once more, with a log that has only the figures; for `doctor`, not for a run.

use std::{
    collections::HashMap,
    ffi::CStr,
    io, mem,
    os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
};

use aya::{Btf as KernelBtf, Ebpf, maps::Map};
use aya_obj::{
    Object,
    btf::BtfKind,
    generated::{
        bpf_attach_type::{BPF_TRACE_FENTRY, BPF_TRACE_FEXIT, BPF_TRACE_RAW_TP},
        bpf_attr, bpf_cmd, bpf_insn,
        bpf_prog_type::{
            BPF_PROG_TYPE_KPROBE, BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_PROG_TYPE_TRACING,
        },
    },
};

use super::{
    plan::Plan,
    table::{Probe, ProbeKind},
};

/// `kernel/bpf/verifier.h:BPF_LOG_STATS`
const LOG_STATS: u32 = 4;
/// Several times what the figures take.
const LOG_BYTES: usize = 4096;

/// What the verifier had to do for a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Verifier {
    /// Instructions that it processed, of at most a million.
    pub instructions: u32,
    /// States that it went through; `None` if only the kernel's short account is known.
    pub states: Option<u32>,
    /// The most of them that it had to keep at a time.
    pub peak_states: Option<u32>,
    /// The most of them for one instruction.
    pub max_states_per_instruction: Option<u32>,
}

/// The figures of every program that the kernel takes, by the program's name.
pub(super) fn costs(
    object: &[u8],
    plan: &Plan,
    ebpf: &Ebpf,
    kernel: &KernelBtf,
) -> HashMap<&'static str, Verifier> {
    let Some(object) = relocated(object, ebpf) else { return HashMap::new() };
    let probes = plan.probes.iter().filter(|planned| planned.skip.is_none());
    probes
        .filter_map(|planned| {
            let probe = planned.probe;
            let program = object.programs.get(probe.name)?;
            let function = object.functions.get(&program.function_key())?;
            let log = verify(probe, &function.instructions, &program.license, kernel)?;
            Some((probe.name, parse(&log)?))
        })
        .collect()
}

/// The object once more, its programs bound to the maps that are there already.
fn relocated(object: &[u8], ebpf: &Ebpf) -> Option<Object> {
    let mut object = Object::parse(object).ok()?;
    let maps: Vec<_> = object.maps.drain().collect();
    let bound: Vec<_> = maps
        .iter()
        .filter_map(|(name, map)| Some((name.as_str(), fd(ebpf.map(name)?)?, map)))
        .collect();
    let text = object.functions.keys().map(|&(section, _)| section).collect();
    object.relocate_maps(bound.into_iter(), &text).ok()?;
    object.relocate_calls(&text).ok()?;
    Some(object)
}

fn fd(map: &Map) -> Option<RawFd> {
    match map {
        Map::Array(data)
        | Map::ArrayOfMaps(data)
        | Map::HashMap(data)
        | Map::PerCpuArray(data)
        | Map::PerfEventArray(data)
        | Map::RingBuf(data) => Some(data.fd().as_fd().as_raw_fd()),
        _ => None,
    }
}

/// Has the kernel verify a program and gives its log; `None` if it does not take it.
fn verify(
    probe: &Probe,
    instructions: &[bpf_insn],
    license: &CStr,
    kernel: &KernelBtf,
) -> Option<String> {
    let id = |name: &str, kind| kernel.id_by_type_name_kind(name, kind).ok();
    let (kind, attach, id) = match probe.kind {
        ProbeKind::TpBtf => {
            let name = format!("btf_trace_{}", probe.target());
            (BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP as u32, id(&name, BtfKind::Typedef)?)
        }
        ProbeKind::Fentry => {
            (BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY as u32, id(probe.target(), BtfKind::Func)?)
        }
        ProbeKind::Fexit => {
            (BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT as u32, id(probe.target(), BtfKind::Func)?)
        }
        ProbeKind::RawTp => (BPF_PROG_TYPE_RAW_TRACEPOINT, 0, 0),
        ProbeKind::Kprobe => (BPF_PROG_TYPE_KPROBE, 0, 0),
        ProbeKind::PerCpuVar => return None,
    };
    let mut log = vec![0_u8; LOG_BYTES];
    // SAFETY: a C union of plain numbers, for which zero means "not given" everywhere.
    let mut attr: bpf_attr = unsafe { mem::zeroed() };
    // SAFETY: all of it is zero, which is a value of every member; this is BPF_PROG_LOAD's.
    let load = unsafe { &mut attr.__bindgen_anon_3 };
    load.prog_type = kind as u32;
    load.expected_attach_type = attach;
    load.attach_btf_id = id;
    load.insns = instructions.as_ptr() as u64;
    load.insn_cnt = instructions.len() as u32;
    load.license = license.as_ptr() as u64;
    load.log_level = LOG_STATS;
    load.log_buf = log.as_mut_ptr() as u64;
    load.log_size = log.len() as u32;
    let program = load_program(&attr).ok()?;
    drop(program);
    let text = CStr::from_bytes_until_nul(&log).ok()?;
    text.to_str().ok().map(str::to_owned)
}

/// `bpf(BPF_PROG_LOAD)`. What `attr` points to must be there.
fn load_program(attr: &bpf_attr) -> io::Result<OwnedFd> {
    // SAFETY: the kernel reads `attr` and the instructions and license that it points to, and writes
    // into the log no more than its length; the caller holds all of them.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            bpf_cmd::BPF_PROG_LOAD as libc::c_long,
            std::ptr::from_ref(attr),
            size_of::<bpf_attr>(),
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// `processed N insns (limit M) max_states_per_insn A total_states B peak_states C mark_read D`
/// (`kernel/bpf/verifier.c:print_verification_stats`).
fn parse(log: &str) -> Option<Verifier> {
    let words: Vec<&str> =
        log.lines().find(|line| line.starts_with("processed "))?.split_whitespace().collect();
    let after = |name: &str| {
        let at = words.iter().position(|&word| word == name)?;
        words.get(at + 1)?.parse().ok()
    };
    Some(Verifier {
        instructions: after("processed")?,
        states: after("total_states"),
        peak_states: after("peak_states"),
        max_states_per_instruction: after("max_states_per_insn"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_figures() {
        let log = "verification time 161 usec\nstack depth 72+0\nprocessed 322 insns (limit 1000000) \
                   max_states_per_insn 1 total_states 20 peak_states 19 mark_read 6\n";
        let figures = Verifier {
            instructions: 322,
            states: Some(20),
            peak_states: Some(19),
            max_states_per_instruction: Some(1),
        };
        assert_eq!(parse(log), Some(figures));
        let short = Verifier { instructions: 1, ..Verifier::default() };
        assert_eq!(parse("processed 1 insns"), Some(short));
        for nonsense in ["", "processed", "processed many insns", "no figures here"] {
            assert_eq!(parse(nonsense), None, "{nonsense:?}");
        }
    }
}
