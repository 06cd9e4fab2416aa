//! Names of tasks and functions.

use std::{borrow::Cow, cell::Cell};

use rustc_hash::FxHashMap;
use tracer_common::{
    model::{DecodeError, Event, Func, decode},
    wire::{FuncName, Header},
};

use super::frozen::sorted;

/// How many tasks' names are remembered.
const MOST: usize = 1 << 20;

#[derive(Default)]
pub(super) struct Names {
    tasks: FxHashMap<u32, (u32, Box<str>)>,
    funcs: FxHashMap<u64, (Func, Box<str>)>,
}

/// What came of reading a record.
pub(super) struct Read {
    /// What it says.
    pub(super) event: Result<(Header, Event), DecodeError>,
    /// It speaks of a function that nobody ever named.
    pub(super) nameless: bool,
}

/// The text before the first NUL.
pub(crate) fn text(bytes: &[u8]) -> Cow<'_, str> {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end])
}

/// What an event says a task is called from now on: thread, process, name.
pub(crate) fn named_task(event: &Event) -> Option<(u32, u32, Cow<'_, str>)> {
    match event {
        Event::Fork(fork) => Some((fork.child_tid, fork.child_tgid, text(&fork.comm))),
        Event::Exec(exec) => Some((exec.tid, exec.tid, text(&exec.comm))),
        Event::Rename(rename) => Some((rename.tid, rename.tgid, text(&rename.comm))),
        _ => None,
    }
}

/// [`Names`] to be written, in an order that is always the same.
pub(super) type Freezing<'a> = (Vec<(&'a u32, &'a (u32, Box<str>))>, Vec<(&'a u64, &'a str)>);

/// The same, read.
pub(super) type Frozen = (Vec<(u32, (u32, Box<str>))>, Vec<(u64, Box<str>)>);

impl Names {
    pub(super) fn freeze(&self) -> Freezing<'_> {
        let funcs = sorted(&self.funcs).into_iter();
        (sorted(&self.tasks), funcs.map(|(func, (_, name))| (func, &**name)).collect())
    }

    pub(super) fn thaw((tasks, funcs): Frozen) -> Self {
        let mut names = Self { tasks: tasks.into_iter().collect(), ..Self::default() };
        for (func, name) in funcs {
            names.func(func, &name);
        }
        names
    }

    /// All threads that have a name: thread, process, name.
    pub(super) fn tasks(&self) -> impl Iterator<Item = (u32, u32, &str)> {
        self.tasks.iter().map(|(&tid, (tgid, comm))| (tid, *tgid, &**comm))
    }

    /// All functions that have a name.
    pub(super) fn functions(&self) -> impl Iterator<Item = (u64, &str)> {
        self.funcs.iter().map(|(&func, (_, name))| (func, &**name))
    }

    pub(super) fn task(&mut self, tid: u32, tgid: u32, comm: &str) {
        if self.tasks.len() < MOST || self.tasks.contains_key(&tid) {
            self.tasks.insert(tid, (tgid, comm.into()));
        }
    }

    pub(super) fn func(&mut self, func: u64, name: &str) {
        if self.funcs.len() < MOST {
            self.funcs.insert(func, (Func::from_name(name), name.into()));
        }
    }

    pub(super) fn told_func(&mut self, name: &FuncName) {
        self.func(name.func, &text(&name.name));
    }

    /// Reads a whole record.
    pub(super) fn read(&self, record: &[u8]) -> Read {
        let nameless = Cell::new(false);
        let event = decode(record, |func| {
            self.kind_of(func).unwrap_or_else(|| {
                nameless.set(true);
                Func::Other
            })
        });
        Read { event, nameless: nameless.get() }
    }

    /// Which function it is; `None` if nobody ever named it.
    fn kind_of(&self, func: u64) -> Option<Func> {
        self.funcs.get(&func).map(|(kind, _)| *kind)
    }

    pub(super) fn function(&self, func: u64) -> Option<&str> {
        self.funcs.get(&func).map(|(_, name)| &**name)
    }

    pub(super) fn tgid(&self, tid: u32) -> Option<u32> {
        self.tasks.get(&tid).map(|&(tgid, _)| tgid)
    }

    pub(super) fn comm(&self, tid: u32) -> Option<&str> {
        if tid == 0 {
            return Some("swapper");
        }
        self.tasks.get(&tid).map(|(_, comm)| &**comm)
    }

    /// Learns from events that carry names.
    pub(super) fn see(&mut self, event: &Event) {
        if let Some((tid, tgid, comm)) = named_task(event) {
            self.task(tid, tgid, &comm);
        } else if let Event::Free(task) = event {
            self.tasks.remove(&task.tid);
        }
    }
}
