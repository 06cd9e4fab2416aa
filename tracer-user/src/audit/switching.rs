//! Whether `switch_mm_irqs_off` says that it is switching before it reads the generation.
//!
//! `arch/x86/mm/tlb.c:switch_mm_irqs_off` stores `LOADED_MM_SWITCHING` in `cpu_tlbstate.loaded_mm`
//! and then reads `next->context.tlb_gen`. In the other order a flush can come between: it raises
//! the generation too late to be seen here, and still finds the old `loaded_mm`, so this CPU is left
//! out (`should_flush_tlb`) and goes on with entries that were flushed.

use iced_x86::{ConditionCode, InstructionInfoFactory, Mnemonic, OpAccess, Register};
use serde::Serialize;

use super::{
    examine::Examined,
    graph::{End, Graph},
    values::{Address, Flags, State, Value},
};

/// `arch/x86/include/asm/tlbflush.h:LOADED_MM_SWITCHING`.
const SWITCHING: u64 = 1;

/// The register of the second argument, `next`.
const NEXT: Register = Register::RSI;

/// Where the two are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// The `%gs:` address of `cpu_tlbstate.loaded_mm`. Where symbols don't tell: `None`, and then
    /// it is the per-CPU variable that `next` is compared with.
    pub loaded_mm: Option<u64>,
    /// Bytes from a `struct mm_struct` to its `context.tlb_gen`.
    pub tlb_gen: i64,
}

/// Which comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The store, on every path to a read: as it should be.
    BeforeTlbGen,
    /// The read, at least on one path.
    AfterTlbGen,
    /// One of the two isn't there.
    NotFound,
    /// The text, or where the two fields are, can't be read.
    Unreadable,
}

impl Order {
    /// The word reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BeforeTlbGen => "before_tlb_gen",
            Self::AfterTlbGen => "after_tlb_gen",
            Self::NotFound => "not_found",
            Self::Unreadable => "unreadable",
        }
    }
}

/// The order of the two accesses, for a real switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Switching {
    /// The order.
    pub order: Order,
    /// Why it is not known, or what is missing; empty otherwise.
    pub why: String,
    /// The function that was looked at; `null` if none was.
    pub symbol: Option<String>,
    /// Offsets of the stores of `LOADED_MM_SWITCHING`.
    pub stores: Vec<u64>,
    /// Offsets of the reads of `next->context.tlb_gen` in a switch to another mm.
    pub reads: Vec<u64>,
    /// Offsets of those reads that a path without such a store leads to.
    pub early: Vec<u64>,
    /// Whether a switch to another mm serializes, on every path; `null` if that can't be told.
    pub real_switch_serializes: Option<bool>,
    /// Whether unlazying (`prev == next`, and the CPU was lazy) compares generations, and writes CR3
    /// on every path from one way of that comparison; `null` if that can't be told.
    pub unlazy_checks_tlb_gen: Option<bool>,
}

impl Switching {
    pub(super) fn unreadable(why: impl Into<String>) -> Self {
        Self {
            order: Order::Unreadable,
            why: why.into(),
            symbol: None,
            stores: Vec::new(),
            reads: Vec::new(),
            early: Vec::new(),
            real_switch_serializes: None,
            unlazy_checks_tlb_gen: None,
        }
    }
}

/// How far a path has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// `prev` and `next` were not compared yet.
    Open,
    /// They are the same: unlazying, or nothing to do.
    Same,
    /// They differ: a real switch.
    Different,
}

/// Whether every path to a node in a phase has passed a node of some kind; `None` if no path leads
/// there.
type Passed = [Option<bool>; 3];

/// Finds the order in `switch_mm_irqs_off`.
pub(super) fn order(
    examined: &Examined,
    states: &[Option<State>],
    symbol: &str,
    fields: Fields,
) -> Switching {
    let found = find(examined, states, fields).unwrap_or_else(Switching::unreadable);
    Switching { symbol: Some(symbol.to_owned()), ..found }
}

fn find(
    examined: &Examined,
    states: &[Option<State>],
    fields: Fields,
) -> Result<Switching, String> {
    let graph = &examined.graph;
    let loaded_mm = fields
        .loaded_mm
        .or_else(|| compared_with_next(graph, states))
        .ok_or("next is compared with no per-CPU variable, or with several")?;
    let analysis = Analysis { graph, states, loaded_mm, tlb_gen: fields.tlb_gen };
    let lost = |end: &End| matches!(end, End::Unknown(_));
    if let Some(node) = graph.nodes.iter().position(|node| node.ends.iter().any(lost)) {
        return Err(format!("control can't be followed past +{:#x}", analysis.offset(node)));
    }
    let passed = analysis.passed(|node| analysis.stores_switching(node));
    let in_phase = |phase: Phase| {
        (0..graph.nodes.len()).filter_map({
            let passed = &passed;
            move |node| passed[node][phase as usize].map(|stored| (node, stored))
        })
    };
    if in_phase(Phase::Different).next().is_none() || in_phase(Phase::Same).next().is_none() {
        return Err("no branch that tells prev from next was recognized".to_owned());
    }
    let mut found = Switching::unreadable("");
    for (node, stored) in in_phase(Phase::Different) {
        if analysis.stores_switching(node) {
            found.stores.push(analysis.offset(node));
        }
        if analysis.reads_generation(node) {
            found.reads.push(analysis.offset(node));
            if !stored {
                found.early.push(analysis.offset(node));
            }
        }
    }
    for offsets in [&mut found.stores, &mut found.reads, &mut found.early] {
        offsets.sort_unstable();
    }
    let certain = examined.certain();
    let leaves = |node: usize| graph.nodes[node].ends.iter().any(|end| *end != End::Stop);
    let serialized = analysis.passed(|node| certain.contains(&node));
    found.real_switch_serializes = Some(in_phase(Phase::Different).all(|(node, _)| {
        let before = serialized[node][Phase::Different as usize] == Some(true);
        !leaves(node) || before || certain.contains(&node)
    }));
    // Along the way that was taken because the generations differ, every return comes after a site.
    let flushes = |way: usize| {
        let reached = graph.reach([way], |node| certain.contains(&node));
        !(0..graph.nodes.len()).any(|node| reached[node] && leaves(node))
    };
    found.unlazy_checks_tlb_gen = Some(in_phase(Phase::Same).any(|(node, _)| {
        let ways = graph.ways(node).filter(|_| analysis.compares_generation(node));
        ways.is_some_and(|ways| [ways.taken, ways.straight].into_iter().flatten().any(flushes))
    }));
    (found.order, found.why) = match (found.stores.is_empty(), found.reads.is_empty()) {
        (_, true) => (Order::NotFound, "no read of next->context.tlb_gen".to_owned()),
        (true, _) => (Order::NotFound, "no store of LOADED_MM_SWITCHING".to_owned()),
        _ if found.early.is_empty() => (Order::BeforeTlbGen, String::new()),
        _ => (Order::AfterTlbGen, String::new()),
    };
    Ok(found)
}

/// The per-CPU variable that the function compares with `next`, if it is one.
fn compared_with_next(graph: &Graph, states: &[Option<State>]) -> Option<u64> {
    let mut found = None;
    for (node, state) in states.iter().enumerate() {
        let Some(flags) = state.as_ref().and_then(|state| state.flags) else { continue };
        let ((Value::PerCpu(variable), Value::Entry(NEXT, 0))
        | (Value::Entry(NEXT, 0), Value::PerCpu(variable))) = (flags.left, flags.right)
        else {
            continue;
        };
        if graph.ways(node).is_some() && found.replace(variable).is_some_and(|old| old != variable)
        {
            return None;
        }
    }
    found
}

struct Analysis<'a> {
    graph: &'a Graph,
    states: &'a [Option<State>],
    loaded_mm: u64,
    tlb_gen: i64,
}

impl Analysis<'_> {
    fn start(&self) -> u64 {
        self.graph.nodes.first().map_or(0, super::graph::Node::address)
    }

    fn offset(&self, node: usize) -> u64 {
        self.graph.nodes[node].address().wrapping_sub(self.start())
    }

    /// Carries the phase, and whether a node of a kind was passed, forward along every path, until
    /// nothing changes.
    fn passed(&self, kind: impl Fn(usize) -> bool) -> Vec<Passed> {
        let mut passed: Vec<Passed> = vec![[None; 3]; self.graph.nodes.len()];
        let mut todo = vec![(0, Phase::Open, false)];
        while let Some((node, phase, before)) = todo.pop() {
            let known = &mut passed[node][phase as usize];
            // Passed on all paths: one without is enough to say no.
            let all = known.is_none_or(|known| known) && before;
            if known.replace(all) == Some(all) {
                continue;
            }
            let after = all || kind(node);
            for &next in &self.graph.nodes[node].next {
                if let Some(phase) = self.phase(node, next, phase) {
                    todo.push((next, phase, after));
                }
            }
        }
        passed
    }

    /// The phase after the step from a node to the next; `None` if that step contradicts it.
    fn phase(&self, node: usize, next: usize, phase: Phase) -> Option<Phase> {
        let Some(equal) = self.tells_equal(node, next) else { return Some(phase) };
        match (phase, equal) {
            (Phase::Open | Phase::Same, true) => Some(Phase::Same),
            (Phase::Open | Phase::Different, false) => Some(Phase::Different),
            _ => None,
        }
    }

    /// Whether this step is taken because `prev` and `next` are the same, or because they differ.
    fn tells_equal(&self, node: usize, next: usize) -> Option<bool> {
        let ways = self.graph.ways(node)?;
        if ways.taken == ways.straight {
            return None;
        }
        let flags = self.states[node].as_ref()?.flags.filter(|flags| !flags.mask)?;
        let (prev, mm) = (Value::PerCpu(self.loaded_mm), Value::Entry(NEXT, 0));
        let both = [(prev, mm), (mm, prev)].contains(&(flags.left, flags.right));
        let taken = ways.taken == Some(next);
        match self.graph.nodes[node].instruction.condition_code() {
            ConditionCode::e if both => Some(taken),
            ConditionCode::ne if both => Some(!taken),
            _ => None,
        }
    }

    fn stores_switching(&self, node: usize) -> bool {
        let instruction = &self.graph.nodes[node].instruction;
        self.states[node].as_ref().is_some_and(|state| {
            instruction.mnemonic() == Mnemonic::Mov
                && instruction.op0_kind() == iced_x86::OpKind::Memory
                && state.address(instruction) == Address::PerCpu(self.loaded_mm)
                && state.operand(instruction, 1) == Value::Number(SWITCHING)
        })
    }

    fn reads_generation(&self, node: usize) -> bool {
        let instruction = &self.graph.nodes[node].instruction;
        let here = Address::Member(Some(NEXT), self.tlb_gen);
        self.states[node].as_ref().is_some_and(|state| state.address(instruction) == here)
            && InstructionInfoFactory::new().info(instruction).used_memory().iter().any(|memory| {
                matches!(
                    memory.access(),
                    OpAccess::Read
                        | OpAccess::CondRead
                        | OpAccess::ReadWrite
                        | OpAccess::ReadCondWrite
                )
            })
    }

    /// Whether the flags tell how `next`'s generation compares with something that is no constant.
    /// Where `prev` and `next` are the same, either may stand for both.
    fn compares_generation(&self, node: usize) -> bool {
        let generation = |value: Value| match value {
            Value::Member(Some(NEXT) | None, offset) => offset == self.tlb_gen,
            _ => false,
        };
        let state = self.states[node].as_ref();
        let Some(Flags { left, right, mask: false }) = state.and_then(|state| state.flags) else {
            return false;
        };
        let constant = |value| matches!(value, Value::Number(_));
        (generation(left) || generation(right)) && !constant(left) && !constant(right)
    }
}
