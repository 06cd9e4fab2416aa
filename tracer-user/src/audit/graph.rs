//! A function's reachable instructions, and the ways from each to the next.
//!
//! Reachable is what control can come to from the entry: both ways of a conditional branch, the
//! live way of a patched one, the cold part that the compiler moved away, what follows a call or a
//! warning's trap. Callees are not part of it.

use std::{collections::HashMap, io};

use iced_x86::{FlowControl, Instruction, Mnemonic, OpKind};

use super::{serializing::is_iret, text::Text};
use crate::kernel::{TextSymbol, is_cold};

/// The most instructions that a function is taken to have; the largest here has under a thousand.
const MAX_INSTRUCTIONS: usize = 20_000;

/// Functions that never return (`tools/objtool/noreturns.h` has them all; these are the ones that
/// compilers put into any function).
const NO_RETURN: &[&str] = &[
    "__stack_chk_fail",
    "__fortify_panic",
    "fortify_panic",
    "panic",
    "__ubsan_handle_builtin_unreachable",
    "do_exit",
    "make_task_dead",
    "do_task_dead",
];

/// What stands where another's kprobe sits, or where text is being patched just now.
pub(super) const INT3: &str = "an INT3 (a kprobe, or text being patched)";

/// Why control leaves the function, or can't be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It returns to its caller.
    Return,
    /// It jumps to another function, which then returns to the caller.
    Tail(u64),
    /// Nothing comes after: a trap that does not come back.
    Stop,
    /// Where it goes, or what stands there, is unknown.
    Unknown(&'static str),
}

/// An instruction.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) instruction: Instruction,
    /// The nodes that may come next.
    pub(super) next: Vec<usize>,
    /// The ways out.
    pub(super) ends: Vec<End>,
    /// The nodes that may come before.
    pub(super) previous: Vec<usize>,
}

impl Node {
    pub(super) fn address(&self) -> u64 {
        self.instruction.ip()
    }

    /// The function called directly.
    pub(super) fn callee(&self) -> Option<u64> {
        let call = self.instruction.flow_control() == FlowControl::Call
            && self.instruction.op0_kind() == OpKind::NearBranch64;
        call.then(|| self.instruction.near_branch_target())
    }
}

/// Where a conditional branch goes; `None` where control leaves the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ways {
    pub(super) taken: Option<usize>,
    pub(super) straight: Option<usize>,
}

/// The instructions of one function, the entry first.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
}

/// Why there is no graph.
#[derive(Debug, thiserror::Error)]
pub(super) enum GraphError {
    #[error("can't read its text: {0}")]
    Read(#[from] io::Error),
    #[error("it has more than {MAX_INSTRUCTIONS} instructions")]
    TooLarge,
}

impl Graph {
    /// Follows control from the function's entry.
    pub(super) fn explore(text: &Text<'_>, function: &TextSymbol<'_>) -> Result<Self, GraphError> {
        let mut explorer =
            Explorer { text, function, nodes: Vec::new(), known: HashMap::new(), todo: Vec::new() };
        explorer.node(function.address)?;
        while let Some(index) = explorer.todo.pop() {
            explorer.follow(index)?;
        }
        let mut nodes = explorer.nodes;
        for index in 0..nodes.len() {
            for next in nodes[index].next.clone() {
                nodes[next].previous.push(index);
            }
        }
        Ok(Self { nodes })
    }

    /// Where a node goes, if it is a conditional branch.
    pub(super) fn ways(&self, index: usize) -> Option<Ways> {
        let node = &self.nodes[index];
        let instruction = &node.instruction;
        (instruction.flow_control() == FlowControl::ConditionalBranch).then(|| {
            let at = |address| {
                node.next.iter().copied().find(|&next| self.nodes[next].address() == address)
            };
            Ways {
                taken: at(instruction.near_branch_target()),
                straight: at(instruction.next_ip()),
            }
        })
    }

    /// The nodes that control can come to from `from` without passing one that `stop` holds for.
    /// Those it stops at are not among them.
    pub(super) fn reach(
        &self,
        from: impl IntoIterator<Item = usize>,
        stop: impl Fn(usize) -> bool,
    ) -> Vec<bool> {
        let mut reached = vec![false; self.nodes.len()];
        let mut todo: Vec<usize> = from.into_iter().collect();
        while let Some(index) = todo.pop() {
            if stop(index) || std::mem::replace(&mut reached[index], true) {
                continue;
            }
            todo.extend(&self.nodes[index].next);
        }
        reached
    }
}

struct Explorer<'a, 't> {
    text: &'a Text<'t>,
    function: &'a TextSymbol<'a>,
    nodes: Vec<Node>,
    known: HashMap<u64, usize>,
    todo: Vec<usize>,
}

impl Explorer<'_, '_> {
    /// The node of the instruction at an address, read if it is new.
    fn node(&mut self, address: u64) -> Result<usize, GraphError> {
        if let Some(&index) = self.known.get(&address) {
            return Ok(index);
        }
        if self.nodes.len() == MAX_INSTRUCTIONS {
            return Err(GraphError::TooLarge);
        }
        let instruction = self.text.instruction(address)?;
        let index = self.nodes.len();
        self.nodes.push(Node {
            instruction,
            next: Vec::new(),
            ends: Vec::new(),
            previous: Vec::new(),
        });
        self.known.insert(address, index);
        self.todo.push(index);
        Ok(index)
    }

    fn follow(&mut self, index: usize) -> Result<(), GraphError> {
        let instruction = self.nodes[index].instruction;
        let after = instruction.next_ip();
        if instruction.is_invalid() {
            self.end(index, End::Unknown("bytes that are no instruction"));
            return Ok(());
        }
        match instruction.flow_control() {
            FlowControl::Next | FlowControl::IndirectCall => self.step(index, after),
            FlowControl::Call => {
                if self.returns(&instruction) {
                    self.step(index, after)
                } else {
                    self.end(index, End::Stop);
                    Ok(())
                }
            }
            FlowControl::UnconditionalBranch => self.jump(index, instruction.near_branch_target()),
            FlowControl::ConditionalBranch => {
                self.jump(index, instruction.near_branch_target())?;
                self.step(index, after)
            }
            // `iret_to_self` goes on behind itself; C code has no other IRET.
            FlowControl::Return if is_iret(&instruction) => self.step(index, after),
            FlowControl::Return => {
                self.end(index, End::Return);
                Ok(())
            }
            FlowControl::IndirectBranch => {
                self.end(index, End::Unknown("an indirect jump"));
                Ok(())
            }
            // WARN traps and comes back behind its UD2 (arch/x86/kernel/traps.c:handle_bug); BUG
            // doesn't, and what stands behind it is other code or padding. To take both for WARN
            // can only add ways.
            FlowControl::Exception if instruction.mnemonic() == Mnemonic::Ud2 => {
                let inside = self.function.contains(after)
                    || self.text.symbol(after).is_some_and(|part| self.is_part(&part));
                let padding = self
                    .text
                    .instruction(after)
                    .is_ok_and(|next| next.is_invalid() || next.mnemonic() == Mnemonic::Int3);
                if inside && !padding {
                    return self.step(index, after);
                }
                self.end(index, End::Stop);
                Ok(())
            }
            FlowControl::Exception => {
                self.end(index, End::Stop);
                Ok(())
            }
            FlowControl::Interrupt if instruction.mnemonic() == Mnemonic::Int3 => {
                self.end(index, End::Unknown(INT3));
                Ok(())
            }
            FlowControl::Interrupt | FlowControl::XbeginXabortXend => {
                self.end(index, End::Unknown("an instruction with ways of its own"));
                Ok(())
            }
        }
    }

    fn step(&mut self, from: usize, to: u64) -> Result<(), GraphError> {
        let to = self.node(to)?;
        self.nodes[from].next.push(to);
        Ok(())
    }

    /// Jumps: within the function, into its cold part, or somewhere else.
    fn jump(&mut self, from: usize, to: u64) -> Result<(), GraphError> {
        let entered = if self.function.contains(to) { None } else { self.text.entered(to) };
        match entered.filter(|symbol| !self.is_part(symbol)) {
            Some(symbol) => {
                let end = if symbol.name.ends_with("_return_thunk") {
                    End::Return
                } else if symbol.name.contains("_indirect_") {
                    End::Unknown("an indirect jump")
                } else {
                    End::Tail(symbol.address)
                };
                self.end(from, end);
                Ok(())
            }
            // Not the start of anything: code of this function that stands elsewhere, as the
            // not yet patched feature tests in .altinstr_aux do.
            None => self.step(from, to),
        }
    }

    fn end(&mut self, index: usize, end: End) {
        self.nodes[index].ends.push(end);
    }

    /// Whether a symbol is the cold part of this function.
    fn is_part(&self, symbol: &TextSymbol<'_>) -> bool {
        let base = |name: &str| name.split('.').next().map(str::to_owned);
        symbol.address == self.function.address
            || (is_cold(symbol.name) && base(symbol.name) == base(self.function.name))
    }

    fn returns(&self, call: &Instruction) -> bool {
        let entered = self.text.entered(call.near_branch_target());
        !entered.is_some_and(|symbol| NO_RETURN.contains(&symbol.name))
    }
}
