//! From an event back to the record that tells it: for traces that no kernel wrote.

use super::{Event, Func};
use crate::wire::{self, Kind};
use zerocopy::{Immutable, IntoBytes};

/// Hands an event to `put` as the record that the eBPF programs would write: its kind, its flags and
/// its payload. `address` tells where a function is; of those that are not told apart an event keeps
/// its own address, if it has one.
///
/// `None`, and `put` is not called, for an event that has no record of its own: [`Event::Gap`],
/// [`Event::SyscallProbes`], [`Event::SwitchCr3`].
pub fn encode<R>(
    event: &Event,
    address: impl Fn(Func) -> u64,
    put: impl FnOnce(Kind, u16, &[u8]) -> R,
) -> Option<R> {
    let known = |func: Func, own: u64| if func == Func::Other { own } else { address(func) };
    let local = |func: Func, w: &wire::CsdLocal| wire::CsdLocal { func: known(func, w.func), ..*w };
    let freed = |freed: bool| if freed { wire::FLUSH_FREED_TABLES } else { 0 };
    let put = Put(put);
    Some(match event {
        Event::Switch { flags, switch } => put.with(Kind::Switch, *flags, switch),
        Event::TlbFlush(w) => put.plain(Kind::TlbFlush, w),
        Event::IrqEntry(w) => put.plain(Kind::IrqEntry, w),
        Event::IrqExit(w) => put.plain(Kind::IrqExit, w),
        &Event::CsdQueue { func, target, tid } => {
            put.plain(Kind::CsdQueue, &wire::CsdQueue { func: address(func), target, tid })
        }
        &Event::CsdEntry { func } => {
            put.plain(Kind::CsdEntry, &wire::CsdRun { func: address(func) })
        }
        &Event::CsdExit { func } => put.plain(Kind::CsdExit, &wire::CsdRun { func: address(func) }),
        Event::CsdLocal { func, local: w } => put.plain(Kind::CsdLocal, &local(*func, w)),
        Event::IpiCpu(w) => put.plain(Kind::IpiCpu, w),
        Event::IpiMask(w) => put.plain(Kind::IpiMask, w),
        Event::SysEnter(w) => put.plain(Kind::SysEnter, w),
        Event::SysExit(w) => put.plain(Kind::SysExit, w),
        Event::MembarrierEnter(w) => put.plain(Kind::MembarrierEnter, w),
        Event::MembarrierExit(w) => put.plain(Kind::MembarrierExit, w),
        Event::PageFault { from_user, fault } => {
            let flags = if *from_user { wire::FAULT_FROM_USER } else { 0 };
            put.with(Kind::PageFault, flags, fault)
        }
        Event::Fork(w) => put.plain(Kind::Fork, w),
        Event::Exec(w) => put.plain(Kind::Exec, w),
        Event::Exit(w) => put.plain(Kind::Exit, w),
        Event::Free(w) => put.plain(Kind::Free, w),
        Event::Rename(w) => put.plain(Kind::Rename, w),
        Event::MmGone(w) => put.plain(Kind::MmGone, w),
        Event::Redirect(w) => put.plain(Kind::Redirect, w),
        Event::Nmi(w) => put.plain(Kind::Nmi, w),
        Event::FuncName(w) => put.plain(Kind::FuncName, w),
        Event::Hotplug(w) => put.plain(Kind::Hotplug, w),
        Event::TlbState(w) => put.plain(Kind::TlbState, w),
        Event::FlushBegin { freed_tables, flush } => {
            put.with(Kind::FlushBegin, freed(*freed_tables), flush)
        }
        Event::FlushEnd { freed_tables, flush } => {
            put.with(Kind::FlushEnd, freed(*freed_tables), flush)
        }
        Event::MmDrop(w) => put.plain(Kind::MmDrop, w),
        Event::RqState(w) => put.plain(Kind::RqState, w),
        Event::UserReturn(w) => put.plain(Kind::UserReturn, w),
        Event::Serialized(w) => put.plain(Kind::Serialized, w),
        Event::KthreadUse(w) => put.plain(Kind::KthreadUse, w),
        Event::KthreadUnuse(w) => put.plain(Kind::KthreadUnuse, w),
        Event::FlushMulti { freed_tables, flush } => {
            put.with(Kind::FlushMulti, freed(*freed_tables), flush)
        }
        Event::PrivateBegin(w) => put.plain(Kind::PrivateBegin, w),
        Event::PrivateEnd(w) => put.plain(Kind::PrivateEnd, w),
        Event::CallMask { func, call } => {
            put.plain(Kind::CallMask, &wire::CallMask { func: known(*func, call.func), ..*call })
        }
        Event::Handler { func, handler } => put.plain(Kind::Handler, &local(*func, handler)),
        Event::Gap { .. } | Event::SyscallProbes(_) | Event::SwitchCr3 => return None,
    })
}

/// Who takes a record.
struct Put<F>(F);

impl<R, F: FnOnce(Kind, u16, &[u8]) -> R> Put<F> {
    fn plain(self, kind: Kind, payload: &(impl IntoBytes + Immutable)) -> R {
        self.with(kind, 0, payload)
    }

    fn with(self, kind: Kind, flags: u16, payload: &(impl IntoBytes + Immutable)) -> R {
        (self.0)(kind, flags, payload.as_bytes())
    }
}
