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
}
