//! Which calls can recurse, and what they cost.
//!
//! A call is charged if its callee can come back to the caller: if both lie in one strongly connected component of
//! the call graph. Frames that are not charged then lie on a path through different components, whose weight is
//! bounded once, here. A module in which that path is too long has every call charged.

use std::collections::HashMap;

use wasmparser::ValType;
use wasmparser::types::{CoreTypeId, TypesRef};

use super::body::{Body, Call, Target};
use crate::limits::UNCHARGED_SLOTS;

/// Who charges what.
pub(super) struct Charges {
    imported: u32,
    /// Component of each node: first the functions the module defines, then one node for each type, which stands
    /// for "some function of this type that the table may hold".
    component: Vec<u32>,
    /// Node of each type by its index.
    type_node: HashMap<u32, u32>,
    /// Slots of each node: a function's own, a type's dearest function among those that count.
    slots: Vec<u32>,
    every_call: bool,
}

impl Charges {
    /// `referenced` are the functions a table may hold.
    pub(super) fn new(types: TypesRef<'_>, imported: u32, bodies: &[Body], referenced: &[u32]) -> Self {
        let mut graph = Graph::new(types, imported, bodies, referenced);
        let component = components(&graph);
        let every_call = graph.longest_path(&component) > u64::from(UNCHARGED_SLOTS);

        let mut slots: Vec<u32> = bodies.iter().map(|body| body.slots).collect();
        slots.resize(graph.len(), 0);
        for node in bodies.len()..graph.len() {
            let callees = graph.successors(node as u32).iter().map(|callee| *callee as usize);
            let counts = callees.filter(|callee| every_call || component[*callee] == component[node]);
            slots[node] = counts.map(|callee| slots[callee]).max().unwrap_or(0);
        }
        Self { imported, component, type_node: std::mem::take(&mut graph.type_node), slots, every_call }
    }

    /// Slots to charge for a call in the function at `caller` among those the module defines.
    pub(super) fn of(&self, caller: usize, call: &Call) -> Option<u32> {
        let node = match call.target {
            Target::Function(index) => index.checked_sub(self.imported)?,
            Target::OfType(index) => *self.type_node.get(&index)?,
        } as usize;
        let charged = self.every_call || self.component[caller] == self.component[node];
        (charged && self.slots[node] > 0).then(|| self.slots[node])
    }
}

/// Parameters and results.
type Signature<'a> = (&'a [ValType], &'a [ValType]);

/// Successors of each node, one after the other.
struct Graph {
    starts: Vec<usize>,
    successors: Vec<u32>,
    type_node: HashMap<u32, u32>,
    slots: Vec<u32>,
}

impl Graph {
    fn new(types: TypesRef<'_>, imported: u32, bodies: &[Body], referenced: &[u32]) -> Self {
        // A call through the table compares structures; wasmparser gives equal ones different ids where it need not.
        let mut node_of: HashMap<Signature<'_>, u32> = HashMap::new();
        let signature = |id: CoreTypeId| -> Signature<'_> {
            let ty = types[id].unwrap_func();
            (ty.params(), ty.results())
        };
        let mut type_node = HashMap::new();
        let functions = bodies.len() as u32;
        let mut graph = Self { starts: vec![0], successors: Vec::new(), type_node: HashMap::new(), slots: Vec::new() };
        for body in bodies {
            for call in &body.calls {
                let node = match call.target {
                    Target::Function(index) => index.checked_sub(imported),
                    Target::OfType(index) => Some(*type_node.entry(index).or_insert_with(|| {
                        let next = functions + node_of.len() as u32;
                        *node_of.entry(signature(types.core_type_at_in_module(index))).or_insert(next)
                    })),
                };
                graph.successors.extend(node);
            }
            graph.slots.push(body.slots);
            graph.starts.push(graph.successors.len());
        }
        let mut of_type: Vec<Vec<u32>> = vec![Vec::new(); node_of.len()];
        let mut referenced = referenced.to_vec();
        referenced.sort_unstable();
        referenced.dedup();
        for index in referenced {
            let (Some(function), Some(node)) =
                (index.checked_sub(imported), node_of.get(&signature(types.core_function_at(index))))
            else {
                continue;
            };
            of_type[(node - functions) as usize].push(function);
        }
        for callees in of_type {
            graph.successors.extend(callees);
            graph.slots.push(0);
            graph.starts.push(graph.successors.len());
        }
        Self { type_node, ..graph }
    }

    fn len(&self) -> usize {
        self.slots.len()
    }

    fn successors(&self, node: u32) -> &[u32] {
        &self.successors[self.starts[node as usize]..self.starts[node as usize + 1]]
    }

    /// Slots of the dearest path that enters each component once. Components are numbered callees first.
    fn longest_path(&self, component: &[u32]) -> u64 {
        let count = component.iter().max().map_or(0, |max| *max as usize + 1);
        let mut own = vec![0u64; count];
        for (node, component) in component.iter().enumerate() {
            let own = &mut own[*component as usize];
            *own = (*own).max(u64::from(self.slots[node]));
        }
        let mut nodes: Vec<u32> = (0..self.len() as u32).collect();
        nodes.sort_unstable_by_key(|node| component[*node as usize]);
        let mut below = vec![0u64; count];
        for node in nodes {
            let from = component[node as usize] as usize;
            for callee in self.successors(node) {
                let to = component[*callee as usize] as usize;
                if to != from {
                    below[from] = below[from].max(below[to].saturating_add(own[to]));
                }
            }
        }
        own.iter().zip(below).map(|(own, below)| own.saturating_add(below)).max().unwrap_or(0)
    }
}

/// Strongly connected components, callees numbered before callers (Tarjan 1972, with a stack of its own: a chain of
/// calls can be as long as a module has functions).
fn components(graph: &Graph) -> Vec<u32> {
    const NONE: u32 = u32::MAX;
    let mut component = vec![NONE; graph.len()];
    let mut index = vec![NONE; graph.len()];
    let mut low = vec![0u32; graph.len()];
    let (mut next_index, mut next_component) = (0, 0);
    let mut open: Vec<u32> = Vec::new();
    // A node, and how many of its successors were looked at.
    let mut path: Vec<(u32, usize)> = Vec::new();
    for root in 0..graph.len() as u32 {
        if index[root as usize] != NONE {
            continue;
        }
        path.push((root, 0));
        while let Some((node, seen)) = path.last_mut() {
            let node = *node;
            let at = node as usize;
            if *seen == 0 && index[at] == NONE {
                (index[at], low[at]) = (next_index, next_index);
                next_index += 1;
                open.push(node);
            }
            if let Some(callee) = graph.successors(node).get(*seen) {
                *seen += 1;
                let to = *callee as usize;
                if index[to] == NONE {
                    path.push((*callee, 0));
                } else if component[to] == NONE {
                    low[at] = low[at].min(index[to]);
                }
                continue;
            }
            path.pop();
            if let Some((caller, _)) = path.last() {
                let caller = *caller as usize;
                low[caller] = low[caller].min(low[at]);
            }
            if low[at] == index[at] {
                while let Some(member) = open.pop() {
                    component[member as usize] = next_component;
                    if member == node {
                        break;
                    }
                }
                next_component += 1;
            }
        }
    }
    component
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(successors: &[&[u32]]) -> Graph {
        let mut graph = Graph { starts: vec![0], successors: Vec::new(), type_node: HashMap::new(), slots: Vec::new() };
        for (node, callees) in successors.iter().enumerate() {
            graph.successors.extend_from_slice(callees);
            graph.starts.push(graph.successors.len());
            graph.slots.push(10 + node as u32);
        }
        graph
    }

    #[test]
    fn cycles_are_components_and_callees_come_first() {
        let graph = graph(&[&[1], &[2, 4], &[3], &[1], &[4], &[0]]);
        let component = components(&graph);
        assert_eq!(component[1], component[2]);
        assert_eq!(component[2], component[3]);
        assert!(component[4] < component[1] && component[1] < component[0] && component[0] < component[5]);
        // 5, 0, the dearest of the cycle, 4.
        assert_eq!(graph.longest_path(&component), 15 + 10 + 13 + 14);
    }

    #[test]
    fn a_long_chain_does_not_use_our_own_stack() {
        let chain: Vec<Vec<u32>> = (1..=200_000).map(|next| if next < 200_000 { vec![next] } else { vec![] }).collect();
        let chain: Vec<&[u32]> = chain.iter().map(Vec::as_slice).collect();
        let component = components(&graph(&chain));
        assert_eq!((component[0], component[199_999]), (199_999, 0));
    }
}
