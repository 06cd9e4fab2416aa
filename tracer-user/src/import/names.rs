//! Names of tasks and functions.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;
use tracer_common::wire::COMM_LEN;

use super::point::{Callee, Point, What};

/// How many names of tasks and of functions are kept.
const MOST: usize = 1 << 16;

/// What all functions are called that come after these.
const TOO_MANY: &str = "(one of too many functions)";

/// What is called what.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// What functions are called. Their numbers are ours: text has no addresses.
    functions: FxHashMap<Box<str>, u64>,
    /// What tasks are called that were there before: group and name.
    pub(super) tasks: BTreeMap<u32, (u32, String)>,
    /// Tasks whose names records tell.
    named: BTreeSet<u32>,
}

impl Names {
    /// Names of the functions, by their numbers.
    pub(super) fn functions(&self) -> BTreeMap<u64, String> {
        self.functions.iter().map(|(name, &number)| (number, name.to_string())).collect()
    }

    /// Remembers who is there that no record will name.
    pub(super) fn learn(&mut self, point: &Point<'_>, tid: u32) {
        if tid != 0 && point.tid == Some(tid) && !["", "<...>"].contains(&point.comm) {
            self.was_there(tid, point.tgid.unwrap_or_default(), point.comm);
        }
        match point.what {
            What::Switch { next, next_comm, .. } if next != 0 => self.was_there(next, 0, next_comm),
            What::Fork { child: tid, .. } | What::Rename { tid, .. } if self.named.len() < MOST => {
                self.named.insert(tid);
            }
            _ => {}
        }
    }

    fn was_there(&mut self, tid: u32, tgid: u32, comm: &str) {
        if self.named.contains(&tid) {
            return;
        }
        if let Some((group, _)) = self.tasks.get_mut(&tid) {
            *group = if *group == 0 { tgid } else { *group };
        } else if self.tasks.len() < MOST {
            let comm = comm.chars().take(COMM_LEN - 1).collect();
            self.tasks.insert(tid, (tgid, comm));
        }
    }

    /// The number of a function; 0 for none.
    pub(super) fn function(&mut self, callee: Callee<'_>) -> u64 {
        let address;
        let name = match callee {
            Callee::Name(name) => name,
            Callee::Address(at) => {
                address = format!("{at:#x}");
                &address
            }
            Callee::None => return 0,
        };
        let next = self.functions.len() as u64 + 1;
        if let Some(&number) = self.functions.get(name) {
            return number;
        }
        let name = if self.functions.len() < MOST { name } else { TOO_MANY };
        // Names of functions have at most 511 characters (include/linux/kallsyms.h:KSYM_NAME_LEN).
        let name: String = name.chars().take(511).collect();
        *self.functions.entry(name.into()).or_insert(next)
    }

    /// The thread group of an event's task; 0 where it is not known.
    pub(super) fn tgid(&self, point: &Point<'_>, tid: u32) -> u32 {
        point.tgid.unwrap_or_else(|| self.tgid_of(tid))
    }

    /// The thread group of a task; 0 where it is not known.
    pub(super) fn tgid_of(&self, tid: u32) -> u32 {
        self.tasks.get(&tid).map_or(0, |&(tgid, _)| tgid)
    }
}
