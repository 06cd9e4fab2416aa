//! Where the fields are: byte offsets that user space sets before the programs are loaded.
//!
//! They live in read-only data that is frozen at load time, so the verifier knows their values and
//! takes a load at such an offset for what it is: a load of that field.

use aya_ebpf::Global;

macro_rules! offsets {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $($(#[$doc])* #[unsafe(no_mangle)] pub(crate) static $name: Global<u32> = Global::new(0);)*
    };
}

offsets! {
    /// `task_struct.pid`
    OFF_TASK_PID;
    /// `task_struct.tgid`
    OFF_TASK_TGID;
    /// `task_struct.flags`
    OFF_TASK_FLAGS;
    /// `task_struct.mm`
    OFF_TASK_MM;
    /// `task_struct.active_mm`
    OFF_TASK_ACTIVE_MM;
    /// `task_struct.comm`
    OFF_TASK_COMM;
    /// `task_struct.thread_info.status`
    OFF_TASK_TI_STATUS;
    /// `mm_struct.context.ctx_id`
    OFF_MM_CTX_ID;
    /// `mm_struct.membarrier_state`
    OFF_MM_MEMBARRIER_STATE;
    /// `mm_struct.context.tlb_gen`
    OFF_MM_TLB_GEN;
    /// `task_struct.se.cfs_rq`
    OFF_TASK_CFS_RQ;
    /// `cfs_rq.rq`
    OFF_CFS_RQ_RQ;
    /// `rq.cpu`
    OFF_RQ_CPU;
    /// `rq.membarrier_state`
    OFF_RQ_MEMBARRIER_STATE;
    /// `tlb_state.loaded_mm`
    OFF_TLB_LOADED_MM;
    /// `tlb_state.loaded_mm_asid`
    OFF_TLB_LOADED_MM_ASID;
    /// `tlb_state.ctxs`
    OFF_TLB_CTXS;
    /// `tlb_state_shared.is_lazy`
    OFF_TLB_IS_LAZY;
    /// `flush_tlb_info.mm`
    OFF_FLUSH_MM;
    /// `flush_tlb_info.new_tlb_gen`
    OFF_FLUSH_NEW_TLB_GEN;
    /// `flush_tlb_info.freed_tables`
    OFF_FLUSH_FREED_TABLES;
}
