//! This CPU's `cpu_tlbstate`, `cpu_tlbstate_shared` and run queue.
//!
//! Per-CPU variables lie at fixed distances from each other. So one address is enough, that of this
//! CPU's run queue, which every task of this CPU leads to; it is looked up once for each CPU.

use aya_ebpf::{
    EbpfContext, Global,
    helpers::{bpf_get_smp_processor_id, bpf_probe_read_kernel},
};
use tracer_common::wire::{Kind, RqState, Site, TlbState};

use crate::{
    cpu::Slot,
    emit::{Moment, emit},
    offsets::{
        OFF_MM_CTX_ID, OFF_MM_TLB_GEN, OFF_RQ_CPU, OFF_RQ_MEMBARRIER_STATE, OFF_TLB_CTXS,
        OFF_TLB_IS_LAZY, OFF_TLB_LOADED_MM, OFF_TLB_LOADED_MM_ASID,
    },
    task::{Mm, Task},
};

/// How this CPU's run queue is found: [`BY_CURRENT`], [`BY_OFFSET`], or not at all.
#[unsafe(no_mangle)]
static RQ_WAY: Global<u64> = Global::new(0);
/// `current->se.cfs_rq->rq`, which takes `CONFIG_FAIR_GROUP_SCHED`.
const BY_CURRENT: u64 = 1;
/// `__per_cpu_offset[cpu]`, which takes `CONFIG_KALLSYMS_ALL`.
const BY_OFFSET: u64 = 2;

/// The address of `__per_cpu_offset`.
#[unsafe(no_mangle)]
static PER_CPU_OFFSET: Global<u64> = Global::new(0);
/// What to add to it for `runqueues`.
#[unsafe(no_mangle)]
static RUNQUEUES: Global<u64> = Global::new(0);
/// 1 if `cpu_tlbstate` and `cpu_tlbstate_shared` can be read.
#[unsafe(no_mangle)]
static TLB_READABLE: Global<u64> = Global::new(0);
/// From a CPU's run queue to its `cpu_tlbstate`; wraps around.
#[unsafe(no_mangle)]
static TLB_FROM_RQ: Global<u64> = Global::new(0);
/// From a CPU's run queue to its `cpu_tlbstate_shared`; wraps around.
#[unsafe(no_mangle)]
static TLB_SHARED_FROM_RQ: Global<u64> = Global::new(0);

/// `arch/x86/include/asm/tlbflush.h`
const LOADED_MM_SWITCHING: u64 = 1;
/// `arch/x86/include/asm/tlbflush.h:TLB_NR_DYN_ASIDS`. A higher one is a global ASID (AMD, from
/// 6.15), which has no slot.
const NR_DYN_ASIDS: u16 = 6;
/// Size of `struct tlb_context`: `ctx_id`, then `tlb_gen`.
const TLB_CONTEXT: u64 = 16;

/// Whether something may come in between while a program reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Irqs {
    /// Interrupts are off.
    Off,
    /// Interrupts may be on, and the task may be preempted; it stays on this CPU all the same.
    On,
}

/// When a program reads the kernel's variables: a [`Moment`] that knows whether it lasted.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    pub(super) at: Moment,
    irqs: Irqs,
    /// The number of this CPU's next record just before `at`.
    seq: u64,
}

impl Reading {
    #[inline(always)]
    pub(super) fn begin(irqs: Irqs) -> Self {
        // The number before the time: what comes between the two would otherwise go unnoticed.
        let seq = match irqs {
            Irqs::Off => 0,
            Irqs::On => Slot::mine().map_or(0, |slot| slot.seq.peek()),
        };
        Self { at: Moment::now(), irqs, seq }
    }

    /// Whether no record was written on this CPU since. Whatever changes these variables writes
    /// one.
    #[inline(always)]
    fn undisturbed(self, slot: &Slot) -> bool {
        if self.irqs == Irqs::Off || slot.seq.peek() == self.seq {
            return true;
        }
        slot.disturbed.next();
        false
    }

    /// Reads `cpu_tlbstate` as it is; `None` if it can't be had, or not as of one moment.
    #[inline(always)]
    pub(super) fn tlb_state(self, site: Site) -> Option<TlbState> {
        if TLB_READABLE.load() == 0 {
            return None;
        }
        let slot = self.at.slot?;
        let rq = rq(slot)?;
        let tlb = rq.wrapping_add(TLB_FROM_RQ.load());
        let shared = rq.wrapping_add(TLB_SHARED_FROM_RQ.load());
        let (mm_at, asid_at) =
            (u64::from(OFF_TLB_LOADED_MM.load()), u64::from(OFF_TLB_LOADED_MM_ASID.load()));
        // The verifier knows the offsets and leaves one of the two ways.
        let (loaded, asid) = if asid_at == mm_at + 16 {
            let [loaded, _, asid] = read::<[u64; 3]>(tlb + mm_at)?;
            (loaded, asid as u16)
        } else {
            (read(tlb + mm_at)?, read(tlb + asid_at)?)
        };
        let [slot_mm, slot_gen] = if asid < NR_DYN_ASIDS {
            read(tlb + u64::from(OFF_TLB_CTXS.load()) + u64::from(asid) * TLB_CONTEXT)?
        } else {
            [0, 0]
        };
        let lazy: u8 = read(shared + u64::from(OFF_TLB_IS_LAZY.load()))?;
        let (loaded_mm, mm_gen) = if loaded == LOADED_MM_SWITCHING {
            (u64::MAX, 0)
        } else {
            let (id_at, gen_at) =
                (u64::from(OFF_MM_CTX_ID.load()), u64::from(OFF_MM_TLB_GEN.load()));
            if gen_at == id_at + 8 {
                let [id, generation] = read::<[u64; 2]>(loaded + id_at)?;
                (id, generation)
            } else {
                (read(loaded + id_at)?, read(loaded + gen_at)?)
            }
        };
        if !self.undisturbed(slot) {
            return None;
        }
        Some(TlbState {
            loaded_mm,
            slot_mm,
            slot_gen,
            mm_gen,
            tid: Task::current().tid(),
            asid,
            lazy,
            site: site as u8,
        })
    }

    /// Reads `cpu_tlbstate` and writes it down.
    #[inline(always)]
    pub(super) fn emit_tlb_state(self, ctx: &impl EbpfContext, site: Site) {
        if let Some(state) = self.tlb_state(site) {
            emit(ctx, self.at, Kind::TlbState, 0, state);
        }
    }

    /// Reads `rq->membarrier_state`, and after it that of `mm`, whose it has to be.
    #[inline(always)]
    pub(super) fn rq_state(self, mm: Mm, site: Site) -> Option<RqState> {
        let slot = self.at.slot?;
        let rq_state = read(rq(slot)? + u64::from(OFF_RQ_MEMBARRIER_STATE.load()))?;
        let state = RqState {
            mm: mm.ctx_id(),
            rq_state,
            mm_state: u32::from(mm.state()),
            tid: Task::current().tid(),
            site: site as u8,
            zero: [0; 3],
        };
        self.undisturbed(slot).then_some(state)
    }
}

/// This CPU's run queue.
#[inline(always)]
fn rq(slot: &Slot) -> Option<u64> {
    let way = RQ_WAY.load();
    let known = slot.rq.get();
    if known != 0 {
        return Some(known);
    }
    // SAFETY: a helper without arguments.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let found = match way {
        BY_CURRENT => Task::current().rq() as u64,
        BY_OFFSET => {
            let base: u64 = read(PER_CPU_OFFSET.load() + 8 * u64::from(cpu))?;
            base.wrapping_add(RUNQUEUES.load())
        }
        _ => return None,
    };
    // It says itself whose it is.
    if read::<u32>(found + u64::from(OFF_RQ_CPU.load()))? != cpu {
        return None;
    }
    slot.rq.set(found);
    Some(found)
}

/// Reads kernel memory; `None` if there is none at that address.
#[inline(always)]
fn read<T>(address: u64) -> Option<T> {
    // SAFETY: the helper checks the address, whatever it is.
    unsafe { bpf_probe_read_kernel(address as *const T) }.ok()
}
