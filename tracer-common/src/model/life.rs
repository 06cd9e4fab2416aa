//! Tasks that are born and take new programs, CPUs that come and go, and events that are lost.

use super::{
    At, Cpu, Doubt, Evidence, MmId, Model, Rule, Store, SyncCause,
    state::{Tri, Way},
    task::Task,
};
use crate::wire::{Exec, Fork, Hotplug, INIT_MM, UNKNOWN_MM, membarrier_state};

impl Model {
    pub(super) fn on_fork<S: Store>(&self, s: &mut S, w: &Fork) {
        if w.state & membarrier_state::SYNC_CORE == 0 {
            return;
        }
        if let Some(mm) = s.mm(w.child_mm) {
            mm.state = w.state;
            if mm.tgid == 0 {
                mm.tgid = w.child_tgid;
            }
        }
        if let Some(task) = s.task(w.child_tid) {
            *task = Task { epoch: self.epoch, fresh: true, ..Task::default() };
        }
    }

    /// The new mm is in place since `exec_mmap`; its CR3 write has told so already, unless
    /// `tlb_flush` is not there.
    pub(super) fn on_exec<S: Store>(s: &mut S, c: &mut Cpu, at: At, w: &Exec) {
        if w.mm == UNKNOWN_MM {
            // A thread that was not its group's leader has the leader's pid now.
            if c.known && c.tid == w.old_tid {
                c.tid = w.tid;
            }
        } else if Self::recognize(c, w.tid) {
            Self::logical_changed(s, c, at.ts, w.mm, 0, false);
            c.active = w.mm;
            c.real = w.mm;
            c.lazy = Tri::No;
            c.state = 0;
            c.temporary = None;
        }
        // Its first return is by IRET: start_thread changes the frame.
        c.way = Way::Unknown;
    }

    /// What was known of the CPU is void until events say it anew.
    pub(super) fn forget(c: &mut Cpu, ts: u64) {
        *c = Cpu {
            seen: c.seen,
            was_known: c.was_known,
            offline: c.offline,
            brought_to: c.brought_to,
            losing: c.losing,
            sync: c.sync,
            maybe_sync: ts,
            kernel_iret: true,
            r2_checked: c.r2_checked,
            r2_answer: c.r2_answer,
            r3_checked: c.r3_checked,
            last_ts: c.last_ts,
            inconclusive: c.inconclusive,
            debt: c.debt.map(|debt| super::Debt { maybe_paid: true, ..debt }),
            ..Cpu::default()
        };
    }

    /// `tid` is running, and was it that was switched in last?
    ///
    /// A kernel may run no probes while certain tasks are current (a sandbox hides its own agent
    /// so). Such a task is seen to be switched in and never to do anything, least of all to be
    /// switched out.
    pub(super) fn settle_dark<S: Store>(s: &mut S, c: &mut Cpu, at: At, tid: u32) {
        if !c.known || tid == c.tid || tid == c.tgid || s.has_run(c.tid) {
            return;
        }
        s.dark(c.tid);
        let tally = s.tally();
        tally.switches += 1;
        tally.unseen_switches += 1;
        if c.registered() {
            Self::doubt(s, c, Rule::R1, Doubt::Unseen);
            Self::doubt(s, c, Rule::R2, Doubt::Unseen);
        }
        let dark = (c.logical, c.last_ts);
        Self::forget(c, at.ts);
        c.dark = dark;
    }

    /// The task after an unseen switch runs on `mm`: from another mm it came by a CR3 write.
    pub(super) fn settle_dark_mm<S: Store>(s: &mut S, c: &mut Cpu, mm: MmId) {
        let (before, ts) = core::mem::take(&mut c.dark);
        if ts != 0 && before != 0 && mm != 0 && mm != before {
            Self::serialized(s, c, ts, SyncCause::Cr3, Evidence::Assumed);
        }
    }

    /// A step of a CPU's way down or up, taken by itself or by the CPU that asked for it.
    ///
    /// Going down it leaves whatever it had borrowed at a place that no probe tells
    /// (`kernel/sched/core.c:idle_task_exit`, later `sched_force_init_mm`); its own steps down aim at a
    /// state in between (`kernel/cpu.c:_cpu_down`). One that was down is brought up by another, in the
    /// idle task and on `init_mm` (`arch/x86/kernel/cpu/common.c:cpu_init`), and its own steps on the
    /// way there change nothing.
    pub(super) fn on_hotplug<S: Store>(s: &mut S, c: &mut Cpu, at: At, w: &Hotplug) {
        if w.cpu == at.cpu {
            if c.brought_to == 0 || w.target != c.brought_to {
                Self::forget(c, at.ts);
                c.offline = w.target == 0;
            }
        } else if let Some(other) = s.cpu(w.cpu) {
            if w.target == 0 {
                Self::forget(other, at.ts);
                other.offline = true;
            } else if other.offline {
                Self::forget(other, at.ts);
                *other = Cpu {
                    offline: false,
                    brought_to: w.target,
                    known: true,
                    was_known: true,
                    kthread: true,
                    active: INIT_MM,
                    real: INIT_MM,
                    lazy: Tri::No,
                    ..*other
                };
            }
        }
    }

    /// Records of this CPU were lost: anything may have happened on it until now.
    pub(super) fn on_gap(&mut self, c: &mut Cpu, at: At, lost: u64) {
        Self::forget(c, at.ts);
        let losing = lost == 0;
        if losing != c.losing {
            c.losing = losing;
            self.blind = if losing { self.blind + 1 } else { self.blind.saturating_sub(1) };
        }
        self.epoch = self.epoch.wrapping_add(1);
    }

    /// System calls are traced from now on, or no longer: how far tasks are on their way is not
    /// known until they are seen.
    pub(super) fn on_syscall_probes<S: Store>(&mut self, s: &mut S, c: &mut Cpu, at: At, on: bool) {
        self.syscalls = on;
        self.epoch = self.epoch.wrapping_add(1);
        c.way = Way::Unknown;
        let cpus = s.cpus();
        let mut cpu = 0;
        while cpu < cpus {
            if cpu != at.cpu
                && let Some(other) = s.cpu(cpu)
            {
                other.way = Way::Unknown;
            }
            cpu += 1;
        }
    }
}
