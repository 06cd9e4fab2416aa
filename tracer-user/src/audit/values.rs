//! What registers and stack slots hold, as far as a function's text tells: constants, arguments,
//! per-CPU variables, struct members.
//!
//! An abstract interpretation over the graph. Where ways meet with different values, the value is
//! unknown; so what is known holds on every path.

use std::collections::BTreeMap;

use iced_x86::{
    Code, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register,
};

use super::graph::Graph;

/// Registers that a callee may change (the System V ABI).
const CLOBBERED: [Register; 9] = [
    Register::RAX,
    Register::RCX,
    Register::RDX,
    Register::RSI,
    Register::RDI,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::R11,
];

/// What is known of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing.
    Unknown,
    /// A constant.
    Number(u64),
    /// What a register held as the function began, plus a constant.
    Entry(Register, i64),
    /// Loaded from a per-CPU variable, at this `%gs:` address.
    PerCpu(u64),
    /// Loaded from memory: this far behind what a register held as the function began, or, if it
    /// stems from elsewhere, behind some pointer.
    Member(Option<Register>, i64),
}

/// What the flags tell: two values were compared (`CMP`, `SUB`) or masked with each other (`TEST`,
/// `AND`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) left: Value,
    pub(super) right: Value,
    pub(super) mask: bool,
}

/// All that is known before an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    registers: [Value; 16],
    /// By distance from the stack pointer at the entry.
    stack: BTreeMap<i64, Value>,
    pub(super) flags: Option<Flags>,
}

/// Where an operand is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Unknown,
    PerCpu(u64),
    Stack(i64),
    Member(Option<Register>, i64),
}

/// The state before every node; `None` where control can't come.
pub(super) fn states(graph: &Graph) -> Vec<Option<State>> {
    let mut states: Vec<Option<State>> = vec![None; graph.nodes.len()];
    if let Some(first) = states.first_mut() {
        *first = Some(State::entry());
    }
    let mut info = InstructionInfoFactory::new();
    let mut todo = vec![0];
    while let Some(index) = todo.pop() {
        let Some(mut state) = states.get(index).cloned().flatten() else { continue };
        let node = &graph.nodes[index];
        state.apply(&node.instruction, is_ftrace_site(graph, index), &mut info);
        for &next in &node.next {
            let changed = match &mut states[next] {
                Some(known) => known.join(&state),
                unknown => {
                    *unknown = Some(state.clone());
                    true
                }
            };
            if changed {
                todo.push(next);
            }
        }
    }
    states
}

/// Whether a node is the function's first instruction, or the first behind its ENDBR: there ftrace
/// puts its call, which preserves every register.
pub(super) fn is_ftrace_site(graph: &Graph, index: usize) -> bool {
    index == 0
        || graph.nodes[index].previous == [0] && graph.nodes[0].instruction.code() == Code::Endbr64
}

impl State {
    fn entry() -> Self {
        let mut state =
            Self { registers: [Value::Unknown; 16], stack: BTreeMap::new(), flags: None };
        for (index, value) in state.registers.iter_mut().enumerate() {
            *value = Value::Entry(Register::RAX + index as u32, 0);
        }
        state
    }

    /// Keeps what both agree on. True if something was lost.
    fn join(&mut self, other: &Self) -> bool {
        let before = self.clone();
        for (mine, theirs) in self.registers.iter_mut().zip(&other.registers) {
            if mine != theirs {
                *mine = Value::Unknown;
            }
        }
        self.stack.retain(|slot, value| other.stack.get(slot) == Some(value));
        if self.flags != other.flags {
            self.flags = None;
        }
        *self != before
    }

    pub(super) fn register(&self, register: Register) -> Value {
        let full = register.full_register();
        if register.size() < 4 || !full.is_gpr64() {
            // Part of a member is part of that member still: flags are tested that way.
            return match self.registers.get(full.number()) {
                Some(value @ Value::Member(..)) if full.is_gpr64() => *value,
                _ => Value::Unknown,
            };
        }
        let value = self.registers.get(full.number()).copied().unwrap_or(Value::Unknown);
        match value {
            Value::Number(number) if register.size() == 4 => {
                Value::Number(u64::from(number as u32))
            }
            _ => value,
        }
    }

    fn set(&mut self, register: Register, value: Value) {
        let full = register.full_register();
        if !full.is_gpr64() {
            return;
        }
        let value = match value {
            value if register.size() == 8 => value,
            Value::Number(number) if register.size() == 4 => {
                Value::Number(u64::from(number as u32))
            }
            // Half a pointer is none; half a member is tested as that member.
            Value::Member(..) => value,
            _ => Value::Unknown,
        };
        if let Some(slot) = self.registers.get_mut(full.number()) {
            *slot = value;
        }
    }

    /// Where the instruction's memory operand is.
    pub(super) fn address(&self, instruction: &Instruction) -> Address {
        let base = instruction.memory_base();
        let displacement = instruction.memory_displacement64();
        if instruction.memory_index() != Register::None {
            return Address::Unknown;
        }
        let per_cpu = instruction.memory_segment() == Register::GS;
        match (base, per_cpu) {
            // iced gives the target's address for an address relative to RIP.
            (Register::None | Register::RIP, true) => Address::PerCpu(displacement),
            (Register::None | Register::RIP, false) => Address::Unknown,
            (_, true) => match self.register(base) {
                Value::Number(number) => Address::PerCpu(number.wrapping_add(displacement)),
                _ => Address::Unknown,
            },
            (_, false) => match self.register(base) {
                Value::Entry(Register::RSP, offset) => {
                    Address::Stack(offset.wrapping_add(displacement as i64))
                }
                Value::Entry(register, offset) => {
                    Address::Member(Some(register), offset.wrapping_add(displacement as i64))
                }
                Value::Number(_) => Address::Unknown,
                _ => Address::Member(None, displacement as i64),
            },
        }
    }

    fn load(&self, address: Address) -> Value {
        match address {
            Address::Unknown => Value::Unknown,
            Address::PerCpu(at) => Value::PerCpu(at),
            Address::Stack(slot) => self.stack.get(&slot).copied().unwrap_or(Value::Unknown),
            Address::Member(register, offset) => Value::Member(register, offset),
        }
    }

    /// An operand's value; it is read.
    pub(super) fn operand(&self, instruction: &Instruction, operand: u32) -> Value {
        match instruction.op_kind(operand) {
            OpKind::Register => self.register(instruction.op_register(operand)),
            OpKind::Memory => self.load(self.address(instruction)),
            OpKind::Immediate8
            | OpKind::Immediate16
            | OpKind::Immediate32
            | OpKind::Immediate64
            | OpKind::Immediate8to16
            | OpKind::Immediate8to32
            | OpKind::Immediate8to64
            | OpKind::Immediate32to64 => Value::Number(instruction.immediate(operand)),
            _ => Value::Unknown,
        }
    }

    /// What holds after the instruction.
    fn apply(
        &mut self,
        instruction: &Instruction,
        ftrace_site: bool,
        info: &mut InstructionInfoFactory,
    ) {
        let flow = instruction.flow_control();
        if matches!(flow, FlowControl::Call | FlowControl::IndirectCall) {
            if !ftrace_site {
                for register in CLOBBERED {
                    self.set(register, Value::Unknown);
                }
                self.flags = None;
            }
            return;
        }
        let flags = self.compared(instruction);
        if !self.moved(instruction) {
            self.forget(instruction, info);
        }
        if flags.is_some() || instruction.rflags_modified() != 0 {
            self.flags = flags;
        }
    }

    /// What the instruction compares, if that is what its flags tell.
    fn compared(&self, instruction: &Instruction) -> Option<Flags> {
        let mask = match instruction.mnemonic() {
            Mnemonic::Cmp | Mnemonic::Sub => false,
            Mnemonic::Test | Mnemonic::And => true,
            _ => return None,
        };
        let left = self.operand(instruction, 0);
        Some(Flags { left, right: self.operand(instruction, 1), mask })
    }

    /// Carries out an instruction that moves or adds whole values. False if it is another kind.
    fn moved(&mut self, instruction: &Instruction) -> bool {
        let to_register = instruction.op_count() > 0
            && instruction.op0_kind() == OpKind::Register
            && instruction.op0_register().is_gpr();
        let to = instruction.op0_register();
        match instruction.mnemonic() {
            Mnemonic::Mov | Mnemonic::Movzx | Mnemonic::Movsx | Mnemonic::Movsxd if to_register => {
                let extends = instruction.mnemonic() != Mnemonic::Mov;
                match self.operand(instruction, 1) {
                    value @ (Value::Member(..) | Value::PerCpu(_)) => self.set(to, value),
                    value if !extends => self.set(to, value),
                    _ => self.set(to, Value::Unknown),
                }
            }
            Mnemonic::Mov if instruction.op0_kind() == OpKind::Memory => {
                let value = self.operand(instruction, 1);
                if let Address::Stack(slot) = self.address(instruction) {
                    self.store(slot, instruction.memory_size().size(), value);
                }
            }
            Mnemonic::Lea => {
                let value = match self.address(instruction) {
                    Address::Stack(offset) => Value::Entry(Register::RSP, offset),
                    Address::Member(Some(register), offset) => Value::Entry(register, offset),
                    _ => Value::Unknown,
                };
                self.set(to, value);
            }
            Mnemonic::Add | Mnemonic::Sub if to_register => {
                let Value::Number(by) = self.operand(instruction, 1) else { return false };
                let by =
                    if instruction.mnemonic() == Mnemonic::Sub { by.wrapping_neg() } else { by };
                let value = match self.register(to) {
                    Value::Entry(register, offset) => {
                        Value::Entry(register, offset.wrapping_add(by as i64))
                    }
                    Value::Number(number) => Value::Number(number.wrapping_add(by)),
                    _ => Value::Unknown,
                };
                self.set(to, value);
            }
            Mnemonic::Xor if to_register && instruction.op1_kind() == OpKind::Register => {
                if instruction.op1_register() != to || to.size() < 4 {
                    return false;
                }
                self.set(to, Value::Number(0));
            }
            Mnemonic::Push => {
                let value = self.operand(instruction, 0);
                self.move_stack_pointer(-8);
                if let Some(top) = self.top() {
                    self.store(top, 8, value);
                }
            }
            Mnemonic::Pop if to_register => {
                let value = self.top().map_or(Value::Unknown, |top| self.load(Address::Stack(top)));
                self.move_stack_pointer(8);
                self.set(to, value);
            }
            Mnemonic::Cmp | Mnemonic::Test => {}
            _ => return false,
        }
        true
    }

    /// Forgets what an instruction of any other kind changes.
    fn forget(&mut self, instruction: &Instruction, info: &mut InstructionInfoFactory) {
        let address = self.address(instruction);
        let used = info.info(instruction);
        for memory in used.used_memory().iter().filter(|memory| writes(memory.access())) {
            if let Address::Stack(slot) = address {
                self.store(slot, memory.memory_size().size(), Value::Unknown);
            }
        }
        for register in used.used_registers().iter().filter(|register| writes(register.access())) {
            // Whatever part of it.
            self.set(register.register().full_register(), Value::Unknown);
        }
    }

    fn store(&mut self, slot: i64, bytes: usize, value: Value) {
        let end = slot.wrapping_add(bytes.max(1) as i64);
        self.stack.retain(|&other, _| other.wrapping_add(8) <= slot || end <= other);
        if bytes == 8 && value != Value::Unknown {
            self.stack.insert(slot, value);
        }
    }

    fn move_stack_pointer(&mut self, by: i64) {
        let value = match self.register(Register::RSP) {
            Value::Entry(register, offset) => Value::Entry(register, offset.wrapping_add(by)),
            _ => Value::Unknown,
        };
        self.set(Register::RSP, value);
    }

    /// The slot that the stack pointer points to.
    fn top(&self) -> Option<i64> {
        match self.register(Register::RSP) {
            Value::Entry(Register::RSP, offset) => Some(offset),
            _ => None,
        }
    }
}

fn writes(access: OpAccess) -> bool {
    matches!(
        access,
        OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
    )
}
