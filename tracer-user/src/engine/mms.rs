//! What is known of a CPU's mms.

use tracer_common::{
    model::{Cpu, Tri},
    wire::told_mm,
};

/// What is known of a CPU's mms: `None` is unknown, an mm of 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mms {
    /// `rq->curr->mm`.
    pub logical: Option<u64>,
    /// `rq->curr->active_mm`.
    pub active: Option<u64>,
    /// `cpu_tlbstate.loaded_mm`.
    pub real: Option<u64>,
    /// `cpu_tlbstate_shared.is_lazy`.
    pub lazy: Option<bool>,
}

impl From<&Cpu> for Mms {
    fn from(cpu: &Cpu) -> Self {
        let known = |id: u64| (cpu.known && id != 0).then_some(id);
        Self {
            logical: told_mm(cpu.logical).filter(|_| cpu.known),
            active: known(cpu.active),
            real: known(cpu.real),
            lazy: match cpu.lazy {
                Tri::No if cpu.known => Some(false),
                Tri::Yes if cpu.known => Some(true),
                _ => None,
            },
        }
    }
}
