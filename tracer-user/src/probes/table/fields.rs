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
}
