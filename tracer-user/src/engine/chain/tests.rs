//! The stories that findings tell.

use insta::assert_snapshot;
use tracer_common::{
    model::{Config, Model, Promise, SyncPoint},
    wire::{self, Frame, INIT_MM, membarrier_cmd as cmd, membarrier_state as bit, switch_flags},
};

use super::*;
use crate::engine::store::UserStore;

const MM: u64 = 10;
const CALLER: u32 = 100;
const U: u32 = 102;
const K: u32 = 7;
const REGISTERED: u8 = bit::PRIVATE_EXPEDITED | bit::SYNC_CORE | bit::SYNC_CORE_READY;

/// What a model makes of events, and what is told of its findings.
struct Run {
    model: Model,
    store: UserStore,
    history: History,
    names: Names,
    now: u64,
}

impl Run {
    fn new(config: Config) -> Self {
        let mut names = Names::default();
        for (tid, comm) in [(CALLER, "jit-main"), (U, "jit-runner"), (K, "f_fs-worker")] {
            names.task(tid, tid, comm);
        }
        let (store, history) = (UserStore::new(2), History::new(2));
        Self { model: Model::new(config), store, history, names, now: 0 }
    }

    fn on(&mut self, cpu: u32, event: Event) {
        self.now += 1_000;
        self.too(cpu, event);
    }

    /// At the same time.
    fn too(&mut self, cpu: u32, event: Event) {
        self.history.push(cpu, self.now, &event);
        self.model.step(&mut self.store, cpu, self.now, &event);
    }

    fn switch(&mut self, cpu: u32, prev: (u32, u64), next: (u32, u64), prev_active: u64) {
        let state = |mm| if mm == MM { REGISTERED } else { 0 };
        let flag = |(tid, _): (u32, u64), flag| if tid < CALLER { flag } else { 0 };
        let flags = flag(prev, switch_flags::PREV_KTHREAD)
            | flag(next, switch_flags::NEXT_KTHREAD)
            | switch_flags::PREV_BLOCKED;
        let switch = wire::Switch {
            prev_mm: prev.1,
            prev_active,
            next_mm: next.1,
            prev_tid: prev.0,
            next_tid: next.0,
            next_tgid: next.0,
            prev_state: state(prev.1),
            next_state: state(next.1),
            prev_frame: Frame::Sysret as u8,
            next_frame: Frame::Sysret as u8,
        };
        self.on(cpu, Event::Switch { flags, switch });
    }

    fn reads(&mut self, cpu: u32, tid: u32, site: Site, mm: u64, lazy: bool) {
        let state = wire::TlbState {
            loaded_mm: mm,
            slot_mm: mm,
            slot_gen: 4,
            mm_gen: 4,
            tid,
            asid: 0,
            lazy: lazy.into(),
            site: site as u8,
        };
        self.on(cpu, Event::TlbState(state));
    }

    fn membarrier(&mut self, exit: bool) {
        let call = wire::Membarrier {
            mm: MM,
            ret: 0,
            tid: CALLER,
            tgid: CALLER,
            cmd: cmd::PRIVATE_EXPEDITED_SYNC_CORE,
            cmd_flags: 0,
            cpu_id: -1,
            state: REGISTERED,
            frame: Frame::Sysret as u8,
            zero: [0; 2],
        };
        let event = if exit { Event::MembarrierExit(call) } else { Event::MembarrierEnter(call) };
        self.on(0, event);
    }

    fn private(&mut self, exit: bool) {
        let call = wire::PrivateCall {
            mm: MM,
            tid: CALLER,
            tgid: CALLER,
            call_flags: wire::private_flags::SYNC_CORE,
            cpu_id: -1,
            ret: 0,
            state: REGISTERED,
            zero: [0; 3],
        };
        self.on(0, if exit { Event::PrivateEnd(call) } else { Event::PrivateBegin(call) });
    }

    fn told(&mut self) -> Vec<String> {
        let findings = self.store.take_findings();
        let one = |finding: &Finding| {
            let mut text = format!("{} {}\n", finding.rule.id(), finding.evidence.name());
            for link in tell(finding, &self.history, &self.names) {
                let ChainLink { ts_ns, cpu, what, evidence } = link;
                let line =
                    format!("{:>3} us cpu {cpu} {:8} {what}\n", ts_ns / 1_000, evidence.name());
                text.push_str(&line);
            }
            text
        };
        findings.iter().map(one).collect()
    }
}

/// The hole of `kthread_use_mm`, step by step.
#[test]
fn the_hole() {
    let mut run = Run::new(Config {
        finish_task_switch: Promise::Probed,
        ipi_sync_core: Promise::Probed,
        ..Config::default()
    });
    run.on(0, Event::SyscallProbes(true));
    run.switch(0, (0, 0), (CALLER, MM), INIT_MM);
    run.reads(0, 0, Site::SwitchMmEntry, INIT_MM, false);
    run.on(0, Event::SwitchCr3);
    run.reads(0, 0, Site::SwitchMmExit, MM, false);
    run.switch(1, (0, 0), (U, MM), INIT_MM);
    run.reads(1, 0, Site::SwitchMmEntry, INIT_MM, false);
    run.on(1, Event::SwitchCr3);
    run.reads(1, 0, Site::SwitchMmExit, MM, false);
    run.on(
        1,
        Event::SysEnter(wire::Syscall {
            mm: MM,
            tid: U,
            nr: 0,
            frame: 0,
            state: REGISTERED,
            zero: [0; 6],
        }),
    );
    run.switch(1, (U, MM), (K, 0), MM);
    run.reads(1, U, Site::EnterLazyTlb, MM, true);
    run.membarrier(false);
    run.private(false);
    let local = wire::CsdLocal { func: 0, mm: MM, tid: CALLER, tgid: CALLER, nr: 324, cmd: 32 };
    run.on(0, Event::CsdLocal { func: Func::SyncCore, local });
    let sync = wire::Serialized { tid: CALLER, cause: SyncCause::IpiSyncCore as u8, zero: [0; 3] };
    run.on(0, Event::Serialized(sync));
    run.private(true);
    run.membarrier(true);
    run.reads(1, K, Site::SwitchMmEntry, MM, true);
    run.reads(1, K, Site::SwitchMmExit, MM, false);
    let kthread = wire::KthreadMm { mm: MM, tid: K, state: REGISTERED, zero: [0; 3] };
    run.on(1, Event::KthreadUse(kthread));
    run.switch(1, (K, MM), (U, MM), MM);
    run.reads(1, K, Site::SwitchMmEntry, MM, false);
    run.reads(1, K, Site::SwitchMmExit, MM, false);
    run.reads(1, U, Site::UserReturn, MM, false);
    run.too(
        1,
        Event::UserReturn(wire::UserReturn {
            mm: MM,
            tid: U,
            frame: Frame::Sysret as u8,
            state: REGISTERED,
            zero: [0; 2],
        }),
    );
    assert_snapshot!(run.told().join("\n"));
}

/// A flush that leaves out a CPU.
#[test]
fn a_stale_tlb() {
    let mut run = Run::new(Config::default());
    run.switch(0, (0, 0), (CALLER, MM), INIT_MM);
    run.switch(1, (0, 0), (U, MM), INIT_MM);
    run.reads(1, 0, Site::SwitchMmEntry, INIT_MM, false);
    let flush = wire::Flush { mm: MM, generation: 5, tid: CALLER, zero: 0 };
    run.on(0, Event::FlushBegin { freed_tables: false, flush });
    run.on(
        0,
        Event::FlushEnd { freed_tables: false, flush: wire::Flush { generation: 0, ..flush } },
    );
    run.on(1, Event::SwitchCr3);
    run.reads(1, 0, Site::SwitchMmExit, MM, false);
    run.reads(1, U, Site::UserReturn, MM, false);
    run.too(
        1,
        Event::UserReturn(wire::UserReturn { mm: MM, tid: U, frame: 0, state: 0, zero: [0; 2] }),
    );
    assert_snapshot!(run.told().join("\n"));
}

/// A finding that leans on an IRET's having come at once says so where it stands.
#[test]
fn what_a_finding_leans_on() {
    let last = SyncPoint { ts: 7, cause: SyncCause::Iret, evidence: model::Evidence::Inferred };
    let finding = |evidence| Finding {
        rule: Rule::R2,
        cpu: 1,
        tid: U,
        mm: MM,
        ts: 9,
        since: 8,
        last_sync: last,
        left_alone: None,
        evidence,
        divergence: None,
        expected: 0,
        actual: 0,
    };
    let link = last_sync(&finding(model::Evidence::Observed));
    assert_eq!(link.what, "last serialization before: IRET");
    assert_eq!(link.evidence, Evidence::Inferred);
    let link = last_sync(&finding(model::Evidence::Assumed));
    assert_eq!(link.what, "last serialization before: IRET, if it came at once");
    assert_eq!(link.evidence, Evidence::Assumed);
}
