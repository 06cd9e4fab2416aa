//! Interrupts: each ends in an IRET, which serializes, once it is sure that it was executed.
//!
//! An exit tracepoint comes before its IRET, and on the way out the kernel may switch to another
//! task; the interrupted one then executes its IRET when it runs again.

use super::{
    At, Cpu, Event, Evidence, Model, Preemption, Store, SyncCause,
    rules::r2,
    state::{UserRan, Way},
};
use crate::wire::{Frame, Irq, Site, Vector, switch_flags};

impl Model {
    /// Whether the IRET of the last interrupt has been executed, as this event tells.
    pub(super) fn settle_iret<S: Store>(&self, s: &mut S, c: &mut Cpu, at: At, event: &Event) {
        if c.iret_pending == 0 {
            return;
        }
        let done = match event {
            // Reached from user mode or from the task's own kernel code, never from a softirq.
            Event::SysEnter(_)
            | Event::SysExit(_)
            | Event::MembarrierEnter(_)
            | Event::MembarrierExit(_)
            | Event::PageFault { from_user: true, .. }
            | Event::Exec(_)
            | Event::Exit(_)
            | Event::UserReturn(_)
            | Event::KthreadUse(_)
            | Event::KthreadUnuse(_) => Some(true),
            // On its way to one of those two: a softirq loads no mm (a handler may, to flush).
            Event::TlbState(w)
                if (c.known && c.kthread && c.irq_depth == 0)
                    && Site::from_u8(w.site) == Some(Site::SwitchMmEntry) =>
            {
                Some(true)
            }
            Event::Switch { flags, switch } => {
                let preempted = flags & switch_flags::PREEMPT != 0;
                let in_kernel =
                    flags & switch_flags::PREV_KTHREAD != 0 || Self::is_syscall(switch.prev_frame);
                if switch.prev_tid == 0 {
                    // The idle task is never preempted (kernel/sched/idle.c:do_idle).
                    Some(true)
                } else if in_kernel && (!preempted || self.config.preemption == Preemption::Never) {
                    // An interrupt of kernel code switches only by preemption, if at all, so this is
                    // the task's own doing, after the IRET.
                    Some(true)
                } else if c.irq_from_user && !preempted && flags & switch_flags::PREV_BLOCKED == 0 {
                    // kernel/entry/common.c:exit_to_user_mode_loop; the IRET comes when the task
                    // runs again.
                    Some(false)
                } else {
                    None
                }
            }
            _ => return,
        };
        let ended = core::mem::take(&mut c.iret_pending);
        match done {
            Some(true) => self.iret(s, c, (ended, at.ts)),
            Some(false) => {}
            // If not yet, then when the task goes on.
            None => {
                c.maybe_sync = at.ts;
                c.kernel_iret = true;
            }
        }
    }

    /// Whether this frame is a system call's, so that an interrupt does not return to user mode.
    fn is_syscall(frame: u8) -> bool {
        matches!(Frame::from_u8(frame), Frame::Sysret | Frame::SyscallIret | Frame::Compat)
    }

    /// An IRET was executed at some time in this span: what the interrupt has left to do (softirqs)
    /// may take long, and comes first.
    pub(super) fn iret<S: Store>(&self, s: &mut S, c: &mut Cpu, span: (u64, u64)) {
        if self.config.fred {
            c.maybe_sync = c.maybe_sync.max(span.1);
        } else {
            Self::serialized_by_return(s, c, span, SyncCause::Iret, Evidence::Inferred);
        }
    }

    pub(super) fn on_irq_entry<S: Store>(&self, s: &mut S, c: &mut Cpu, at: At, irq: &Irq) {
        let outermost = c.irq_depth == 0;
        c.irq_depth = c.irq_depth.saturating_add(1);
        if !outermost {
            return;
        }
        if c.known && irq.tid == c.tid && !c.kthread {
            c.state = irq.state;
        }
        let vector = Vector::from_u8(irq.vector);
        let same = Self::same_interrupt(c, vector);
        c.irq_device = vector == Some(Vector::Device);
        c.irq_from_user &= same;
        let calls = matches!(vector, Some(Vector::CallFunction | Vector::CallFunctionSingle));
        if calls && !self.config.sees_csd && self.config.ipi_sync_core.possible() {
            // It may have been ipi_sync_core.
            c.maybe_sync = at.ts;
        }
        if Frame::from_u8(irq.frame) == Frame::Interrupt && !same {
            self.hit_user_task(s, c, at, irq.tid);
        }
    }

    /// Whether this entry may be the next handler of the interrupt that is being handled already.
    fn same_interrupt(c: &Cpu, vector: Option<Vector>) -> bool {
        vector == Some(Vector::Device) && c.irq_device && c.iret_pending != 0
    }

    /// An interrupt hit a task whose frame is an interrupt's or exception's: it hit user mode, or
    /// the handler of an exception from user mode, or the work on the way back from one.
    fn hit_user_task<S: Store>(&self, s: &mut S, c: &mut Cpu, at: At, tid: u32) {
        match c.way {
            Way::Leaving(Frame::Interrupt, since) => {
                // It was on its way back by IRET already, and may have arrived. It need not have
                // executed that IRET; but a call that began after `since`, and has returned, should
                // have interrupted this CPU one way or the other.
                c.maybe_sync = c.maybe_sync.max(since);
                let skew = self.config.skew;
                c.user = UserRan {
                    ts: at.ts,
                    since,
                    mm: c.logical,
                    tid,
                    frame: Frame::Interrupt,
                    evidence: Evidence::Inferred,
                    on_its_way: true,
                };
                r2::judge(s, c, at, c.logical, tid, Evidence::Inferred, skew);
            }
            Way::InSyscall | Way::Leaving(..) | Way::User => {
                // The frame was a system call's before, and it has returned from that one; or it was
                // seen to return.
                self.user_ran(s, c, at, c.logical, tid);
                c.irq_from_user = true;
            }
            Way::Unknown => c.maybe_sync = at.ts,
        }
        c.way = Way::Leaving(Frame::Interrupt, at.ts);
    }

    pub(super) fn on_irq_exit<S: Store>(&self, s: &mut S, c: &mut Cpu, at: At, irq: &Irq) {
        c.irq_depth = c.irq_depth.saturating_sub(1);
        if c.irq_depth > 0 {
            return;
        }
        let earlier = c.iret_pending;
        if earlier != 0 {
            let same = Self::same_interrupt(c, Vector::from_u8(irq.vector));
            let in_kernel = (c.known && c.kthread) || Self::is_syscall(irq.frame);
            if same || !in_kernel {
                // It may be the same interrupt; or it may have come in the work before the return to
                // user mode, which can be preempted, so that neither IRET has been executed yet.
                c.maybe_sync = c.maybe_sync.max(earlier);
            } else {
                // Either the earlier IRET was executed before this interrupt came, or this one came
                // in a softirq on its way out; that softirq can't be preempted, so this interrupt's
                // own IRET follows for sure.
                self.iret(s, c, (earlier, at.ts));
            }
        }
        c.iret_pending = at.ts;
    }

    /// An NMI ends in an IRET too, and never switches.
    pub(super) fn on_nmi<S: Store>(&self, s: &mut S, c: &mut Cpu, at: At) {
        self.iret(s, c, (at.ts, at.ts));
    }
}
