//! Stories of two CPUs, told as records and written down as a recording.

use std::{collections::BTreeMap, fs::File, path::Path};

use tempfile::TempDir;
use tracer_common::{
    model::Config,
    wire::{
        self, Frame, Header, INIT_MM, Kind, Vector, membarrier_cmd as cmd, membarrier_state as bit,
        switch_flags,
    },
};
use unlazy::{
    stream::{Closing, Facts, Judging, Opening, Sink, TaskName},
    trace::{Batch, Composer, Part, Writer, open},
};
use zerocopy::{Immutable, IntoBytes};

/// A process that is registered for SYNC_CORE.
pub(crate) const A: u64 = 10;
/// Another one, that is not.
pub(crate) const B: u64 = 11;
/// The thread that calls membarrier.
pub(crate) const CALLER: u32 = 100;
/// Other threads of its process.
pub(crate) const T: u32 = 101;
pub(crate) const U: u32 = 102;
/// A thread of the other process.
pub(crate) const V: u32 = 110;
/// A kernel thread.
pub(crate) const K: u32 = 7;

/// Time between two events.
pub(crate) const STEP: u64 = 1_000;

const FUNCTIONS: [(u64, &str); 3] =
    [(0x1000, "ipi_sync_core"), (0x2000, "ipi_mb"), (0x3000, "another_function")];
pub(crate) const SYNC_CORE: u64 = FUNCTIONS[0].0;
pub(crate) const MB: u64 = FUNCTIONS[1].0;

enum Told {
    Record(u32, Vec<u8>),
    Opened(u64),
    Swept(u64),
}

/// A recording in the making.
pub(crate) struct Story {
    config: Config,
    names: BTreeMap<u32, String>,
    pub(crate) now: u64,
    told: Vec<Told>,
    seq: [u32; 2],
    /// What runs on each CPU: thread, mm, and the mm it borrows.
    current: [(u32, u64, u64); 2],
}

fn mm_of(tid: u32) -> u64 {
    match tid {
        CALLER | T | U => A,
        V => B,
        _ => 0,
    }
}

fn state_of(mm: u64) -> u8 {
    if mm == A { bit::PRIVATE_EXPEDITED | bit::SYNC_CORE | bit::SYNC_CORE_READY } else { 0 }
}

impl Story {
    pub(crate) fn new(config: Config) -> Self {
        let names =
            [(CALLER, "jit-main"), (T, "jit-t"), (U, "jit-u"), (V, "other"), (K, "kworker")];
        Self {
            config,
            names: names.map(|(tid, name)| (tid, name.to_owned())).into(),
            now: 1_000_000,
            told: Vec::new(),
            seq: [0; 2],
            current: [(0, 0, INIT_MM); 2],
        }
    }

    /// The caller runs on CPU 0, U sleeps in a system call that it entered on CPU 1.
    pub(crate) fn caller_and_sleeper(config: Config) -> Self {
        let mut story = Self::new(config);
        story.switch(0, CALLER, true).sys_enter(0).sys_exit(0);
        story.switch(1, U, true).sys_enter(1);
        story
    }

    /// The same, and T runs user code on CPU 1, to which it returned by SYSRET.
    pub(crate) fn caller_sleeper_and_runner(config: Config) -> Self {
        let mut story = Self::caller_and_sleeper(config);
        story.switch(1, T, false).sys_enter(1).sys_exit(1);
        story
    }

    pub(crate) fn name(&mut self, tid: u32, name: &str) -> &mut Self {
        self.names.insert(tid, name.to_owned());
        self
    }

    fn push(&mut self, cpu: u32, kind: Kind, flags: u16, payload: &(impl IntoBytes + Immutable)) {
        let seq = &mut self.seq[cpu as usize];
        let header = Header { ts: self.now, seq: *seq, kind: kind as u16, flags };
        *seq += 1;
        self.told.push(Told::Record(cpu, [header.as_bytes(), payload.as_bytes()].concat()));
    }

    pub(crate) fn event(
        &mut self,
        cpu: u32,
        kind: Kind,
        flags: u16,
        payload: &(impl IntoBytes + Immutable),
    ) -> &mut Self {
        self.now += STEP;
        self.push(cpu, kind, flags, payload);
        self
    }

    /// So many records of a CPU are lost.
    pub(crate) fn lose(&mut self, cpu: u32, records: u32) -> &mut Self {
        self.seq[cpu as usize] += records;
        self
    }

    /// The window opens anew.
    pub(crate) fn opens(&mut self) -> &mut Self {
        self.told.push(Told::Opened(self.now));
        self
    }

    /// The buffers are emptied; when.
    pub(crate) fn sweep(&mut self) -> u64 {
        self.told.push(Told::Swept(self.now));
        self.now
    }

    fn who(&self, cpu: u32) -> (u32, u64, u8) {
        let (tid, mm, _) = self.current[cpu as usize];
        (tid, mm, state_of(mm))
    }

    /// The running kernel thread takes this mm, without an event.
    pub(crate) fn uses(&mut self, cpu: u32, mm: u64) -> &mut Self {
        let current = &mut self.current[cpu as usize];
        (current.1, current.2) = (mm, mm);
        self
    }

    /// The running thread sleeps and another one runs; `cr3`: the switch writes CR3.
    pub(crate) fn switch(&mut self, cpu: u32, next: u32, cr3: bool) -> &mut Self {
        self.switch_how(cpu, next, cr3, (switch_flags::PREV_BLOCKED, Frame::Sysret))
    }

    /// The running thread makes room on its way back from an interrupt of user mode.
    pub(crate) fn yields(&mut self, cpu: u32, next: u32) -> &mut Self {
        self.switch_how(cpu, next, false, (0, Frame::Interrupt))
    }

    fn switch_how(
        &mut self,
        cpu: u32,
        next: u32,
        cr3: bool,
        (how, prev_frame): (u16, Frame),
    ) -> &mut Self {
        let (prev, prev_mm, prev_active) = self.current[cpu as usize];
        let next_mm = mm_of(next);
        self.current[cpu as usize] =
            (next, next_mm, if next_mm == 0 { prev_active } else { next_mm });
        let kthread = |tid: u32, flag| if tid < CALLER { flag } else { 0 };
        let flags = kthread(prev, switch_flags::PREV_KTHREAD)
            | kthread(next, switch_flags::NEXT_KTHREAD)
            | how;
        let frame = |mm, frame| if mm == A { frame } else { Frame::Unknown } as u8;
        self.event(
            cpu,
            Kind::Switch,
            flags,
            &wire::Switch {
                prev_mm,
                prev_active,
                next_mm,
                prev_tid: prev,
                next_tid: next,
                next_tgid: if next_mm == 0 { next } else { next_mm as u32 * 10 },
                prev_state: state_of(prev_mm),
                next_state: state_of(next_mm),
                prev_frame: frame(prev_mm, prev_frame),
                next_frame: frame(next_mm, Frame::Sysret),
            },
        );
        if cr3 {
            let (mm, tid, reason) = (prev_mm, prev, wire::tlb_reason::TASK_SWITCH);
            self.event(
                cpu,
                Kind::TlbFlush,
                0,
                &wire::TlbFlush { pages: u64::MAX, mm, tid, reason },
            );
        }
        self
    }

    fn syscall(&mut self, cpu: u32, kind: Kind, frame: Frame) -> &mut Self {
        let (tid, mm, state) = self.who(cpu);
        let call = wire::Syscall { mm, tid, nr: 0, frame: frame as u8, state, zero: [0; 6] };
        self.event(cpu, kind, 0, &call)
    }

    pub(crate) fn sys_enter(&mut self, cpu: u32) -> &mut Self {
        self.syscall(cpu, Kind::SysEnter, Frame::Unknown)
    }

    pub(crate) fn sys_exit(&mut self, cpu: u32) -> &mut Self {
        self.syscall(cpu, Kind::SysExit, Frame::Sysret)
    }

    /// It comes back by SYSRET, runs user code, and calls again.
    pub(crate) fn round_trip(&mut self, cpu: u32) -> &mut Self {
        self.sys_exit(cpu).sys_enter(cpu)
    }

    fn membarrier(&mut self, cpu: u32, kind: Kind, ret: i64, frame: Frame) -> &mut Self {
        let (tid, mm, state) = self.who(cpu);
        let call = wire::Membarrier {
            mm,
            ret,
            tid,
            tgid: mm as u32 * 10,
            cmd: cmd::PRIVATE_EXPEDITED_SYNC_CORE,
            cmd_flags: 0,
            cpu_id: 0,
            state,
            frame: frame as u8,
            zero: [0; 2],
        };
        self.event(cpu, kind, 0, &call)
    }

    pub(crate) fn call(&mut self, cpu: u32) -> &mut Self {
        self.membarrier(cpu, Kind::MembarrierEnter, 0, Frame::Unknown)
    }

    pub(crate) fn call_returns(&mut self, cpu: u32, ret: i64) -> &mut Self {
        self.membarrier(cpu, Kind::MembarrierExit, ret, Frame::Sysret)
    }

    pub(crate) fn queues(&mut self, cpu: u32, func: u64, target: u32) -> &mut Self {
        let (tid, ..) = self.who(cpu);
        self.event(cpu, Kind::CsdQueue, 0, &wire::CsdQueue { func, target, tid })
    }

    pub(crate) fn sends(&mut self, cpu: u32, target: u32) -> &mut Self {
        let (tid, ..) = self.who(cpu);
        self.event(cpu, Kind::IpiCpu, 0, &wire::IpiCpu { callsite: 0, callback: 0, target, tid })
    }

    /// The caller's own share.
    pub(crate) fn local(&mut self, cpu: u32, func: u64) -> &mut Self {
        let (tid, mm, _) = self.who(cpu);
        let (nr, cmd) = (324, cmd::PRIVATE_EXPEDITED_SYNC_CORE);
        let local = wire::CsdLocal { func, mm, tid, tgid: mm as u32 * 10, nr, cmd };
        self.event(cpu, Kind::CsdLocal, 0, &local)
    }

    pub(crate) fn irq(&mut self, cpu: u32, kind: Kind, vector: Vector, frame: Frame) -> &mut Self {
        let (tid, _, state) = self.who(cpu);
        let irq = wire::Irq { tid, vector: vector as u8, frame: frame as u8, state, zero: 0 };
        self.event(cpu, kind, 0, &irq)
    }

    /// An interrupt hits user mode, and a function runs in it.
    pub(crate) fn ipi(&mut self, cpu: u32, func: u64) -> &mut Self {
        let vector = Vector::CallFunctionSingle;
        self.irq(cpu, Kind::IrqEntry, vector, Frame::Interrupt)
            .event(cpu, Kind::CsdEntry, 0, &wire::CsdRun { func })
            .event(cpu, Kind::CsdExit, 0, &wire::CsdRun { func })
            .irq(cpu, Kind::IrqExit, vector, Frame::Interrupt)
    }

    /// A probe sees it go to user mode.
    pub(crate) fn user_return(&mut self, cpu: u32) -> &mut Self {
        let (tid, mm, state) = self.who(cpu);
        let frame = Frame::Sysret as u8;
        let ret = wire::UserReturn { mm, tid, frame, state, zero: [0; 2] };
        self.event(cpu, Kind::UserReturn, 0, &ret)
    }

    /// `membarrier_private_expedited` begins or ends.
    pub(crate) fn private(&mut self, cpu: u32, kind: Kind) -> &mut Self {
        let (tid, mm, state) = self.who(cpu);
        let call = wire::PrivateCall {
            mm,
            tid,
            tgid: mm as u32 * 10,
            call_flags: wire::private_flags::SYNC_CORE,
            cpu_id: -1,
            ret: 0,
            state,
            zero: [0; 3],
        };
        self.event(cpu, kind, 0, &call)
    }

    /// A probe sees a serializing instruction of `ipi_sync_core`.
    pub(crate) fn serialized(&mut self, cpu: u32) -> &mut Self {
        let (tid, ..) = self.who(cpu);
        let cause = tracer_common::model::SyncCause::IpiSyncCore as u8;
        self.event(cpu, Kind::Serialized, 0, &wire::Serialized { tid, cause, zero: [0; 3] })
    }

    /// A page fault in kernel code: its IRET may have come, or not.
    pub(crate) fn kernel_fault(&mut self, cpu: u32) -> &mut Self {
        let (tid, _, state) = self.who(cpu);
        self.event(cpu, Kind::PageFault, 0, &wire::Fault { tid, state, frame: 0, zero: [0; 2] })
    }

    fn facts(&self) -> Facts {
        let task = |(&tid, comm): (&u32, &String)| TaskName { tid, tgid: tid, comm: comm.clone() };
        Facts {
            unlazy: "story".to_owned(),
            run: "story".to_owned(),
            clock: "CLOCK_MONOTONIC".to_owned(),
            cpus_possible: 3,
            cpus_online: vec![0, 1],
            judging: Judging::from(&self.config),
            tasks: self.names.iter().map(task).collect(),
            functions: FUNCTIONS.map(|(func, name)| (func, name.to_owned())).into(),
            ..Facts::default()
        }
    }

    /// Writes it down.
    pub(crate) fn write(&self, path: &Path) {
        let facts = self.facts();
        let mut writer =
            Writer::new(File::create(path).expect("a file"), &facts, 0).expect("begun");
        let mut composer = Composer::new(facts.cpus_possible, |batch: Batch| {
            writer.write(&batch).expect("written");
            Ok(())
        });
        composer.opened(&Opening { start_ns: 1_000_000, known_at_ns: None });
        composer.syscall_probes(1_000_000, true);
        for told in &self.told {
            match told {
                Told::Record(cpu, record) => composer.record(*cpu, record),
                Told::Swept(until) => composer.advance(*until),
                Told::Opened(start_ns) => {
                    composer.advance(*start_ns);
                    composer.opened(&Opening { start_ns: *start_ns, known_at_ns: None });
                }
            }
        }
        let end_ns = self.now + STEP;
        composer.advance(end_ns);
        let next_seq = vec![self.seq[0], self.seq[1], 0];
        composer.closed(&Closing { end_ns, next_seq, ..Closing::default() });
        drop(composer);
        writer.finish().expect("finished");
    }

    /// As a file of its own, opened.
    pub(crate) fn recorded(&self) -> (TempDir, Part) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("story.mcap");
        self.write(&path);
        let part = open(&path).expect("it opens");
        (dir, part)
    }
}
