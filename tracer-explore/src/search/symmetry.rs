//! States that differ only in the names of CPUs and tasks are one.
//!
//! CPUs are alike, and so are the threads of one process and the kernel threads. The number of a state
//! is the least of the hashes of all that it becomes by renaming; so which of them is kept does not
//! matter, and none is ever built for longer than it takes to hash it.

use crate::{
    setup::World,
    state::{CPUS, Cpu, IDLE, PEND_CALL, State, TASKS, Task, pc, ret},
};
use zerocopy::IntoBytes;

/// A renaming.
#[derive(Clone, Copy, Debug)]
struct Renaming {
    /// By CPU: its new number.
    cpus: [u8; CPUS],
    /// By task, [`IDLE`] included.
    tasks: [u8; 8],
    /// By mask of CPUs.
    masks: [u8; 1 << CPUS],
    /// By mask of tasks; [`PEND_CALL`] stays.
    pends: [u8; 128],
    /// By new number: which CPU it was.
    from_cpus: [u8; CPUS],
    /// Likewise of tasks.
    from_tasks: [u8; TASKS],
}

/// All renamings of a world.
#[derive(Clone, Debug)]
pub struct Symmetry {
    renamings: Vec<Renaming>,
    /// The CPUs, and each class of tasks: the first, and the one after the last.
    classes: Vec<(u8, u8)>,
}

/// What no renaming changes about each CPU and each task: whoever is first by it comes first. This
/// leaves one renaming to be looked at, or a few.
struct Keys {
    cpus: [u64; CPUS],
    tasks: [u32; TASKS],
}

impl Keys {
    fn new(s: &State) -> Self {
        let task = |t: &Task| u32::from_le_bytes([t.bits, t.mm, t.flush_gen, t.pc]);
        let cpu = |c: &Cpu| {
            let curr = s.tasks.get(usize::from(c.curr)).map_or(u32::MAX, task);
            let own = u32::from_le_bytes([
                c.g ^ c.slot << 5,
                c.loaded ^ c.lazy << 3 ^ c.active << 4,
                c.swm ^ c.at << 3 ^ c.ipi << 5,
                c.held ^ c.rq_state << 4 ^ c.m_loaded << 5,
            ]);
            u64::from(curr) << 32 | u64::from(own)
        };
        Self { cpus: s.cpus.each_ref().map(cpu), tasks: s.tasks.each_ref().map(task) }
    }
}

/// All orders of `0..n`.
fn orders(n: u8) -> Vec<Vec<u8>> {
    let mut all = vec![vec![]];
    for next in 0..n {
        let longer = |order: &Vec<u8>| {
            (0..=order.len())
                .map(|at| {
                    let mut order = order.clone();
                    order.insert(at, next);
                    order
                })
                .collect::<Vec<_>>()
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

fn bits(mask: usize, to: &[u8]) -> u8 {
    let moved = |(bit, &to): (usize, &u8)| if mask & 1 << bit != 0 { 1 << to } else { 0 };
    to.iter().enumerate().map(moved).fold(0, |mask, bit: u8| mask | bit)
}

impl Renaming {
    fn new(cpu_order: &[u8], task_order: &[u8]) -> Self {
        let mut cpus = [0, 1, 2, 3];
        let mut tasks = [0, 1, 2, 3, 4, 5, 6, IDLE];
        cpus[..cpu_order.len()].copy_from_slice(cpu_order);
        tasks[..task_order.len()].copy_from_slice(task_order);
        let mut masks = [0; 1 << CPUS];
        for (mask, to) in masks.iter_mut().enumerate() {
            *to = bits(mask, &cpus);
        }
        let mut pends = [0; 128];
        for (mask, to) in pends.iter_mut().enumerate() {
            *to = bits(mask, &tasks[..TASKS]) | mask as u8 & PEND_CALL;
        }
        let (mut from_cpus, mut from_tasks) = ([0; CPUS], [0; TASKS]);
        for (from, &to) in cpus.iter().enumerate() {
            from_cpus[usize::from(to)] = from as u8;
        }
        for (from, &to) in tasks[..TASKS].iter().enumerate() {
            from_tasks[usize::from(to)] = from as u8;
        }
        Self { cpus, tasks, masks, pends, from_cpus, from_tasks }
    }

    /// Whether it puts what is alike into the order of these keys.
    fn sorts(&self, keys: &Keys, world: &[(u8, u8)]) -> bool {
        let cpu = |to: u8| keys.cpus[usize::from(self.from_cpus[usize::from(to)])];
        let task = |to: u8| keys.tasks[usize::from(self.from_tasks[usize::from(to)])];
        let [cpus, classes @ ..] = world else { return true };
        (cpus.0 + 1..cpus.1).all(|to| cpu(to - 1) <= cpu(to))
            && classes
                .iter()
                .all(|&(first, end)| (first + 1..end).all(|to| task(to - 1) <= task(to)))
    }

    fn task(&self, task: u8) -> u8 {
        self.tasks[usize::from(task & 7)]
    }

    fn mask(&self, mask: u8) -> u8 {
        self.masks[usize::from(mask) & 0xf]
    }

    fn store(&self, store: u8) -> u8 {
        let arg = store & 0x1f;
        let arg = match store >> 5 {
            1 | 5 => self.task(arg),
            4 => self.task(arg >> 2) << 2 | arg & 3,
            _ => arg,
        };
        store & 0xe0 | arg
    }

    /// The state under this renaming.
    fn apply(&self, s: &State) -> State {
        let mut to = *s;
        for (number, from) in s.cpus.iter().enumerate() {
            let c = &mut to.cpus[usize::from(self.cpus[number])];
            *c = *from;
            c.curr = self.task(c.curr);
            c.m_curr = self.task(c.m_curr);
            c.prev = self.task(c.prev);
            c.pend = self.pends[usize::from(c.pend) & 0x7f];
            if c.swm_ret & 0xf == ret::FLUSH {
                c.swm_ret = ret::FLUSH | self.task(c.swm_ret >> 4) << 4;
            }
            for store in &mut c.buffer[..usize::from(from.held)] {
                *store = self.store(*store);
            }
        }
        for (number, from) in s.tasks.iter().enumerate() {
            let t = &mut to.tasks[usize::from(self.tasks[number])];
            *t = *from;
            t.todo = self.mask(t.todo);
            t.mask = self.mask(t.mask);
            let (of, read) = (t.cur & 7, t.cur >> 3);
            match t.pc {
                pc::SCAN_MM => t.cur = self.cpus[usize::from(of & 3)] | self.task(read) << 3,
                pc::FLUSH_LAZY => t.cur = self.cpus[usize::from(of & 3)] | read << 3,
                _ => {}
            }
        }
        to.all.cpumask = self.mask(s.all.cpumask);
        if s.all.mutex != 0 {
            to.all.mutex = self.task(s.all.mutex - 1) + 1;
        }
        to
    }
}

impl Symmetry {
    /// The renamings under which this world stays what it is.
    #[must_use]
    pub fn new(world: &World) -> Self {
        let mut renamings = Vec::new();
        let mut classes = vec![(0, world.setup.cpus)];
        classes.extend(world.classes());
        let [a, b, k] = world.classes().map(|(from, to)| (from, orders(to - from)));
        for cpus in orders(world.setup.cpus) {
            for a_order in &a.1 {
                for b_order in &b.1 {
                    for k_order in &k.1 {
                        let moved = |(from, order): (u8, &Vec<u8>)| {
                            order.iter().map(|n| n + from).collect::<Vec<_>>()
                        };
                        let tasks =
                            [moved((a.0, a_order)), moved((b.0, b_order)), moved((k.0, k_order))]
                                .concat();
                        renamings.push(Renaming::new(&cpus, &tasks));
                        if !world.setup.symmetry {
                            return Self { renamings, classes: vec![(0, 0)] };
                        }
                    }
                }
            }
        }
        Self { renamings, classes }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.renamings.len()
    }

    /// Whether there is none but the one that changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.renamings.len() <= 1
    }

    /// The number of a state: the same for all that are one.
    #[must_use]
    pub fn number(&self, s: &State) -> u64 {
        if self.is_empty() {
            return hash(s);
        }
        let keys = Keys::new(s);
        let sorting = self.renamings.iter().filter(|renaming| renaming.sorts(&keys, &self.classes));
        sorting.map(|renaming| hash(&renaming.apply(s))).min().unwrap_or(0)
    }
}

/// 64 bits of a state.
fn hash(s: &State) -> u64 {
    const A: u64 = 0x9e37_79b9_7f4a_7c15;
    const B: u64 = 0xd6e8_feb8_6659_fd93;
    let (words, _) = s.as_bytes().as_chunks::<8>();
    const { assert!(size_of::<State>().is_multiple_of(8), "no byte is left out") };
    let mut sum = B;
    for pair in words.chunks(2) {
        let word = |at: usize| pair.get(at).map_or(0, |&bytes| u64::from_le_bytes(bytes));
        let product = u128::from(word(0) ^ sum ^ A) * u128::from(word(1) ^ sum.rotate_left(32) ^ B);
        sum = (product as u64 ^ (product >> 64) as u64).wrapping_add(sum.rotate_left(17));
    }
    sum ^= sum >> 32;
    sum = sum.wrapping_mul(A);
    sum ^ sum >> 29
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{kernel, protocol, setup::Setup, tell::Silent};

    #[test]
    fn orders_are_all_there() {
        assert_eq!(orders(0), [vec![]]);
        let three = orders(3);
        assert_eq!(three.len(), 6);
        assert!(three.contains(&vec![2, 0, 1]));
    }

    /// Renaming and then stepping is stepping and then renaming: what follows from a state follows,
    /// renamed, from the renamed one.
    #[test]
    fn what_follows_is_the_same_under_every_name() {
        let setup = Setup { calls: 2, exits: 1, execs: 1, tests: 1, ..Setup::core() };
        let world = World::new(protocol::find("linux-6.12").expect("known"), setup, &[]);
        let symmetry = Symmetry::new(&world);
        assert_eq!(symmetry.len(), 12);
        let mut at = world.begin();
        let mut seed = 1_u64;
        let (mut out, mut numbers) = (Vec::new(), Vec::new());
        for round in 0..10_000 {
            kernel::actions(&world, &at, &mut out);
            let following = |s: &State| {
                let mut out = Vec::new();
                kernel::actions(&world, s, &mut out);
                let after = |&action| {
                    let mut to = *s;
                    let marks = kernel::apply(&world, &mut to, action, &mut Silent);
                    (symmetry.number(&to), marks.broken, marks.checked)
                };
                let mut all: Vec<_> = out.iter().map(after).collect();
                all.sort_unstable();
                all.dedup();
                all
            };
            let expected = following(&at);
            for renaming in &symmetry.renamings {
                for &action in &out {
                    let mut to = at;
                    kernel::apply(&world, &mut to, action, &mut Silent);
                    let renamed = renaming.apply(&to);
                    assert_eq!(
                        symmetry.number(&renamed),
                        symmetry.number(&to),
                        "{action:?}: {to:?}"
                    );
                }
            }
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let renaming = &symmetry.renamings[(seed >> 40) as usize % symmetry.len()];
            let renamed = renaming.apply(&at);
            assert_eq!(symmetry.number(&renamed), symmetry.number(&at));
            let there = following(&renamed);
            for &action in &out {
                let mut to = at;
                kernel::apply(&world, &mut to, action, &mut Silent);
                let found = there.iter().any(|(number, ..)| *number == symmetry.number(&to));
                assert!(found, "{action:?} of {at:?}, named otherwise, leads elsewhere");
            }
            assert_eq!(there, expected, "{at:?}");
            numbers.push(symmetry.number(&at));
            if out.is_empty() || round % 64 == 63 {
                at = world.begin();
                continue;
            }
            let action = out[(seed >> 33) as usize % out.len()];
            kernel::apply(&world, &mut at, action, &mut Silent);
        }
        numbers.sort_unstable();
        numbers.dedup();
        assert!(numbers.len() > 1_000, "{}", numbers.len());
    }
}
