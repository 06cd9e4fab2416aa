//! Membarrier calls, and the functions that CPUs run for one another.

use super::{
    At, Cpu, Evidence, Func, Model, Store, SyncCause,
    deferred::Check,
    state::{LeftAlone, MmId},
    task::{Call, CallOrigin},
    verdict::{Doubt, Rule},
};
use crate::wire::{
    CallMask, CsdLocal, Membarrier, UNKNOWN_MM, membarrier_cmd as cmd, membarrier_state,
};

/// `arch/x86/entry/syscalls/syscall_64.tbl`
const NR_MEMBARRIER: i32 = 324;

impl Model {
    pub(super) fn on_membarrier_enter<S: Store>(
        &self,
        s: &mut S,
        c: &mut Cpu,
        at: At,
        w: &Membarrier,
    ) {
        self.entered(s, c, at, w.mm, w.tid, w.state);
        Self::count_forgotten(s, w.tid);
        if let Some(task) = s.task(w.tid) {
            task.call = Some(Call::new(w.cmd, w.mm, at.ts, CallOrigin::Entered));
        }
    }

    pub(super) fn on_membarrier_exit<S: Store>(
        &mut self,
        s: &mut S,
        c: &mut Cpu,
        at: At,
        w: &Membarrier,
    ) {
        let call = s.known_task(w.tid).and_then(|task| task.call.take());
        if c.known && c.tid == w.tid {
            c.state = w.state;
        }
        Self::leaving(c, at, w.frame);
        let Some(mm) = s.mm(w.mm) else { return };
        if w.mm != UNKNOWN_MM {
            mm.tgid = w.tgid;
            mm.state = w.state;
        }
        let call = call.filter(|call| (call.cmd, call.mm) == (w.cmd, w.mm));
        let counted = |call: &Call| call.ended.is_some() && call.origin != CallOrigin::Entered;
        if !call.as_ref().is_some_and(counted) {
            self.returned_call(s, c, at, (w.cmd, w.mm, w.ret), call);
        }
    }

    /// A call, (command, mm, what it returned), is over: counts it, and notes what it promises.
    pub(super) fn returned_call<S: Store>(
        &mut self,
        s: &mut S,
        c: &mut Cpu,
        at: At,
        (cmd, mm, ret): (i32, MmId, i64),
        call: Option<Call>,
    ) {
        let sync_core = cmd == cmd::PRIVATE_EXPEDITED_SYNC_CORE;
        // Else it was counted when its work was seen.
        if !call.is_some_and(|call| call.origin == CallOrigin::Inferred)
            && let Some(entry) = s.mm(mm)
        {
            entry.calls.count(cmd, ret);
        }
        if sync_core && ret >= 0 {
            self.sync_core_done(s, c, at, mm, call);
        }
    }

    fn sync_core_done<S: Store>(
        &mut self,
        s: &mut S,
        c: &mut Cpu,
        at: At,
        mm: MmId,
        call: Option<Call>,
    ) {
        let Some(call) = call else {
            // Entered before system calls were traced, and its work went unseen too.
            Self::doubt(s, c, Rule::R2, Doubt::Untraced);
            return;
        };
        if call.origin == CallOrigin::Inferred {
            return;
        }
        if mm == UNKNOWN_MM {
            // Nobody can say where it ran.
            Self::doubt(s, c, Rule::R2, Doubt::Identity);
            return;
        }
        if !call.accounted {
            Self::account(s, c, at, &call);
        }
        if !self.config.sees_csd {
            // The caller's own share of the work leaves no trace here.
            let promise = self.config.ipi_sync_core;
            Self::promised(s, c, at.ts, at.ts, SyncCause::IpiSyncCore, promise);
        }
        if let Some(entry) = s.mm(mm) {
            entry.completed.push(call.begin, at.ts);
        }
        self.defer(s, at, Check::Call { mm, begin: call.begin });
    }

    pub(super) fn on_csd_queue<S: Store>(s: &mut S, c: &Cpu, func: Func, target: u32, tid: u32) {
        if func == Func::SyncCore {
            Self::targets(s, c, tid, target);
        }
    }

    /// `smp_call_function_many_cond` is about to send a function to these CPUs. Its own is told when
    /// the function runs there.
    pub(super) fn on_call_mask<S: Store>(s: &mut S, c: &Cpu, at: At, func: Func, w: &CallMask) {
        if func != Func::SyncCore {
            return;
        }
        let mut cpu = 0;
        while cpu < u64::BITS {
            if w.mask & 1 << cpu != 0 && cpu != at.cpu {
                Self::targets(s, c, w.tid, cpu);
            }
            cpu += 1;
        }
    }

    /// The call of this task interrupts a CPU.
    fn targets<S: Store>(s: &mut S, c: &Cpu, tid: u32, target: u32) {
        let mut mm = c.logical;
        if let Some(call) = s.known_task(tid).and_then(|task| task.call.as_mut()) {
            if !call.target(target) {
                return;
            }
            mm = call.mm;
        }
        if let Some(entry) = s.known_mm(mm) {
            entry.targeted += 1;
        }
    }

    /// One of membarrier's functions begins, on a kernel whose tracepoints don't tell for whom: in
    /// an interrupt, or where the idle task or a dying CPU empties the queue
    /// (`kernel/smp.c:flush_smp_call_function_queue`), it is another CPU's; else it is the caller's
    /// own, by a direct call.
    pub(super) fn on_handler<S: Store>(
        &self,
        s: &mut S,
        c: &mut Cpu,
        at: At,
        func: Func,
        w: &CsdLocal,
    ) {
        if c.irq_depth > 0 || w.tid == 0 || w.mm == 0 {
            self.on_csd_run(s, c, at, func);
        } else {
            self.on_csd_local(s, c, at, func, w);
        }
    }

    /// A queued function runs here.
    pub(super) fn on_csd_run<S: Store>(&self, s: &mut S, c: &mut Cpu, at: At, func: Func) {
        match func {
            Func::SyncCore => {
                let promise = self.config.ipi_sync_core;
                Self::promised(s, c, at.ts, at.ts, SyncCause::IpiSyncCore, promise);
            }
            Func::TextPoke => {
                Self::serialized(s, c, at.ts, SyncCause::TextPoke, Evidence::Assumed);
            }
            _ => {}
        }
    }

    /// A function runs on the CPU that asked for it: for SYNC_CORE, the caller's own share of it.
    pub(super) fn on_csd_local<S: Store>(
        &self,
        s: &mut S,
        c: &mut Cpu,
        at: At,
        func: Func,
        w: &CsdLocal,
    ) {
        self.on_csd_run(s, c, at, func);
        if func != Func::SyncCore {
            return;
        }
        if let Some(entry) = s.known_mm(w.mm) {
            entry.targeted += 1;
        }
        let entered = s
            .known_task(w.tid)
            .and_then(|task| task.call)
            .filter(|call| call.origin != CallOrigin::Inferred && call.ended.is_none());
        if let Some(mut call) = entered {
            call.target(at.cpu);
            call.accounted = true;
            if let Some(task) = s.known_task(w.tid) {
                task.call = Some(call);
            }
            Self::account(s, c, at, &call);
            return;
        }
        if w.mm == UNKNOWN_MM {
            Self::doubt(s, c, Rule::R2, Doubt::Identity);
            return;
        }
        if w.nr != NR_MEMBARRIER || w.cmd != cmd::PRIVATE_EXPEDITED_SYNC_CORE {
            return;
        }
        let task = s.task(w.tid);
        if task.is_none() && self.syscalls {
            return; // its exit will count it, and would count it again
        }
        if let Some(task) = task {
            task.call = Some(Call::new(w.cmd, w.mm, at.ts, CallOrigin::Inferred));
        }
        if let Some(entry) = s.mm(w.mm) {
            entry.tgid = w.tgid;
            entry.state |= membarrier_state::SYNC_CORE | membarrier_state::SYNC_CORE_READY;
            entry.calls.sync_core += 1;
            entry.calls.sync_core_inferred += 1;
        }
        Self::doubt(s, c, Rule::R2, Doubt::Untraced);
    }

    /// Counts why the call left the other CPUs alone.
    fn account<S: Store>(s: &mut S, c: &Cpu, at: At, call: &Call) {
        if call.mm == UNKNOWN_MM {
            return;
        }
        let cpus = s.cpus();
        let mut cpu = 0;
        while cpu < cpus {
            if !call.targeted(cpu) {
                let why = if cpu == at.cpu {
                    Some(c.why_left_alone(call.mm))
                } else {
                    s.cpu(cpu).map(|other| {
                        let why = other.why_left_alone(call.mm);
                        other.left_alone = Some(LeftAlone { ts: at.ts, mm: call.mm, why });
                        why
                    })
                };
                if let (Some(why), Some(mm)) = (why, s.known_mm(call.mm)) {
                    mm.skipped[why as usize] += 1;
                }
            }
            cpu += 1;
        }
    }

    /// A check on this CPU that can't be decided.
    pub(super) fn doubt<S: Store>(s: &mut S, c: &mut Cpu, rule: Rule, doubt: Doubt) {
        c.inconclusive += 1;
        s.tally().doubted(rule, doubt);
    }
}
