//! The bounds of a search, and the state in which it begins.

use crate::{
    bug::Flag,
    guard::Guard,
    mutant::Mutant,
    protocol::Protocol,
    state::{CPUS, IDLE, State, TASKS, mm, pc, task},
    step::Step,
};

/// The bounds: who is there, and how often things may happen that could go on for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent bounds")]
pub struct Setup {
    /// CPUs.
    pub cpus: u8,
    /// Threads of process A, which calls and flushes.
    pub threads_a: u8,
    /// Threads of process B, which just runs.
    pub threads_b: u8,
    /// Kernel threads, beside the idle ones.
    pub kthreads: u8,
    /// Membarrier calls of A.
    pub calls: u8,
    /// Flushes of A.
    pub flushes: u8,
    /// Flushes may free page tables, too.
    pub tables: bool,
    /// `kthread_use_mm`s of A.
    pub uses: u8,
    /// Threads of A that exit.
    pub exits: u8,
    /// Threads of A that call execve.
    pub execs: u8,
    /// Registrations of A; if there may be one, A begins without.
    pub registrations: u8,
    /// The memory-barrier test: a thread of A stores `y` and loads `x`, and the caller stores `x`
    /// before its call and loads `y` after it.
    pub tests: u8,
    /// The call is `PRIVATE_EXPEDITED`, and A is not registered for SYNC_CORE.
    pub private: bool,
    /// Every access is a step of its own.
    pub fine: bool,
    /// CPUs and tasks that are alike are taken for one another.
    pub symmetry: bool,
    /// Steps that are left out: bits by their number.
    pub excluded: u64,
}

impl Setup {
    /// Nothing happens but switches.
    #[must_use]
    pub const fn new(cpus: u8, threads_a: u8, threads_b: u8, kthreads: u8) -> Self {
        Self {
            cpus,
            threads_a,
            threads_b,
            kthreads,
            calls: 0,
            flushes: 0,
            tables: false,
            uses: 0,
            exits: 0,
            execs: 0,
            registrations: 0,
            tests: 0,
            private: false,
            fine: false,
            symmetry: true,
            excluded: 0,
        }
    }

    /// The space that every protocol is asked about if nothing else is said: 3 CPUs, 2 threads of A,
    /// 1 of B, 1 kernel thread that may take A, 1 call and 1 flush.
    #[must_use]
    pub const fn core() -> Self {
        Self { calls: 1, flushes: 1, uses: 1, ..Self::new(3, 2, 1, 1) }
    }

    /// Without this step.
    #[must_use]
    pub const fn without(mut self, step: Step) -> Self {
        self.excluded |= 1 << step as u64;
        self
    }

    /// How many tasks there are.
    #[must_use]
    pub const fn tasks(&self) -> u8 {
        self.threads_a + self.threads_b + self.kthreads
    }

    /// What is wrong with it.
    ///
    /// # Errors
    /// If it does not fit into a state.
    pub fn check(&self) -> Result<(), SetupError> {
        let most = |what, number: u8, most: usize| {
            if usize::from(number) > most {
                return Err(SetupError::TooMany { what, number, most });
            }
            Ok(())
        };
        most("CPUs", self.cpus, CPUS)?;
        most("tasks", self.tasks(), TASKS)?;
        most("calls", self.calls, 2)?;
        most("flushes", self.flushes, 100)?;
        if self.cpus == 0 {
            return Err(SetupError::TooFew("CPU"));
        }
        if self.threads_a == 0 {
            return Err(SetupError::TooFew("thread of A"));
        }
        Ok(())
    }
}

/// Why bounds can't be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// More than a state has room for.
    #[error("{number} {what} are too many: {most} at most")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many were asked for.
        number: u8,
        /// How many there may be.
        most: usize,
    },
    /// Nothing can happen.
    #[error("at least one {0} is needed")]
    TooFew(&'static str),
}

/// What holds throughout a search.
#[derive(Clone, Copy, Debug)]
pub struct World {
    /// The protocol.
    pub protocol: Protocol,
    /// The bounds.
    pub setup: Setup,
    /// What is wrong: bits by [`Flag`].
    pub bugs: u64,
    /// Whether a context switch is several steps: what orders its accesses is in question.
    pub windows: bool,
    /// Which guard is dropped.
    pub mutant: Option<Mutant>,
    /// Whether the mm of a thread of A may change, and that of a kernel thread.
    changes: (bool, bool),
}

impl World {
    /// A kernel within bounds.
    #[must_use]
    pub fn new(protocol: &Protocol, setup: Setup, flags: &[Flag]) -> Self {
        let allowed = |step: Step| setup.excluded & 1 << step as u64 == 0;
        let threads =
            (setup.exits > 0 && allowed(Step::Exit)) || (setup.execs > 0 && allowed(Step::Exec));
        let kthreads = setup.uses > 0 && allowed(Step::Use);
        let windows = setup.fine || flags.iter().any(|flag| flag.is_about_order());
        let bugs = flags.iter().fold(0, |bits, &flag| bits | 1 << flag as u64);
        let changes = (threads, kthreads);
        Self { protocol: *protocol, setup, bugs, windows, mutant: None, changes }
    }

    /// The same kernel without this guard.
    #[must_use]
    pub const fn mutated(mut self, mutant: Mutant) -> Self {
        self.mutant = Some(mutant);
        self
    }

    /// What a guard lets through: what is so, unless it is dropped.
    #[must_use]
    #[inline]
    pub fn holds(&self, guard: Guard, natural: bool) -> bool {
        match self.mutant {
            Some(mutant) if mutant.guard as u8 == guard as u8 => mutant.holds(natural),
            _ => natural,
        }
    }

    /// Whether something is done: it is, unless it is dropped.
    #[must_use]
    #[inline]
    pub fn does(&self, guard: Guard) -> bool {
        self.holds(guard, true)
    }

    /// Whether this is wrong.
    #[must_use]
    pub const fn has(&self, flag: Flag) -> bool {
        self.bugs & 1 << flag as u64 != 0
    }

    /// Whether an interrupt that calls a function for `membarrier(2)` may leave the core as it was, so
    /// that it matters if another task runs before its IRET. Else whoever runs next is as well off as
    /// if it had been switched to a moment later.
    #[must_use]
    pub const fn handler_may_not_serialize(&self) -> bool {
        let mutated = self.mutant.is_some();
        !self.setup.fine && (self.has(Flag::IpiMb) || self.has(Flag::IrqSkip) || mutated)
    }

    /// Which tasks are threads of A, threads of B, kernel threads.
    #[must_use]
    pub const fn classes(&self) -> [(u8, u8); 3] {
        let Setup { threads_a: a, threads_b: b, kthreads: k, .. } = self.setup;
        [(0, a), (a, a + b), (a + b, a + b + k)]
    }

    /// Whether a task's mm may change, so that it matters when it is read.
    #[must_use]
    pub const fn mm_changes(&self, task: u8) -> bool {
        if self.is_kthread(task) { self.changes.1 } else { self.changes.0 }
    }

    /// Whether a task is a kernel thread.
    #[must_use]
    pub const fn is_kthread(&self, task: u8) -> bool {
        task >= self.setup.threads_a + self.setup.threads_b
    }

    /// How it begins: each CPU runs a thread in user mode, as far as there are any, else it is idle;
    /// the others sleep in system calls. All have serialized and caught up.
    #[must_use]
    pub fn begin(&self) -> State {
        let mut s = State::zero();
        let setup = &self.setup;
        for number in 0..setup.tasks() {
            let t = &mut s.tasks[usize::from(number)];
            t.mm = match number {
                n if self.is_kthread(n) => mm::NONE,
                n if n < setup.threads_a => mm::A,
                _ => mm::B,
            };
            t.m_mm = t.mm;
            let user = number < setup.threads_a + setup.threads_b;
            t.pc = if user { pc::SYSCALL } else { pc::WORK };
        }
        let registered = !setup.private && setup.registrations == 0;
        let threads = setup.threads_a + setup.threads_b;
        for c in &mut s.cpus {
            (c.curr, c.m_curr, c.prev) = (IDLE, IDLE, IDLE);
        }
        for cpu in 0..setup.cpus {
            let c = &mut s.cpus[usize::from(cpu)];
            let runs = if cpu < threads { cpu } else { IDLE };
            (c.curr, c.m_curr, c.prev) = (runs, runs, IDLE);
            c.slot = 1;
            c.active = mm::INIT;
            c.loaded = mm::INIT;
            if runs != IDLE {
                let t = &mut s.tasks[usize::from(runs)];
                (t.pc, t.bits) = (pc::USER, task::ON_CPU);
                c.loaded = t.mm;
                c.active = t.mm;
                c.rq_state = u8::from(t.mm == mm::A && registered);
                if t.mm == mm::A {
                    s.all.cpumask |= 1 << cpu;
                }
            }
            c.m_loaded = c.loaded;
        }
        let all = &mut s.all;
        all.tlb_gen = 1;
        all.users = setup.threads_a;
        all.count = 1;
        all.registered = if registered { 2 } else { 0 };
        all.calls = setup.calls;
        all.flushes = setup.flushes;
        all.uses = setup.uses;
        all.exits = setup.exits;
        all.execs = setup.execs;
        all.registrations = setup.registrations;
        all.tests = setup.tests;
        s
    }
}
