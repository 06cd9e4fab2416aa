//! How programs find this CPU's run queue and, from there, its `cpu_tlbstate`.
//!
//! Per-CPU variables are where they are relative to each other, which BTF tells, so it takes only one
//! address on each CPU. `current->se.cfs_rq->rq` is that of its run queue. A kernel without group
//! scheduling has no such way; there the kernel's symbols lead to it, if it has those of data.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader},
};

use super::{btf::Btf, table::Field};

/// The variables, by the names of their rows.
const RUNQUEUES: &str = "runqueues";
const TLBSTATE: &str = "cpu_tlbstate";
const TLBSTATE_SHARED: &str = "cpu_tlbstate_shared";
/// The kernel's table of where each CPU's variables begin.
const OFFSETS: &str = "__per_cpu_offset";

const SYMBOLS: &str = "/proc/kallsyms";

/// How a CPU's run queue is found; the numbers are those of tracer-ebpf's `full/percpu.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// `current->se.cfs_rq->rq`.
    Current,
    /// `__per_cpu_offset[cpu] + runqueues`.
    Offsets {
        /// The address of `__per_cpu_offset`.
        table: u64,
        /// What `runqueues` has as its address.
        runqueues: u64,
    },
}

/// Where the variables are, or why that is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerCpu {
    way: Result<Way, String>,
    /// From `runqueues` to `cpu_tlbstate` and `cpu_tlbstate_shared`; wraps around.
    tlb: Result<(u64, u64), String>,
}

/// Addresses of the symbols that matter here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Symbols(HashMap<&'static str, u64>);

impl Symbols {
    /// Reads `/proc/kallsyms`.
    ///
    /// # Errors
    /// Says why it is of no use.
    pub fn read() -> Result<Self, String> {
        let file = File::open(SYMBOLS).map_err(|error| format!("can't read {SYMBOLS}: {error}"))?;
        let symbols = Self::parse(BufReader::with_capacity(1 << 16, file));
        if symbols.0.is_empty() {
            return Err(format!("{SYMBOLS} has no data symbols: it takes CONFIG_KALLSYMS_ALL"));
        }
        if symbols.0.values().all(|&address| address == 0) {
            return Err(format!(
                "{SYMBOLS} hides addresses: it takes CAP_SYSLOG and kernel.kptr_restrict below 2"
            ));
        }
        Ok(symbols)
    }

    fn parse(mut table: impl BufRead) -> Self {
        const WANTED: [&str; 4] = [RUNQUEUES, TLBSTATE, TLBSTATE_SHARED, OFFSETS];
        let mut found = HashMap::new();
        let mut line = Vec::new();
        while found.len() < WANTED.len() {
            line.clear();
            match table.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            let Ok(text) = std::str::from_utf8(&line) else { continue };
            // `address type name`; the name of a module follows what is not the kernel's own.
            let mut words = text.split_ascii_whitespace();
            let (Some(address), Some(_), Some(name), None) =
                (words.next(), words.next(), words.next(), words.next())
            else {
                continue;
            };
            if let Some(&name) = WANTED.iter().find(|&&wanted| wanted == name)
                && let Ok(address) = u64::from_str_radix(address, 16)
            {
                found.insert(name, address);
            }
        }
        Self(found)
    }

    fn get(&self, name: &str) -> Result<u64, String> {
        self.0
            .get(name)
            .copied()
            .ok_or_else(|| format!("{SYMBOLS} doesn't have {name}: it takes CONFIG_KALLSYMS_ALL"))
    }
}

impl PerCpu {
    /// Looks for them in `btf`, and asks for the symbols only if that doesn't suffice.
    pub fn find(btf: &Btf, symbols: impl FnOnce() -> Result<Symbols, String>) -> Self {
        let (way, tlb) = (way_by_types(btf), distances(|name| place(btf, name)));
        if way.is_ok() && tlb.is_ok() {
            return Self { way, tlb };
        }
        let symbols = symbols();
        let symbol = |name: &'static str| symbols.as_ref().map_err(Clone::clone)?.get(name);
        let by_symbols = |why: String| -> Result<Way, String> {
            let found = symbol(OFFSETS)
                .and_then(|table| Ok(Way::Offsets { table, runqueues: symbol(RUNQUEUES)? }));
            found.map_err(|error| format!("{why}; {error}"))
        };
        Self {
            way: way.or_else(by_symbols),
            tlb: tlb.or_else(|why| distances(symbol).map_err(|error| format!("{why}; {error}"))),
        }
    }

    /// Why this variable can't be read; `None` if it can.
    pub(super) fn obstacle(&self, name: &str) -> Option<&str> {
        let way = self.way.as_ref().err();
        let tlb = self.tlb.as_ref().err().filter(|_| name != RUNQUEUES);
        way.or(tlb).map(String::as_str)
    }

    /// What the programs are told, by the names of their globals.
    pub(super) fn globals(&self) -> Vec<(&'static str, u64)> {
        let mut globals = match self.way {
            Ok(Way::Current) => vec![("RQ_WAY", 1)],
            Ok(Way::Offsets { table, runqueues }) => {
                vec![("RQ_WAY", 2), ("PER_CPU_OFFSET", table), ("RUNQUEUES", runqueues)]
            }
            Err(_) => Vec::new(),
        };
        if let Ok((tlb, shared)) = self.tlb {
            globals.extend([
                ("TLB_READABLE", 1),
                ("TLB_FROM_RQ", tlb),
                ("TLB_SHARED_FROM_RQ", shared),
            ]);
        }
        globals
    }
}

/// Whether every task leads to its run queue.
fn way_by_types(btf: &Btf) -> Result<Way, String> {
    for field in [Field::TaskCfsRq, Field::CfsRqRq] {
        let info = field.info();
        btf.member_sized(info.path, info.size).map_err(|error| error.to_string())?;
    }
    Ok(Way::Current)
}

fn place(btf: &Btf, name: &'static str) -> Result<u64, String> {
    match btf.per_cpu(name) {
        Ok(Some(offset)) => Ok(u64::from(offset)),
        Ok(None) => Err(format!("this kernel's BTF has no per-CPU variable {name}")),
        Err(error) => Err(error.to_string()),
    }
}

/// From the run queue to `cpu_tlbstate` and `cpu_tlbstate_shared`.
fn distances(place: impl Fn(&'static str) -> Result<u64, String>) -> Result<(u64, u64), String> {
    let rq = place(RUNQUEUES)?;
    Ok((place(TLBSTATE)?.wrapping_sub(rq), place(TLBSTATE_SHARED)?.wrapping_sub(rq)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::btf::synth::Synth;

    /// BTF with the way by types or without, and the variables or without.
    fn btf(way: bool, variables: bool) -> Btf {
        let mut b = Synth::new();
        let int = b.int("int", 4);
        let rq = b.structure("rq", &[("cpu", int, 0)]);
        let rq = b.ptr(rq);
        let cfs_rq = b.structure("cfs_rq", &[("rq", rq, 312)]);
        let cfs_rq = b.ptr(cfs_rq);
        let entity = if way {
            b.structure("sched_entity", &[("cfs_rq", cfs_rq, 160)])
        } else {
            b.structure("sched_entity", &[])
        };
        b.structure("task_struct", &[("se", entity, 256)]);
        if variables {
            b.per_cpu(&[
                (TLBSTATE, int, 0x1000),
                (TLBSTATE_SHARED, int, 0x10c0),
                (RUNQUEUES, int, 0x2000),
            ]);
        }
        Btf::parse(b.bytes()).unwrap()
    }

    const KALLSYMS: &[u8] = b"\
        0000000000030000 A runqueues\n\
        0000000000031000 D cpu_tlbstate\n\
        00000000000310c0 D cpu_tlbstate_shared\n\
        ffffffff82000000 D cpu_tlbstate\t[a_module]\n\
        ffffffff81e00000 R __per_cpu_offset\n";

    #[test]
    fn types_suffice() {
        let found = PerCpu::find(&btf(true, true), || panic!("symbols are not needed"));
        assert_eq!(
            found.globals(),
            [
                ("RQ_WAY", 1),
                ("TLB_READABLE", 1),
                ("TLB_FROM_RQ", 0x1000_u64.wrapping_neg()),
                ("TLB_SHARED_FROM_RQ", 0xf40_u64.wrapping_neg()),
            ]
        );
        assert_eq!(found.obstacle(RUNQUEUES), None);
        assert_eq!(found.obstacle(TLBSTATE), None);
    }

    #[test]
    fn symbols_take_the_place_of_what_is_missing() {
        let symbols = || Ok(Symbols::parse(KALLSYMS));
        let found = PerCpu::find(&btf(false, true), symbols);
        let globals = found.globals();
        assert!(globals.contains(&("RQ_WAY", 2)));
        assert!(globals.contains(&("PER_CPU_OFFSET", 0xffff_ffff_81e0_0000)));
        assert!(globals.contains(&("RUNQUEUES", 0x30000)));
        assert!(globals.contains(&("TLB_FROM_RQ", 0x1000_u64.wrapping_neg())), "as BTF has it");

        let globals = PerCpu::find(&btf(true, false), symbols).globals();
        assert!(globals.contains(&("RQ_WAY", 1)));
        assert!(globals.contains(&("TLB_FROM_RQ", 0x1000)), "as the symbols have it");
    }

    #[test]
    fn without_either_there_is_a_reason() {
        let none = || Err("no symbols".to_owned());
        let found = PerCpu::find(&btf(true, false), none);
        assert_eq!(found.obstacle(RUNQUEUES), None, "the run queue can be had all the same");
        let why = found.obstacle(TLBSTATE).unwrap();
        assert!(
            why.contains("no per-CPU variable runqueues") && why.ends_with("; no symbols"),
            "{why}"
        );
        assert_eq!(found.globals(), [("RQ_WAY", 1)]);

        let found = PerCpu::find(&btf(false, true), none);
        assert!(found.obstacle(RUNQUEUES).unwrap().contains("cfs_rq"));
        assert!(found.obstacle(TLBSTATE).is_some(), "without the run queue nothing is found");
    }

    #[test]
    fn nonsense_has_no_symbols() {
        for text in ["", "\n", "zz D runqueues\n", "0 D\n", "\u{fffd} x runqueues y z\n"] {
            assert_eq!(Symbols::parse(text.as_bytes()), Symbols::default(), "{text:?}");
        }
    }
}
