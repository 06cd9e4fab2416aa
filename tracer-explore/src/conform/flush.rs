//! Whom a flush interrupts: the answers of the abstract kernel.
//!
//! Asked of it are all ways of two CPUs, one that flushes A and one on which tasks come and go: what
//! may be done about the other while nothing changes on it, by what it shows ([`Face`]), and whether
//! it may be behind the flush afterwards, if it was left out.

use std::collections::HashSet;

use zerocopy::IntoBytes;

use super::follow::steps;
use crate::{
    bug::Flag,
    kernel,
    protocol::Protocol,
    setup::{Setup, World},
    state::{State, at, ipi, mm, pc, swm},
    step::Step,
    tell::Silent,
};

/// What a CPU shows a flush of an mm, in a set of such: a bit by [`face`].
pub(super) type Faces = u8;
/// In a set of faces: it was in the middle of something, or is not known.
pub(super) const MOVING: Faces = 1 << 7;
/// How many faces there are.
const FACES: usize = 4;

/// What a CPU shows: whether it has the flushed mm loaded, and whether it is lazy.
pub(super) const fn face(has_it: bool, lazy: bool) -> Faces {
    1 << (has_it as u8 | (lazy as u8) << 1)
}

/// What a flush may do about a CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// Interrupt it.
    pub(super) asked: bool,
    /// Leave it out.
    pub(super) left: bool,
    /// Not find it in `mm_cpumask`.
    pub(super) unmasked: bool,
}

impl Answer {
    fn or(&mut self, other: Self) {
        self.asked |= other.asked;
        self.left |= other.left;
        self.unmasked |= other.unmasked;
    }
}

/// The answers of a protocol to a flush that frees page tables, or to one that does not.
#[derive(Clone, Copy, Debug, Default)]
struct Table {
    /// By face: as the abstract kernel has `mm_cpumask`.
    natural: [Answer; FACES],
    /// By face: with the CPU in `mm_cpumask`, where a kernel that clears it late may have it.
    masked: [Answer; FACES],
    /// A CPU that was left out may be behind when it next runs on the mm.
    behind: bool,
}

/// The answers of a protocol.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answers([Table; 2]);

impl Answers {
    /// Asks the abstract kernel.
    pub(super) fn new(protocol: &Protocol, flags: &[Flag]) -> Self {
        Self([false, true].map(|tables| Table::new(protocol, flags, tables)))
    }

    /// What may be done about a CPU that showed nothing but these faces. `masked`: whether it was in
    /// `mm_cpumask`, as far as that was told.
    pub(super) fn of(&self, tables: bool, faces: Faces, masked: Option<bool>) -> Answer {
        let table = &self.0[usize::from(tables)];
        let mut out = Answer::default();
        for n in (0..FACES).filter(|n| faces & 1 << n != 0) {
            let has_it = n & 1 != 0;
            if has_it || masked != Some(true) {
                out.or(table.natural[n]);
            }
            if !has_it && masked != Some(false) {
                out.or(table.masked[n]);
            }
        }
        out
    }

    /// Whether a CPU that was left out may be behind when it next runs on the mm.
    pub(super) const fn behind(&self, tables: bool) -> bool {
        self.0[tables as usize].behind
    }
}

const FLUSH: u64 = steps(&[
    Step::Flush,
    Step::FlushTables,
    Step::FlushRaise,
    Step::FlushMask,
    Step::FlushLoaded,
    Step::FlushLazy,
    Step::FlushSend,
]);
const MOVES: u64 = steps(&[
    Step::Syscall,
    Step::Schedule,
    Step::SwitchSame,
    Step::SwitchMask,
    Step::SwitchGen,
    Step::SwitchCr3,
    Step::Grab,
    Step::Finish,
    Step::Leave,
    Step::Deliver,
    Step::IpiReturn,
]);

/// Where the two are: the state, and whether the flush has interrupted the other CPU, once that is
/// decided.
type Place = (State, Option<bool>);

impl Table {
    fn new(protocol: &Protocol, flags: &[Flag], tables: bool) -> Self {
        let setup = Setup { flushes: 1, tables, fine: true, ..Setup::new(2, 2, 1, 1) };
        let world = World::new(protocol, setup, flags);
        let mut table = Self::default();
        all_ways(&world, world.begin(), FLUSH, MOVES, |(s, asked)| {
            if asked == &Some(false) && runs_behind(s) {
                table.behind = true;
            }
            if s.tasks[0].pc == pc::USER && rests(s) {
                let cpu = &s.cpus[1];
                let n = usize::from(cpu.loaded == mm::A) | usize::from(cpu.lazy != 0) << 1;
                let unmasked = s.all.cpumask & 1 << 1 == 0;
                table.natural[n].or(alone(&world, s, unmasked));
                let mut masked = *s;
                masked.all.cpumask |= 1 << 1;
                table.masked[n].or(alone(&world, &masked, false));
            }
        });
        table
    }
}

/// What the flush does about the other CPU, while nothing changes there.
fn alone(world: &World, from: &State, unmasked: bool) -> Answer {
    let mut out = Answer { unmasked, ..Answer::default() };
    all_ways(world, *from, FLUSH, 0, |(_, asked)| {
        out.asked |= *asked == Some(true);
        out.left |= *asked == Some(false);
    });
    out
}

/// All ways from a state, by these steps of CPU 0 and those of CPU 1.
fn all_ways(world: &World, from: State, flush: u64, moves: u64, mut look: impl FnMut(&Place)) {
    let mut seen: HashSet<(Box<[u8]>, Option<bool>)> = HashSet::new();
    let mut front: Vec<Place> = vec![(from, None)];
    let mut actions = Vec::new();
    while let Some((s, asked)) = front.pop() {
        if !seen.insert((s.as_bytes().into(), asked)) {
            continue;
        }
        look(&(s, asked));
        kernel::actions(world, &s, &mut actions);
        for action in &actions {
            let allowed = if action.cpu == 0 { flush } else { moves };
            if allowed & 1 << action.step as u64 == 0 {
                continue;
            }
            let mut then = s;
            kernel::apply(world, &mut then, *action, &mut Silent);
            let decides = action.cpu == 0 && action.step == Step::FlushSend;
            let asked = if decides { Some(s.tasks[0].mask & 1 << 1 != 0) } else { asked };
            front.push((then, asked));
        }
    }
}

/// Whether the other CPU is in the middle of nothing, and what a flush looks at is in memory.
fn rests(s: &State) -> bool {
    let cpu = &s.cpus[1];
    cpu.at == at::TASK
        && cpu.swm == swm::OUT
        && cpu.ipi == ipi::NONE
        && (cpu.m_loaded, cpu.m_lazy) == (cpu.loaded, cpu.lazy)
}

/// Whether the other CPU has loaded A for good, and not caught up with the flush.
fn runs_behind(s: &State) -> bool {
    let cpu = &s.cpus[1];
    cpu.swm == swm::OUT && cpu.loaded == mm::A && cpu.lazy == 0 && cpu.slot < s.all.tlb_gen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bug,
        protocol::{PROTOCOLS, find},
    };

    const ON_IT: Faces = face(true, false);
    const LAZY: Faces = face(true, true);
    const OTHER: Faces = face(false, false);

    fn linux(bug: &str) -> Answers {
        let flags = bug::find(bug).map_or(&[][..], |bug| bug.flags);
        Answers::new(find("linux-6.12").expect("known"), flags)
    }

    fn asked(answer: Answer) -> (bool, bool) {
        (answer.asked, answer.left)
    }

    /// Who runs on the mm is interrupted, who keeps it lazily only for freed tables, others never.
    #[test]
    fn today() {
        let answers = linux("");
        for tables in [false, true] {
            assert_eq!(asked(answers.of(tables, ON_IT, None)), (true, false));
            assert_eq!(asked(answers.of(tables, LAZY, Some(true))), (tables, !tables));
            assert_eq!(asked(answers.of(tables, OTHER, Some(false))), (false, true));
            assert!(!answers.of(tables, ON_IT | LAZY, None).unmasked);
            assert!(answers.of(tables, OTHER, None).unmasked);
        }
        // A mask that is cleared late.
        assert_eq!(asked(answers.of(true, OTHER, Some(true))), (true, false));
        assert_eq!(asked(answers.of(false, OTHER, Some(true))), (false, true));
    }

    /// No protocol with flushes by IPI lets a CPU that is left out be behind.
    #[test]
    fn who_is_left_out_catches_up() {
        for protocol in PROTOCOLS.iter().filter(|protocol| !protocol.invlpgb) {
            let answers = Answers::new(protocol, &[]);
            assert!(!answers.behind(false) && !answers.behind(true), "{}", protocol.name);
        }
    }

    #[test]
    fn bugs() {
        for name in ["cpumask-late", "switching-ignored", "unlazy-nogen", "unlazy-nomb"] {
            assert!(linux(name).behind(false), "{name}");
        }
        assert_eq!(asked(linux("tables-skip").of(true, LAZY, Some(true))), (false, true));
        assert_eq!(asked(linux("ok-flush-lazy").of(false, LAZY, None)), (true, false));
    }
}
