//! Whether `switch_mm_irqs_off` says that it is switching before it reads the generation.
//!
//! `arch/x86/mm/tlb.c:switch_mm_irqs_off` stores `LOADED_MM_SWITCHING` in `cpu_tlbstate.loaded_mm`
//! and then reads `next->context.tlb_gen`. In the other order a flush can come between: it raises
//! the generation too late to be seen here, and still finds the old `loaded_mm`, so this CPU is left
//! out (`should_flush_tlb`) and goes on with entries that were flushed.

use iced_x86::{ConditionCode, InstructionInfoFactory, Mnemonic, OpAccess, Register};
use serde::Serialize;

use super::{
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
    /// The `%gs:` address of `cpu_tlbstate.loaded_mm`.
    pub loaded_mm: u64,
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
    /// Whether unlazying (`prev == next`, and the CPU was lazy) compares `next`'s generation with
    /// another; `null` if that can't be told.
    pub unlazy_compares_tlb_gen: Option<bool>,
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
            unlazy_compares_tlb_gen: None,
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

/// On every path to a node in a phase: was the store passed? `None` if no path leads there.
type Passed = [Option<bool>; 3];

/// Finds the order in the graph of `switch_mm_irqs_off`.
pub(super) fn order(
    graph: &Graph,
    states: &[Option<State>],
    symbol: &str,
    fields: Fields,
) -> Switching {
    let analysis = Analysis { graph, fields, states };
    let mut found = Switching { symbol: Some(symbol.to_owned()), ..Switching::unreadable("") };
    if let Some(node) = graph.nodes.iter().find(|node| {
        node.ends.iter().any(|end| matches!(end, End::Unknown(_)))
    }) {
        let at = node.address().wrapping_sub(analysis.start());
        found.why = format!("control can't be followed past {at:#x}");
        return found;
    }
    let passed = analysis.passed();
    let in_phase = |phase: Phase| {
        (0..graph.nodes.len()).filter_map({
            let passed = &passed;
            move |node| passed[node][phase as usize].map(|stored| (node, stored))
        })
    };
    if in_phase(Phase::Different).next().is_none() || in_phase(Phase::Same).next().is_none() {
        found.why = "no branch that tells prev from next was recognized".to_owned();
        return found;
    }
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
    found.unlazy_compares_tlb_gen =
        Some(in_phase(Phase::Same).any(|(node, _)| analysis.compares_generation(node)));
    (found.order, found.why) = match (found.stores.is_empty(), found.reads.is_empty()) {
        (_, true) => (Order::NotFound, "no read of next->context.tlb_gen".to_owned()),
        (true, _) => (Order::NotFound, "no store of LOADED_MM_SWITCHING".to_owned()),
        _ if found.early.is_empty() => (Order::BeforeTlbGen, String::new()),
        _ => (Order::AfterTlbGen, String::new()),
    };
    found
}

struct Analysis<'a> {
    graph: &'a Graph,
    fields: Fields,
    states: &'a [Option<State>],
}

impl Analysis<'_> {
    fn start(&self) -> u64 {
        self.graph.nodes.first().map_or(0, super::graph::Node::address)
    }

    fn offset(&self, node: usize) -> u64 {
        self.graph.nodes[node].address().wrapping_sub(self.start())
    }

    /// Carries phase and store forward along every path, until nothing changes.
    fn passed(&self) -> Vec<Passed> {
        let mut passed: Vec<Passed> = vec![[None; 3]; self.graph.nodes.len()];
        let mut todo = vec![(0, Phase::Open, false)];
        while let Some((node, phase, stored)) = todo.pop() {
            let known = &mut passed[node][phase as usize];
            // Stored on all paths: one without is enough to say no.
            let all = known.is_none_or(|known| known) && stored;
            if known.replace(all) == Some(all) {
                continue;
            }
            let after = all || self.stores_switching(node);
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
        let (prev, mm) = (Value::PerCpu(self.fields.loaded_mm), Value::Entry(NEXT, 0));
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
                && state.address(instruction) == Address::PerCpu(self.fields.loaded_mm)
                && state.operand(instruction, 1) == Value::Number(SWITCHING)
        })
    }

    fn reads_generation(&self, node: usize) -> bool {
        let instruction = &self.graph.nodes[node].instruction;
        let here = Address::Member(Some(NEXT), self.fields.tlb_gen);
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

    /// A branch on how `next`'s generation compares with something that is no constant. Where
    /// `prev` and `next` are the same, either may stand for both.
    fn compares_generation(&self, node: usize) -> bool {
        let generation = |value: Value| match value {
            Value::Member(Some(NEXT) | None, offset) => offset == self.fields.tlb_gen,
            _ => false,
        };
        let state = self.states[node].as_ref();
        let Some(Flags { left, right, mask: false }) = state.and_then(|state| state.flags) else {
            return false;
        };
        let constant = |value| matches!(value, Value::Number(_));
        self.graph.ways(node).is_some()
            && (generation(left) || generation(right))
            && !constant(left)
            && !constant(right)
    }
}
