//! Which interrupt a record speaks of.

/// The interrupts that are told apart. The numbers travel in [`Irq::vector`](super::Irq::vector).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Vector {
    /// `LOCAL_TIMER_VECTOR`.
    LocalTimer = 1,
    /// `RESCHEDULE_VECTOR`.
    Reschedule = 2,
    /// `CALL_FUNCTION_VECTOR`.
    CallFunction = 3,
    /// `CALL_FUNCTION_SINGLE_VECTOR`.
    CallFunctionSingle = 4,
    /// `IRQ_WORK_VECTOR`.
    IrqWork = 5,
    /// A device's interrupt, seen at its handlers.
    Device = 6,
    /// Any other system vector that has a tracepoint (thermal, threshold, errors, platform).
    Other = 7,
}

impl Vector {
    /// The vector with this number, if there is one.
    #[must_use]
    pub const fn from_u8(value: u8) -> Option<Self> {
        Some(match value {
            1 => Self::LocalTimer,
            2 => Self::Reschedule,
            3 => Self::CallFunction,
            4 => Self::CallFunctionSingle,
            5 => Self::IrqWork,
            6 => Self::Device,
            7 => Self::Other,
            _ => return None,
        })
    }

    /// The tracepoint's name without `_entry` or `_exit`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LocalTimer => "local_timer",
            Self::Reschedule => "reschedule",
            Self::CallFunction => "call_function",
            Self::CallFunctionSingle => "call_function_single",
            Self::IrqWork => "irq_work",
            Self::Device => "irq_handler",
            Self::Other => "other vector",
        }
    }
}
