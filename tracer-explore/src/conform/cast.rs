//! The stage: one CPU of a real kernel as a state of the abstract one, and who plays whom on it.
//!
//! A has one mm at a time that matters to its MMU and its scheduler: the one that is loaded, or about
//! to be. That one plays A. Others are B and C, as far as the CPU still holds them. Whoever runs plays
//! the first thread or kernel thread, whoever comes next the second; all others are dead.

use crate::{
    setup::{Setup, World},
    state::{Cpu, IDLE, State, Task, at, ipi, mm, pc, swm},
};
use tracer_common::{
    model::MmId,
    wire::{INIT_MM, membarrier_state as bit},
};

/// The running thread's number on the stage, and that of the next one.
pub(super) const THREADS: [u8; 2] = [0, 1];
/// The same of kernel threads.
pub(super) const KTHREADS: [u8; 2] = [4, 5];
/// Whoever asks this CPU for something.
pub(super) const ASKER: u8 = 2;
/// References that nobody counts here: more than a step can drop.
const MANY: u8 = 100;

/// Who is on a stage.
pub(super) const fn setup(cpus: u8) -> Setup {
    Setup {
        calls: 1,
        flushes: 1,
        uses: 1,
        exits: 1,
        execs: 1,
        registrations: 1,
        fine: true,
        ..Setup::new(cpus, 2, 2, 2)
    }
}

/// How far the generation of A that a CPU has caught up with is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Unknown,
    /// It was read.
    Is(u64),
    /// The CPU has caught up since, to this at least.
    AtLeast(u64),
}

/// The mms that play A, B and C; 0: nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cast(pub(super) [MmId; 3]);

impl Cast {
    /// The real mm.
    pub(super) fn real(&self, of: u8) -> MmId {
        match of {
            mm::NONE => 0,
            mm::INIT => INIT_MM,
            mm::SWITCHING => u64::MAX,
            of => self.0[usize::from(of - mm::A)],
        }
    }

    /// Who plays it.
    pub(super) fn role(&self, real: MmId) -> Option<u8> {
        match real {
            0 => Some(mm::NONE),
            INIT_MM => Some(mm::INIT),
            real => Some(mm::A + self.0.iter().position(|&one| one == real)? as u8),
        }
    }

    /// The real mm that an abstract kernel's event tells of.
    pub(super) fn told(&self, id: MmId) -> MmId {
        match id {
            0 | INIT_MM | u64::MAX => id,
            id => id.checked_sub(10).and_then(|n| self.0.get(n as usize)).copied().unwrap_or(0),
        }
    }
}

/// How far an mm is registered for SYNC_CORE ([`Global::registered`](crate::state::Global)).
pub(super) const fn registered(bits: u8) -> u8 {
    if bits & bit::SYNC_CORE_READY != 0 {
        2
    } else if bits & bit::SYNC_CORE != 0 {
        1
    } else {
        0
    }
}

/// A CPU before anything is known of it, but who runs: with the mm that it uses or borrows.
pub(super) fn empty(curr: u8) -> State {
    let mut s = State::zero();
    for task in &mut s.tasks {
        task.pc = pc::DEAD;
    }
    for cpu in &mut s.cpus {
        *cpu = Cpu { curr: IDLE, m_curr: IDLE, prev: IDLE, ..Cpu::default() };
        (cpu.active, cpu.loaded, cpu.m_loaded) = (mm::INIT, mm::INIT, mm::INIT);
    }
    (s.cpus[0].curr, s.cpus[0].m_curr) = (curr, curr);
    s
}

/// A task that may be switched to, or runs in kernel mode.
pub(super) fn task(of: u8, kthread: bool) -> Task {
    let pc = match (kthread, of) {
        (true, _) => pc::WORK,
        // On its way out, or not yet a process.
        (false, mm::NONE) => pc::EXIT_PUT,
        (false, _) => pc::SYSCALL,
    };
    Task { mm: of, m_mm: of, pc, ..Task::default() }
}

/// Whether the CPU is in the middle of nothing.
pub(super) fn at_rest(s: &State) -> bool {
    let cpu = &s.cpus[0];
    let busy = |task: &Task| {
        matches!(task.pc, pc::USE_DROP | pc::UNUSE_DROP)
            || (pc::FLUSH..=pc::FLUSH_WAIT).contains(&task.pc)
    };
    cpu.at == at::TASK
        && cpu.swm == swm::OUT
        && cpu.ipi == ipi::NONE
        && !s.tasks.get(usize::from(cpu.curr)).is_some_and(busy)
}

/// What one CPU cannot see is set to what lets everything happen; what only tells states apart is
/// cleared. All stores are out: nobody else reads them on this stage.
pub(super) fn tidy(w: &World, s: &mut State) {
    s.drain(0);
    let Setup { calls, flushes, uses, exits, execs, registrations, .. } = w.setup;
    let all = &mut s.all;
    (all.calls, all.flushes, all.uses) = (calls, flushes, uses);
    (all.exits, all.execs, all.registrations) = (exits, execs, registrations);
    (all.users, all.count) = (MANY, MANY);
    (all.done_gen, all.slots, all.promised) = (0, 0, 0);
    let cpu = &mut s.cpus[0];
    cpu.g = 0;
    let flushes = |task: &Task| (pc::FLUSH..=pc::FLUSH_WAIT).contains(&task.pc);
    // Only whether it is behind matters, and that is asked when it is looked at.
    if cpu.swm == swm::OUT && !s.tasks.get(usize::from(cpu.curr)).is_some_and(flushes) {
        all.tlb_gen = 1;
        cpu.slot = u8::from(cpu.loaded == mm::A);
    }
    all.cpumask = u8::from(cpu.loaded == mm::A);
}

/// Gives the roles to others: `a` plays A. The CPU is [at rest](at_rest).
pub(super) fn rename(s: &mut State, from: &Cast, to: &Cast) -> Option<()> {
    let role = |of: u8| to.role(from.real(of));
    let cpu = &mut s.cpus[0];
    cpu.loaded = role(cpu.loaded)?;
    cpu.m_loaded = cpu.loaded;
    cpu.active = role(cpu.active)?;
    let curr = cpu.curr;
    (cpu.prev, cpu.prev_mm, cpu.pend) = (IDLE, mm::NONE, 0);
    let is_kthread = curr >= KTHREADS[0];
    let seat = match curr {
        IDLE => IDLE,
        _ if is_kthread => KTHREADS[0],
        _ => THREADS[0],
    };
    (cpu.curr, cpu.m_curr) = (seat, seat);
    let mut running = s.tasks.get(usize::from(curr)).copied();
    if let Some(task) = &mut running {
        task.mm = role(task.mm)?;
        task.m_mm = task.mm;
    }
    for task in &mut s.tasks {
        *task = Task { pc: pc::DEAD, ..Task::default() };
    }
    if let Some(task) = running {
        s.tasks[usize::from(seat)] = task;
    }
    s.all.mutex = 0;
    Some(())
}
