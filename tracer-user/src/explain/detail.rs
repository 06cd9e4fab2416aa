//! One call as it happens, CPU by CPU. What is decided is the model's; here it is written down.

use tracer_common::{
    model::{self, Answer, Config, Cpu, Event, Func, SyncCause, SyncPoint, UserRan},
    wire::Vector,
};

use super::{
    schema::{Call, Ran, Until},
    work::{Pending, Works, name},
};
use crate::engine::{Mms, Seen};

/// For how long after a call's return it is looked whether CPUs run user code of its mm, in
/// nanoseconds.
const AFTER: u64 = 1_000_000_000;

/// For how long after its beginning it may return.
const RETURN: u64 = 10_000_000_000;

/// What the model decided about a CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decided {
    pub(super) ts: u64,
    pub(super) answer: Answer,
}

/// One CPU.
#[derive(Debug, Default)]
pub(super) struct OneCpu {
    pub(super) offline: bool,
    pub(super) at_begin: Ran,
    pub(super) at_decision: Option<Ran>,
    /// The call had it run its function.
    pub(super) targeted: bool,
    /// Why it was left alone.
    pub(super) skipped: Option<model::Skip>,
    /// One thread of the mm ran from before the call began until it ran user code again.
    pub(super) missed: bool,
    pub(super) works: Works,
    /// The first serialization since the call began, and when that became certain.
    pub(super) sync: Option<(SyncPoint, u64)>,
    /// The last one when the model decided.
    pub(super) last_sync: Option<SyncPoint>,
    pub(super) user: Option<(UserRan, Option<String>)>,
    pub(super) decided: Option<Decided>,
    pub(super) finding: Option<u64>,
    pub(super) lost: u64,
}

/// A call that is followed.
#[derive(Debug)]
pub(super) struct Detail {
    pub(super) config: Config,
    pub(super) call: Call,
    pub(super) function_begin: Option<u64>,
    pub(super) function_end: Option<u64>,
    /// When it was clear whom it leaves alone.
    pub(super) decided: Option<u64>,
    pub(super) caller_lost: bool,
    pub(super) cpus: Vec<OneCpu>,
    pub(super) until: u64,
    pub(super) ended: Option<Until>,
    /// What was queued last on the caller's behalf was membarrier's: an IPI is then for that.
    queueing: bool,
    /// CPUs that a probe saw go to user mode are asked once, a little after the return.
    asked: bool,
}

/// What runs on a CPU now.
fn ran(seen: &Seen<'_>, c: &Cpu) -> Ran {
    let Mms { logical, active, real, lazy } = Mms::from(c);
    Ran {
        ts_ns: seen.ts,
        tid: c.known.then_some(c.tid),
        comm: c.known.then(|| seen.comm(c.tid).map(str::to_owned)).flatten(),
        kthread: c.known.then_some(c.kthread),
        logical_mm: logical,
        active_mm: active,
        real_mm: real,
        lazy,
    }
}

impl Detail {
    /// Begins with the event with which the call begins.
    pub(super) fn new(config: Config, call: Call, seen: &Seen<'_>) -> Self {
        let one = |cpu| {
            seen.state(cpu).map_or_else(OneCpu::default, |c| OneCpu {
                offline: c.offline,
                at_begin: ran(seen, c),
                ..OneCpu::default()
            })
        };
        Self {
            config,
            call,
            function_begin: None,
            function_end: None,
            decided: None,
            caller_lost: false,
            cpus: (0..seen.cpus() as u32).map(one).collect(),
            until: seen.ts,
            ended: None,
            queueing: false,
            asked: false,
        }
    }

    /// The call returned, as this event tells.
    pub(super) fn returned(&mut self, call: Call, seen: &Seen<'_>) {
        if self.call.end_ns.is_some() {
            return;
        }
        self.call = call;
        if self.decided.is_none() && self.promises() {
            // Its own share of the work was not seen, so the model asks only now.
            self.decide(seen);
        }
        for one in &mut self.cpus {
            one.works.close();
        }
        if !self.promises() {
            self.until = seen.ts;
            self.end(Until::Failed);
        }
    }

    /// The call is heard of no more.
    pub(super) fn over(&mut self) {
        if self.call.end_ns.is_none() {
            self.end(Until::NotSeenToReturn);
        }
    }

    fn end(&mut self, why: Until) {
        self.ended.get_or_insert(why);
    }

    /// Whether it has returned, and well.
    pub(super) fn promises(&self) -> bool {
        self.call.end_ns.is_some() && self.call.returned.is_some_and(|ret| ret >= 0)
    }

    /// A rule was broken that has to do with this call.
    pub(super) fn found(&mut self, number: u64, cpu: u32, (mm, since): (u64, u64)) {
        if (mm, since) == (self.call.mm, self.call.begin_ns)
            && let Some(one) = self.cpus.get_mut(cpu as usize)
        {
            one.finding.get_or_insert(number);
        }
    }

    /// Takes an event, the one with which the call begins included.
    pub(super) fn event(&mut self, seen: &Seen<'_>, pending: &Pending) {
        if self.ended.is_some() {
            return;
        }
        let limit = match self.call.end_ns {
            Some(end) => end.saturating_add(AFTER),
            None => self.call.begin_ns.saturating_add(RETURN),
        };
        if seen.ts > limit {
            self.until = limit;
            self.end(Until::Limit);
            return;
        }
        self.until = seen.ts;
        self.work(seen, pending);
        self.cpu(seen);
        let skew = self.config.skew;
        if self.promises()
            && !self.asked
            && self.call.end_ns.is_some_and(|end| end.saturating_add(skew) < seen.ts)
        {
            // r2::judge_running has had its turn.
            self.asked = true;
            for cpu in 0..self.cpus.len() as u32 {
                self.settle(seen, cpu);
            }
        }
        let settled = |one: &OneCpu| one.offline || one.decided.is_some();
        if self.asked && self.cpus.iter().all(settled) {
            self.end(Until::AllSettled);
        }
    }

    /// Whom the call targets, and what becomes of its function.
    fn work(&mut self, seen: &Seen<'_>, pending: &Pending) {
        let ts = seen.ts;
        if let Event::CsdQueue { func, tid, .. } = seen.event
            && *tid == self.call.tid
        {
            self.queueing = name(*func).is_some();
        }
        let mine = |tid: u32| tid == self.call.tid && self.call.end_ns.is_none();
        match seen.event {
            Event::PrivateBegin(w) if mine(w.tid) => {
                self.function_begin.get_or_insert(ts);
            }
            Event::PrivateEnd(w) if w.tid == self.call.tid => {
                self.function_end.get_or_insert(ts);
            }
            Event::CsdQueue { func, target, tid } if name(*func).is_some() && mine(*tid) => {
                self.target(seen, *func, *target, pending);
            }
            Event::CallMask { func, call } if name(*func).is_some() && mine(call.tid) => {
                for cpu in (0..u64::BITS).filter(|cpu| call.mask & 1 << cpu != 0) {
                    if cpu != seen.cpu {
                        self.target(seen, *func, cpu, pending);
                    }
                }
            }
            Event::IpiCpu(w) if mine(w.tid) => self.ipi(seen, w.target),
            Event::IpiMask(w) if mine(w.tid) => {
                for cpu in (0..u64::BITS).filter(|cpu| w.mask & 1 << cpu != 0) {
                    self.ipi(seen, cpu);
                }
            }
            Event::CsdLocal { func, local: w } if mine(w.tid) => self.local(seen, *func),
            Event::Handler { func, handler: w } if mine(w.tid) && !runs_for_others(seen) => {
                self.local(seen, *func);
            }
            Event::Gap { lost } => {
                if let Some(one) = self.cpus.get_mut(seen.cpu as usize) {
                    one.lost = one.lost.saturating_add(*lost);
                }
                self.caller_lost |= seen.cpu == self.call.cpu && self.decided.is_none();
            }
            _ => {}
        }
        let Some(one) = self.cpus.get_mut(seen.cpu as usize) else { return };
        match seen.event {
            Event::IrqEntry(irq) => one.works.interrupt(ts, Vector::from_u8(irq.vector)),
            Event::IrqExit(irq) => one.works.interrupt_ends(Vector::from_u8(irq.vector)),
            Event::CsdEntry { func } => {
                if let Some(name) = name(*func) {
                    one.works.begins(ts, name);
                }
            }
            Event::Handler { func, .. } if runs_for_others(seen) => {
                if let Some(name) = name(*func) {
                    one.works.begins(ts, name);
                }
            }
            Event::Serialized(sync) if sync.cause == SyncCause::IpiSyncCore as u8 => {
                one.works.serializes();
            }
            Event::CsdExit { func } if name(*func).is_some() => one.works.ends(ts),
            _ => {}
        }
    }

    /// A function is queued for this CPU: as the model has it, only `ipi_sync_core` counts.
    fn target(&mut self, seen: &Seen<'_>, func: Func, cpu: u32, pending: &Pending) {
        let Some(one) = self.cpus.get_mut(cpu as usize) else { return };
        one.works.queued(seen.ts, pending.before(cpu));
        if !one.targeted {
            one.targeted = func == Func::SyncCore;
            one.at_decision = seen.state(cpu).map(|c| ran(seen, c));
        }
    }

    /// The caller sends an IPI. Those for its function it sends before it runs the function itself
    /// (`kernel/smp.c:smp_call_function_many_cond`).
    fn ipi(&mut self, seen: &Seen<'_>, cpu: u32) {
        if self.queueing
            && self.decided.is_none()
            && seen.state(seen.cpu).is_some_and(|c| c.irq_depth == 0)
            && let Some(one) = self.cpus.get_mut(cpu as usize)
        {
            one.works.ipi(seen.ts);
        }
    }

    /// A function runs on the caller's own CPU: it has asked all others by now.
    fn local(&mut self, seen: &Seen<'_>, func: Func) {
        let Some(name) = name(func) else { return };
        if let Some(one) = self.cpus.get_mut(seen.cpu as usize) {
            one.targeted |= func == Func::SyncCore;
            one.works.direct(seen.ts, name);
            one.at_decision = seen.state(seen.cpu).map(|c| ran(seen, c));
        }
        if func == Func::SyncCore {
            self.decide(seen);
        }
    }

    /// The model has just asked why the others were left alone.
    fn decide(&mut self, seen: &Seen<'_>) {
        self.decided = Some(seen.ts);
        let mm = self.call.mm;
        for (cpu, one) in (0..).zip(&mut self.cpus) {
            let Some(c) = seen.state(cpu).filter(|_| !one.targeted) else { continue };
            // Another function than ipi_sync_core may have been queued for it before.
            one.at_decision.get_or_insert_with(|| ran(seen, c));
            let noted = c.left_alone.filter(|left| (left.ts, left.mm) == (seen.ts, mm));
            one.skipped = Some(noted.map_or_else(|| c.why_left_alone(mm), |left| left.why));
        }
    }

    /// What this event shows of its CPU.
    fn cpu(&mut self, seen: &Seen<'_>) {
        let Self { config, call, .. } = self;
        let Some(c) = seen.state(seen.cpu) else { return };
        let Some(one) = self.cpus.get_mut(seen.cpu as usize) else { return };
        if one.sync.is_none() && c.serialized_since(call.begin_ns, config.skew) == Answer::Yes {
            one.sync = Some((c.sync, seen.ts));
        }
        one.offline &= c.offline;
        let after = call.end_ns.is_some_and(|end| end.saturating_add(config.skew) < seen.ts);
        if after && self.promises() {
            self.settle(seen, seen.cpu);
        }
    }

    /// Whether user code of the mm has run there since the return, and what the model made of it.
    fn settle(&mut self, seen: &Seen<'_>, cpu: u32) {
        let Call { mm, begin_ns: begin, end_ns: Some(end), .. } = self.call else { return };
        let Some(c) = seen.state(cpu) else { return };
        let Some(one) = self.cpus.get_mut(cpu as usize).filter(|one| one.decided.is_none()) else {
            return;
        };
        let ran = c.user.mm == mm && c.user.ts > end.saturating_add(self.config.skew);
        let judged = c.r2_checked.0 == mm && c.r2_checked.1 >= begin;
        if !ran && !judged {
            return;
        }
        // Seen to go to user mode earlier, it was there as the call returned.
        if ran || (c.user.mm == mm && c.in_user != 0) {
            one.user = Some((c.user, seen.comm(c.user.tid).map(str::to_owned)));
        }
        let answer = match c.r2_answer {
            // A call that began later was judged: what serialized since then has since this one.
            answer @ Answer::Yes if judged => answer,
            answer if judged && c.r2_checked.1 == begin => answer,
            _ if one.sync.is_some() => Answer::Yes,
            _ => c.serialized_since(begin, self.config.skew),
        };
        // A thread that exits lets go of its mm unseen (kernel/exit.c:exit_mm), so it takes user code
        // to show that the mm was there all the while.
        one.missed = one.at_begin.logical_mm == Some(mm)
            && one.user.as_ref().is_some_and(|(ran, _)| Some(ran.tid) == one.at_begin.tid)
            && c.switched_at.saturating_add(self.config.skew) < begin;
        one.last_sync = Some(c.sync);
        one.decided = Some(Decided { ts: seen.ts, answer });
    }
}

/// As [`Model`](model::Model) tells a queued function from the caller's own, where one probe sees
/// both.
fn runs_for_others(seen: &Seen<'_>) -> bool {
    let Event::Handler { handler: w, .. } = seen.event else { return false };
    w.tid == 0 || w.mm == 0 || seen.state(seen.cpu).is_some_and(|c| c.irq_depth > 0)
}
