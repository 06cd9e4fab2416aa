//! What the probes of full mode add to a story.
//!
//! With [`Kernel::full`] the script keeps each CPU's MMU and run queue as `arch/x86/mm/tlb.c` and
//! `kernel/sched` do, and writes what unlazy's programs would, in their order. A [`Plant`] makes it
//! do one thing wrong.

use super::{Kernel, OnCpu, Who};
use std::collections::{BTreeMap, BTreeSet};
use tracer_common::{
    model::{Config, Event, Func, Promise, SyncCause},
    wire::{self, INIT_MM, Site, membarrier_cmd as cmd, membarrier_state as bit, tlb_reason},
};

/// What can be wrong with the kernel of a story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Plant {
    /// `finish_task_switch` does not serialize.
    LazyNosync,
    /// `membarrier_switch_mm` is gone.
    RqStale,
    /// `ipi_sync_rq_state` leaves out the CPU that asks.
    RegSkip,
    /// Going back from laziness asks for no generation.
    UnlazyNogen,
    /// It asks, and then flushes nothing.
    UnlazyNoflush,
}

/// What all CPUs share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Full {
    plants: BTreeSet<Plant>,
    /// `mm->context.tlb_gen`, where it is not 1.
    generations: BTreeMap<u64, u64>,
}

/// One CPU's `cpu_tlbstate` and run queue.
#[derive(Clone, Debug)]
pub(crate) struct Mmu {
    real: u64,
    lazy: bool,
    slots: BTreeMap<u64, u64>,
    rq: u8,
    /// A generation that was read too early, for the next mm.
    early: Option<u64>,
}

impl Default for Mmu {
    fn default() -> Self {
        Self { real: INIT_MM, lazy: false, slots: BTreeMap::new(), rq: 0, early: None }
    }
}

impl Kernel {
    /// With the probes of full mode, and system calls traced from the start.
    pub(crate) fn full(config: Config) -> Self {
        let mut k = Self::with(config);
        k.full = Some(Full::default());
        k.cpu(0).event(Event::SyscallProbes(true));
        k
    }

    /// Something is wrong with it.
    pub(crate) fn with_plant(mut self, plant: Plant) -> Self {
        self.full.get_or_insert_default().plants.insert(plant);
        self
    }

    fn planted(&self, plant: Plant) -> bool {
        self.full.as_ref().is_some_and(|full| full.plants.contains(&plant))
    }

    fn generation(&self, mm: u64) -> u64 {
        self.full.as_ref().and_then(|full| full.generations.get(&mm)).copied().unwrap_or(1)
    }
}

impl OnCpu<'_> {
    fn mmu(&mut self) -> &mut Mmu {
        &mut self.place().mmu
    }

    fn is_full(&self) -> bool {
        self.k.full.is_some()
    }

    /// What a probe reads of `cpu_tlbstate` while `tid` is `current`.
    fn state(&mut self, site: Site, tid: u32) -> Event {
        let Mmu { real, lazy, slots, .. } = self.mmu().clone();
        Event::TlbState(wire::TlbState {
            loaded_mm: real,
            slot_mm: real,
            slot_gen: slots.get(&real).copied().unwrap_or(1),
            mm_gen: self.k.generation(real),
            tid,
            asid: 0,
            lazy: lazy.into(),
            site: site as u8,
        })
    }

    fn reads(&mut self, site: Site) -> &mut Self {
        let tid = self.who().tid;
        let state = self.state(site, tid);
        self.event(state)
    }

    fn reads_too(&mut self, site: Site) -> &mut Self {
        let tid = self.who().tid;
        let state = self.state(site, tid);
        self.at_once(state)
    }

    /// Any reading at all.
    pub(crate) fn tlb_state(&mut self, site: Site, loaded_mm: u64, lazy: bool) -> &mut Self {
        let tid = self.who().tid;
        self.event(Event::TlbState(wire::TlbState {
            loaded_mm,
            slot_mm: loaded_mm,
            slot_gen: 1,
            mm_gen: 1,
            tid,
            asid: 0,
            lazy: lazy.into(),
            site: site as u8,
        }))
    }

    /// Any reading at all, in a switch.
    pub(crate) fn tlb_state_in_switch(&mut self, site: Site, loaded_mm: u64) -> &mut Self {
        let place = self.place();
        let (previous, current) = (place.previous, place.current);
        self.becomes(previous).tlb_state(site, loaded_mm, false).becomes(current)
    }

    /// Any reading at all.
    pub(crate) fn rq_state(&mut self, site: Site, rq_state: u8, mm_state: u8) -> &mut Self {
        let of = Who { state: mm_state, ..self.who() };
        self.rq_state_of(of, site, rq_state)
    }

    /// Any reading at all, beside the mm of somebody else.
    pub(crate) fn rq_state_of(&mut self, of: Who, site: Site, rq_state: u8) -> &mut Self {
        let tid = self.who().tid;
        self.event(Event::RqState(wire::RqState {
            mm: of.mm,
            rq_state: rq_state.into(),
            mm_state: of.state.into(),
            tid,
            site: site as u8,
            zero: [0; 3],
        }))
    }

    /// What a probe reads of the run queue, beside the state of `of`.
    fn rq_reading(&mut self, of: Who, tid: u32, site: Site) -> Event {
        Event::RqState(wire::RqState {
            mm: of.mm,
            rq_state: self.mmu().rq.into(),
            mm_state: of.state.into(),
            tid,
            site: site as u8,
            zero: [0; 3],
        })
    }

    /// What follows `sched_switch`.
    pub(super) fn context_switch(&mut self, prev: Who, prev_active: u64, next: Who) -> &mut Self {
        if !self.is_full() {
            return self;
        }
        if next.mm == 0 {
            self.enter_lazy_tlb(prev.tid);
            return self;
        }
        if prev_active != next.mm && !self.k.planted(Plant::RqStale) {
            self.mmu().rq = next.state;
        }
        self.switch_mm(next.mm, prev);
        if self.mmu().rq | next.state != 0 {
            let reading = self.rq_reading(next, prev.tid, Site::SwitchMmExit);
            self.at_once(reading);
        }
        let serializes = prev.mm == 0 && prev_active == next.mm && next.state & bit::SYNC_CORE != 0;
        let probed = self.k.model.config().finish_task_switch == Promise::Probed;
        if serializes && probed && !self.k.planted(Plant::LazyNosync) {
            self.serialized(SyncCause::FinishTaskSwitch);
        }
        self
    }

    fn enter_lazy_tlb(&mut self, tid: u32) -> &mut Self {
        let mmu = self.mmu();
        mmu.lazy |= mmu.real != INIT_MM;
        let state = self.state(Site::EnterLazyTlb, tid);
        self.event(state)
    }

    /// `switch_mm_irqs_off`, for `current`.
    fn switch_mm(&mut self, mm: u64, current: Who) -> &mut Self {
        let state = self.state(Site::SwitchMmEntry, current.tid);
        self.event(state);
        let now = self.k.generation(mm);
        let (nogen, noflush) =
            (self.k.planted(Plant::UnlazyNogen), self.k.planted(Plant::UnlazyNoflush));
        let mmu = self.mmu();
        let was_lazy = std::mem::take(&mut mmu.lazy);
        let early = mmu.early.take();
        let same = mmu.real == mm;
        let behind = mmu.slots.get(&mm).copied().unwrap_or(1) < now;
        if !same || (was_lazy && behind && !nogen) {
            mmu.real = mm;
            if !(same && noflush) {
                mmu.slots.insert(mm, early.unwrap_or(now));
            }
            self.tlb(current, tlb_reason::TASK_SWITCH, u64::MAX);
        }
        let state = self.state(Site::SwitchMmExit, current.tid);
        self.event(state)
    }

    /// It reads the generation of the next mm now, and uses it when it has come to it.
    pub(crate) fn reads_generation_of(&mut self, mm: u64) -> &mut Self {
        let now = self.k.generation(mm);
        self.mmu().early = Some(now);
        self
    }

    /// `leave_mm`
    pub(crate) fn leaves_mm(&mut self) -> &mut Self {
        let who = self.who();
        self.switch_mm(INIT_MM, who).reads(Site::LeaveMm)
    }

    /// `use_temporary_mm` and `unuse_temporary_mm`, as `__text_poke` has them.
    pub(crate) fn pokes_text(&mut self) -> &mut Self {
        let who = self.who();
        if self.mmu().lazy {
            self.leaves_mm();
        }
        let home = self.mmu().real;
        self.switch_mm(3, who).switch_mm(home, who)
    }

    /// A temporary mm that nobody leaves.
    pub(crate) fn loads_and_stays(&mut self, mm: u64) -> &mut Self {
        let who = self.who();
        self.switch_mm(mm, who)
    }

    /// `efi_enter_mm` and `efi_leave_mm`
    pub(crate) fn calls_efi(&mut self) -> &mut Self {
        let who = self.who();
        let home = self.mmu().real;
        self.switch_mm(2, who).tick().switch_mm(home, who)
    }

    /// `flush_tlb_mm_range` begins.
    pub(crate) fn flush_begins(&mut self, freed_tables: bool, mm: u64) -> &mut Self {
        let generation = self.k.generation(mm) + 1;
        let full = self.k.full.get_or_insert_default();
        full.generations.insert(mm, generation);
        let flush = wire::Flush { mm, generation, tid: self.who().tid, zero: 0 };
        self.event(Event::FlushBegin { freed_tables, flush }).reads_too(Site::FlushRangeEntry)
    }

    /// It returns.
    pub(crate) fn flush_ends(&mut self, freed_tables: bool, mm: u64) -> &mut Self {
        let flush = wire::Flush { mm, generation: 0, tid: self.who().tid, zero: 0 };
        self.event(Event::FlushEnd { freed_tables, flush }).reads_too(Site::FlushRangeExit)
    }

    /// `flush_tlb_func`, for `mm` or for all.
    fn flush_func(&mut self, mm: Option<u64>, reason: u32) -> &mut Self {
        let who = self.who();
        let real = self.mmu().real;
        let now = self.k.generation(real);
        if mm.is_none_or(|mm| mm == real) && real != INIT_MM {
            if self.mmu().lazy {
                self.switch_mm(INIT_MM, who);
            } else {
                self.mmu().slots.insert(real, now);
                self.tlb(who, reason, 1);
            }
        }
        self.reads(Site::FlushTlbFunc)
    }

    /// It flushes its own TLB.
    pub(crate) fn flushes(&mut self, mm: u64) -> &mut Self {
        self.flush_func(Some(mm), tlb_reason::LOCAL_MM_SHOOTDOWN)
    }

    /// Another CPU's flush reaches it, and what it did goes on.
    pub(crate) fn flush_ipi(&mut self, mm: Option<u64>) -> &mut Self {
        let in_user = self.who().in_user;
        self.irq_entry(wire::Vector::CallFunction)
            .event(Event::CsdEntry { func: Func::FlushTlb })
            .flush_func(mm, tlb_reason::REMOTE_SHOOTDOWN)
            .event(Event::CsdExit { func: Func::FlushTlb })
            .irq_exit(wire::Vector::CallFunction);
        self.place().current.in_user = in_user;
        self
    }

    /// `arch_tlbbatch_flush` returns.
    pub(crate) fn batch_flush_ends(&mut self) -> &mut Self {
        self.reads(Site::BatchFlush)
    }

    /// `__mmdrop`
    pub(crate) fn mm_drop(&mut self, mm: u64) -> &mut Self {
        let tid = self.who().tid;
        self.event(Event::MmDrop(wire::MmGone { mm, tid, state: 0, zero: [0; 3] }))
            .reads_too(Site::MmDrop)
    }

    /// A probe on the way out sees it go to user mode.
    pub(crate) fn user_return(&mut self) -> &mut Self {
        let who = self.who();
        self.reads(Site::UserReturn);
        self.at_once(Event::UserReturn(wire::UserReturn {
            mm: who.mm,
            tid: who.tid,
            frame: if who.state & bit::SYNC_CORE == 0 { 0 } else { who.frame as u8 },
            state: who.state,
            zero: [0; 2],
        }))
        .in_user()
    }

    pub(crate) fn serialized(&mut self, cause: SyncCause) -> &mut Self {
        let tid = self.who().tid;
        let record = wire::Serialized { tid, cause: cause as u8, zero: [0; 3] };
        self.event(Event::Serialized(record))
    }

    fn kthread_mm(&mut self, mm: u64) -> wire::KthreadMm {
        let who = self.who();
        wire::KthreadMm { mm, tid: who.tid, state: who.state, zero: [0; 3] }
    }

    /// `kthread_use_mm`, up to the end of `switch_mm_irqs_off`.
    pub(crate) fn takes_mm(&mut self, mm: u64) -> &mut Self {
        let who = self.who().with_mm(mm);
        self.becomes(who);
        self.mmu().rq = who.state;
        self.switch_mm(mm, who)
    }

    /// `kthread_use_mm` returns.
    pub(crate) fn has_mm(&mut self) -> &mut Self {
        let mm = self.who().mm;
        let record = self.kthread_mm(mm);
        self.event(Event::KthreadUse(record)).reads_too(Site::KthreadUse)
    }

    pub(crate) fn uses_mm(&mut self, mm: u64) -> &mut Self {
        self.takes_mm(mm).has_mm()
    }

    /// `kthread_unuse_mm`
    pub(crate) fn unuses_mm(&mut self) -> &mut Self {
        let who = self.who();
        let record = self.kthread_mm(who.mm);
        self.becomes(who.with_mm(0));
        self.lets_go();
        self.event(Event::KthreadUnuse(record)).reads_too(Site::KthreadUnuse)
    }

    /// The running task has no mm any more: `exit_mm` and `kthread_unuse_mm`.
    pub(super) fn lets_go(&mut self) {
        if self.is_full() {
            self.mmu().rq = 0;
            let tid = self.who().tid;
            self.enter_lazy_tlb(tid);
        }
    }

    /// `exec_mmap`, in full mode; the running task is `new` from then on.
    pub(super) fn exec_mmap(&mut self, new: Who) -> bool {
        if self.is_full() {
            self.clears_rq_for(new).new_mm(new);
        }
        self.is_full()
    }

    /// `membarrier_exec_mmap`
    pub(crate) fn clears_rq_for(&mut self, new: Who) -> &mut Self {
        self.clears_rq().cleared_rq_for(new)
    }

    /// In `membarrier_exec_mmap`
    pub(crate) fn clears_rq(&mut self) -> &mut Self {
        self.mmu().rq = 0;
        self
    }

    /// At the end of `membarrier_exec_mmap`
    pub(crate) fn cleared_rq_for(&mut self, new: Who) -> &mut Self {
        let tid = self.who().tid;
        let reading = self.rq_reading(Who { state: 0, ..new }, tid, Site::ExecMmap);
        self.event(reading)
    }

    /// `activate_mm`, for a task that has its new mm.
    pub(crate) fn new_mm(&mut self, new: Who) -> &mut Self {
        self.becomes(new).switch_mm(new.mm, new)
    }

    /// A registration is entered, by a task of a mm that has none.
    pub(crate) fn register_begins(&mut self, cmd: i32) -> &mut Self {
        self.membarrier_enter(cmd)
    }

    /// The bits are set, and this CPU is told.
    pub(crate) fn registers(&mut self, who: Who) -> &mut Self {
        self.becomes(who);
        if !self.k.planted(Plant::RegSkip) {
            self.mmu().rq = who.state;
            let reading = self.rq_reading(who, who.tid, Site::SyncRqState);
            self.event(reading);
        }
        self
    }

    /// Another CPU's registration reaches this one.
    pub(crate) fn register_ipi(&mut self, who: Who) -> &mut Self {
        let in_user = self.who().in_user;
        self.becomes(who).irq_entry(wire::Vector::CallFunction);
        self.event(Event::CsdEntry { func: Func::SyncRqState });
        self.mmu().rq = who.state;
        let reading = self.rq_reading(who, who.tid, Site::SyncRqState);
        self.event(reading).event(Event::CsdExit { func: Func::SyncRqState });
        self.irq_exit(wire::Vector::CallFunction);
        self.place().current.in_user = in_user;
        self
    }

    /// All are told; the READY bit and the return come next.
    pub(crate) fn register_ends(&mut self, cmd: i32) -> &mut Self {
        let who = self.who();
        let ready = match cmd {
            cmd::REGISTER_GLOBAL_EXPEDITED => bit::GLOBAL_EXPEDITED_READY,
            cmd::REGISTER_PRIVATE_EXPEDITED => bit::PRIVATE_EXPEDITED_READY,
            _ => bit::SYNC_CORE_READY,
        };
        let before = Who { state: who.state & !ready, ..who };
        let reading = self.rq_reading(before, who.tid, Site::Register);
        self.event(reading).membarrier_exit(cmd, 0)
    }

    fn private(&mut self, call_flags: u32, ret: i32) -> wire::PrivateCall {
        let who = self.who();
        let (mm, tid, tgid, state) = (who.mm, who.tid, who.tgid, who.state);
        wire::PrivateCall { mm, tid, tgid, call_flags, cpu_id: -1, ret, state, zero: [0; 3] }
    }

    pub(crate) fn private_begins(&mut self, flags: u32) -> &mut Self {
        let call = self.private(flags, 0);
        self.event(Event::PrivateBegin(call)).reads_too(Site::PrivateBegin)
    }

    pub(crate) fn private_ends(&mut self, flags: u32, ret: i32) -> &mut Self {
        let call = self.private(flags, ret);
        self.event(Event::PrivateEnd(call)).reads_too(Site::PrivateEnd)
    }

    /// One of membarrier's functions begins, on a kernel without `csd_function_entry`.
    pub(crate) fn handler(&mut self, func: Func) -> &mut Self {
        let who = self.who();
        let handler =
            wire::CsdLocal { func: 0, mm: who.mm, tid: who.tid, tgid: who.tgid, nr: -1, cmd: -1 };
        self.event(Event::Handler { func, handler })
    }

    /// The same, in an interrupt; what it did goes on.
    pub(crate) fn ipi_handler(&mut self, func: Func) -> &mut Self {
        let in_user = self.who().in_user;
        self.irq_entry(wire::Vector::CallFunction).handler(func);
        self.irq_exit(wire::Vector::CallFunction);
        self.place().current.in_user = in_user;
        self
    }

    pub(crate) fn call_mask(&mut self, func: Func, mask: u64) -> &mut Self {
        let tid = self.who().tid;
        self.event(Event::CallMask { func, call: wire::CallMask { func: 0, mask, tid, zero: 0 } })
    }
}
