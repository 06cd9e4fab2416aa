//! Kernels that lack one guard: every one that can be made, with nothing written for it.

mod graph;
mod hunt;
mod sound;
mod survivors;

use std::cell::Cell;

use crate::{
    guard::{Guard, Kind},
    protocol,
    setup::{Setup, World},
    step::Step,
};
pub use graph::{Caught, Graph, explore};
pub use hunt::{Fate, Found, Hunt};
pub use sound::{Fault, fault};
pub use survivors::{SURVIVORS, Survivor, Why};

thread_local! {
    /// Whether the dropped guard was asked on this thread, and whether its answer was another one.
    static ASKED: Cell<(bool, bool)> = const { Cell::new((false, false)) };
}

/// A kernel that lacks a guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mutant {
    /// Which.
    pub guard: Guard,
    /// What it answers instead, always.
    pub forced: bool,
}

impl Mutant {
    /// Every mutant of every guard.
    pub fn all() -> impl Iterator<Item = Self> {
        Guard::ALL.iter().flat_map(|&guard| {
            let forced: &[bool] = match guard.kind() {
                Kind::May => &[true],
                Kind::If => &[true, false],
                Kind::Do => &[false],
            };
            forced.iter().map(move |&forced| Self { guard, forced })
        })
    }

    /// Its name: the guard's, and what it answers, where that is not plain.
    #[must_use]
    pub fn name(self) -> String {
        let how = match (self.guard.kind(), self.forced) {
            (Kind::If, true) => "=always",
            (Kind::If, false) => "=never",
            _ => "",
        };
        format!("{}{how}", self.guard.name())
    }

    /// The mutant of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|mutant| mutant.name() == name)
    }

    /// What its guard answers.
    #[cold]
    pub(crate) fn holds(self, natural: bool) -> bool {
        ASKED.set((true, ASKED.get().1 || self.forced != natural));
        self.forced
    }
}

/// Whether the dropped guard was asked since this was last called, and whether its answer was not what
/// it would have been.
pub(crate) fn asked() -> (bool, bool) {
    ASKED.replace((false, false))
}

/// A space in which mutants are looked for.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    /// Its name.
    pub name: &'static str,
    /// The protocol: one that is clean in it.
    pub protocol: &'static str,
    /// Its bounds; every access is a step of its own.
    pub setup: Setup,
}

const fn space(name: &'static str, protocol: &'static str, setup: Setup) -> Space {
    Space { name, protocol, setup: Setup { fine: true, ..setup } }
}

const fn on(cpus: u8, threads_a: u8, threads_b: u8, kthreads: u8) -> Setup {
    Setup::new(cpus, threads_a, threads_b, kthreads)
}

const LINUX: &str = "linux-6.12-repaired";
const LOGICAL: &str = "sync-on-logical-switch";
const HOOK: &str = "exit-lazy-tlb";

/// All of them, small ones first.
pub const SPACES: &[Space] = &[
    space("exec", LINUX, Setup { execs: 1, ..on(2, 2, 0, 0) }),
    space("tables", LINUX, Setup { flushes: 1, tables: true, ..on(2, 2, 0, 1) }),
    space("flush", LINUX, Setup { flushes: 1, ..on(2, 2, 0, 1) }),
    space("flushes", LINUX, Setup { flushes: 2, ..on(2, 2, 0, 0) }),
    space("exits", LINUX, Setup { exits: 2, ..on(2, 2, 0, 1) }),
    space("use-exit", LINUX, Setup { uses: 1, exits: 1, ..on(2, 1, 0, 1) }),
    space("flush-b", LINUX, Setup { flushes: 1, ..on(2, 2, 1, 0) }),
    space("flush-bk", LINUX, Setup { flushes: 1, ..on(2, 1, 1, 1) }),
    space("register-b", LINUX, Setup { registrations: 1, ..on(2, 1, 1, 1) }),
    space("exit-b", LINUX, Setup { exits: 1, ..on(2, 1, 1, 1) }),
    space("flushes-k", LINUX, Setup { flushes: 2, ..on(2, 2, 0, 1) }),
    space("use", LINUX, Setup { uses: 1, ..on(2, 1, 1, 1) }),
    space("siblings", LINUX, Setup { calls: 1, ..on(2, 3, 0, 0) }),
    space("exec-exit", LINUX, Setup { execs: 1, exits: 1, ..on(2, 2, 0, 1) }),
    space("call", LINUX, Setup { calls: 1, ..on(2, 2, 0, 1) }),
    space("call-logical", LOGICAL, Setup { calls: 1, ..on(2, 2, 1, 0) }),
    space("call-hook", HOOK, Setup { calls: 1, ..on(2, 1, 1, 1) }.without(Step::Leave)),
    space("use-exits", LINUX, Setup { uses: 1, exits: 2, ..on(2, 2, 0, 1) }),
    space("order", LINUX, Setup { calls: 1, tests: 1, private: true, ..on(2, 2, 0, 1) }),
    space("call-b", LINUX, Setup { calls: 1, ..on(2, 2, 1, 0) }),
    space("registrations", LINUX, Setup { registrations: 2, ..on(2, 2, 0, 0) }),
    space("call-use", LINUX, Setup { calls: 1, uses: 1, ..on(2, 1, 0, 1) }),
    space("register", LINUX, Setup { registrations: 1, ..on(2, 2, 1, 0) }),
    space("calls", LINUX, Setup { calls: 2, ..on(2, 2, 0, 0) }),
    space(
        "order-exit",
        LINUX,
        Setup { calls: 1, tests: 1, private: true, exits: 1, ..on(2, 2, 0, 0) },
    ),
    space(
        "order-use",
        LINUX,
        Setup { calls: 1, tests: 1, private: true, uses: 1, ..on(2, 1, 0, 1) },
    ),
    space("register-call", LINUX, Setup { registrations: 1, calls: 1, ..on(2, 2, 0, 0) }),
    space("call-flush", LINUX, Setup { calls: 1, flushes: 1, ..on(2, 2, 0, 0) }),
    space("call-uses", LINUX, Setup { calls: 1, uses: 1, ..on(2, 2, 0, 1) }.without(Step::Leave)),
];

impl Space {
    /// The kernel in it, with all its guards.
    #[must_use]
    pub fn world(&self) -> Option<World> {
        Some(World::new(protocol::find(self.protocol)?, self.setup, &[]))
    }

    /// The space of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        SPACES.iter().find(|space| space.name == name)
    }
}
