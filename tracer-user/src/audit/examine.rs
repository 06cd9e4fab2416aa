//! Where a function serializes, and whether it always does.

use std::{collections::HashMap, rc::Rc};

use super::{
    graph::{End, Graph},
    serializing::{Class, class},
    text::Text,
};
use crate::kernel::TextSymbol;

/// How deep direct callees are looked into.
const DEPTH: u32 = 2;

/// What control meets on its way from a function's entry to its return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// A serializing instruction, on every path.
    Always,
    /// One on some paths.
    Conditional,
    /// None on any path.
    None,
    /// The text can't be read, or does not tell.
    Unreadable,
}

/// What is known of a function.
pub(super) struct Examined {
    pub(super) graph: Graph,
    pub(super) outcome: Outcome,
    /// Why the outcome is [`Outcome::Unreadable`]; empty otherwise.
    pub(super) why: String,
    /// By offset.
    pub(super) sites: Vec<Found>,
    /// Nodes whose instruction serializes for some operands, or on some CPUs.
    pub(super) doubtful: Vec<usize>,
}

/// A serializing instruction.
pub(super) struct Found {
    /// The instruction, or the call or jump that leads to it.
    pub(super) node: usize,
    /// For a call or jump: what it leads to.
    pub(super) callee: Option<Rc<Examined>>,
    /// Paths to the return exist that don't meet it.
    pub(super) conditional: bool,
    /// To come to the node is to serialize.
    pub(super) certain: bool,
}

impl Found {
    fn new(graph: &Graph, node: usize, callee: Option<Rc<Examined>>) -> Self {
        // A conditional jump to a function that serializes has another way.
        let certain = callee
            .as_ref()
            .is_none_or(|callee| callee.outcome == Outcome::Always && graph.ways(node).is_none());
        Self { node, callee, conditional: false, certain }
    }
}

impl Examined {
    /// The nodes where to come to is to serialize.
    pub(super) fn certain(&self) -> Vec<usize> {
        self.sites.iter().filter(|site| site.certain).map(|site| site.node).collect()
    }
}

/// Examines functions, each once.
pub(super) struct Examiner<'a, 't> {
    text: &'a Text<'t>,
    callees: HashMap<(u64, u32), Option<Rc<Examined>>>,
    /// The functions that are being examined, each called by the one before.
    within: Vec<u64>,
}

impl<'a, 't> Examiner<'a, 't> {
    pub(super) fn new(text: &'a Text<'t>) -> Self {
        Self { text, callees: HashMap::new(), within: Vec::new() }
    }

    /// As [`new`](Self::new), but what these functions do, by their addresses, does not count.
    pub(super) fn without(text: &'a Text<'t>, functions: Vec<u64>) -> Self {
        Self { within: functions, ..Self::new(text) }
    }

    /// Examines a function that was asked for.
    pub(super) fn examine(&mut self, function: &TextSymbol<'_>) -> Result<Examined, String> {
        self.at_depth(function, DEPTH)
    }

    fn at_depth(&mut self, function: &TextSymbol<'_>, depth: u32) -> Result<Examined, String> {
        self.within.push(function.address);
        let examined = self.explored(function, depth);
        self.within.pop();
        examined
    }

    fn explored(&mut self, function: &TextSymbol<'_>, depth: u32) -> Result<Examined, String> {
        let graph = Graph::explore(self.text, function).map_err(|error| error.to_string())?;
        let mut sites = Vec::new();
        let mut doubtful = Vec::new();
        for (index, node) in graph.nodes.iter().enumerate() {
            match class(&node.instruction) {
                Some(Class::Counts) => {
                    sites.push(Found::new(&graph, index, None));
                }
                Some(Class::Doubtful) => doubtful.push(index),
                None => {}
            }
            let tails = node.ends.iter().filter_map(|end| match end {
                End::Tail(target) => Some(*target),
                _ => None,
            });
            for target in node.callee().into_iter().chain(tails) {
                if let Some(callee) = self.callee(target, depth) {
                    sites.push(Found::new(&graph, index, Some(callee)));
                }
            }
        }
        sites.sort_by_key(|site| graph.nodes[site.node].address());
        Ok(judge(graph, sites, doubtful))
    }

    /// A callee that serializes, on every path or on some.
    fn callee(&mut self, target: u64, depth: u32) -> Option<Rc<Examined>> {
        let depth = depth.checked_sub(1)?;
        if let Some(known) = self.callees.get(&(target, depth)) {
            return known.clone();
        }
        let symbol = self.text.entered(target)?;
        if self.within.contains(&symbol.address) {
            return None;
        }
        let examined = self.at_depth(&symbol, depth).ok();
        let examined = examined.filter(|examined| !examined.sites.is_empty()).map(Rc::new);
        self.callees.insert((target, depth), examined.clone());
        examined
    }
}

/// Whether every path from the entry to a return meets a site.
fn judge(graph: Graph, mut sites: Vec<Found>, doubtful: Vec<usize>) -> Examined {
    let barrier: Vec<usize> =
        sites.iter().filter(|site| site.certain).map(|site| site.node).collect();
    let free = graph.reach([0], |node| barrier.contains(&node));
    // Where control gets without having met one.
    let mut returns = false;
    let mut unknown = None;
    for (node, _) in graph.nodes.iter().zip(&free).filter(|(_, free)| **free) {
        for end in &node.ends {
            match end {
                End::Return | End::Tail(_) => returns = true,
                End::Unknown(why) => unknown = Some((node.address(), *why)),
                End::Stop => {}
            }
        }
    }
    for site in &mut sites {
        let around = graph.reach([0], |node| node == site.node);
        let avoidable = graph
            .nodes
            .iter()
            .zip(&around)
            .any(|(node, reached)| *reached && node.ends.iter().any(|end| *end != End::Stop));
        site.conditional = avoidable || !site.certain;
    }
    let start = graph.nodes.first().map_or(0, super::graph::Node::address);
    let (outcome, why) = match (returns, unknown, sites.is_empty()) {
        (false, None, false) => (Outcome::Always, String::new()),
        (_, Some((at, what)), true) => {
            let why = format!(
                "at {:+#x} stands {what}: what follows is unknown",
                at.wrapping_sub(start) as i64
            );
            (Outcome::Unreadable, why)
        }
        (_, _, false) => (Outcome::Conditional, String::new()),
        (_, None, true) => (Outcome::None, String::new()),
    };
    Examined { graph, outcome, why, sites, doubtful }
}
