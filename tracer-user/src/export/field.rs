//! The fields of events: the same names in JSON lines and in Parquet.

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A number from 0.
    Uint,
    /// A number that may be negative.
    Int,
    /// Yes or no.
    Bool,
    /// Text.
    Text,
}

/// What a field of one event holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is Type's of the same name")]
pub enum Value<'a> {
    Uint(u64),
    Int(i64),
    Bool(bool),
    Text(&'a str),
}

impl Value<'_> {
    /// Which of the types it is.
    pub const fn of(&self) -> Type {
        match self {
            Self::Uint(_) => Type::Uint,
            Self::Int(_) => Type::Int,
            Self::Bool(_) => Type::Bool,
            Self::Text(_) => Type::Text,
        }
    }
}

macro_rules! table {
    ($($name:ident: $ty:ident = $text:literal, $doc:literal;)*) => {
        /// A field of an event, beside its time, CPU and kind.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(usize)]
        #[expect(missing_docs, reason = "Field::doc has it")]
        pub enum Field { $($name,)* }

        impl Field {
            /// Every field.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What it holds.
            pub const fn ty(self) -> Type {
                match self { $(Self::$name => Type::$ty,)* }
            }

            /// What it means.
            pub const fn doc(self) -> &'static str {
                match self { $(Self::$name => $doc,)* }
            }
        }
    };
}

table! {
    Tid: Uint = "tid", "pid of the thread that was running; for sched_switch, of the one that leaves";
    Tgid: Uint = "tgid", "its process";
    Comm: Text = "comm", "its name, where one was told";
    Mm: Uint = "mm", "ctx_id of the mm that the event is about; 0 is none, 1 is init_mm";
    MembarrierState: Uint = "membarrier_state", "that mm's membarrier_state, as bits";
    Frame: Text = "frame", "how the thread will return to user mode";
    Kthread: Bool = "kthread", "the thread that leaves is a kernel thread";
    Preempted: Bool = "preempted", "the switch was a preemption";
    Blocked: Bool = "blocked", "the thread that leaves sleeps or dies";
    Exiting: Bool = "exiting", "the thread that leaves is exiting";
    PrevActiveMm: Uint = "prev_active_mm", "active_mm of the thread that leaves";
    NextTid: Uint = "next_tid", "pid of the thread that comes";
    NextTgid: Uint = "next_tgid", "its process";
    NextComm: Text = "next_comm", "its name, where one was told";
    NextMm: Uint = "next_mm", "its mm; 0 is none";
    NextMembarrierState: Uint = "next_membarrier_state", "membarrier_state of that mm";
    NextFrame: Text = "next_frame", "how it will return to user mode";
    NextKthread: Bool = "next_kthread", "it is a kernel thread";
    Reason: Text = "reason", "why the TLB was flushed (enum tlb_flush_reason)";
    Pages: Uint = "pages", "pages flushed; absent for all of them";
    Vector: Text = "vector", "the interrupt, as its tracepoints are called";
    Func: Text = "func", "the kernel function that is to run or runs; absent if it is not known";
    TargetCpu: Uint = "target_cpu", "the CPU that is asked, or that comes or goes";
    Mask: Uint = "mask", "the CPUs that are asked, the first 64 of them, a bit each";
    Callsite: Text = "callsite", "who sends the IPI: an address";
    Callback: Text = "callback", "what is to run there: a name or an address; absent if not told";
    SyscallNr: Int = "syscall_nr", "number of the system call";
    Cmd: Int = "cmd", "membarrier's command, as a number";
    Command: Text = "command", "membarrier's command, as a word";
    CmdFlags: Uint = "cmd_flags", "membarrier's flags argument";
    CpuId: Int = "cpu_id", "membarrier's cpu_id argument";
    Ret: Int = "ret", "what the call returned";
    FromUser: Bool = "from_user", "the page fault came from user mode";
    ChildTid: Uint = "child_tid", "pid of the thread that is born";
    ChildTgid: Uint = "child_tgid", "its process";
    ChildComm: Text = "child_comm", "its name";
    ChildMm: Uint = "child_mm", "its mm";
    OldTid: Uint = "old_tid", "pid before execve";
    NewComm: Text = "new_comm", "what the thread is called from now on";
    Address: Text = "address", "address of the function";
    HotplugState: Uint = "hotplug_state", "the state to reach (enum cpuhp_state)";
    LoadedMm: Uint = "loaded_mm", "cpu_tlbstate.loaded_mm; absent for LOADED_MM_SWITCHING";
    SlotMm: Uint = "slot_mm", "ctxs[loaded_mm_asid].ctx_id";
    SlotGen: Uint = "slot_gen", "ctxs[loaded_mm_asid].tlb_gen";
    MmGen: Uint = "mm_gen", "context.tlb_gen of loaded_mm; 0 if it could not be read";
    Asid: Uint = "asid", "loaded_mm_asid";
    IsLazy: Bool = "is_lazy", "cpu_tlbstate_shared.is_lazy";
    Site: Text = "site", "where the variables were read";
    Generation: Uint = "generation", "the flush asks for this generation, at least";
    FreedTables: Bool = "freed_tables", "the flush frees page tables";
    RqState: Uint = "rq_state", "rq->membarrier_state, as bits";
    Cause: Text = "cause", "what serialized";
    Lost: Uint = "lost", "records lost; 0 where a loss begins that is counted later";
    On: Bool = "on", "system calls are traced from now on; else no longer";
}
