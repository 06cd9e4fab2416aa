//! Functions that one CPU runs on another: which, for whom, and when they ran.
//!
//! Raw tracepoints, not BTF tracepoints: a BTF tracepoint may not touch an argument that points to
//! a function (`kernel/bpf/btf.c:btf_ctx_access`), and here that argument is the whole point. A raw
//! tracepoint gets every argument as a plain number.

use aya_ebpf::{
    EbpfContext,
    btf_maps::HashMap,
    helpers::generated::bpf_snprintf,
    macros::{btf_map, raw_tracepoint},
    programs::RawTracePointContext,
};
use tracer_common::wire::{
    CsdLocal, CsdQueue, CsdRun, FUNC_NAME_LEN, FuncName, Kind, membarrier_state,
};

use crate::{
    emit::{Moment, emit},
    pair::Pair,
    task::Task,
};

/// The functions whose name has been sent.
#[btf_map]
static FUNCS: HashMap<u64, u8, 1024> = HashMap::new();

/// Prints a kernel address as its symbol's name.
#[unsafe(no_mangle)]
static NAME_FORMAT: [u8; 4] = *b"%ps\0";

/// Sends the name of `func` if this is the first sight of it. `/proc/kallsyms` may be closed to
/// user space (`kernel.kptr_restrict`); the kernel's own formatting isn't.
#[inline(always)]
pub(crate) fn name_once(ctx: &impl EbpfContext, at: Moment, func: u64) {
    if FUNCS.get_ptr(func).is_some() {
        return;
    }
    let mut name = FuncName { func, name: [0; FUNC_NAME_LEN] };
    let mut arg = func;
    // SAFETY: the buffer and its length belong together, the format is read-only and closed by NUL,
    // and its one argument is one word.
    let written = unsafe {
        bpf_snprintf(
            name.name.as_mut_ptr().cast(),
            FUNC_NAME_LEN as u32,
            NAME_FORMAT.as_ptr().cast(),
            &raw mut arg,
            8,
        )
    };
    if written > 0 && emit(ctx, at, Kind::FuncName, 0, name) {
        // A full table costs a repeated name, no more.
        let _ = FUNCS.insert(func, 1, 0);
    }
}

/// A function begins: for whom, if it is `current` that asked for it.
#[inline(always)]
pub(crate) fn local_call(func: u64) -> CsdLocal {
    let current = Task::current();
    let mm = current.mm();
    let (mut nr, mut cmd) = (-1, -1);
    if mm.state() & membarrier_state::SYNC_CORE != 0 && !current.in_compat_syscall() {
        let regs = current.regs();
        nr = regs.orig_ax() as i32;
        cmd = regs.di() as i32;
    }
    CsdLocal { func, mm: mm.ctx_id(), tid: current.tid(), tgid: current.tgid(), nr, cmd }
}

/// `TP_PROTO(const unsigned int cpu, unsigned long callsite, smp_call_func_t func,
/// call_single_data_t *csd)`
#[inline(always)]
fn queued(ctx: &RawTracePointContext) {
    let at = Moment::now();
    let func = ctx.arg(2);
    name_once(ctx, at, func);
    let queue = CsdQueue { func, target: ctx.arg(0), tid: Task::current().tid() };
    emit(ctx, at, Kind::CsdQueue, 0, queue);
}

/// Every one but those in an interrupt that hit this very program.
#[raw_tracepoint(tracepoint = "csd_queue_cpu")]
pub(crate) fn csd_queue_cpu(ctx: RawTracePointContext) -> i32 {
    queued(&ctx);
    Pair::CsdQueue.first_done(&ctx);
    0
}

/// Those.
#[raw_tracepoint(tracepoint = "csd_queue_cpu")]
pub(crate) fn csd_queue_cpu_again(ctx: RawTracePointContext) -> i32 {
    if Pair::CsdQueue.first_skipped(&ctx, Kind::CsdQueue) {
        queued(&ctx);
    }
    0
}

/// `TP_PROTO(smp_call_func_t func, call_single_data_t *csd)`
#[raw_tracepoint(tracepoint = "csd_function_entry")]
pub(crate) fn csd_function_entry(ctx: RawTracePointContext) -> i32 {
    let at = Moment::now();
    let func = ctx.arg(0);
    name_once(&ctx, at, func);
    // Only the direct call on the asking CPU has no csd
    // (kernel/smp.c:smp_call_function_many_cond, generic_exec_single).
    if ctx.arg::<u64>(1) != 0 {
        emit(&ctx, at, Kind::CsdEntry, 0, CsdRun { func });
        return 0;
    }
    emit(&ctx, at, Kind::CsdLocal, 0, local_call(func));
    0
}

/// `TP_PROTO(smp_call_func_t func, call_single_data_t *csd)`
#[raw_tracepoint(tracepoint = "csd_function_exit")]
pub(crate) fn csd_function_exit(ctx: RawTracePointContext) -> i32 {
    let at = Moment::now();
    emit(&ctx, at, Kind::CsdExit, 0, CsdRun { func: ctx.arg(0) });
    0
}
