//! `membarrier_private_expedited`, seen as a function: calls are known even while system calls are
//! not traced.
//!
//! A call that is seen both ways is counted once, when its system call returns.

use super::{
    At, Cpu, Model, Store,
    task::{Call, CallOrigin},
};
use crate::wire::{PrivateCall, membarrier_cmd as cmd, private_flags};

/// The command that comes with these flags.
const fn command(flags: u32) -> i32 {
    match flags {
        private_flags::SYNC_CORE => cmd::PRIVATE_EXPEDITED_SYNC_CORE,
        private_flags::RSEQ => cmd::PRIVATE_EXPEDITED_RSEQ,
        _ => cmd::PRIVATE_EXPEDITED,
    }
}

impl Model {
    pub(super) fn on_private_begin<S: Store>(s: &mut S, c: &mut Cpu, at: At, w: &PrivateCall) {
        Self::learn(s, c, w);
        let cmd = command(w.call_flags);
        Self::count_forgotten(s, w.tid);
        let Some(task) = s.task(w.tid) else { return };
        match &mut task.call {
            Some(call)
                if call.origin == CallOrigin::Entered
                    && !call.inside
                    && (call.cmd, call.mm) == (cmd, w.mm) =>
            {
                call.inside = true;
            }
            _ => {
                let call = Call::new(cmd, w.mm, at.ts, CallOrigin::Private);
                task.call = Some(Call { inside: true, ..call });
            }
        }
    }

    pub(super) fn on_private_end<S: Store>(
        &mut self,
        s: &mut S,
        c: &mut Cpu,
        at: At,
        w: &PrivateCall,
    ) {
        Self::learn(s, c, w);
        let cmd = command(w.call_flags);
        let call = s.known_task(w.tid).and_then(|task| task.call);
        let call = call.filter(|call| (call.cmd, call.mm) == (cmd, w.mm) && call.ended.is_none());
        // Its system call's return counts it.
        let counted_later = call.is_some_and(|call| call.origin == CallOrigin::Entered);
        if !counted_later {
            self.returned_call(s, c, at, (cmd, w.mm, w.ret.into()), call);
        }
        if let Some(task) = s.task(w.tid) {
            let call = call.unwrap_or(Call::new(cmd, w.mm, at.ts, CallOrigin::Private));
            task.call = Some(Call { inside: true, ended: Some((at.ts, w.ret)), ..call });
        }
    }

    /// A call that ended, but whose system call was never seen to return, is counted before the
    /// task's next one.
    pub(super) fn count_forgotten<S: Store>(s: &mut S, tid: u32) {
        let Some(task) = s.known_task(tid) else { return };
        let entered = |call: &mut Call| call.origin == CallOrigin::Entered && call.ended.is_some();
        if let Some(call) = task.call.take_if(entered)
            && let Some((_, ret)) = call.ended
            && let Some(mm) = s.known_mm(call.mm)
        {
            mm.calls.count(call.cmd, ret.into());
        }
    }

    fn learn<S: Store>(s: &mut S, c: &mut Cpu, w: &PrivateCall) {
        if c.known && c.tid == w.tid {
            c.state = w.state;
        }
        if let Some(mm) = s.mm(w.mm) {
            mm.state = w.state;
            mm.tgid = w.tgid;
        }
    }
}
