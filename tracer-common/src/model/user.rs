//! The border to user mode: what proves that user code ran.

use super::{
    At, Cpu, Evidence, Model, Store, SyncCause,
    rules::{r1, r2, r3},
    state::{MmId, UserRan, Way},
};
use crate::wire::{Fault, Frame, Syscall, UNKNOWN_MM, UserReturn, membarrier_state};

/// The calls that return in a new task too: clone, fork, vfork, clone3
/// (`arch/x86/entry/syscalls/syscall_64.tbl`).
const NR_FORKS: [i32; 4] = [56, 57, 58, 435];

impl Model {
    /// User code of `mm` ran on this CPU until just now.
    pub(super) fn user_ran<S: Store>(&self, s: &mut S, c: &mut Cpu, at: At, mm: MmId, tid: u32) {
        if mm == 0 {
            return;
        }
        if mm == UNKNOWN_MM {
            Self::settle_kernel_iret(c, at);
            c.maybe_sync = at.ts;
            return;
        }
        Self::settle_dark_mm(s, c, mm);
        Self::settle_kernel_iret(c, at);
        c.user = Self::way_back(c, at, mm, tid);
        match c.way {
            Way::User => {}
            Way::Leaving(frame, since) => {
                s.tally().returns_inferred += 1;
                self.returned(s, c, at, frame, since, Evidence::Inferred);
            }
            // A return that nobody saw, by whichever way.
            Way::InSyscall | Way::Unknown => c.maybe_sync = at.ts,
        }
        self.judge(s, c, at, mm, tid, Evidence::Inferred);
    }

    /// How user code of `mm`, which ran until just now, had come to run.
    fn way_back(c: &Cpu, at: At, mm: MmId, tid: u32) -> UserRan {
        let known = UserRan { ts: at.ts, mm, tid, ..c.user };
        match c.way {
            Way::User if (c.user.mm, c.user.tid) == (mm, tid) => known,
            Way::Leaving(frame, since) => {
                UserRan { since, frame, evidence: Evidence::Inferred, on_its_way: false, ..known }
            }
            _ => UserRan { ts: at.ts, mm, tid, evidence: Evidence::Inferred, ..UserRan::default() },
        }
    }

    /// The task has gone on past the kernel code in which it may have had to execute an IRET: it has
    /// executed it by now, or there was none.
    pub(super) fn settle_kernel_iret(c: &mut Cpu, at: At) {
        if core::mem::take(&mut c.kernel_iret) {
            c.maybe_sync = at.ts;
        }
    }

    /// The CPU returned to user mode by this frame, at or after `since`.
    fn returned<S: Store>(
        &self,
        s: &mut S,
        c: &mut Cpu,
        at: At,
        frame: Frame,
        since: u64,
        evidence: Evidence,
    ) {
        let by_iret = frame.leaves_by_iret();
        match by_iret {
            Some(true) => s.tally().iret += 1,
            Some(false) => s.tally().sysret += 1,
            None => {}
        }
        let span = (since, at.ts);
        if self.config.pti {
            Self::serialized_by_return(s, c, span, SyncCause::Pti, Evidence::Inferred);
        } else {
            match by_iret {
                Some(true) if !self.config.fred => {
                    Self::serialized_by_return(s, c, span, SyncCause::Iret, evidence);
                }
                Some(false) if self.config.syscall_exit => {
                    let cause = SyncCause::SyscallExit;
                    Self::serialized_by_return(s, c, span, cause, Evidence::Inferred);
                }
                Some(false) => {}
                _ => c.maybe_sync = at.ts,
            }
        }
    }

    fn judge<S: Store>(
        &self,
        s: &mut S,
        c: &mut Cpu,
        at: At,
        mm: MmId,
        tid: u32,
        evidence: Evidence,
    ) {
        r1::judge(s, c, at, mm, tid, evidence);
        r2::judge(s, c, at, mm, tid, evidence, self.config.skew);
        r3::judge(s, c, at, mm, tid, evidence, &self.config);
    }

    pub(super) fn on_sys_enter<S: Store>(&self, s: &mut S, c: &mut Cpu, at: At, w: &Syscall) {
        self.entered(s, c, at, w.mm, w.tid, w.state);
    }

    /// A task entered the kernel by a system call.
    pub(super) fn entered<S: Store>(
        &self,
        s: &mut S,
        c: &mut Cpu,
        at: At,
        mm: MmId,
        tid: u32,
        state: u8,
    ) {
        self.user_ran(s, c, at, mm, tid);
        if c.known && c.tid == tid {
            c.state = state;
        }
        c.way = Way::InSyscall;
    }

    pub(super) fn on_sys_exit(c: &mut Cpu, at: At, w: &Syscall) {
        let maybe_child = c.way == Way::Unknown && NR_FORKS.contains(&w.nr);
        let frame = if maybe_child { Frame::Unknown as u8 } else { w.frame };
        Self::leaving(c, at, frame);
    }

    /// A task is about to leave the kernel by this frame.
    ///
    /// It is past all that its system call did, so also past any IRET in there.
    pub(super) fn leaving(c: &mut Cpu, at: At, frame: u8) {
        Self::settle_kernel_iret(c, at);
        c.way = Way::Leaving(Self::frame_out(c, frame), at.ts);
    }

    /// By which frame the task leaves, if it reads like this one. A new task's first return is by
    /// IRET (`arch/x86/entry/entry_64.S:ret_from_fork_asm`), though its frame is a copy of its
    /// parent's, and it passes `sys_exit` like its parent.
    fn frame_out(c: &Cpu, frame: u8) -> Frame {
        match (c.way, Frame::from_u8(frame)) {
            (Way::Leaving(Frame::SyscallIret, _), Frame::Sysret) => Frame::SyscallIret,
            (_, frame) => frame,
        }
    }

    /// The same where a probe sits on the way out. Of a task of which nothing is known, a system call's
    /// frame may be its parent's.
    fn frame_seen<S: Store>(s: &mut S, c: &Cpu, w: &UserReturn) -> Frame {
        let frame = Self::frame_out(c, w.frame);
        let unknown = matches!(c.way, Way::Unknown | Way::Leaving(Frame::Unknown, _));
        if frame != Frame::Sysret || !unknown {
            return frame;
        }
        let grown = s.task(w.tid).is_some_and(|task| core::mem::replace(&mut task.grown, true));
        if grown { frame } else { Frame::Unknown }
    }

    pub(super) fn on_page_fault<S: Store>(
        &self,
        s: &mut S,
        c: &mut Cpu,
        at: At,
        from_user: bool,
        w: &Fault,
    ) {
        if from_user {
            self.user_ran(s, c, at, c.logical, w.tid);
            c.way = Way::Leaving(Frame::Interrupt, at.ts);
        } else {
            // It may sleep before its IRET, or be the last that this task does (a fatal signal).
            c.kernel_iret = true;
            c.maybe_sync = at.ts;
        }
    }

    /// A signal's handler or an abort handler comes next, by IRET: the frame is not fit for SYSRET.
    /// But the signal may also be one that is ignored (`kernel/signal.c:get_signal`), which leaves
    /// the frame alone.
    pub(super) fn on_redirect(c: &mut Cpu, at: At) {
        if !matches!(c.way, Way::Leaving(Frame::SyscallIret | Frame::Interrupt, _)) {
            c.way = Way::Leaving(Frame::Unknown, at.ts);
        }
    }

    /// A probe sits on the way out, behind everything that could still switch.
    pub(super) fn on_user_return<S: Store>(&self, s: &mut S, c: &mut Cpu, at: At, w: &UserReturn) {
        if Self::recognize(c, w.tid) {
            c.state = w.state;
        }
        if w.state & membarrier_state::SYNC_CORE == 0 {
            // How it leaves was not read.
            c.maybe_sync = at.ts;
            r3::judge(s, c, at, w.mm, w.tid, Evidence::Observed, &self.config);
        } else {
            let frame = Self::frame_seen(s, c, w);
            Self::settle_kernel_iret(c, at);
            s.tally().returns_observed += 1;
            c.user = UserRan {
                ts: at.ts,
                since: at.ts,
                mm: w.mm,
                tid: w.tid,
                frame,
                evidence: Evidence::Observed,
                on_its_way: false,
            };
            self.returned(s, c, at, frame, at.ts, Evidence::Observed);
            self.judge(s, c, at, w.mm, w.tid, Evidence::Observed);
        }
        c.way = Way::User;
        c.in_user = at.ts;
    }
}
