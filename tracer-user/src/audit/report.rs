//! What the audit found, as the report has it.

use serde::Serialize;

use super::{
    examine::{Examined, Found, Outcome},
    exit::SyscallExit,
    guards::Guard,
    place::probe_place,
    switching::Switching,
    text::{Place, Text, words},
};

/// The text audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// What the text was read from; `null` if it can't be read.
    pub source: Option<&'static str>,
    /// Why it can't be read; empty if it can.
    pub why: String,
    /// The functions; of each name at least one.
    pub functions: Vec<Function>,
    /// The order of two accesses in `switch_mm_irqs_off`.
    pub loaded_mm_switching: Switching,
    /// Whether a system call's way back to user mode serializes.
    pub syscall_exit: SyscallExit,
}

/// A function of the running kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Function {
    /// The C function.
    pub name: &'static str,
    /// The symbol, with the compiler's suffixes; `null` if there is none.
    pub symbol: Option<String>,
    /// Where it begins. Not in any report: it would tell where the kernel was loaded.
    #[serde(skip)]
    pub address: Option<u64>,
    /// In bytes, padding included.
    pub size: Option<u64>,
    /// Whether it serializes.
    pub outcome: Outcome,
    /// Why that is not known; empty otherwise.
    pub why: String,
    /// What the model is told.
    pub promise: Promise,
    /// The serializing instructions.
    pub sites: Vec<Site>,
    /// The branches that decide whether control comes to one of them.
    pub guards: Vec<Guard>,
    /// Instructions that serialize on some CPUs only, or for some operands: not counted.
    pub not_counted: Vec<Doubtful>,
}

/// A serializing instruction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Site {
    /// Where it is in the function, or where the call is that leads to it: bytes from `symbol`.
    pub offset: u64,
    /// The symbol that the offset counts from; another one in a cold part.
    pub symbol: String,
    /// The instruction, in Intel's syntax.
    pub instruction: String,
    /// The place in a callee where it stands; `null` if it stands in the function itself.
    pub via: Option<String>,
    /// Paths through the function exist that don't meet it.
    pub conditional: bool,
    /// The symbol that `probe_offset` counts from; `null` if no kprobe can sit there.
    pub probe_symbol: Option<String>,
    /// Where a kprobe can sit: whenever it is hit, the core serializes next.
    pub probe_offset: Option<u64>,
}

/// An instruction that is not counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Doubtful {
    /// Bytes from `symbol`.
    pub offset: u64,
    /// The symbol that the offset counts from.
    pub symbol: String,
    /// The instruction, in Intel's syntax.
    pub instruction: String,
}

/// What may be held of a function's serialization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Promise {
    /// The text can't be read: the source's word is all there is.
    Assumed,
    /// The text has it, on every path on which the source promises it.
    Audited,
    /// The text has none.
    Never,
    /// The text has it, under conditions that are not the source's. Neither that it serialized nor
    /// that it didn't may be concluded; a probe on the instruction can tell.
    Undecided,
}

/// A place for an instruction probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncSite {
    /// The audited function.
    pub function: &'static str,
    /// The symbol to give the kprobe.
    pub symbol: String,
    /// The offset to give it.
    pub offset: u64,
}

impl Function {
    pub(super) fn unreadable(name: &'static str, why: impl Into<String>) -> Self {
        Self {
            name,
            symbol: None,
            address: None,
            size: None,
            outcome: Outcome::Unreadable,
            why: why.into(),
            promise: Promise::Assumed,
            sites: Vec::new(),
            guards: Vec::new(),
            not_counted: Vec::new(),
        }
    }
}

/// The sites of a function for the report, those in callees included.
pub(super) fn sites(text: &Text<'_>, examined: &Examined) -> Vec<Site> {
    let mut sites = Vec::new();
    for found in &examined.sites {
        let node = &examined.graph.nodes[found.node];
        let at = text.place(node.address());
        for leaf in leaves(text, examined, found) {
            sites.push(Site {
                offset: at.offset,
                symbol: at.symbol.clone(),
                instruction: leaf.instruction,
                via: leaf.via.map(|place| place.to_string()),
                conditional: found.conditional,
                probe_symbol: leaf.probe.as_ref().map(|place| place.symbol.clone()),
                probe_offset: leaf.probe.map(|place| place.offset),
            });
        }
    }
    sites
}

/// A serializing instruction at the end of a chain of calls.
struct Leaf {
    instruction: String,
    via: Option<Place>,
    probe: Option<Place>,
}

/// What a site comes down to: itself; or what its callee has, of which one stands for all if the
/// callee always serializes, so that the call itself tells.
fn leaves(text: &Text<'_>, examined: &Examined, found: &Found) -> Vec<Leaf> {
    let node = &examined.graph.nodes[found.node];
    let here = |node: usize| text.place(examined.graph.nodes[node].address());
    let Some(callee) = &found.callee else {
        return vec![Leaf {
            instruction: words(&node.instruction),
            via: None,
            probe: probe_place(&examined.graph, found.node).map(here),
        }];
    };
    let mut inner = Vec::new();
    for found in &callee.sites {
        for mut leaf in leaves(text, callee, found) {
            let own = || text.place(callee.graph.nodes[found.node].address());
            leaf.via = Some(leaf.via.unwrap_or_else(own));
            inner.push(leaf);
        }
    }
    if found.certain {
        inner.truncate(1);
        for leaf in &mut inner {
            leaf.probe = Some(here(found.node));
        }
    }
    inner
}

/// The instructions that are not counted.
pub(super) fn not_counted(text: &Text<'_>, examined: &Examined) -> Vec<Doubtful> {
    let mut nodes: Vec<_> =
        examined.doubtful.iter().map(|&node| &examined.graph.nodes[node]).collect();
    nodes.sort_by_key(|node| node.address());
    let doubtful = nodes.into_iter().map(|node| {
        let Place { symbol, offset } = text.place(node.address());
        Doubtful { offset, symbol, instruction: words(&node.instruction) }
    });
    doubtful.collect()
}

impl Audit {
    /// `finish_task_switch`, which serializes as a thread comes back from a kernel thread. If the
    /// compiler made several of it, the one that promises least.
    pub fn finish_task_switch(&self) -> Option<&Function> {
        self.function(super::FINISH_TASK_SWITCH)
    }

    /// `ipi_sync_core`, which serializes by order of `membarrier`.
    pub fn ipi_sync_core(&self) -> Option<&Function> {
        self.function(super::IPI_SYNC_CORE)
    }

    /// `switch_mm_irqs_off`, which writes CR3 where it has to.
    pub fn switch_mm_irqs_off(&self) -> Option<&Function> {
        self.function(super::SWITCH_MM)
    }

    fn function(&self, name: &str) -> Option<&Function> {
        self.functions.iter().filter(|function| function.name == name).max_by_key(|function| {
            match function.promise {
                Promise::Audited => 0,
                Promise::Assumed => 1,
                Promise::Undecided => 2,
                Promise::Never => 3,
            }
        })
    }

    /// What may be held of a function; [`Promise::Assumed`] for one that was not audited.
    pub fn promise(&self, name: &str) -> Promise {
        self.function(name).map_or(Promise::Assumed, |function| function.promise)
    }

    /// Whether a probe can sit on every serializing instruction of a function, so that none of them
    /// goes unseen.
    pub fn can_probe(&self, name: &str) -> bool {
        self.functions
            .iter()
            .filter(|function| function.name == name)
            .all(|function| function.sites.iter().all(|site| site.probe_offset.is_some()))
    }

    /// Where instruction probes can sit, of all functions.
    pub fn sync_sites(&self) -> Vec<SyncSite> {
        let of = |function: &Function| {
            let name = function.name;
            let places = function.sites.iter().filter_map(move |site| {
                let (symbol, offset) = (site.probe_symbol.clone()?, site.probe_offset?);
                Some(SyncSite { function: name, symbol, offset })
            });
            places.collect::<Vec<_>>()
        };
        let mut sites: Vec<_> = self.functions.iter().flat_map(of).collect();
        let mut seen = std::collections::HashSet::new();
        sites.retain(|site| seen.insert((site.function, site.symbol.clone(), site.offset)));
        sites
    }
}
