//! Typed reads of `task_struct`, `mm_struct` and `pt_regs`.
//!
//! The pointers come from tracepoint arguments and helpers that the verifier knows by type. It
//! checks every load through them, and a load through a NULL or stale pointer reads zero
//! (`arch/x86/net/bpf_jit_comp.c`: `BPF_PROBE_MEM`), so no test for NULL is needed before one.

use aya_ebpf::{
    Global,
    helpers::generated::{bpf_get_current_task_btf, bpf_task_pt_regs},
};
use tracer_common::wire::{COMM_LEN, Frame, membarrier_state};

use crate::offsets::{
    OFF_CFS_RQ_RQ, OFF_MM_CTX_ID, OFF_MM_MEMBARRIER_STATE, OFF_MM_TLB_GEN, OFF_TASK_ACTIVE_MM,
    OFF_TASK_CFS_RQ, OFF_TASK_COMM, OFF_TASK_FLAGS, OFF_TASK_MM, OFF_TASK_PID, OFF_TASK_TGID,
    OFF_TASK_TI_STATUS,
};

/// `include/linux/sched.h`
pub(crate) const PF_EXITING: u32 = 0x0000_0004;
/// `include/linux/sched.h`
pub(crate) const PF_KTHREAD: u32 = 0x0020_0000;
/// `arch/x86/include/asm/thread_info.h`: a 32-bit system call is in progress.
const TS_COMPAT: u32 = 0x0002;

/// `arch/x86/include/asm/segment.h`
const USER32_CS: u64 = 0x23;
const USER_DS: u64 = 0x2b;
const USER_CS: u64 = 0x33;
/// `arch/x86/include/uapi/asm/processor-flags.h`: TF and RF, which SYSRET can't restore.
const FLAGS_TF_RF: u64 = 1 << 8 | 1 << 16;

/// A `task_struct *`.
#[derive(Clone, Copy)]
pub(crate) struct Task(pub(crate) *const u8);

/// An `mm_struct *`, perhaps NULL.
#[derive(Clone, Copy)]
pub(crate) struct Mm(pub(crate) *const u8);

/// A `pt_regs *`. Its layout is kernel ABI (`arch/x86/include/uapi/asm/ptrace.h`).
#[derive(Clone, Copy)]
pub(crate) struct Regs(pub(crate) *const u8);

/// Loads a field of a kernel struct that the verifier knows the type of.
#[inline(always)]
pub(crate) fn load<T: Copy>(base: *const u8, offset: &Global<u32>) -> T {
    // SAFETY: the verifier proves that the offset lies within the pointed-to kernel type, or turns
    // the load into one that cannot fault.
    unsafe { base.add(offset.load() as usize).cast::<T>().read() }
}

impl Task {
    /// `current`.
    #[inline(always)]
    pub(crate) fn current() -> Self {
        // SAFETY: a helper without arguments.
        Self(unsafe { bpf_get_current_task_btf() }.cast_const().cast())
    }

    #[inline(always)]
    pub(crate) fn tid(self) -> u32 {
        load(self.0, &OFF_TASK_PID)
    }

    #[inline(always)]
    pub(crate) fn tgid(self) -> u32 {
        load(self.0, &OFF_TASK_TGID)
    }

    #[inline(always)]
    pub(crate) fn flags(self) -> u32 {
        load(self.0, &OFF_TASK_FLAGS)
    }

    #[inline(always)]
    pub(crate) fn mm(self) -> Mm {
        Mm(load(self.0, &OFF_TASK_MM))
    }

    #[inline(always)]
    pub(crate) fn active_mm(self) -> Mm {
        Mm(load(self.0, &OFF_TASK_ACTIVE_MM))
    }

    /// In a 32-bit system call, by any of its entries.
    #[inline(always)]
    pub(crate) fn in_compat_syscall(self) -> bool {
        load::<u32>(self.0, &OFF_TASK_TI_STATUS) & TS_COMPAT != 0
    }

    #[inline(always)]
    pub(crate) fn comm(self) -> [u8; COMM_LEN] {
        // Two words: a byte-wise copy would be sixteen loads.
        let at = OFF_TASK_COMM.load() as usize;
        let mut comm = [0; COMM_LEN];
        // SAFETY: as in `load`; comm is 16 bytes and need not be aligned for the kernel's loads.
        let (low, high) = unsafe {
            (self.0.add(at).cast::<u64>().read(), self.0.add(at + 8).cast::<u64>().read())
        };
        comm[..8].copy_from_slice(&low.to_ne_bytes());
        comm[8..].copy_from_slice(&high.to_ne_bytes());
        comm
    }

    /// The run queue of the CPU that this task is on, which every task knows by way of its
    /// `sched_entity`, whatever its class (`kernel/sched/sched.h:set_task_rq`).
    #[inline(always)]
    pub(crate) fn rq(self) -> *const u8 {
        load(load(self.0, &OFF_TASK_CFS_RQ), &OFF_CFS_RQ_RQ)
    }

    #[inline(always)]
    pub(crate) fn regs(self) -> Regs {
        // SAFETY: a task pointer that the verifier knows as such.
        Regs(unsafe { bpf_task_pt_regs(self.0.cast_mut().cast()) } as *const u8)
    }

    /// How the task will leave the kernel, if its mm is registered for SYNC_CORE; nobody asks about
    /// the others, and reading it costs.
    #[inline(always)]
    pub(crate) fn frame_if(self, state: u8) -> u8 {
        if state & membarrier_state::SYNC_CORE == 0 {
            Frame::Unknown as u8
        } else {
            self.regs().frame(self)
        }
    }
}

impl Mm {
    /// `context.ctx_id`, 0 for NULL.
    #[inline(always)]
    pub(crate) fn ctx_id(self) -> u64 {
        load(self.0, &OFF_MM_CTX_ID)
    }

    /// `membarrier_state`, 0 for NULL.
    #[inline(always)]
    pub(crate) fn state(self) -> u8 {
        load::<u32>(self.0, &OFF_MM_MEMBARRIER_STATE) as u8
    }

    /// `context.tlb_gen`, 0 for NULL.
    #[inline(always)]
    pub(crate) fn tlb_gen(self) -> u64 {
        load(self.0, &OFF_MM_TLB_GEN)
    }
}

impl Regs {
    #[inline(always)]
    fn word(self, index: usize) -> u64 {
        // SAFETY: as in `load`; the index is a constant within pt_regs.
        unsafe { self.0.add(index * 8).cast::<u64>().read() }
    }

    #[inline(always)]
    pub(crate) fn bx(self) -> u64 {
        self.word(5)
    }
    #[inline(always)]
    pub(crate) fn r11(self) -> u64 {
        self.word(6)
    }
    #[inline(always)]
    pub(crate) fn cx(self) -> u64 {
        self.word(11)
    }
    #[inline(always)]
    pub(crate) fn dx(self) -> u64 {
        self.word(12)
    }
    #[inline(always)]
    pub(crate) fn si(self) -> u64 {
        self.word(13)
    }
    #[inline(always)]
    pub(crate) fn di(self) -> u64 {
        self.word(14)
    }
    #[inline(always)]
    pub(crate) fn orig_ax(self) -> i64 {
        self.word(15) as i64
    }

    /// `arch/x86/entry/common.c:do_syscall_64`, its tests for SYSRET.
    #[inline(always)]
    pub(crate) fn frame(self, task: Task) -> u8 {
        if self.orig_ax() < 0 {
            return Frame::Interrupt as u8;
        }
        let (ip, flags) = (self.word(16), self.word(18));
        // The upper half of a segment's word is not part of the selector (FRED keeps events there).
        let (cs, ss) = (self.word(17) & 0xffff, self.word(20) & 0xffff);
        let frame = if cs == USER32_CS || task.in_compat_syscall() {
            Frame::Compat
        } else if self.cx() == ip
            && self.r11() == flags
            && cs == USER_CS
            && ss == USER_DS
            && (ip as i64) >= 0
            && flags & FLAGS_TF_RF == 0
        {
            Frame::Sysret
        } else {
            Frame::SyscallIret
        };
        frame as u8
    }
}
