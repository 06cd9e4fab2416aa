//! What the model takes in: wire records, decoded.

use crate::wire::{self, Header, Kind, Site};
use zerocopy::FromBytes;

/// A function that CPUs run for one another, as far as the model tells them apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Func {
    /// `kernel/sched/membarrier.c:ipi_sync_core`
    SyncCore,
    /// `kernel/sched/membarrier.c:ipi_mb`
    Mb,
    /// `kernel/sched/membarrier.c:ipi_rseq`
    Rseq,
    /// `kernel/sched/membarrier.c:ipi_sync_rq_state`
    SyncRqState,
    /// `arch/x86/mm/tlb.c:flush_tlb_func`
    FlushTlb,
    /// `arch/x86/kernel/alternative.c:do_sync_core`
    TextPoke,
    /// Another, or one whose name is not known.
    #[default]
    Other,
}

impl Func {
    /// The function of this name. Compilers append suffixes (`.isra.0`, `.cold`, `.llvm.123`); they
    /// don't count.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name.split('.').next().unwrap_or(name) {
            "ipi_sync_core" => Self::SyncCore,
            "ipi_mb" => Self::Mb,
            "ipi_rseq" => Self::Rseq,
            "ipi_sync_rq_state" => Self::SyncRqState,
            "flush_tlb_func" => Self::FlushTlb,
            "do_sync_core" => Self::TextPoke,
            _ => Self::Other,
        }
    }

    /// Its name; `None` if it is none of those that are told apart.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::SyncCore => "ipi_sync_core",
            Self::Mb => "ipi_mb",
            Self::Rseq => "ipi_rseq",
            Self::SyncRqState => "ipi_sync_rq_state",
            Self::FlushTlb => "flush_tlb_func",
            Self::TextPoke => "do_sync_core",
            Self::Other => return None,
        })
    }
}

/// One event on one CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant wraps the wire record of the same name")]
pub enum Event {
    Switch {
        flags: u16,
        switch: wire::Switch,
    },
    TlbFlush(wire::TlbFlush),
    /// The context switch before wrote CR3 ([`wire::HEADER_CR3_WRITTEN`]).
    SwitchCr3,
    IrqEntry(wire::Irq),
    IrqExit(wire::Irq),
    CsdQueue {
        func: Func,
        target: u32,
        tid: u32,
    },
    CsdEntry {
        func: Func,
    },
    CsdExit {
        func: Func,
    },
    CsdLocal {
        func: Func,
        local: wire::CsdLocal,
    },
    IpiCpu(wire::IpiCpu),
    IpiMask(wire::IpiMask),
    SysEnter(wire::Syscall),
    SysExit(wire::Syscall),
    MembarrierEnter(wire::Membarrier),
    MembarrierExit(wire::Membarrier),
    PageFault {
        from_user: bool,
        fault: wire::Fault,
    },
    Fork(wire::Fork),
    Exec(wire::Exec),
    Exit(wire::Task),
    Free(wire::Task),
    Rename(wire::Rename),
    MmGone(wire::MmGone),
    Redirect(wire::Fault),
    Nmi(wire::Fault),
    FuncName(wire::FuncName),
    Hotplug(wire::Hotplug),
    TlbState(wire::TlbState),
    FlushBegin {
        freed_tables: bool,
        flush: wire::Flush,
    },
    FlushEnd {
        freed_tables: bool,
        flush: wire::Flush,
    },
    MmDrop(wire::MmGone),
    RqState(wire::RqState),
    UserReturn(wire::UserReturn),
    Serialized(wire::Serialized),
    KthreadUse(wire::KthreadMm),
    KthreadUnuse(wire::KthreadMm),
    FlushMulti {
        freed_tables: bool,
        flush: wire::FlushMulti,
    },
    PrivateBegin(wire::PrivateCall),
    PrivateEnd(wire::PrivateCall),
    CallMask {
        func: Func,
        call: wire::CallMask,
    },
    Handler {
        func: Func,
        handler: wire::CsdLocal,
    },
    /// Records of this CPU were lost just before this time; or, with a `lost` of 0, they are being
    /// lost from now on, until a gap that counts them.
    ///
    /// Until a loss is told, other CPUs are judged by what this one and its tasks were last known to
    /// do. So a source that can should tell its beginning too, at the last record before the hole.
    Gap {
        lost: u64,
    },
    /// From now on system calls are traced (`true`), or no longer.
    SyscallProbes(bool),
}

impl Event {
    /// Whose event it is: the task that was `current`, where the event tells.
    #[must_use]
    pub const fn current(&self) -> Option<u32> {
        Some(match self {
            Self::Switch { switch, .. } => switch.prev_tid,
            Self::TlbFlush(w) => w.tid,
            Self::IrqEntry(w) | Self::IrqExit(w) => w.tid,
            Self::CsdQueue { tid, .. } => *tid,
            Self::CsdLocal { local, .. } => local.tid,
            Self::IpiCpu(w) => w.tid,
            Self::IpiMask(w) => w.tid,
            Self::SysEnter(w) | Self::SysExit(w) => w.tid,
            Self::MembarrierEnter(w) | Self::MembarrierExit(w) => w.tid,
            Self::PageFault { fault: w, .. } | Self::Redirect(w) => w.tid,
            Self::UserReturn(w) => w.tid,
            Self::FlushBegin { flush: w, .. } | Self::FlushEnd { flush: w, .. } => w.tid,
            Self::PrivateBegin(w) | Self::PrivateEnd(w) => w.tid,
            Self::KthreadUse(w) | Self::KthreadUnuse(w) => w.tid,
            _ => return None,
        })
    }
}

/// Why a record could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Shorter than its kind needs.
    Truncated,
    /// A kind this version doesn't know: its number.
    UnknownKind(u16),
}

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Truncated => f.write_str("a record is shorter than its kind needs"),
            Self::UnknownKind(kind) => write!(f, "a record is of the unknown kind {kind}"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// Whether a record says, beside what it is about, that the last switch wrote CR3. For the first
/// record after a switch, [`Event::SwitchCr3`] then comes before its own event.
///
/// `None` if the record can't tell: in the middle of a switch it is too early to say.
#[must_use]
pub const fn says_cr3_written(header: &Header, event: &Event) -> Option<bool> {
    match event {
        Event::Nmi(_) => return None,
        Event::TlbState(w) if w.site == Site::SwitchMmEntry as u8 => return None,
        _ => {}
    }
    Some(header.flags & wire::HEADER_CR3_WRITTEN != 0)
}

/// Reads the header of a record.
///
/// # Errors
/// [`DecodeError::Truncated`] if there are too few bytes for one.
pub fn header(record: &[u8]) -> Result<Header, DecodeError> {
    Header::read_from_prefix(record).map(|(header, _)| header).map_err(|_| DecodeError::Truncated)
}

fn payload<T: FromBytes>(bytes: &[u8]) -> Result<T, DecodeError> {
    T::read_from_prefix(bytes).map(|(payload, _)| payload).map_err(|_| DecodeError::Truncated)
}

/// Reads a whole record. `func` names the functions whose addresses occur.
///
/// Bytes past the payload are ignored: a later version may append fields.
///
/// # Errors
/// If the record is too short or of an unknown kind.
pub fn decode(record: &[u8], func: impl Fn(u64) -> Func) -> Result<(Header, Event), DecodeError> {
    let (header, bytes) = Header::read_from_prefix(record).map_err(|_| DecodeError::Truncated)?;
    let kind = Kind::from_u16(header.kind).ok_or(DecodeError::UnknownKind(header.kind))?;
    let freed_tables = header.flags & wire::FLUSH_FREED_TABLES != 0;
    let event = match kind {
        Kind::Switch => Event::Switch {
            flags: header.flags & !wire::HEADER_CR3_WRITTEN,
            switch: payload(bytes)?,
        },
        Kind::TlbFlush => Event::TlbFlush(payload(bytes)?),
        Kind::IrqEntry => Event::IrqEntry(payload(bytes)?),
        Kind::IrqExit => Event::IrqExit(payload(bytes)?),
        Kind::CsdQueue => {
            let wire::CsdQueue { func: address, target, tid } = payload(bytes)?;
            Event::CsdQueue { func: func(address), target, tid }
        }
        Kind::CsdEntry => Event::CsdEntry { func: func(payload::<wire::CsdRun>(bytes)?.func) },
        Kind::CsdExit => Event::CsdExit { func: func(payload::<wire::CsdRun>(bytes)?.func) },
        Kind::CsdLocal => {
            let local: wire::CsdLocal = payload(bytes)?;
            Event::CsdLocal { func: func(local.func), local }
        }
        Kind::IpiCpu => Event::IpiCpu(payload(bytes)?),
        Kind::IpiMask => Event::IpiMask(payload(bytes)?),
        Kind::SysEnter => Event::SysEnter(payload(bytes)?),
        Kind::SysExit => Event::SysExit(payload(bytes)?),
        Kind::MembarrierEnter => Event::MembarrierEnter(payload(bytes)?),
        Kind::MembarrierExit => Event::MembarrierExit(payload(bytes)?),
        Kind::PageFault => Event::PageFault {
            from_user: header.flags & wire::FAULT_FROM_USER != 0,
            fault: payload(bytes)?,
        },
        Kind::Fork => Event::Fork(payload(bytes)?),
        Kind::Exec => Event::Exec(payload(bytes)?),
        Kind::Exit => Event::Exit(payload(bytes)?),
        Kind::Free => Event::Free(payload(bytes)?),
        Kind::Rename => Event::Rename(payload(bytes)?),
        Kind::MmGone => Event::MmGone(payload(bytes)?),
        Kind::Redirect => Event::Redirect(payload(bytes)?),
        Kind::Nmi => Event::Nmi(payload(bytes)?),
        Kind::FuncName => Event::FuncName(payload(bytes)?),
        Kind::Hotplug => Event::Hotplug(payload(bytes)?),
        Kind::TlbState => Event::TlbState(payload(bytes)?),
        Kind::FlushBegin => Event::FlushBegin { freed_tables, flush: payload(bytes)? },
        Kind::FlushEnd => Event::FlushEnd { freed_tables, flush: payload(bytes)? },
        Kind::MmDrop => Event::MmDrop(payload(bytes)?),
        Kind::RqState => Event::RqState(payload(bytes)?),
        Kind::UserReturn => Event::UserReturn(payload(bytes)?),
        Kind::Serialized => Event::Serialized(payload(bytes)?),
        Kind::KthreadUse => Event::KthreadUse(payload(bytes)?),
        Kind::KthreadUnuse => Event::KthreadUnuse(payload(bytes)?),
        Kind::FlushMulti => Event::FlushMulti { freed_tables, flush: payload(bytes)? },
        Kind::PrivateBegin => Event::PrivateBegin(payload(bytes)?),
        Kind::PrivateEnd => Event::PrivateEnd(payload(bytes)?),
        Kind::CallMask => {
            let call: wire::CallMask = payload(bytes)?;
            Event::CallMask { func: func(call.func), call }
        }
        Kind::Handler => {
            let handler: wire::CsdLocal = payload(bytes)?;
            Event::Handler { func: func(handler.func), handler }
        }
    };
    Ok((header, event))
}
