//! The kernel fields that programs load, and the globals through which they learn the offsets.

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident, $global:literal, $path:literal, $size:literal;)*) => {
        /// A field of a kernel struct that some program loads.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Field {
            $($(#[$doc])* $name,)*
        }

        impl Field {
            /// Every field.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// What there is to know about it.
            pub const fn info(self) -> FieldInfo {
                match self {
                    $(Self::$name => FieldInfo { global: $global, path: $path, size: $size },)*
                }
            }
        }
    };
}

/// Where a field is found and where its offset goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldInfo {
    /// The programs' global that holds the offset.
    pub global: &'static str,
    /// Struct and members, as BTF has them.
    pub path: &'static str,
    /// Its size in bytes; the programs load this many.
    pub size: u32,
}

fields! {
    /// The thread's id.
    TaskPid, "OFF_TASK_PID", "task_struct.pid", 4;
    /// The process's id.
    TaskTgid, "OFF_TASK_TGID", "task_struct.tgid", 4;
    /// `PF_*`.
    TaskFlags, "OFF_TASK_FLAGS", "task_struct.flags", 4;
    /// The task's own mm.
    TaskMm, "OFF_TASK_MM", "task_struct.mm", 8;
    /// The mm it runs on.
    TaskActiveMm, "OFF_TASK_ACTIVE_MM", "task_struct.active_mm", 8;
    /// Its name.
    TaskComm, "OFF_TASK_COMM", "task_struct.comm", 16;
    /// `TS_*`: in a 32-bit system call or not.
    TaskStatus, "OFF_TASK_TI_STATUS", "task_struct.thread_info.status", 4;
    /// The mm's identity, never reused.
    MmCtxId, "OFF_MM_CTX_ID", "mm_struct.context.ctx_id", 8;
    /// What the mm is registered for.
    MmMembarrierState, "OFF_MM_MEMBARRIER_STATE", "mm_struct.membarrier_state", 4;
    /// How many flushes of the mm were asked for.
    MmTlbGen, "OFF_MM_TLB_GEN", "mm_struct.context.tlb_gen", 8;
    /// The way to the CPU's run queue.
    TaskCfsRq, "OFF_TASK_CFS_RQ", "task_struct.se.cfs_rq", 8;
    /// The rest of that way.
    CfsRqRq, "OFF_CFS_RQ_RQ", "cfs_rq.rq", 8;
    /// Whose run queue it is.
    RqCpu, "OFF_RQ_CPU", "rq.cpu", 4;
    /// The run queue's copy of its mm's registrations.
    RqMembarrierState, "OFF_RQ_MEMBARRIER_STATE", "rq.membarrier_state", 4;
    /// The real mm.
    TlbLoadedMm, "OFF_TLB_LOADED_MM", "tlb_state.loaded_mm", 8;
    /// Its ASID.
    TlbLoadedMmAsid, "OFF_TLB_LOADED_MM_ASID", "tlb_state.loaded_mm_asid", 2;
    /// The ASID slots: six of them, each a `tlb_context` of 16 bytes.
    TlbCtxs, "OFF_TLB_CTXS", "tlb_state.ctxs", 96;
    /// Whether the CPU is lazy.
    TlbIsLazy, "OFF_TLB_IS_LAZY", "tlb_state_shared.is_lazy", 1;
    /// The mm of a flush.
    FlushMm, "OFF_FLUSH_MM", "flush_tlb_info.mm", 8;
    /// The generation that a flush brings.
    FlushNewTlbGen, "OFF_FLUSH_NEW_TLB_GEN", "flush_tlb_info.new_tlb_gen", 8;
    /// Whether a flush is to free page tables.
    FlushFreedTables, "OFF_FLUSH_FREED_TABLES", "flush_tlb_info.freed_tables", 1;
}
