//! A small run, made by hand: two CPUs, a process with a SYNC_CORE registration, a membarrier that
//! interrupts the other CPU, a flush, a loss, and a reading that contradicts (rule R7).

use std::{fs::File, path::Path};

use tracer_common::wire::{
    self, CsdQueue, CsdRun, Exec, Flush, Fork, FuncName, Header, Irq, Kind, Membarrier, Rename,
    Switch, TlbFlush, Vector, membarrier_cmd, membarrier_state, switch_flags, tlb_reason,
};
use unlazy::{
    engine::{Observer, Seen},
    judge::{Judge, Opens},
    report::Report,
    stream::{Closing, Facts, Opening, Sink, TaskName},
    trace::{Composer, Writer},
};
use zerocopy::IntoBytes;

/// When the run begins, in nanoseconds.
pub(crate) const START: u64 = 5_000_000_000;
/// What it takes to make UTC of it.
pub(crate) const TO_REALTIME: i64 = 1_700_000_000_000_000_000;
/// The process's mm, and another's.
pub(crate) const MM: u64 = 700;
pub(crate) const OTHER: u64 = 800;
/// Its threads.
pub(crate) const CALLER: u32 = 100;
pub(crate) const SIBLING: u32 = 101;

const IPI_SYNC_CORE: u64 = 0xffff_ffff_8123_4560;

/// One call of [`Sink::record`].
pub(crate) type Record = (u32, Vec<u8>);

pub(crate) fn facts() -> Facts {
    let probe = |name: &str| unlazy::report::Probe {
        name: name.to_owned(),
        kind: "raw_tp".to_owned(),
        state: unlazy::report::Attach::Attached,
        why: String::new(),
    };
    let task = |tid, comm: &str| TaskName { tid, tgid: CALLER, comm: comm.to_owned() };
    let mut facts = Facts {
        unlazy: "0.1.0".to_owned(),
        run: "a-run".to_owned(),
        clock: "CLOCK_MONOTONIC".to_owned(),
        started_ns: START,
        to_realtime_ns: Some(TO_REALTIME),
        cpus_possible: 2,
        cpus_online: vec![0, 1],
        probes: vec![probe("csd:csd_queue_cpu")],
        tasks: vec![task(CALLER, "jit"), task(SIBLING, "jit\u{1b}[31m")],
        ..Facts::default()
    };
    facts.kernel.release = Some("6.12.0-test".to_owned());
    facts.judging = (&tracer_common::model::Config::default()).into();
    facts
}

/// Numbers and times the records as they come, a microsecond apart.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) records: Vec<Record>,
    seq: [u32; 2],
    steps: u64,
}

impl Script {
    pub(crate) fn now(&self) -> u64 {
        START + 1000 * self.steps
    }

    pub(crate) fn bytes(&mut self, cpu: u32, kind: u16, flags: u16, payload: &[u8]) {
        self.steps += 1;
        let seq = self.seq[cpu as usize];
        self.seq[cpu as usize] += 1;
        let header = Header { ts: self.now(), seq, kind, flags };
        self.records.push((cpu, [header.as_bytes(), payload].concat()));
    }

    fn put(
        &mut self,
        cpu: u32,
        kind: Kind,
        flags: u16,
        payload: &(impl IntoBytes + zerocopy::Immutable),
    ) {
        self.bytes(cpu, kind as u16, flags, payload.as_bytes());
    }

    /// From one task to another, each with its mm; 0 is the idle task.
    fn switch(
        &mut self,
        cpu: u32,
        (prev, prev_mm): (u32, u64),
        (next, next_mm): (u32, u64),
        flags: u16,
    ) {
        let state = |mm| {
            if mm == MM {
                membarrier_state::SYNC_CORE | membarrier_state::SYNC_CORE_READY
            } else {
                0
            }
        };
        let kthread = |tid, flag| if tid == 0 { flag } else { 0 };
        let flags = flags
            | kthread(prev, switch_flags::PREV_KTHREAD)
            | kthread(next, switch_flags::NEXT_KTHREAD);
        let switch = Switch {
            prev_mm,
            prev_active: if prev_mm == 0 { MM } else { prev_mm },
            next_mm,
            prev_tid: prev,
            next_tid: next,
            next_tgid: if next == 0 { 0 } else { CALLER },
            prev_state: state(prev_mm),
            next_state: state(next_mm),
            prev_frame: 1,
            next_frame: 1,
        };
        self.put(cpu, Kind::Switch, flags, &switch);
    }

    fn irq(&mut self, cpu: u32, entry: bool, vector: Vector, tid: u32) {
        let kind = if entry { Kind::IrqEntry } else { Kind::IrqExit };
        let irq = Irq { tid, vector: vector as u8, frame: 3, state: 0, zero: 0 };
        self.put(cpu, kind, 0, &irq);
    }

    fn membarrier(&mut self, cpu: u32, kind: Kind, ret: i64) {
        let call = Membarrier {
            mm: MM,
            ret,
            tid: CALLER,
            tgid: CALLER,
            cmd: membarrier_cmd::PRIVATE_EXPEDITED_SYNC_CORE,
            cmd_flags: 0,
            cpu_id: 0,
            state: membarrier_state::SYNC_CORE | membarrier_state::SYNC_CORE_READY,
            frame: 1,
            zero: [0; 2],
        };
        self.put(cpu, kind, 0, &call);
    }

    fn csd(&mut self, cpu: u32, kind: Kind) {
        self.put(cpu, kind, 0, &CsdRun { func: IPI_SYNC_CORE });
    }
}

fn comm(name: &str) -> [u8; wire::COMM_LEN] {
    let mut bytes = [0; wire::COMM_LEN];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    bytes
}

/// The run.
pub(crate) fn script() -> Script {
    let mut s = Script::default();
    let mut name = [0; wire::FUNC_NAME_LEN];
    name[..13].copy_from_slice(b"ipi_sync_core");
    s.put(0, Kind::FuncName, 0, &FuncName { func: IPI_SYNC_CORE, name });
    // Both CPUs become known; CPU 1 goes lazy and comes back.
    s.switch(0, (0, 0), (CALLER, MM), 0);
    s.switch(1, (0, 0), (SIBLING, MM), 0);
    s.switch(1, (SIBLING, MM), (0, 0), switch_flags::PREV_BLOCKED);
    s.switch(1, (0, 0), (SIBLING, MM), 0);
    // A membarrier interrupts CPU 1.
    s.membarrier(0, Kind::MembarrierEnter, 0);
    s.put(0, Kind::CsdQueue, 0, &CsdQueue { func: IPI_SYNC_CORE, target: 1, tid: CALLER });
    s.irq(1, true, Vector::CallFunction, SIBLING);
    s.csd(1, Kind::CsdEntry);
    s.csd(1, Kind::CsdExit);
    s.irq(1, false, Vector::CallFunction, SIBLING);
    s.membarrier(0, Kind::MembarrierExit, 0);
    let child = Fork {
        child_mm: OTHER,
        parent_tid: CALLER,
        child_tid: 102,
        child_tgid: 102,
        state: 0,
        zero: [0; 3],
        comm: comm("jit"),
    };
    s.put(0, Kind::Fork, 0, &child);
    s.put(0, Kind::Rename, 0, &Rename { tid: 102, tgid: 102, comm: comm("new") });
    s.switch(0, (CALLER, MM), (102, OTHER), switch_flags::PREEMPT);
    s.put(0, Kind::Exec, 0, &Exec { mm: OTHER, tid: 102, old_tid: 102, comm: comm("prog") });
    let flush = Flush { mm: OTHER, generation: 3, tid: 102, zero: 0 };
    s.put(0, Kind::FlushBegin, wire::FLUSH_FREED_TABLES, &flush);
    let sent = TlbFlush { pages: 4, mm: OTHER, tid: 102, reason: tlb_reason::REMOTE_SEND_IPI };
    s.put(0, Kind::TlbFlush, 0, &sent);
    s.put(0, Kind::FlushEnd, 0, &Flush { generation: 0, ..flush });
    // Records of CPU 1 are lost; then it is known again.
    s.seq[1] += 3;
    s.switch(1, (0, 0), (SIBLING, MM), 0);
    // Another active mm than CPU 0 can have: R7.
    s.switch(0, (102, OTHER), (0, 0), 0);
    let wrong = Switch {
        prev_mm: 0,
        prev_active: 4242,
        next_mm: MM,
        prev_tid: 0,
        next_tid: CALLER,
        next_tgid: CALLER,
        prev_state: 0,
        next_state: 0,
        prev_frame: 0,
        next_frame: 1,
    };
    s.put(0, Kind::Switch, switch_flags::PREV_KTHREAD, &wrong);
    s
}

/// Every kind of record, its payload all of this byte.
pub(crate) fn every_kind(fill: u8) -> Script {
    let mut s = Script::default();
    for kind in Kind::ALL {
        s.bytes(0, *kind as u16, u16::from(fill), &[fill; 96]);
    }
    s.bytes(0, Kind::Switch as u16, wire::HEADER_CR3_WRITTEN, &[0; 96]);
    s.bytes(0, Kind::SysEnter as u16, wire::HEADER_CR3_WRITTEN, &[0; 96]);
    s.seq[0] += 7;
    s.bytes(0, Kind::SysEnter as u16, 0, &[0; 96]);
    s
}

/// Hands the run on as a live one does.
pub(crate) fn play(script: &Script, to: &mut dyn Sink) {
    to.opened(&Opening { start_ns: START, known_at_ns: None });
    to.syscall_probes(START, true);
    for (index, (cpu, record)) in script.records.iter().enumerate() {
        to.record(*cpu, record);
        if index % 8 == 7 {
            to.advance(START + 1000 * (index as u64 + 1) + 1);
        }
    }
    let closing = Closing {
        end_ns: script.now() + 1000,
        next_seq: script.seq.to_vec(),
        ..Closing::default()
    };
    to.closed(&closing);
}

/// Judges the run while somebody looks on.
pub(crate) fn judge(script: &Script, observer: impl Observer) -> Report {
    let mut judge = Judge::observed(facts(), Opens::AsRecorded, observer);
    play(script, &mut judge);
    judge.report()
}

/// Writes the run as `unlazy record` would.
pub(crate) fn write(script: &Script, path: &Path) {
    let mut writer = Writer::new(File::create(path).unwrap(), &facts(), START).unwrap();
    // What is damaged later leaves the facts readable.
    writer.flush().unwrap();
    let mut composer = Composer::new(2, |batch| {
        writer.write(&batch).unwrap();
        Ok(())
    });
    play(script, &mut composer);
    drop(composer);
    writer.finish().unwrap();
}

/// Calls a function with each event.
pub(crate) struct Look<F>(pub(crate) F);

impl<F: FnMut(&Seen<'_>)> Observer for Look<F> {
    fn event(&mut self, seen: &Seen<'_>) {
        (self.0)(seen);
    }
}
