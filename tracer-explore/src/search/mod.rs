//! Every order of steps, breadth first: so the first way to a broken rule is a shortest one.
//!
//! Two threads share the work: each expands half of what is next, and each writes half of the table.

mod symmetry;
mod table;

use std::time::{Duration, Instant};

use crate::{
    kernel,
    rules::{RULES, Rule},
    setup::World,
    state::State,
    step::Action,
    tell::Silent,
};
pub use symmetry::Symmetry;
use table::Shard;

/// How many states a thread expands before the table is written to.
const CHUNK: usize = 1 << 13;
/// How many states are looked up in the table at once.
const BATCH: usize = 32;
/// How many threads there are, and parts of the table.
const THREADS: usize = 2;
/// In place of a parent: the state in which it begins.
const ROOT: u32 = u32::MAX;
/// States that a table can name.
const MOST: usize = (u32::MAX / THREADS as u32) as usize - 1;

/// What bounds a search beside its world.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes for the table and the states that wait.
    pub memory: usize,
    /// Stop as soon as all these rules (bits) are broken; 0 for never.
    pub enough: u8,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: 4 << 30, enough: 0 }
    }
}

/// How far a search is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Status {
    /// States that were met.
    pub states: u64,
    /// Steps that were taken.
    pub steps: u64,
    /// How many steps from the beginning the search is.
    pub depth: u32,
    /// States that wait at this depth and the next.
    pub waiting: u64,
    /// The most bytes that were in use.
    pub bytes: u64,
    /// Time since it began.
    pub elapsed: Duration,
    /// Rules that were broken so far: bits.
    pub broken: u8,
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every state within the bounds was met.
    Exhausted,
    /// It had found what it was asked for.
    Enough,
    /// Memory ran out.
    Memory,
    /// Somebody stopped it.
    Stopped,
}

/// A rule that was broken first here.
#[derive(Clone, Debug)]
pub struct Broken {
    /// Which.
    pub rule: Rule,
    /// The steps that lead there, the one that breaks it last.
    pub path: Vec<Action>,
}

/// What came of a search.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// How far it came.
    pub status: Status,
    /// By rule: steps that were checked against it.
    pub checked: [u64; RULES],
    /// The first way to each rule that was broken, a shortest one.
    pub broken: Vec<Broken>,
    /// States in which nothing can happen though somebody could still run.
    pub stuck: u64,
    /// How many renamings were looked through for each state.
    pub renamings: usize,
}

impl Outcome {
    /// The first way to this rule.
    #[must_use]
    pub fn of(&self, rule: Rule) -> Option<&Broken> {
        self.broken.iter().find(|broken| broken.rule == rule)
    }

    /// The probability that some state was taken for another.
    #[must_use]
    pub fn omission(&self) -> f64 {
        let states = self.status.states as f64;
        states * states / 2_f64.powi(65)
    }
}

/// A state that waits to be expanded, by its name.
type Waiting = (u32, State);
/// A state that a step has led to: its number, and the name of where from.
type Reached = (u64, u32, State);

/// What a thread made of its share.
#[derive(Default)]
struct Made {
    /// By part of the table: number, parent, state.
    new: [Vec<Reached>; THREADS],
    checked: [u64; RULES],
    /// By rule: the first state from which a step breaks it.
    broken: [Option<u32>; RULES],
    steps: u64,
    stuck: u64,
}

struct Search<'w> {
    world: &'w World,
    symmetry: Symmetry,
    shards: [Shard; THREADS],
    broken: [Option<u32>; RULES],
    checked: [u64; RULES],
    status: Status,
    stuck: u64,
}

/// Looks for all states of a world. `watch` is told now and then how far it is, and answers whether
/// to go on.
pub fn search(world: &World, limits: &Limits, watch: &mut dyn FnMut(&Status) -> bool) -> Outcome {
    let mut search = Search {
        world,
        symmetry: Symmetry::new(world),
        shards: Default::default(),
        broken: [None; RULES],
        checked: [0; RULES],
        status: Status::default(),
        stuck: 0,
    };
    let end = search.run(limits, watch);
    let rules = Rule::ALL.into_iter();
    let broken = rules.filter_map(|rule| {
        let from = search.broken[rule as usize]?;
        Some(Broken { rule, path: search.path(rule, from)? })
    });
    Outcome {
        end,
        broken: broken.collect(),
        status: search.status,
        checked: search.checked,
        stuck: search.stuck,
        renamings: search.symmetry.len(),
    }
}

impl Search<'_> {
    fn run(&mut self, limits: &Limits, watch: &mut dyn FnMut(&Status) -> bool) -> End {
        let began = Instant::now();
        let first = self.world.begin();
        let number = self.symmetry.number(&first);
        let part = part(number);
        let place = self.shards[part].insert(number, ROOT).unwrap_or(0);
        let mut level = vec![(name(part, place), first)];
        self.status.states = 1;
        while !level.is_empty() {
            let mut next: [Vec<Waiting>; THREADS] = Default::default();
            for chunk in level.chunks(CHUNK * THREADS) {
                let made = self.expand(chunk);
                self.account(&made);
                let new: [usize; THREADS] =
                    [0, 1].map(|part| made.iter().map(|made| made.new[part].len()).sum());
                if !self.room(&new, &made, &level, &next, limits.memory) {
                    return End::Memory;
                }
                self.insert(made, &mut next);
                let status = &mut self.status;
                status.states = self.shards.iter().map(|shard| shard.len() as u64).sum();
                status.waiting = (level.len() + next.iter().map(Vec::len).sum::<usize>()) as u64;
                status.elapsed = began.elapsed();
                let found = Rule::ALL.iter().filter(|rule| self.broken[**rule as usize].is_some());
                let found = found.fold(0, |bits, rule| bits | rule.bit());
                status.broken = found;
                if !watch(status) {
                    return End::Stopped;
                }
                if limits.enough != 0 && limits.enough & !found == 0 {
                    return End::Enough;
                }
            }
            let [mut first, second] = next;
            first.extend(second);
            level = first;
            self.status.depth += u32::from(!level.is_empty());
        }
        self.status.waiting = 0;
        End::Exhausted
    }

    /// Whether there is memory for what a chunk has made; notes the most that was needed.
    fn room(
        &mut self,
        new: &[usize; THREADS],
        made: &[Made; THREADS],
        level: &[Waiting],
        next: &[Vec<Waiting>; THREADS],
        memory: usize,
    ) -> bool {
        let tables: usize =
            self.shards.iter().zip(new).map(|(shard, &more)| shard.bytes_with(more)).sum();
        let waiting: usize = next.iter().map(Vec::capacity).sum::<usize>() + level.len();
        let grows: usize = next
            .iter()
            .zip(new)
            .map(
                |(next, &more)| {
                    if next.len() + more > next.capacity() { next.capacity() } else { 0 }
                },
            )
            .sum();
        let made: usize =
            made.iter().flat_map(|made| &made.new).map(|new| new.capacity() * 184).sum();
        let bytes = tables + (waiting + grows * 2) * size_of::<Waiting>() + made;
        self.status.bytes = self.status.bytes.max(bytes as u64);
        bytes <= memory
            && self.shards.iter().zip(new).all(|(shard, &more)| shard.len() + more < MOST)
    }

    fn expand(&self, chunk: &[Waiting]) -> [Made; THREADS] {
        let half = chunk.len().div_ceil(THREADS);
        let (mine, other) = chunk.split_at(half);
        if other.is_empty() {
            return [self.expand_share(mine), Made::default()];
        }
        std::thread::scope(|scope| {
            let other = scope.spawn(|| self.expand_share(other));
            let mine = self.expand_share(mine);
            // A share that was lost must not read as an empty one.
            [mine, other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))]
        })
    }

    fn expand_share(&self, share: &[Waiting]) -> Made {
        let mut made = Made::default();
        let mut actions = Vec::with_capacity(64);
        let mut reached = Vec::with_capacity(BATCH * 2);
        for (name, state) in share {
            kernel::actions(self.world, state, &mut actions);
            if actions.is_empty() && !kernel::is_over(self.world, state) {
                made.stuck += 1;
            }
            for &action in &actions {
                let mut to = *state;
                let marks = kernel::apply(self.world, &mut to, action, &mut Silent);
                made.steps += 1;
                if marks.checked != 0 {
                    made.note(marks.checked, marks.broken, *name);
                }
                reached.push((self.symmetry.number(&to), *name, to));
            }
            if reached.len() >= BATCH {
                self.sift(&mut reached, &mut made);
            }
        }
        self.sift(&mut reached, &mut made);
        made
    }

    /// Keeps what the table does not have. Many are looked up at once, since each lookup waits for
    /// memory, and those that stand close together wait together.
    fn sift(&self, reached: &mut Vec<Reached>, made: &mut Made) {
        for (number, parent, state) in reached.drain(..) {
            let part = part(number);
            if !self.shards[part].has(number) {
                made.new[part].push((number, parent, state));
            }
        }
    }

    fn account(&mut self, made: &[Made; THREADS]) {
        for made in made {
            self.status.steps += made.steps;
            self.stuck += made.stuck;
            for rule in 0..RULES {
                self.checked[rule] += made.checked[rule];
                self.broken[rule] = self.broken[rule].or(made.broken[rule]);
            }
        }
    }

    fn insert(&mut self, made: [Made; THREADS], next: &mut [Vec<Waiting>; THREADS]) {
        let mut by_part: [Vec<Vec<Reached>>; THREADS] = Default::default();
        for made in made {
            for (part, new) in made.new.into_iter().enumerate() {
                by_part[part].push(new);
            }
        }
        std::thread::scope(|scope| {
            let parts = self.shards.iter_mut().zip(next).zip(by_part).enumerate();
            for (part, ((shard, next), new)) in parts {
                scope.spawn(move || {
                    for (number, parent, state) in new.into_iter().flatten() {
                        if let Some(place) = shard.insert(number, parent) {
                            next.push((name(part, place), state));
                        }
                    }
                });
            }
        });
    }

    /// The steps from the beginning to where a rule is broken, from the state of this name.
    ///
    /// The table has numbers, not states: so the way is gone again, at each step to a state of the
    /// right number.
    fn path(&self, rule: Rule, from: u32) -> Option<Vec<Action>> {
        let mut numbers = Vec::new();
        let mut at = from;
        while at != ROOT {
            let (number, parent) = self.shards[at as usize % THREADS].get(at / THREADS as u32);
            numbers.push(number);
            at = parent;
        }
        let mut state = self.world.begin();
        let (mut path, mut actions) = (Vec::new(), Vec::new());
        for &number in numbers.iter().rev().skip(1) {
            kernel::actions(self.world, &state, &mut actions);
            let (action, to) = actions.iter().find_map(|&action| {
                let mut to = state;
                kernel::apply(self.world, &mut to, action, &mut Silent);
                (self.symmetry.number(&to) == number).then_some((action, to))
            })?;
            path.push(action);
            state = to;
        }
        kernel::actions(self.world, &state, &mut actions);
        let last = actions.iter().find(|&&action| {
            let mut to = state;
            let marks = kernel::apply(self.world, &mut to, action, &mut Silent);
            marks.broken & rule.bit() != 0
        })?;
        path.push(*last);
        Some(path)
    }
}

impl Made {
    fn note(&mut self, checked: u8, broken: u8, from: u32) {
        for rule in Rule::ALL {
            if checked & rule.bit() != 0 {
                self.checked[rule as usize] += 1;
            }
            if broken & rule.bit() != 0 {
                self.broken[rule as usize].get_or_insert(from);
            }
        }
    }
}

const fn part(number: u64) -> usize {
    number as usize % THREADS
}

const fn name(part: usize, place: u32) -> u32 {
    place * THREADS as u32 + part as u32
}
