//! What must be so in every state, whatever the rules say: the abstract kernel's checks of itself.

use crate::{
    setup::World,
    state::{IDLE, State, at, ipi, mm, pc, swm},
};

/// What is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A task runs on two CPUs.
    TwoCpus,
    /// A dead task runs.
    DeadRuns,
    /// The real mm is neither the task's nor what it borrows (nor `init_mm`, for a kernel thread).
    RealMm,
    /// `mm_count` is not the number of references.
    Count,
    /// `mm_users` is not the number of users.
    Users,
}

impl Fault {
    /// A few words for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TwoCpus => "a task runs on two CPUs",
            Self::DeadRuns => "a dead task runs",
            Self::RealMm => "the real mm is a foreign one",
            Self::Count => "mm_count is wrong",
            Self::Users => "mm_users is wrong",
        }
    }
}

/// The first of what is not as it must be.
#[must_use]
pub fn fault(w: &World, s: &State) -> Option<Fault> {
    let cpus = &s.cpus[..usize::from(w.setup.cpus)];
    for (number, c) in cpus.iter().enumerate() {
        if c.curr == IDLE {
            continue;
        }
        if cpus[..number].iter().any(|other| other.curr == c.curr) {
            return Some(Fault::TwoCpus);
        }
        if s.tasks[usize::from(c.curr)].pc == pc::DEAD {
            return Some(Fault::DeadRuns);
        }
        let settled = c.swm == swm::OUT && c.ipi != ipi::HANDLER && c.at != at::GRAB;
        let to_init = s.mm_of(c.curr) == mm::NONE && c.loaded == mm::INIT;
        if settled && (c.loaded == mm::NONE || c.loaded != s.active(number) && !to_init) {
            return Some(Fault::RealMm);
        }
    }
    let (count, users) = references(w, s);
    if s.all.count != count {
        return Some(Fault::Count);
    }
    (s.all.users != users).then_some(Fault::Users)
}

/// What `mm_count` and `mm_users` of A must be.
fn references(w: &World, s: &State) -> (u8, u8) {
    let mut users = 0;
    // All users together hold one; so does a kernel thread that has taken it, and one that has still
    // to drop what it had borrowed before.
    let mut count = u8::from(s.all.users > 0);
    for number in 0..w.setup.tasks() {
        let t = &s.tasks[usize::from(number)];
        let puts = matches!(t.pc, pc::EXIT_PUT | pc::EXEC_PUT | pc::UNUSE_DROP)
            || t.pc == pc::EXEC && t.mm == mm::C;
        let uses = t.mm == mm::A || puts;
        users += u8::from(uses);
        if w.is_kthread(number) {
            count += u8::from(uses) + u8::from(t.cur == mm::A);
        }
    }
    // A CPU holds what its task borrows, and what it has not dropped yet.
    for number in 0..usize::from(w.setup.cpus) {
        let c = &s.cpus[number];
        let borrows = s.mm_of(c.curr) == mm::NONE && s.active(number) == mm::A;
        count += u8::from(borrows && c.at != at::GRAB) + u8::from(c.prev_mm == mm::A);
    }
    (count, users)
}
