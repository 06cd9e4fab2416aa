//! On what a conditional serialization depends: the branches that decide whether control comes to it.

use iced_x86::ConditionCode;
use serde::Serialize;

use super::{
    examine::Examined,
    graph::Graph,
    values::{self, Flags, State, Value},
};

/// `include/linux/sched/mm.h:MEMBARRIER_STATE_PRIVATE_EXPEDITED_SYNC_CORE`.
const SYNC_CORE: u64 = 1 << 5;

/// Offsets of the members that the source tests before `sync_core_before_usermode`
/// (`include/linux/sched/mm.h:membarrier_mm_sync_core_before_usermode`); `None` if unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tested {
    /// `struct rq`: `prev_mm`.
    pub prev_mm: Option<i64>,
    /// `struct task_struct`: `mm`.
    pub mm: Option<i64>,
    /// `struct mm_struct`: `membarrier_state`.
    pub membarrier_state: Option<i64>,
}

/// What a branch must find for control to come to the instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// `rq->prev_mm` is set: the previous task had no mm.
    PrevMm,
    /// `current->mm` is that mm.
    SameMm,
    /// The mm is registered for `SYNC_CORE`.
    Registered,
    /// Something else, or one of these the other way round.
    Other,
}

/// A branch that decides whether control comes to an instruction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Guard {
    /// Its offset in the function.
    pub offset: u64,
    /// What it must find.
    pub condition: Condition,
}

/// The branches that decide whether control comes to one of `sites`: one way leads there, the other
/// doesn't.
pub(super) fn guards(
    graph: &Graph,
    states: &[Option<State>],
    tested: Tested,
    sites: &[usize],
) -> Vec<Guard> {
    let reaches = reaches(graph, sites);
    let start = graph.nodes.first().map_or(0, super::graph::Node::address);
    let mut guards = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        let Some(ways) = graph.ways(index) else { continue };
        let leads = |way: Option<usize>| way.is_some_and(|way| reaches[way]);
        let taken = leads(ways.taken);
        if sites.contains(&index) || taken == leads(ways.straight) {
            continue;
        }
        let flags = states[index].as_ref().and_then(|state| state.flags);
        let code = node.instruction.condition_code();
        let condition =
            flags.map_or(Condition::Other, |flags| condition(flags, code, taken, tested));
        guards.push(Guard { offset: node.address().wrapping_sub(start), condition });
    }
    guards.sort_by_key(|guard| guard.offset);
    guards
}

/// Whether the function serializes on nothing but the source's conditions.
///
/// One such site is enough; or all together, for a feature test may choose between two that are
/// each conditional on it. Where the compiler made a function of its own of what the source inlines,
/// some of the conditions may stand there.
pub(super) fn as_in_source(examined: &Examined, states: &[Option<State>], tested: Tested) -> bool {
    let graph = &examined.graph;
    let expected = |sites: &[usize]| {
        let guards = guards(graph, states, tested, sites);
        (!guards.iter().any(|guard| guard.condition == Condition::Other)).then_some(guards.len())
    };
    let some = |sites: &[usize]| expected(sites).is_some_and(|guards| guards > 0);
    some(&examined.certain())
        || examined.sites.iter().any(|site| match &site.callee {
            Some(callee) if !site.certain => {
                expected(&[site.node]).is_some()
                    && as_in_source(callee, &values::states(&callee.graph), tested)
            }
            _ => some(&[site.node]),
        })
}

/// Every node from which control can come to one of `sites`.
fn reaches(graph: &Graph, sites: &[usize]) -> Vec<bool> {
    let mut reaches = vec![false; graph.nodes.len()];
    let mut todo = sites.to_vec();
    while let Some(node) = todo.pop() {
        if !std::mem::replace(&mut reaches[node], true) {
            todo.extend(&graph.nodes[node].previous);
        }
    }
    reaches
}

fn condition(flags: Flags, code: ConditionCode, taken: bool, tested: Tested) -> Condition {
    // Whether the two were found equal, or the masked bits zero.
    let zero = match code {
        ConditionCode::e => taken,
        ConditionCode::ne => !taken,
        _ => return Condition::Other,
    };
    let member = |value: Value, offset: Option<i64>| match value {
        Value::Member(_, found) => Some(found) == offset,
        _ => false,
    };
    let Flags { left, right, mask } = flags;
    let either = |offset| member(left, offset) || member(right, offset);
    let against = |number| [left, right].contains(&Value::Number(number));
    let itself = mask && left == right;
    if !zero && mask && either(tested.membarrier_state) && against(SYNC_CORE) {
        Condition::Registered
    } else if !zero && either(tested.prev_mm) && (itself || !mask && against(0)) {
        Condition::PrevMm
    } else if zero && !mask && either(tested.mm) && !against(0) {
        Condition::SameMm
    } else {
        Condition::Other
    }
}
