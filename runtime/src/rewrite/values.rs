//! Which values of a module to canonicalise.
//!
//! A value is a node. What flows into it (a local from everything that sets it, a block's result from every branch, a
//! parameter from every call) is an edge, and whoever looks at the bits of a value states a demand. After all functions were
//! read, [`Values::solve`] finds forwards what is known about the bits of each node, and backwards which of them
//! anybody sees. What is seen is canonicalised where it arises, or where it is read if all that could be read there may be
//! canonicalised, so that nothing ever has to be dug out of the operand stack.

use std::collections::HashMap;

use super::float::{Bits, Lanes, Via};

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

/// The float values of a module.
pub(super) struct Values {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    /// A value, and the kind of dirt that does not matter to who uses it.
    demands: Vec<(Value, Option<Lanes>)>,
    signatures: HashMap<u32, Signature>,
    /// The number of nodes at the start of each function.
    functions: Vec<u32>,
    /// Of the function being read. Only those that are used: a function can declare 50,000 in four bytes.
    locals: HashMap<u32, Value>,
}

/// The float values that cross the edge of a function that only direct calls reach.
#[derive(Debug, Clone, Default)]
pub(super) struct Signature {
    /// One for each parameter.
    pub(super) parameters: Vec<Option<Value>>,
    /// Where there is one result and it is a float.
    pub(super) result: Option<Value>,
}

struct Node {
    bits: Bits,
    /// Where the value can be canonicalised: just after what produced it. A local cannot be; reading it can.
    at: Option<u32>,
}

#[derive(Clone, Copy)]
struct Edge {
    from: Value,
    to: Value,
    via: Via,
}

impl Values {
    /// A value that is no NaN; also one in code that is never reached.
    pub(super) const PLAIN: Value = Value(0);
    /// A value of which all bits are specified.
    pub(super) const EXACT: Value = Value(1);

    pub(super) fn new() -> Self {
        let fixed = |bits| Node { bits, at: None };
        Self {
            nodes: vec![fixed(Bits::PLAIN), fixed(Bits::EXACT)],
            edges: Vec::new(),
            demands: Vec::new(),
            signatures: HashMap::new(),
            functions: Vec::new(),
            locals: HashMap::new(),
        }
    }

    /// What follows belongs to the next function that the module defines.
    pub(super) fn begin(&mut self, signature: Option<Signature>) {
        self.functions.push(self.nodes.len() as u32);
        self.locals.clear();
        let parameters = signature.into_iter().flat_map(|signature| signature.parameters);
        self.locals.extend((0..).zip(parameters).filter_map(|(index, value)| Some((index, value?))));
    }

    /// The signature of the function `index`, of which `floats` tells what it has: parameters, and a single result.
    pub(super) fn signature(&mut self, index: u32, floats: impl FnOnce() -> (Vec<bool>, bool)) -> Signature {
        if let Some(signature) = self.signatures.get(&index) {
            return signature.clone();
        }
        let (parameters, result) = floats();
        let parameters = parameters.into_iter().map(|is_float| is_float.then(|| self.joint())).collect();
        let signature = Signature { parameters, result: result.then(|| self.joint()) };
        self.signatures.insert(index, signature.clone());
        signature
    }

    /// What an instruction that ends at `at` produces.
    pub(super) fn produced(&mut self, bits: Bits, at: u32) -> Value {
        match bits {
            Bits::PLAIN => Self::PLAIN,
            Bits::EXACT => Self::EXACT,
            bits => self.push(Node { bits, at: Some(at) }),
        }
    }

    /// A value that is one of several; [`Self::flow`] says which.
    pub(super) fn joint(&mut self) -> Value {
        self.push(Node { bits: Bits::PLAIN, at: None })
    }

    /// Says where a joint can be canonicalised.
    pub(super) fn place(&mut self, joint: Value, at: u32) {
        self.nodes[joint.0 as usize].at = Some(at);
    }

    /// `to` may be `from`.
    pub(super) fn flow(&mut self, from: Value, to: Value) {
        if from != Self::PLAIN {
            self.move_bits(from, to, Via::Same);
        }
    }

    /// `to` may have bits of `from`.
    pub(super) fn move_bits(&mut self, from: Value, to: Value, via: Via) {
        if let Via::Lanes(lanes, _) = via {
            self.demand(from, Some(lanes));
        }
        self.edges.push(Edge { from, to, via });
    }

    /// The local `index`. A parameter starts with whatever the caller passed, any other local with zero.
    pub(super) fn local(&mut self, index: u32, is_parameter: bool) -> Value {
        if let Some(local) = self.locals.get(&index) {
            return *local;
        }
        let bits = if is_parameter { Bits::EXACT } else { Bits::PLAIN };
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

    /// What has to be canonicalised in each function, ordered by place.
    pub(super) fn solve(mut self) -> Vec<Vec<Canon>> {
        let mut all = vec![Vec::new(); self.functions.len()];
        if !self.nodes.iter().any(|node| node.bits.shows(None)) {
            return all;
        }
        self.propagate();
        let seen = self.seen();
        for (function, canon) in all.iter_mut().enumerate() {
            let end = self.functions.get(function + 1).map_or(self.nodes.len(), |end| *end as usize);
            let own = self.functions[function] as usize..end;
            for (node, seen) in self.nodes[own.clone()].iter().zip(&seen[own]) {
                if let (true, Some(at), Some(lanes)) = (seen, node.at, node.bits.fixable()) {
                    canon.push(Canon { at, lanes });
                }
            }
            canon.sort_unstable_by_key(|canon| canon.at);
        }
        all
    }

    /// Joins along all edges until nothing changes. Bits rise a few times at most, so this takes time in proportion to
    /// the number of edges.
    fn propagate(&mut self) {
        self.edges.sort_unstable_by_key(|edge| edge.from.0);
        let mut changed: Vec<Value> = (0..self.nodes.len() as u32).map(Value).collect();
        while let Some(from) = changed.pop() {
            let bits = self.bits(from);
            let start = self.edges.partition_point(|edge| edge.from.0 < from.0);
            for edge in self.edges[start..].iter().take_while(|edge| edge.from == from) {
                let node = &mut self.nodes[edge.to.0 as usize];
                let joined = node.bits.join(bits.via(edge.via));
                if joined != node.bits {
                    node.bits = joined;
                    changed.push(edge.to);
                }
            }
        }
    }

    /// Which nodes have dirt that somebody sees: directly, or in a node that cannot be put right itself.
    fn seen(&mut self) -> Vec<bool> {
        self.edges.sort_unstable_by_key(|edge| edge.to.0);
        let mut seen = vec![false; self.nodes.len()];
        let mut found: Vec<Value> = Vec::new();
        for &(value, indifferent) in &self.demands {
            if self.bits(value).shows(indifferent) {
                found.push(value);
            }
        }
        while let Some(to) = found.pop() {
            if std::mem::replace(&mut seen[to.0 as usize], true) {
                continue;
            }
            let Node { bits, at } = self.nodes[to.0 as usize];
            if at.is_some() && bits.fixable().is_some() {
                continue;
            }
            let start = self.edges.partition_point(|edge| edge.to.0 < to.0);
            let into = self.edges[start..].iter().take_while(|edge| edge.to == to);
            found.extend(into.map(|edge| edge.from).filter(|from| self.bits(*from).shows(None)));
        }
        seen
    }

    fn bits(&self, value: Value) -> Bits {
        self.nodes[value.0 as usize].bits
    }

    fn push(&mut self, node: Node) -> Value {
        // A module has at most CODE_BYTES instructions, each of which makes at most one value, and each call of a function
        // at most TYPE_VALUES more.
        let value = Value(self.nodes.len() as u32);
        self.nodes.push(node);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const F64: Bits = Bits::dirty(Lanes::F64);

    fn one_function() -> Values {
        let mut values = Values::new();
        values.begin(None);
        values
    }

    /// A sum is put into a local, and the local read for somebody.
    fn sum_read_from_a_local(exact: bool, indifferent: Option<Lanes>) -> Vec<Canon> {
        let mut values = one_function();
        let local = values.local(5, exact);
        let sum = values.produced(F64, 10);
        values.flow(sum, local);
        let read = values.joint();
        values.place(read, 20);
        values.flow(local, read);
        values.demand(read, indifferent);
        let [canon] = <[_; 1]>::try_from(values.solve()).unwrap();
        canon
    }

    #[test]
    fn only_what_is_demanded_is_canonicalised() {
        let mut values = one_function();
        let sum = values.produced(F64, 10);
        values.demand(sum, Some(Lanes::F64));
        let product = values.produced(F64, 11);
        values.demand(product, None);
        assert_eq!(values.solve(), [[Canon { at: 11, lanes: Lanes::F64 }]]);
    }

    #[test]
    fn dirt_of_another_kind_matters() {
        let mut values = one_function();
        let vector = values.produced(Bits::dirty(Lanes::F64x2), 3);
        values.demand(vector, Some(Lanes::F32x4));
        assert_eq!(values.solve(), [[Canon { at: 3, lanes: Lanes::F64x2 }]]);
    }

    #[test]
    fn a_local_that_only_arithmetic_sets_stays_dirty() {
        assert_eq!(sum_read_from_a_local(false, None), [Canon { at: 20, lanes: Lanes::F64 }]);
    }

    #[test]
    fn a_local_that_also_holds_exact_bits_is_kept_exact() {
        assert_eq!(sum_read_from_a_local(true, None), [Canon { at: 10, lanes: Lanes::F64 }]);
    }

    #[test]
    fn what_nobody_sees_stays() {
        assert_eq!(sum_read_from_a_local(true, Some(Lanes::F64)), []);
    }

    #[test]
    fn what_was_changed_is_put_right_before() {
        let mut values = one_function();
        let sum = values.produced(F64, 10);
        let negated = values.joint();
        values.place(negated, 11);
        values.move_bits(sum, negated, Via::Changed);
        values.demand(negated, None);
        assert_eq!(values.solve(), [[Canon { at: 10, lanes: Lanes::F64 }]]);
    }

    #[test]
    fn dirt_crosses_calls() {
        let mut values = Values::new();
        let callee = values.signature(7, || (vec![false, true], false));
        values.begin(None);
        let sum = values.produced(F64, 10);
        values.flow(sum, callee.parameters[1].unwrap());
        values.begin(Some(callee));
        let read = values.joint();
        values.place(read, 3);
        let parameter = values.local(1, true);
        values.flow(parameter, read);
        values.demand(read, None);
        assert_eq!(values.solve(), [vec![], vec![Canon { at: 3, lanes: Lanes::F64 }]]);
    }
}
