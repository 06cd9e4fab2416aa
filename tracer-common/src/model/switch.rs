//! Context switches: the logical mm, and what becomes of the real one.

use super::{
    At, Cpu, Evidence, Model, Preemption, Store, SyncCause, SyncPoint,
    mm::{SET, registers},
    rq::RunQueue,
    rules::{r1, r7},
    state::{InSwitch, MmId, Outgoing, Tri, Way},
    task::Task,
    verdict::Divergence,
};
use crate::wire::{
    self, Frame, INIT_MM, Switch, UNKNOWN_MM, membarrier_state, switch_flags, tlb_reason,
};

impl Model {
    /// `sched_switch`, as `kernel/sched/core.c:context_switch` will act on it.
    pub(super) fn on_switch<S: Store>(
        &self,
        s: &mut S,
        c: &mut Cpu,
        at: At,
        flags: u16,
        w: &Switch,
    ) {
        s.tally().switches += 1;
        if c.logical == UNKNOWN_MM {
            // There is nothing to hold it against.
            Self::forget(c, at.ts);
        }
        let exiting = flags & switch_flags::PREV_EXITING != 0;
        s.ran(w.prev_tid);
        let mut loaded = true;
        if c.known {
            if !Self::recognize(c, w.prev_tid) && exiting && c.tid == c.tgid {
                // A leader that exits while another thread calls execve: the two swap their pids
                // (fs/exec.c:de_thread, exchange_tids).
                c.tid = w.prev_tid;
            }
            loaded = self.check_prev(s, c, at, flags, w);
        } else {
            Self::settle_dark_mm(s, c, w.prev_mm);
        }
        if w.prev_mm != 0 && loaded {
            // Whoever runs on an mm of its own has it loaded.
            c.real = w.prev_mm;
            c.lazy = Tri::No;
        }
        self.switched_out(s, c, flags, w);
        let (real_before, lazy_before) = (c.real, c.lazy);
        let in_exec = flags & switch_flags::PREEMPT != 0
            && w.prev_mm != 0
            && self.config.preemption == Preemption::Anywhere;
        c.rq.switched(w, c.borrowing, in_exec);
        c.borrowing = match (w.prev_mm, w.next_mm) {
            (0, 0) if c.known => c.borrowing,
            // What was read before this switch began, not in the middle of it.
            (1.., 0) if c.known => Some(c.state),
            _ => None,
        };
        c.known = true;
        c.was_known = true;
        c.tid = w.next_tid;
        c.tgid = w.next_tgid;
        c.kthread = flags & switch_flags::NEXT_KTHREAD != 0;
        c.switched_at = at.ts;
        // No switch in the middle of an interrupt: an exit went unseen.
        c.irq_depth = 0;
        c.irq_from_user = false;
        // If the previous task had to execute one before it went on, it has.
        Self::settle_kernel_iret(c, at);
        c.entered = None;
        c.loaded_at = (0, 0);
        c.temporary = None;
        c.switching = None;
        c.state = w.next_state;
        c.logical = w.next_mm;
        if w.next_mm != w.prev_mm {
            s.tally().logical_changes += 1;
            c.debt = None;
        }
        if c.kthread
            && let Some(task) = s.known_task(w.next_tid)
        {
            c.kernel_iret = core::mem::take(&mut task.kernel_iret);
        }
        if w.next_mm == 0 {
            // enter_lazy_tlb(prev->active_mm)
            if w.prev_mm != 0 {
                s.tally().enter_lazy += 1;
            }
            c.active = w.prev_active;
            c.lazy = match c.real {
                0 => Tri::Unknown,
                INIT_MM => Tri::No,
                _ => Tri::Yes,
            };
            c.way = Way::Unknown;
            return;
        }
        let prev = if exiting { Outgoing::Exited } else { Outgoing::Task(w.prev_tid) };
        c.switching = Some(prev);
        c.in_switch = Some(InSwitch {
            ts: at.ts,
            prev,
            prev_mm: w.prev_mm,
            real_before,
            lazy_before,
            prev_mm_same: w.prev_mm == 0 && w.prev_active == w.next_mm,
        });
        c.active = w.next_mm;
        c.real = w.next_mm;
        c.lazy = Tri::No;
        c.way = Way::Unknown;
        if c.registered() {
            if let Some(mm) = s.mm(w.next_mm) {
                mm.state = w.next_state;
                mm.tgid = w.next_tgid;
            }
            if w.next_mm != w.prev_mm {
                r1::owe(c, w.next_mm, at.ts, false);
            }
            if !c.kthread {
                c.way = self.way_of_next(s, c, at, w);
            }
        }
    }

    /// Whether this pid is the running task's. A thread that calls execve takes over the pid of its
    /// group's leader on the way (`fs/exec.c:de_thread`), before the new mm is in place.
    pub(super) fn recognize(c: &mut Cpu, tid: u32) -> bool {
        if c.known && c.tid != tid && c.tgid == tid && !c.kthread {
            c.tid = tid;
        }
        c.known && c.tid == tid
    }

    /// Holds what is said of the previous task against what was thought of it.
    /// False if it has an mm that is not loaded yet.
    fn check_prev<S: Store>(&self, s: &mut S, c: &mut Cpu, at: At, flags: u16, w: &Switch) -> bool {
        let prev_kthread = flags & switch_flags::PREV_KTHREAD != 0;
        let exiting = flags & switch_flags::PREV_EXITING != 0;
        r7::equal(s, c, at, Divergence::Task, u64::from(c.tid), u64::from(w.prev_tid));
        if c.tid != w.prev_tid {
            return true;
        }
        // Its CR3 write tells of exec_mmap, long before sched_process_exec does: without, this is the
        // first that is heard of it.
        let unseen_exec = !self.config.sees_cr3 && !prev_kthread && w.prev_mm != 0;
        // exec_mmap sets both mms and lets interrupts in before it loads the new one (`fs/exec.c`,
        // without ARCH_WANT_IRQS_OFF_ACTIVATE_MM): who is preempted there has another one loaded. A
        // new mm has a higher number than any before.
        let half_exec = flags & switch_flags::PREEMPT != 0
            && !prev_kthread
            && c.logical != 0
            && w.prev_mm > c.logical
            && w.prev_mm == w.prev_active;
        let in_exec = unseen_exec || half_exec;
        if w.prev_mm != c.logical && (prev_kthread || (w.prev_mm == 0 && exiting) || in_exec) {
            // kthread_use_mm, kthread_unuse_mm, exit_mm or exec_mmap.
            Self::logical_changed_unseen(s, c, w.prev_mm, w.prev_state, unseen_exec);
            if prev_kthread && w.prev_mm != 0 {
                self.taken(s, c, at);
            }
            if unseen_exec {
                (c.real, c.lazy) = (w.prev_mm, Tri::No);
            }
        }
        r7::equal(s, c, at, Divergence::Logical, c.logical, w.prev_mm);
        let active = if w.prev_mm == 0 { c.active } else { w.prev_mm };
        if active != 0 {
            r7::equal(s, c, at, Divergence::Active, active, w.prev_active);
        }
        // Whoever runs on an mm of its own has it loaded; and no temporary one outlives its user.
        if c.real != 0 && (w.prev_mm != 0 || c.temporary.is_some()) && !half_exec {
            r7::equal(s, c, at, Divergence::Real, c.real, w.prev_active);
        }
        !half_exec
    }

    /// The logical mm changed without a switch, at `since` or later: `kthread_use_mm`,
    /// `kthread_unuse_mm`, `exit_mm`, `exec_mmap`.
    pub(super) fn logical_changed<S: Store>(
        s: &mut S,
        c: &mut Cpu,
        since: u64,
        mm: u64,
        state: u8,
        maybe_paid: bool,
    ) {
        if c.logical == mm {
            return;
        }
        s.tally().logical_changes += 1;
        c.logical = mm;
        let before = core::mem::replace(&mut c.state, state);
        c.debt = None;
        if mm == 0 {
            // membarrier_update_current_mm(NULL), enter_lazy_tlb
            c.rq.let_go();
            c.borrowing = Some(before);
            s.tally().enter_lazy += 1;
            c.lazy = match c.real {
                0 => Tri::Unknown,
                INIT_MM => Tri::No,
                _ => Tri::Yes,
            };
            return;
        }
        if c.kthread {
            c.rq = RunQueue::copied();
        } else {
            c.rq.new_program();
        }
        c.borrowing = None;
        c.active = mm;
        if state & membarrier_state::SYNC_CORE != 0 {
            r1::owe(c, mm, since, maybe_paid);
        }
    }

    /// The same, where the change itself was not seen.
    ///
    /// If `switch_mm_irqs_off` was seen to load this mm, the change came just before it, with
    /// interrupts off in between (`kernel/kthread.c:kthread_use_mm`). Else it came at some moment
    /// since the task was switched in: whatever has serialized since then may have come before it or
    /// after it.
    fn logical_changed_unseen<S: Store>(s: &mut S, c: &mut Cpu, mm: MmId, state: u8, doubt: bool) {
        let (loaded, entered) = c.loaded_at;
        if mm != 0 && loaded == mm {
            let maybe_paid = doubt || c.maybe_sync >= entered;
            Self::logical_changed(s, c, entered, mm, state, maybe_paid);
            let SyncPoint { ts, evidence, .. } = c.sync;
            r1::paid(s, c, ts, evidence);
        } else {
            let since = c.switched_at;
            let maybe_paid = doubt || c.sync.ts >= since || c.maybe_sync >= since;
            Self::logical_changed(s, c, since, mm, state, maybe_paid);
        }
    }

    /// What is remembered of the previous task for when it runs again.
    fn switched_out<S: Store>(&self, s: &mut S, c: &Cpu, flags: u16, w: &Switch) {
        let prev_kthread = flags & switch_flags::PREV_KTHREAD != 0;
        let preempted = flags & switch_flags::PREEMPT != 0;
        if !prev_kthread && w.prev_state & membarrier_state::SYNC_CORE != 0 {
            self.remember_prev(s, c, flags, w);
        }
        if !prev_kthread
            && u32::from(w.prev_state) & SET != 0
            && let Some(task) = s.task(w.prev_tid)
        {
            task.out = Some((self.epoch, preempted));
        }
        if prev_kthread
            && c.kernel_iret
            && w.prev_tid != 0
            && preempted
            && let Some(task) = s.task(w.prev_tid)
        {
            // The interrupt that preempted it ends when it goes on.
            task.kernel_iret = true;
        }
        if let Some(task) = s.known_task(w.prev_tid)
            && task.call.is_some_and(|call| registers(call.cmd) != 0)
        {
            task.slept = flags & switch_flags::PREV_BLOCKED != 0;
        }
    }

    /// How the previous task will leave the kernel when it runs again.
    fn remember_prev<S: Store>(&self, s: &mut S, c: &Cpu, flags: u16, w: &Switch) {
        let mine = c.known && c.tid == w.prev_tid;
        let preempted = flags & switch_flags::PREEMPT != 0;
        // exit_to_user_mode_loop makes room of its own will, and does not sleep. Whoever is preempted,
        // or sleeps, may have returned since, and be in its next system call before `sys_enter` is
        // traced (kernel/entry/common.c:syscall_trace_enter): there interrupts are on, and a debugger
        // may stop it.
        let on_its_way = !preempted && flags & switch_flags::PREV_BLOCKED == 0;
        let frame = Frame::from_u8(w.prev_frame);
        let left = match c.way {
            _ if !mine => Tri::Unknown,
            // Perhaps a first return, which is none by SYSRET.
            Way::Leaving(Frame::Unknown, _) if frame == Frame::Sysret => Tri::Unknown,
            // It has returned from an interrupt, and calls again.
            Way::Leaving(Frame::Interrupt, _) if frame != Frame::Interrupt => Tri::Unknown,
            Way::Leaving(..) if on_its_way => Tri::Yes,
            Way::InSyscall => Tri::No,
            // It came into the kernel unseen, or may have.
            Way::Leaving(..) | Way::Unknown | Way::User => Tri::Unknown,
        };
        // Still on its way to its first return: before `sys_exit`, if nothing came since it runs.
        let fresh = mine
            && frame == Frame::Sysret
            && matches!(c.way, Way::Leaving(Frame::SyscallIret, since)
                if on_its_way || (self.syscalls && since == c.switched_at));
        let kernel_iret =
            !mine || c.kernel_iret || (preempted && self.config.preemption != Preemption::Never);
        let epoch = self.epoch;
        let from_user =
            matches!(c.way, Way::InSyscall | Way::User | Way::Leaving(Frame::Interrupt, _));
        if let Some(task) = s.task(w.prev_tid) {
            let grown = task.grown || (mine && from_user);
            *task = Task { epoch, fresh, ran: true, grown, left, kernel_iret, ..*task };
        }
    }

    fn way_of_next<S: Store>(&self, s: &mut S, c: &mut Cpu, at: At, w: &Switch) -> Way {
        // What is not known of a task may be an IRET that it has yet to execute.
        c.kernel_iret = true;
        let Some(task) = s.task(w.next_tid) else { return Way::Unknown };
        let known = self.blind == 0 && task.epoch == self.epoch && (task.ran || task.fresh);
        let was = *task;
        *task = Task {
            epoch: self.epoch,
            fresh: false,
            ran: true,
            // Void until it is seen to be switched out again.
            left: Tri::Unknown,
            kernel_iret: true,
            ..was
        };
        if known {
            c.kernel_iret = was.kernel_iret;
        }
        match Frame::from_u8(w.next_frame) {
            Frame::Interrupt => Way::Leaving(Frame::Interrupt, at.ts),
            _ if !known => Way::Unknown,
            _ if was.fresh => Way::Leaving(Frame::SyscallIret, at.ts),
            frame => match was.left {
                Tri::Yes => Way::Leaving(frame, at.ts),
                Tri::No if self.syscalls => Way::InSyscall,
                _ => Way::Unknown,
            },
        }
    }

    /// Whether this is the CR3 write of the switch that is in progress: `current` is still the
    /// previous task then, on its own mm. (A thread that calls execve right after its leader exited
    /// has the leader's pid by then, but the new mm.)
    pub(super) fn is_switch_cr3(c: &Cpu, flush: &wire::TlbFlush) -> bool {
        flush.reason == tlb_reason::TASK_SWITCH
            && c.in_switch.is_some_and(|switch| {
                switch.prev.is(flush.tid, c.tid) && switch.prev_mm == flush.mm
            })
    }

    /// The switch in progress is over; `cr3` says whether CR3 was seen to be written in it.
    ///
    /// Whatever it did to serialize came after `sched_switch`, so that is when it happened at the
    /// earliest. A call that begins later would see the new task in `rq->curr` and interrupt it, but
    /// for the time that the store of `rq->curr` takes to reach other CPUs: at the latest until the
    /// CR3 write, which is somewhere before this event. A call that began in between and left this CPU
    /// alone was right if it looked before that; which it was, can't be seen.
    pub(super) fn switch_done<S: Store>(&self, s: &mut S, c: &mut Cpu, at: At, cr3: bool) {
        let Some(switch) = c.in_switch.take() else { return };
        let same = switch.real_before == c.logical;
        let known = switch.real_before != 0;
        let at_switch = At { ts: switch.ts, ..at };
        let (real, lazy) = (switch.real_before, switch.lazy_before);
        if cr3 {
            s.tally().cr3_writes += 1;
            if known && same {
                match lazy {
                    Tri::Yes => s.tally().unlazy_flushed += 1,
                    Tri::No if !self.config.invlpgb => {
                        r7::mismatch(s, c, at_switch, Divergence::Cr3Extra, 0, c.logical);
                    }
                    _ => {}
                }
            } else if known {
                r7::passed(s);
            }
            Self::serialized_within(s, c, (switch.ts, at.ts), SyncCause::Cr3, Evidence::Inferred);
        } else if !self.config.sees_cr3 {
            if known && !same {
                // arch/x86/mm/tlb.c:switch_mm_irqs_off
                let span = (switch.ts, at.ts);
                Self::serialized_within(s, c, span, SyncCause::Cr3, Evidence::Assumed);
            } else if !known || lazy != Tri::No {
                c.maybe_sync = at.ts;
            }
        } else if known && same {
            r7::passed(s);
            if lazy == Tri::Yes {
                s.tally().unlazy_same_mm += 1;
            }
        } else if known {
            r7::mismatch(s, c, at_switch, Divergence::Cr3Missing, c.logical, real);
        }
        if switch.prev_mm_same && c.registered() {
            // membarrier_mm_sync_core_before_usermode(rq->prev_mm)
            let promise = self.config.finish_task_switch;
            Self::promised(s, c, switch.ts, at.ts, SyncCause::FinishTaskSwitch, promise);
        }
    }

    /// A kernel thread has taken an mm, some time ago: what `kthread_use_mm` itself does about it.
    fn taken<S: Store>(&self, s: &mut S, c: &mut Cpu, at: At) {
        let Some(debt) = c.debt else { return };
        let promise = self.config.kthread_use_mm;
        Self::promised(s, c, debt.since, at.ts, SyncCause::KthreadUse, promise);
    }

    /// `kthread_use_mm` or `kthread_unuse_mm` has returned; `mm` is what the thread has now.
    pub(super) fn on_kthread_mm<S: Store>(
        &self,
        s: &mut S,
        c: &mut Cpu,
        at: At,
        tid: u32,
        (mm, state): (MmId, u8),
    ) {
        if !c.known || c.tid != tid {
            return;
        }
        if state & membarrier_state::SYNC_CORE != 0
            && let Some(entry) = s.mm(mm)
        {
            entry.state = state;
        }
        // A CR3 write on the way was seen on its own: then the logical mm has changed already.
        let unseen_cr3 = !self.config.sees_cr3 && (c.real != mm || c.lazy != Tri::No);
        Self::logical_changed_unseen(s, c, mm, state, unseen_cr3);
        if mm != 0 {
            (c.real, c.lazy) = (mm, Tri::No);
            c.temporary = None;
            self.taken(s, c, at);
        }
    }
}
