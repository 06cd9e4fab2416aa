//! An event as named fields.

use tracer_common::{
    model::{Event, Func, SyncCause},
    wire::{Switch, Vector, membarrier_cmd, switch_flags as flag, told_mm},
};

use super::{
    field::{Field, Value},
    words::{frame, reason, site},
};
use crate::engine::{Seen, text};

/// Takes fields, and knows the names of threads and functions.
struct Put<'a, 'b> {
    seen: &'a Seen<'b>,
    to: &'a mut dyn FnMut(Field, Value<'_>),
}

impl Put<'_, '_> {
    fn uint(&mut self, field: Field, value: impl Into<u64>) {
        (self.to)(field, Value::Uint(value.into()));
    }

    fn int(&mut self, field: Field, value: impl Into<i64>) {
        (self.to)(field, Value::Int(value.into()));
    }

    fn bool(&mut self, field: Field, value: bool) {
        (self.to)(field, Value::Bool(value));
    }

    fn text(&mut self, field: Field, value: &str) {
        (self.to)(field, Value::Text(value));
    }

    fn frame(&mut self, field: Field, value: u8) {
        self.text(field, frame(value));
    }

    /// A thread and its name.
    fn task(&mut self, tid: u32) {
        self.uint(Field::Tid, tid);
        if let Some(comm) = self.seen.comm(tid) {
            (self.to)(Field::Comm, Value::Text(comm));
        }
    }

    fn mm(&mut self, mm: u64) {
        self.an_mm(Field::Mm, mm);
    }

    /// An mm, where it is told: other tools' traces don't.
    fn an_mm(&mut self, field: Field, mm: u64) {
        if let Some(mm) = told_mm(mm) {
            self.uint(field, mm);
        }
    }

    fn state(&mut self, state: u8) {
        self.uint(Field::MembarrierState, state);
    }

    fn func(&mut self, func: Func) {
        if let Some(name) = func.name() {
            self.text(Field::Func, name);
        }
    }

    /// A function of which the address is known too.
    fn func_at(&mut self, func: Func, address: u64) {
        match self.seen.function(address) {
            Some(name) => (self.to)(Field::Func, Value::Text(name)),
            None => self.func(func),
        }
    }

    fn address(&mut self, field: Field, address: u64) {
        if address != 0 {
            match self.seen.function(address) {
                Some(name) if field != Field::Address => (self.to)(field, Value::Text(name)),
                _ => self.text(field, &format!("{address:#x}")),
            }
        }
    }

    fn command(&mut self, cmd: i32) {
        self.int(Field::Cmd, cmd);
        if let Some(command) = membarrier_cmd::name(cmd) {
            self.text(Field::Command, command);
        }
    }
}

/// Hands on every field of what was seen, in a fixed order for each kind.
pub fn fields(seen: &Seen<'_>, to: &mut dyn FnMut(Field, Value<'_>)) {
    let mut put = Put { seen, to };
    match seen.event {
        Event::Switch { flags, switch } => sched_switch(&mut put, *flags, switch),
        Event::MembarrierEnter(_) | Event::MembarrierExit(_) => membarrier(&mut put, seen.event),
        Event::PrivateBegin(_) | Event::PrivateEnd(_) => private(&mut put, seen.event),
        Event::CsdQueue { .. }
        | Event::CsdEntry { .. }
        | Event::CsdExit { .. }
        | Event::CsdLocal { .. }
        | Event::Handler { .. }
        | Event::IpiCpu(_)
        | Event::IpiMask(_)
        | Event::CallMask { .. } => calls(&mut put, seen.event),
        Event::Fork(_)
        | Event::Exec(_)
        | Event::Exit(_)
        | Event::Free(_)
        | Event::Rename(_)
        | Event::MmGone(_)
        | Event::MmDrop(_)
        | Event::KthreadUse(_)
        | Event::KthreadUnuse(_) => life(&mut put, seen.event),
        Event::TlbFlush(_)
        | Event::TlbState(_)
        | Event::FlushBegin { .. }
        | Event::FlushEnd { .. }
        | Event::FlushMulti { .. } => mmu(&mut put, seen.event),
        _ => rest(&mut put, seen.event),
    }
}

fn sched_switch(put: &mut Put<'_, '_>, flags: u16, w: &Switch) {
    put.task(w.prev_tid);
    put.mm(w.prev_mm);
    put.state(w.prev_state);
    put.frame(Field::Frame, w.prev_frame);
    put.bool(Field::Kthread, flags & flag::PREV_KTHREAD != 0);
    put.bool(Field::Preempted, flags & flag::PREEMPT != 0);
    put.bool(Field::Blocked, flags & flag::PREV_BLOCKED != 0);
    put.bool(Field::Exiting, flags & flag::PREV_EXITING != 0);
    put.an_mm(Field::PrevActiveMm, w.prev_active);
    put.uint(Field::NextTid, w.next_tid);
    put.uint(Field::NextTgid, w.next_tgid);
    if let Some(comm) = put.seen.comm(w.next_tid) {
        (put.to)(Field::NextComm, Value::Text(comm));
    }
    put.an_mm(Field::NextMm, w.next_mm);
    put.uint(Field::NextMembarrierState, w.next_state);
    put.frame(Field::NextFrame, w.next_frame);
    put.bool(Field::NextKthread, flags & flag::NEXT_KTHREAD != 0);
}

fn membarrier(put: &mut Put<'_, '_>, event: &Event) {
    let (Event::MembarrierEnter(w) | Event::MembarrierExit(w)) = event else { return };
    put.task(w.tid);
    put.uint(Field::Tgid, w.tgid);
    put.mm(w.mm);
    put.state(w.state);
    put.command(w.cmd);
    put.uint(Field::CmdFlags, w.cmd_flags);
    put.int(Field::CpuId, w.cpu_id);
    if matches!(event, Event::MembarrierExit(_)) {
        put.frame(Field::Frame, w.frame);
        put.int(Field::Ret, w.ret);
    }
}

fn private(put: &mut Put<'_, '_>, event: &Event) {
    let (Event::PrivateBegin(w) | Event::PrivateEnd(w)) = event else { return };
    put.task(w.tid);
    put.uint(Field::Tgid, w.tgid);
    put.mm(w.mm);
    put.state(w.state);
    put.uint(Field::CmdFlags, w.call_flags);
    put.int(Field::CpuId, w.cpu_id);
    if matches!(event, Event::PrivateEnd(_)) {
        put.int(Field::Ret, w.ret);
    }
}

fn calls(put: &mut Put<'_, '_>, event: &Event) {
    match event {
        Event::CsdQueue { func, target, tid } => {
            put.task(*tid);
            put.func(*func);
            put.uint(Field::TargetCpu, *target);
        }
        Event::CsdEntry { func } | Event::CsdExit { func } => put.func(*func),
        Event::CsdLocal { func, local: w } | Event::Handler { func, handler: w } => {
            put.task(w.tid);
            put.uint(Field::Tgid, w.tgid);
            put.mm(w.mm);
            put.func_at(*func, w.func);
            put.int(Field::SyscallNr, w.nr);
            put.int(Field::Cmd, w.cmd);
        }
        Event::IpiCpu(w) => {
            put.task(w.tid);
            put.uint(Field::TargetCpu, w.target);
            put.address(Field::Callsite, w.callsite);
            put.address(Field::Callback, w.callback);
        }
        Event::IpiMask(w) => {
            put.task(w.tid);
            put.uint(Field::Mask, w.mask);
            put.address(Field::Callsite, w.callsite);
            put.address(Field::Callback, w.callback);
        }
        Event::CallMask { func, call: w } => {
            put.task(w.tid);
            put.func_at(*func, w.func);
            put.uint(Field::Mask, w.mask);
        }
        _ => {}
    }
}

fn life(put: &mut Put<'_, '_>, event: &Event) {
    match event {
        Event::Fork(w) => {
            put.task(w.parent_tid);
            put.uint(Field::ChildTid, w.child_tid);
            put.uint(Field::ChildTgid, w.child_tgid);
            put.text(Field::ChildComm, &text(&w.comm));
            put.an_mm(Field::ChildMm, w.child_mm);
            put.state(w.state);
        }
        Event::Exec(w) => {
            put.task(w.tid);
            put.uint(Field::OldTid, w.old_tid);
            put.mm(w.mm);
            put.text(Field::NewComm, &text(&w.comm));
        }
        Event::Exit(w) | Event::Free(w) => {
            put.task(w.tid);
            put.uint(Field::Tgid, w.tgid);
            put.mm(w.mm);
        }
        Event::Rename(w) => {
            put.task(w.tid);
            put.uint(Field::Tgid, w.tgid);
            put.text(Field::NewComm, &text(&w.comm));
        }
        Event::MmGone(w) | Event::MmDrop(w) => {
            put.task(w.tid);
            put.mm(w.mm);
            put.state(w.state);
        }
        Event::KthreadUse(w) | Event::KthreadUnuse(w) => {
            put.task(w.tid);
            put.mm(w.mm);
            put.state(w.state);
        }
        _ => {}
    }
}

fn mmu(put: &mut Put<'_, '_>, event: &Event) {
    match event {
        Event::TlbFlush(w) => {
            put.task(w.tid);
            put.mm(w.mm);
            put.text(Field::Reason, reason(w.reason));
            if w.pages != u64::MAX {
                put.uint(Field::Pages, w.pages);
            }
        }
        Event::TlbState(w) => {
            put.task(w.tid);
            if w.loaded_mm != u64::MAX {
                put.uint(Field::LoadedMm, w.loaded_mm);
            }
            put.uint(Field::SlotMm, w.slot_mm);
            put.uint(Field::SlotGen, w.slot_gen);
            put.uint(Field::MmGen, w.mm_gen);
            put.uint(Field::Asid, w.asid);
            put.bool(Field::IsLazy, w.lazy != 0);
            put.text(Field::Site, site(w.site));
        }
        Event::FlushBegin { freed_tables, flush: w } => {
            put.task(w.tid);
            put.mm(w.mm);
            put.uint(Field::Generation, w.generation);
            put.bool(Field::FreedTables, *freed_tables);
        }
        Event::FlushEnd { freed_tables, flush: w } => {
            put.task(w.tid);
            put.mm(w.mm);
            put.bool(Field::FreedTables, *freed_tables);
        }
        Event::FlushMulti { freed_tables, flush: w } => {
            put.task(w.tid);
            put.mm(w.mm);
            put.uint(Field::Generation, w.generation);
            put.uint(Field::Mask, w.mask);
            put.bool(Field::FreedTables, *freed_tables);
        }
        _ => {}
    }
}

fn rest(put: &mut Put<'_, '_>, event: &Event) {
    match event {
        Event::IrqEntry(w) | Event::IrqExit(w) => {
            put.task(w.tid);
            put.text(Field::Vector, Vector::from_u8(w.vector).map_or("unknown", Vector::name));
            put.state(w.state);
            put.frame(Field::Frame, w.frame);
        }
        Event::SysEnter(w) | Event::SysExit(w) => {
            put.task(w.tid);
            put.mm(w.mm);
            put.state(w.state);
            put.int(Field::SyscallNr, w.nr);
            if matches!(event, Event::SysExit(_)) {
                put.frame(Field::Frame, w.frame);
            }
        }
        Event::PageFault { from_user, fault: w } => {
            put.task(w.tid);
            put.state(w.state);
            put.frame(Field::Frame, w.frame);
            put.bool(Field::FromUser, *from_user);
        }
        Event::Redirect(w) | Event::Nmi(w) => {
            put.task(w.tid);
            put.state(w.state);
            put.frame(Field::Frame, w.frame);
        }
        Event::FuncName(w) => {
            put.text(Field::Func, &text(&w.name));
            put.address(Field::Address, w.func);
        }
        Event::Hotplug(w) => {
            put.uint(Field::TargetCpu, w.cpu);
            put.uint(Field::HotplugState, w.target);
        }
        Event::RqState(w) => {
            put.task(w.tid);
            put.mm(w.mm);
            put.uint(Field::MembarrierState, w.mm_state);
            put.uint(Field::RqState, w.rq_state);
            put.text(Field::Site, site(w.site));
        }
        Event::UserReturn(w) => {
            put.task(w.tid);
            put.mm(w.mm);
            put.state(w.state);
            put.frame(Field::Frame, w.frame);
        }
        Event::Serialized(w) => {
            put.task(w.tid);
            put.text(Field::Cause, SyncCause::from_u8(w.cause).name());
        }
        Event::Gap { lost } => put.uint(Field::Lost, *lost),
        Event::SyscallProbes(on) => put.bool(Field::On, *on),
        // Event::SwitchCr3 says all by its kind; the others have their own function.
        _ => {}
    }
}
