//! The model core: one state machine that judges every stream of events, live or recorded.
//!
//! [`Model::step`] takes one event of one CPU at a time, in the order of time, and keeps what it
//! remembers in a [`Store`] that the caller owns. It never allocates, never loops without a bound
//! and asks no clock.
//!
//! It works in two layers. The first reconstructs facts from events: who runs where on which mm
//! (`switch`), what the MMU holds (`mmu`, `reading`, `flush`), what the run queue knows (`rq`), when a
//! core serialized (`irq`, `calls`, `private`), when user code ran (`user`). The second judges these
//! facts (`rules`), some of them a little later (`deferred`).
//!
//! The heart is one question, asked whenever an event proves that a CPU *has just run user code* of
//! an mm: had that CPU serialized since the logical mm changed (R1), and since every SYNC_CORE call
//! began that had returned by then (R2)? Asking at the proof rather than at the return means that
//! a verdict never rests on a return that did not happen.

mod calls;
mod completed;
mod deferred;
mod encode;
mod event;
mod evidence;
mod flush;
mod irq;
mod life;
mod mm;
mod mmu;
mod preemption;
mod private;
mod promise;
mod reading;
mod rq;
mod rules;
mod state;
mod store;
mod switch;
mod task;
mod unknown;
mod user;
mod verdict;

pub use completed::Completed;
pub use encode::encode;
pub use event::{DecodeError, Event, Func, decode, header, says_cr3_written};
pub use evidence::{Evidence, SyncCause, SyncPoint};
pub use mm::{CallCounts, Mm, SKIPS, Skip};
pub use preemption::Preemption;
pub use promise::Promise;
pub use rq::RunQueue;
pub use state::{
    Cpu, Debt, Entered, InSwitch, LeftAlone, MAX_CPUS, MmId, Outgoing, Tri, UserRan, Way,
};
pub use store::Store;
pub use task::{Call, CallOrigin, PendingFlush, Task};
pub use verdict::{Answer, DOUBTS, Divergence, Doubt, Finding, Rule, RuleTally, Severity, Tally};

use deferred::{Check, Deferred};

/// What the kernel and the probes are like: facts that hold for a whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about a kernel")]
pub struct Config {
    /// Two CPUs' times closer than this, in nanoseconds, are not ordered.
    pub skew: u64,
    /// Page table isolation: every return to user mode writes CR3.
    pub pti: bool,
    /// The way back from a system call serializes by itself, as the running kernel's text says.
    pub syscall_exit: bool,
    /// FRED delivers events: interrupts end in ERETU/ERETS, which are not known to serialize.
    pub fred: bool,
    /// Broadcast TLB flushes: an mm may move to a global ASID, by a CR3 write of its own.
    pub invlpgb: bool,
    /// `tlb_flush` is attached, so a missing one means that CR3 was not written.
    pub sees_cr3: bool,
    /// `csd_function_entry`, or a probe on `ipi_sync_core` itself, is attached: no SYNC_CORE call
    /// goes unnoticed.
    pub sees_csd: bool,
    /// `flush_tlb_multi` is the hypervisor's, which may flush in a virtual CPU's stead and leave its
    /// generations behind.
    pub pv_flush: bool,
    /// Where kernel code can lose its CPU.
    pub preemption: Preemption,
    /// Whether `finish_task_switch` serializes.
    pub finish_task_switch: Promise,
    /// Whether `ipi_sync_core` does.
    pub ipi_sync_core: Promise,
    /// Whether `kthread_use_mm` does, for an mm that is registered. Stock kernels never do.
    pub kthread_use_mm: Promise,
}

impl Config {
    /// Whether a TLB may be flushed without a trace in `ctxs[].tlb_gen`.
    const fn flushed_elsewhere(&self) -> bool {
        self.invlpgb || self.pv_flush
    }
}

impl Default for Config {
    /// A kernel as its source promises, on a CPU without PTI, seen by tracepoints.
    fn default() -> Self {
        Self {
            skew: 100,
            pti: false,
            syscall_exit: false,
            fred: false,
            invlpgb: false,
            sees_cr3: true,
            sees_csd: true,
            pv_flush: false,
            preemption: Preemption::Anywhere,
            finish_task_switch: Promise::Assumed,
            ipi_sync_core: Promise::Assumed,
            kthread_use_mm: Promise::Never,
        }
    }
}

/// Where and when.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct At {
    cpu: u32,
    ts: u64,
}

/// The state machine. What it remembers between steps, but for a few words, is in the [`Store`].
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Model {
    config: Config,
    /// Raised when events of any CPU were lost: what is known of tasks off CPU is then void.
    epoch: u32,
    /// System calls are traced.
    syscalls: bool,
    /// CPUs whose records are being lost: any task may run there, so nothing that is known of one
    /// off CPU holds.
    blind: u32,
    /// Checks that wait until the order of events is sure.
    deferred: Deferred,
}

impl Model {
    /// A model that has seen nothing.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self { config, epoch: 1, syscalls: false, blind: 0, deferred: Deferred::new() }
    }

    /// What it was told about the kernel and the probes.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Whether system calls are traced, as it was told last.
    #[must_use]
    pub const fn traces_syscalls(&self) -> bool {
        self.syscalls
    }

    /// Takes one event of CPU `cpu` at `ts` nanoseconds. Events must come in the order of time.
    ///
    /// A CPU that the store does not have is ignored.
    pub fn step<S: Store>(&mut self, s: &mut S, cpu: u32, ts: u64, event: &Event) {
        self.until(s, ts);
        let Some(mut lent) = s.lend(cpu) else { return };
        let c = &mut *lent;
        let at = At { cpu, ts };
        if !c.seen {
            c.seen = true;
            c.maybe_sync = ts;
            c.kernel_iret = true;
        }
        self.settle(s, c, at, event);
        self.dispatch(s, c, at, event);
        // That CR3 was written is told late, by the record after it, and that one has its own time.
        if *event != Event::SwitchCr3 {
            c.last_ts = ts;
        }
        s.give_back(cpu, lent);
    }

    /// Draws what this event proves about the ones before it.
    fn settle<S: Store>(&self, s: &mut S, c: &mut Cpu, at: At, event: &Event) {
        match event {
            // These say nothing about what the CPU was doing, or are part of the switch.
            Event::SwitchCr3
            | Event::Nmi(_)
            | Event::FuncName(_)
            | Event::SyscallProbes(_)
            | Event::Hotplug(_)
            | Event::Gap { .. } => return,
            // Not over yet.
            Event::TlbState(state) if Self::before_switch_mm(c, state) => return,
            Event::Serialized(sync) if Self::is_outgoing(c, sync.tid) => return,
            // This is the switch's own CR3 write.
            Event::TlbFlush(flush) if Self::is_switch_cr3(c, flush) => return,
            _ => self.switch_done(s, c, at, false),
        }
        c.in_user = 0;
        let current = match event {
            Event::TlbState(state) => Self::reader(state),
            Event::TlbFlush(flush) if unknown::perhaps_in_switch(flush) => None,
            _ => event.current(),
        };
        if let Some(tid) = current {
            Self::settle_dark(s, c, at, tid);
        }
        self.settle_iret(s, c, at, event);
    }

    fn dispatch<S: Store>(&mut self, s: &mut S, c: &mut Cpu, at: At, event: &Event) {
        match event {
            _ if unknown::says_nothing(event) => {}
            Event::Switch { flags, switch } if unknown::in_switch(switch) => {
                Self::on_unknown_switch(s, c, at, *flags, switch);
            }
            Event::Switch { flags, switch } => self.on_switch(s, c, at, *flags, switch),
            Event::TlbFlush(flush) => self.on_tlb_flush(s, c, at, flush),
            Event::SwitchCr3 => self.on_switch_cr3(s, c, at),
            Event::IrqEntry(irq) => self.on_irq_entry(s, c, at, irq),
            Event::IrqExit(irq) => self.on_irq_exit(s, c, at, irq),
            Event::CsdQueue { func, target, tid } => {
                Self::on_csd_queue(s, c, *func, *target, *tid);
            }
            Event::CsdEntry { func } => self.on_csd_run(s, c, at, *func),
            Event::CsdLocal { func, local } => self.on_csd_local(s, c, at, *func, local),
            Event::CallMask { func, call } => Self::on_call_mask(s, c, at, *func, call),
            Event::Handler { func, handler } => self.on_handler(s, c, at, *func, handler),
            Event::SysEnter(call) => self.on_sys_enter(s, c, at, call),
            Event::SysExit(call) => Self::on_sys_exit(c, at, call),
            Event::MembarrierEnter(call) => self.on_membarrier_enter(s, c, at, call),
            Event::MembarrierExit(call) => self.on_membarrier_exit(s, c, at, call),
            Event::PrivateBegin(call) => Self::on_private_begin(s, c, at, call),
            Event::PrivateEnd(call) => self.on_private_end(s, c, at, call),
            Event::PageFault { from_user, fault } => {
                self.on_page_fault(s, c, at, *from_user, fault);
            }
            Event::Fork(fork) => self.on_fork(s, fork),
            Event::Exec(exec) => Self::on_exec(s, c, at, exec),
            Event::Free(task) => s.task_gone(task.tid),
            Event::MmGone(gone) => s.mm_gone(gone.mm),
            Event::Redirect(_) => Self::on_redirect(c, at),
            Event::Nmi(_) => self.on_nmi(s, c, at),
            Event::Hotplug(step) => Self::on_hotplug(s, c, at, step),
            Event::TlbState(state) => self.on_tlb_state(s, c, at, state),
            Event::FlushBegin { freed_tables, flush } => {
                Self::on_flush_begin(s, *freed_tables, flush);
            }
            Event::FlushEnd { flush, .. } => self.on_flush_end(s, at, flush),
            Event::MmDrop(drop) => {
                self.defer(s, at, Check::Drop { mm: drop.mm });
                s.mm_gone(drop.mm);
            }
            Event::RqState(state) => self.on_rq_state(s, c, at, state),
            Event::UserReturn(ret) => self.on_user_return(s, c, at, ret),
            Event::Serialized(sync) => {
                let cause = SyncCause::from_u8(sync.cause);
                Self::serialized(s, c, at.ts, cause, Evidence::Observed);
            }
            Event::KthreadUse(w) => self.on_kthread_mm(s, c, at, w.tid, (w.mm, w.state)),
            Event::KthreadUnuse(w) => self.on_kthread_mm(s, c, at, w.tid, (0, 0)),
            Event::Gap { lost } => self.on_gap(c, at, *lost),
            Event::SyscallProbes(on) => self.on_syscall_probes(s, c, at, *on),
            Event::CsdExit { .. }
            | Event::IpiCpu(_)
            | Event::IpiMask(_)
            | Event::Exit(_)
            | Event::Rename(_)
            | Event::FuncName(_)
            | Event::FlushMulti { .. } => {}
        }
    }

    /// A function that promises to serialize ran between `ts` and `now`.
    fn promised<S: Store>(
        s: &mut S,
        c: &mut Cpu,
        ts: u64,
        now: u64,
        cause: SyncCause,
        promise: Promise,
    ) {
        match promise.evidence() {
            Some(evidence) => Self::serialized_within(s, c, (ts, now), cause, evidence),
            None if promise.possible() => c.maybe_sync = now,
            None => {}
        }
    }

    /// A serialization that surely happened, at some time in this span. A call that begins in it may
    /// have begun before that, or after.
    fn serialized_within<S: Store>(
        s: &mut S,
        c: &mut Cpu,
        (from, to): (u64, u64),
        cause: SyncCause,
        evidence: Evidence,
    ) {
        if from >= c.sync.ts && to > from {
            // What begins with the event at the span's end is later.
            c.maybe_sync = c.maybe_sync.max(to - 1);
        }
        Self::serialized(s, c, from, cause, evidence);
    }

    /// The same by a return from an interrupt or to user mode, which is assumed to have come at once.
    fn serialized_by_return<S: Store>(
        s: &mut S,
        c: &mut Cpu,
        (from, to): (u64, u64),
        cause: SyncCause,
        evidence: Evidence,
    ) {
        if from >= c.sync.ts {
            // What begins with the event at the span's end is later.
            c.returned_by = to.saturating_sub(1);
        }
        Self::serialized(s, c, from, cause, evidence);
    }

    /// A serialization that surely happened at or after `ts`.
    fn serialized<S: Store>(s: &mut S, c: &mut Cpu, ts: u64, cause: SyncCause, evidence: Evidence) {
        if ts >= c.sync.ts {
            c.sync = SyncPoint { ts, cause, evidence };
        }
        rules::r1::paid(s, c, ts, evidence);
    }
}
