//! What the probes of full mode add to a story.

use super::OnCpu;
use tracer_common::{
    model::Event,
    wire::{self, Site},
};

impl OnCpu<'_> {
    pub(crate) fn tlb_state(&mut self, loaded_mm: u64, lazy: bool, generation: u64) -> &mut Self {
        let tid = self.who().tid;
        self.event(Event::TlbState(wire::TlbState {
            loaded_mm,
            slot_mm: loaded_mm,
            slot_gen: generation,
            mm_gen: 0,
            tid,
            asid: 0,
            lazy: lazy.into(),
            site: Site::FlushRangeEntry as u8,
        }))
    }

    pub(crate) fn flush_begin(
        &mut self,
        freed_tables: bool,
        mm: u64,
        generation: u64,
    ) -> &mut Self {
        let tid = self.who().tid;
        let flush = wire::Flush { mm, generation, tid, zero: 0 };
        self.event(Event::FlushBegin { freed_tables, flush })
    }

    pub(crate) fn flush_end(&mut self, freed_tables: bool, mm: u64, generation: u64) -> &mut Self {
        let tid = self.who().tid;
        let flush = wire::Flush { mm, generation, tid, zero: 0 };
        self.event(Event::FlushEnd { freed_tables, flush })
    }

    pub(crate) fn mm_drop(&mut self, mm: u64) -> &mut Self {
        let tid = self.who().tid;
        self.event(Event::MmDrop(wire::MmGone { mm, tid, state: 0, zero: [0; 3] }))
    }

    pub(crate) fn rq_state(&mut self, rq_state: u8, mm_state: u8) -> &mut Self {
        let (mm, tid) = (self.who().mm, self.who().tid);
        let (rq_state, mm_state) = (rq_state.into(), mm_state.into());
        let site = Site::SyncRqState as u8;
        self.event(Event::RqState(wire::RqState {
            mm,
            rq_state,
            mm_state,
            tid,
            site,
            zero: [0; 3],
        }))
    }

    /// A probe on the way out sees it go to user mode.
    pub(crate) fn user_return(&mut self) -> &mut Self {
        let who = self.who();
        self.event(Event::UserReturn(wire::UserReturn {
            mm: who.mm,
            tid: who.tid,
            frame: who.frame as u8,
            state: who.state,
            zero: [0; 2],
        }))
        .in_user()
    }

    pub(crate) fn serialized(&mut self, cause: u8) -> &mut Self {
        let tid = self.who().tid;
        self.event(Event::Serialized(wire::Serialized { tid, cause, zero: [0; 3] }))
    }

    fn kthread_mm(&mut self, mm: u64) -> wire::KthreadMm {
        let who = self.who();
        wire::KthreadMm { mm, tid: who.tid, state: who.state, zero: [0; 3] }
    }

    /// `kthread_use_mm` as full mode sees it; a CR3 write is told by the story, before.
    pub(crate) fn kthread_use(&mut self) -> &mut Self {
        let mm = self.who().mm;
        let record = self.kthread_mm(mm);
        self.event(Event::KthreadUse(record))
    }

    pub(crate) fn kthread_unuse(&mut self) -> &mut Self {
        let mm = self.who().mm;
        let record = self.kthread_mm(mm);
        let who = self.who();
        self.becomes(who.with_mm(0)).event(Event::KthreadUnuse(record))
    }
}
