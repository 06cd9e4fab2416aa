//! Stores, as they stand in a buffer, and how they reach memory.

use super::{Cpu, State};

/// `rq->curr = task`
#[must_use]
pub const fn curr(task: u8) -> u8 {
    1 << 5 | task
}
/// `loaded_mm = mm`
#[must_use]
pub const fn loaded(mm: u8) -> u8 {
    2 << 5 | mm
}
/// `is_lazy = lazy`
#[must_use]
pub const fn lazy(lazy: u8) -> u8 {
    3 << 5 | lazy
}
/// `task->mm = mm`
#[must_use]
pub const fn mm(task: u8, mm: u8) -> u8 {
    4 << 5 | task << 2 | mm
}
/// `task->on_cpu = 0`
#[must_use]
pub const fn off_cpu(task: u8) -> u8 {
    5 << 5 | task
}
/// `x = 1`
pub const X: u8 = 6 << 5;
/// Whether this stores `rq->curr`.
#[must_use]
pub const fn is_curr(store: u8) -> bool {
    store >> 5 == 1
}
/// Whether this stores `loaded_mm`.
#[must_use]
pub const fn is_loaded(store: u8) -> bool {
    store >> 5 == 2
}
/// Whether this stores `is_lazy`.
#[must_use]
pub const fn is_lazy(store: u8) -> bool {
    store >> 5 == 3
}
/// Whether this stores this task's mm.
#[must_use]
pub const fn is_mm_of(store: u8, task: u8) -> bool {
    store >> 5 == 4 && (store & 0x1f) >> 2 == task
}
/// `y = 1`
pub const Y: u8 = 6 << 5 | 1;
/// A's `tlb_gen` is raised: by a plain store, where the barrier is dropped.
pub const RAISE: u8 = 6 << 5 | 2;

impl State {
    /// A CPU stores.
    pub fn store(&mut self, cpu: usize, store: u8) {
        if usize::from(self.cpus[cpu].held) == super::BUFFER {
            self.drain_one(cpu);
        }
        let c = &mut self.cpus[cpu];
        c.buffer[usize::from(c.held)] = store;
        c.held += 1;
    }

    /// The oldest store of a CPU reaches memory; says which.
    pub fn drain_one(&mut self, cpu: usize) -> u8 {
        let c = &mut self.cpus[cpu];
        let store = c.buffer[0];
        if c.held == 0 {
            return 0;
        }
        c.buffer[0] = 0;
        c.buffer.rotate_left(1);
        c.held -= 1;
        let arg = store & 0x1f;
        match store >> 5 {
            1 => c.m_curr = arg,
            2 => c.m_loaded = arg,
            3 => c.m_lazy = arg,
            4 => self.tasks[usize::from(arg >> 2)].m_mm = arg & 3,
            5 => self.tasks[usize::from(arg)].bits &= !super::task::ON_CPU,
            _ if store == X => self.all.x = 1,
            _ if store == RAISE => self.all.tlb_gen += 1,
            _ => self.all.y = 1,
        }
        store
    }

    /// So many of the oldest stores of a CPU reach memory.
    pub fn drain_some(&mut self, cpu: usize, stores: u8) {
        for _ in 0..stores {
            self.drain_one(cpu);
        }
    }

    /// The store that lets others pick a task, if it waits: whose, and how many go with it.
    #[must_use]
    pub fn releases(&self, task: u8) -> Option<(usize, u8)> {
        let release = off_cpu(task);
        self.cpus.iter().enumerate().find_map(|(cpu, c)| {
            let held = &c.buffer[..usize::from(c.held)];
            Some((cpu, held.iter().position(|&store| store == release)? as u8 + 1))
        })
    }

    /// A full barrier: all its stores reach memory before it goes on.
    pub fn drain(&mut self, cpu: usize) {
        while self.cpus[cpu].held > 0 {
            self.drain_one(cpu);
        }
    }
}

impl Cpu {
    /// How many of its stores may have reached memory when another CPU reads what these stores
    /// write: as many as it takes to make a difference.
    pub fn prefixes(&self, writes: impl Fn(u8) -> bool) -> impl Iterator<Item = u8> {
        let held = self.buffer;
        let with = move |&n: &u8| n == 0 || writes(held[usize::from(n) - 1]);
        (0..=self.held).filter(with)
    }

    /// Whether this store waits.
    #[must_use]
    pub fn holds(&self, store: u8) -> bool {
        self.buffer[..usize::from(self.held)].contains(&store)
    }
}
