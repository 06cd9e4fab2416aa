//! Whether a system call's way back to user mode serializes.
//!
//! No kernel's source promises it on x86; but one that does so pays there what
//! `finish_task_switch` leaves unpaid, and nothing that can be attached to would tell.
//! `arch/x86/entry/common.c:do_syscall_64` is followed backwards from its returns, to the last thing
//! on each path that matters: a serializing instruction, or a place where another thread may run,
//! behind which nothing that was before it counts.

use std::collections::HashSet;

use iced_x86::{FlowControl, Mnemonic};
use serde::Serialize;

use super::{
    graph::{End, Graph},
    serializing::{Class, class},
    text::Text,
    values::is_ftrace_site,
};
use crate::kernel::TextSymbol;

/// `do_syscall_64`, `syscall_exit_to_user_mode`, `exit_to_user_mode_prepare`, and what these call.
const DEPTH: u32 = 3;

/// A system call's way back to user mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SyscallExit {
    /// The function that was looked at; `null` if none was.
    pub symbol: Option<String>,
    /// Whether it serializes on every path, after the last moment at which another thread may run;
    /// `null` if that can't be told. False on every kernel whose source is known.
    pub serializes: Option<bool>,
    /// Why that can't be told; empty otherwise.
    pub why: String,
}

impl SyscallExit {
    pub(super) fn unreadable(why: impl Into<String>) -> Self {
        Self { symbol: None, serializes: None, why: why.into() }
    }
}

/// What the end of a function does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// Serializes, and no other thread can run after that.
    Serializes,
    /// Neither, on some path at least.
    Nothing,
    /// Another thread may run and nothing serializes after that.
    Reschedules,
}

/// Looks at `do_syscall_64`.
pub(super) fn syscall_exit(text: &Text<'_>, function: &TextSymbol<'_>) -> SyscallExit {
    let symbol = Some(function.name.to_owned());
    match Graph::explore(text, function) {
        Ok(graph) => {
            let serializes = effect(text, &graph, DEPTH) == Effect::Serializes;
            SyscallExit { symbol, serializes: Some(serializes), why: String::new() }
        }
        Err(error) => SyscallExit { symbol, ..SyscallExit::unreadable(error.to_string()) },
    }
}

fn effect(text: &Text<'_>, graph: &Graph, depth: u32) -> Effect {
    let mut seen = HashSet::new();
    let mut todo = Vec::new();
    let mut entry = false;
    for (index, node) in graph.nodes.iter().enumerate() {
        for end in &node.ends {
            match end {
                End::Return => todo.push(index),
                End::Tail(target) => match callee(text, *target, depth) {
                    Effect::Serializes => {}
                    Effect::Nothing => todo.push(index),
                    Effect::Reschedules => return Effect::Reschedules,
                },
                End::Unknown(_) => return Effect::Reschedules,
                End::Stop => {}
            }
        }
    }
    while let Some(index) = todo.pop() {
        if !seen.insert(index) {
            continue;
        }
        match at(text, graph, index, depth) {
            Effect::Serializes => continue,
            Effect::Reschedules => return Effect::Reschedules,
            Effect::Nothing => {}
        }
        entry |= index == 0;
        todo.extend(&graph.nodes[index].previous);
    }
    if entry { Effect::Nothing } else { Effect::Serializes }
}

/// What one instruction does.
fn at(text: &Text<'_>, graph: &Graph, index: usize, depth: u32) -> Effect {
    let node = &graph.nodes[index];
    if class(&node.instruction) == Some(Class::Counts) {
        return Effect::Serializes;
    }
    match node.instruction.flow_control() {
        FlowControl::Call | FlowControl::IndirectCall if is_ftrace_site(graph, index) => {
            Effect::Nothing
        }
        FlowControl::Call => match node.callee() {
            Some(target) => callee(text, target, depth),
            None => Effect::Reschedules,
        },
        FlowControl::IndirectCall => Effect::Reschedules,
        // With interrupts on, one may come, and switch on its exit.
        _ => match node.instruction.mnemonic() {
            Mnemonic::Sti | Mnemonic::Popf | Mnemonic::Popfd | Mnemonic::Popfq => {
                Effect::Reschedules
            }
            _ => Effect::Nothing,
        },
    }
}

fn callee(text: &Text<'_>, target: u64, depth: u32) -> Effect {
    let Some(depth) = depth.checked_sub(1) else { return Effect::Reschedules };
    let Some(symbol) = text.entered(target) else { return Effect::Reschedules };
    Graph::explore(text, &symbol).map_or(Effect::Reschedules, |graph| effect(text, &graph, depth))
}
