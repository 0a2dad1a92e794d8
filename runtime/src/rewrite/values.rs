//! Which values of a function to canonicalise.
//!
//! A value is a node. What flows into it (a local from everything that sets it, a block's result from every branch) is
//! an edge, and whoever needs to know all bits of a value states a demand. After the function was read,
//! [`Values::solve`] finds what is known about each node and which of them must be canonicalised where they arise, so
//! that nothing ever has to be dug out of the operand stack.

use std::collections::HashMap;

use super::float::{Bits, Lanes};

/// A node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Value(u32);

/// "Canonicalise the value on top of the stack at this offset."
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Canon {
    /// Offset in the function's body, just after the instruction that produced the value.
    pub(super) at: u32,
    pub(super) lanes: Lanes,
}

/// The values of one function.
pub(super) struct Values {
    nodes: Vec<Node>,
    /// From, to.
    edges: Vec<(Value, Value)>,
    /// A value, and the kind of dirt that does not matter to who uses it.
    demands: Vec<(Value, Option<Lanes>)>,
    /// Only locals that are used: a function can declare 50,000 in four bytes.
    locals: HashMap<u32, Value>,
}

struct Node {
    bits: Bits,
    /// Where the value can be canonicalised: just after what produced it. A local cannot be; reading it can.
    at: Option<u32>,
}

impl Values {
    /// A value of which [`Bits::Plain`] is known; also one in code that is never reached.
    pub(super) const PLAIN: Value = Value(0);
    /// A value of which [`Bits::Exact`] is known.
    pub(super) const EXACT: Value = Value(1);

    pub(super) fn new() -> Self {
        let fixed = |bits| Node { bits, at: None };
        let nodes = vec![fixed(Bits::Plain), fixed(Bits::Exact)];
        Self { nodes, edges: Vec::new(), demands: Vec::new(), locals: HashMap::new() }
    }

    /// What an instruction that ends at `at` produces.
    pub(super) fn produced(&mut self, bits: Bits, at: u32) -> Value {
        match bits {
            Bits::Plain => Self::PLAIN,
            Bits::Exact => Self::EXACT,
            Bits::Dirty(_) => self.push(Node { bits, at: Some(at) }),
        }
    }

    /// A value that is one of several; [`Self::flow`] says which.
    pub(super) fn joint(&mut self) -> Value {
        self.push(Node { bits: Bits::Plain, at: None })
    }

    /// Says where a joint can be canonicalised.
    pub(super) fn place(&mut self, joint: Value, at: u32) {
        self.nodes[joint.0 as usize].at = Some(at);
    }

    /// `to` may be `from`.
    pub(super) fn flow(&mut self, from: Value, to: Value) {
        if from != Self::PLAIN {
            self.edges.push((from, to));
        }
    }

    /// The local `index`. A parameter starts with whatever the caller passed, any other local with zero.
    pub(super) fn local(&mut self, index: u32, is_parameter: bool) -> Value {
        if let Some(local) = self.locals.get(&index) {
            return *local;
        }
        let bits = if is_parameter { Bits::Exact } else { Bits::Plain };
        let local = self.push(Node { bits, at: None });
        self.locals.insert(index, local);
        local
    }

    /// Whoever uses `value` sees all its bits, but for dirt of the kind `indifferent`.
    pub(super) fn demand(&mut self, value: Value, indifferent: Option<Lanes>) {
        if value != Self::PLAIN && value != Self::EXACT {
            self.demands.push((value, indifferent));
        }
    }

    /// What has to be canonicalised, ordered by place.
    pub(super) fn solve(mut self) -> Vec<Canon> {
        if !self.nodes.iter().any(|node| matches!(node.bits, Bits::Dirty(_))) {
            return Vec::new();
        }
        self.propagate();
        let mut marked = vec![false; self.nodes.len()];
        for &(value, indifferent) in &self.demands {
            marked[value.0 as usize] |= self.bits(value) != indifferent.map_or(Bits::Exact, Bits::Dirty);
        }
        for &(from, to) in &self.edges {
            marked[from.0 as usize] |= self.bits(to) == Bits::Exact;
        }
        let canon = self.nodes.iter().zip(marked).filter(|(_, marked)| *marked);
        let mut canon: Vec<_> = canon
            .filter_map(|(node, _)| match node.bits {
                Bits::Dirty(lanes) => Some(Canon { at: node.at?, lanes }),
                Bits::Plain | Bits::Exact => None,
            })
            .collect();
        canon.sort_unstable_by_key(|canon| canon.at);
        canon
    }

    /// Joins along all edges until nothing changes. Bits rise at most twice, so this takes time in proportion to
    /// the number of edges.
    fn propagate(&mut self) {
        self.edges.sort_unstable_by_key(|(from, _)| from.0);
        let mut changed: Vec<Value> = (0..self.nodes.len() as u32).map(Value).collect();
        while let Some(from) = changed.pop() {
            let bits = self.bits(from);
            let start = self.edges.partition_point(|(other, _)| other.0 < from.0);
            for &(_, to) in self.edges[start..].iter().take_while(|(other, _)| *other == from) {
                let node = &mut self.nodes[to.0 as usize];
                let joined = node.bits.join(bits);
                if joined != node.bits {
                    node.bits = joined;
                    changed.push(to);
                }
            }
        }
    }

    fn bits(&self, value: Value) -> Bits {
        self.nodes[value.0 as usize].bits
    }

    fn push(&mut self, node: Node) -> Value {
        // A function has at most FUNCTION_BYTES instructions, each of which makes at most one value.
        let value = Value(self.nodes.len() as u32);
        self.nodes.push(node);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const F64: Bits = Bits::Dirty(Lanes::F64);

    #[test]
    fn only_what_is_demanded_is_canonicalised() {
        let mut values = Values::new();
        let sum = values.produced(F64, 10);
        values.demand(sum, Some(Lanes::F64));
        let product = values.produced(F64, 11);
        values.demand(product, None);
        assert_eq!(values.solve(), [Canon { at: 11, lanes: Lanes::F64 }]);
    }

    #[test]
    fn dirt_of_another_kind_matters() {
        let mut values = Values::new();
        let vector = values.produced(Bits::Dirty(Lanes::F64x2), 3);
        values.demand(vector, Some(Lanes::F32x4));
        assert_eq!(values.solve(), [Canon { at: 3, lanes: Lanes::F64x2 }]);
    }

    #[test]
    fn a_local_that_only_arithmetic_sets_stays_dirty() {
        let mut values = Values::new();
        let local = values.local(5, false);
        let sum = values.produced(F64, 10);
        values.flow(sum, local);
        let read = values.joint();
        values.place(read, 20);
        values.flow(local, read);
        values.demand(read, None);
        assert_eq!(values.solve(), [Canon { at: 20, lanes: Lanes::F64 }]);
    }

    #[test]
    fn a_local_that_also_holds_exact_bits_is_kept_exact() {
        let mut values = Values::new();
        let local = values.local(5, true);
        let sum = values.produced(F64, 10);
        values.flow(sum, local);
        let read = values.joint();
        values.place(read, 20);
        values.flow(local, read);
        values.demand(read, None);
        assert_eq!(values.solve(), [Canon { at: 10, lanes: Lanes::F64 }]);
    }
}
