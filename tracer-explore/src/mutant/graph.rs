//! Every step between every two states of a small space: so that two kernels can be compared, and so
//! that it can be told whether what was begun can always end.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use super::{
    asked,
    sound::{Fault, fault},
};
use crate::{
    kernel,
    rules::{Marks, Rule},
    search::Symmetry,
    setup::World,
    state::{State, at, ipi, pc, swm},
    step::Step,
    tell::Silent,
};

/// By what a mutant is told from a kernel that is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caught {
    /// A rule is broken.
    Rule(Rule),
    /// The abstract kernel is at odds with itself.
    Fault(Fault),
    /// There is a state in which nothing can happen.
    Stuck,
    /// There is a state from which nothing leads to rest: what was begun can't end.
    Hangs,
    /// Something never comes to its end any more.
    Never(Step),
    /// A rule is never asked any more.
    Unasked(Rule),
}

/// What others wait for, or ask for.
const ENDS: &[Step] = &[
    Step::Call,
    Step::CallEnd,
    Step::FlushEnd,
    Step::Use,
    Step::Unuse,
    Step::ExitPut,
    Step::ExecPut,
    Step::RegisterEnd,
    Step::Return,
];

impl Caught {
    /// A few words for it.
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Self::Rule(rule) => format!("breaks {}", rule.id()),
            Self::Fault(fault) => fault.name().to_owned(),
            Self::Stuck => "nothing can happen any more".to_owned(),
            Self::Hangs => "what was begun can't end".to_owned(),
            Self::Never(step) => format!("never: {}", step.name()),
            Self::Unasked(rule) => format!("{} is never asked", rule.id()),
        }
    }
}

/// A whole space.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// How many states there are.
    pub states: u64,
    /// How many steps.
    pub steps: u64,
    /// A sum over all steps: from which state, to which, and what the rules had to do with it.
    pub sum: u64,
    /// Which steps there are: bits by number.
    pub kinds: u64,
    /// Which rules were asked: bits.
    pub checked: u8,
    /// What was found first, if anything was; the space was not exhausted then.
    pub caught: Option<Caught>,
    /// Whether the dropped guard was asked, and whether its answer made a difference there and then.
    pub asked: (bool, bool),
    /// Whether there were more states than allowed.
    pub too_many: bool,
}

impl Graph {
    /// What tells it from the space of the kernel with all its guards, beside what it has found.
    #[must_use]
    pub fn against(&self, whole: &Self) -> Option<Caught> {
        let step = ENDS.iter().find(|&&step| {
            let bit = 1 << step as u64;
            whole.kinds & bit != 0 && self.kinds & bit == 0
        });
        let rule =
            Rule::ALL.into_iter().find(|rule| whole.checked & !self.checked & rule.bit() != 0);
        self.caught.or(step.map(|&step| Caught::Never(step))).or(rule.map(Caught::Unasked))
    }

    /// Whether both have the same states and the same steps between them.
    #[must_use]
    pub const fn is(&self, other: &Self) -> bool {
        self.states == other.states && self.steps == other.steps && self.sum == other.sum
    }
}

/// Numbers of states are hashes already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }
    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// The states that were met, and the steps between them by their places.
#[derive(Default)]
struct Met {
    places: HashMap<u64, u32, BuildHasherDefault<AsItIs>>,
    steps: Vec<(u32, u32)>,
    /// By place: whether all is at rest there.
    rests: Vec<bool>,
}

/// Looks for all of a world, up to so many states.
#[must_use]
pub fn explore(world: &World, most: usize) -> Graph {
    let symmetry = Symmetry::new(world);
    let mut graph = Graph::default();
    let mut met = Met::default();
    let first = world.begin();
    let mut level = vec![(symmetry.number(&first), first)];
    met.meet(world, level[0].0, &first);
    let mut actions = Vec::new();
    let _ = asked();
    while !level.is_empty() && graph.caught.is_none() && !graph.too_many {
        let mut next = Vec::new();
        for (number, state) in &level {
            let from = met.places[number];
            kernel::actions(world, state, &mut actions);
            if actions.is_empty() && !kernel::is_over(world, state) {
                graph.caught = graph.caught.or(Some(Caught::Stuck));
            }
            for &action in &actions {
                let mut to = *state;
                let marks = kernel::apply(world, &mut to, action, &mut Silent);
                let reached = symmetry.number(&to);
                graph.note(*number, reached, marks, action.step);
                let new = !met.places.contains_key(&reached);
                let place = met.meet(world, reached, &to);
                met.steps.push((from, place));
                if new {
                    if let Some(fault) = fault(world, &to) {
                        graph.caught = graph.caught.or(Some(Caught::Fault(fault)));
                    }
                    next.push((reached, to));
                }
            }
            if graph.caught.is_some() {
                break;
            }
        }
        graph.too_many = met.places.len() > most;
        level = next;
    }
    graph.states = met.places.len() as u64;
    graph.asked = asked();
    if graph.caught.is_none() && !graph.too_many && !met.can_always_rest() {
        graph.caught = Some(Caught::Hangs);
    }
    graph
}

impl Graph {
    fn note(&mut self, from: u64, to: u64, marks: Marks, step: Step) {
        let seen = u64::from(marks.checked) << 8 | u64::from(marks.broken);
        let mixed = (from ^ to.rotate_left(21)).wrapping_add(seen);
        let mixed = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.sum = self.sum.wrapping_add(mixed ^ mixed >> 31);
        self.steps += 1;
        self.kinds |= 1 << step as u64;
        self.checked |= marks.checked;
        if let Some(rule) = Rule::ALL.into_iter().find(|rule| marks.broken & rule.bit() != 0) {
            self.caught = self.caught.or(Some(Caught::Rule(rule)));
        }
    }
}

impl Met {
    fn meet(&mut self, world: &World, number: u64, state: &State) -> u32 {
        let place = self.rests.len() as u32;
        let at = *self.places.entry(number).or_insert(place);
        if at == place {
            self.rests.push(rests(world, state));
        }
        at
    }

    /// Whether from every state there is a way to rest.
    fn can_always_rest(&self) -> bool {
        let mut before = vec![0; self.rests.len() + 1];
        for &(_, to) in &self.steps {
            before[to as usize + 1] += 1_u32;
        }
        for place in 1..before.len() {
            before[place] += before[place - 1];
        }
        let mut fill = before.clone();
        let mut froms = vec![0; self.steps.len()];
        for &(from, to) in &self.steps {
            froms[fill[to as usize] as usize] = from;
            fill[to as usize] += 1;
        }
        let mut can = self.rests.clone();
        let mut waiting: Vec<_> = (0..can.len()).filter(|&place| can[place]).collect();
        while let Some(to) = waiting.pop() {
            for &from in &froms[before[to] as usize..before[to + 1] as usize] {
                if !std::mem::replace(&mut can[from as usize], true) {
                    waiting.push(from as usize);
                }
            }
        }
        can.into_iter().all(|can| can)
    }
}

/// Whether nothing that was begun is still to end.
fn rests(world: &World, s: &State) -> bool {
    let cpus = &s.cpus[..usize::from(world.setup.cpus)];
    let tasks = &s.tasks[..usize::from(world.setup.tasks())];
    cpus.iter().all(|c| c.pend == 0 && c.at == at::TASK && c.swm == swm::OUT && c.ipi == ipi::NONE)
        && tasks.iter().all(|t| {
            matches!(t.pc, pc::SYSCALL | pc::LEAVING | pc::IRET | pc::WORK | pc::DEAD)
                || pc::is_user(t.pc)
        })
}
