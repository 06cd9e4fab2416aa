//! Where a kprobe can sit so that being hit means that the core is about to serialize.
//!
//! An IRET can't be probed itself ("in-kernel IRET is not supported",
//! `arch/x86/kernel/kprobes/core.c:prepare_emulation`); then an instruction before it is taken, from
//! which control can only come to it. Most others can be probed themselves.

use iced_x86::{FlowControl, Mnemonic, OpKind, Register};

use super::{
    graph::{Graph, Node},
    serializing::is_iret,
    values::is_ftrace_site,
};

/// The node to probe for a serializing one.
pub(super) fn probe_place(graph: &Graph, site: usize) -> Option<usize> {
    if !is_iret(&graph.nodes[site].instruction) {
        return Some(site);
    }
    let mut at = site;
    loop {
        // The only way to `at`: a single node, that leads nowhere else.
        let [before] = graph.nodes[at].previous[..] else { return None };
        let node = &graph.nodes[before];
        let straight = node.next == [at]
            && node.ends.is_empty()
            && node.instruction.flow_control() == FlowControl::Next;
        // The entry has ways into it that the graph doesn't show, and ftrace's call on it.
        if !straight || is_ftrace_site(graph, before) {
            return None;
        }
        if is_plain(node) {
            return Some(before);
        }
        at = before;
    }
}

/// An instruction that is executed out of line just as it is in place: no segment register, no
/// flags, no NOP (which may be a jump label, that kprobes refuse).
fn is_plain(node: &Node) -> bool {
    let instruction = &node.instruction;
    let general = (0..instruction.op_count()).all(|operand| match instruction.op_kind(operand) {
        OpKind::Register => instruction.op_register(operand).is_gpr(),
        OpKind::Memory => {
            !instruction.is_ip_rel_memory_operand()
                && matches!(instruction.memory_segment(), Register::DS | Register::SS)
        }
        _ => true,
    });
    general
        && matches!(
            instruction.mnemonic(),
            Mnemonic::Push | Mnemonic::Mov | Mnemonic::Lea | Mnemonic::Add | Mnemonic::Sub
        )
}
