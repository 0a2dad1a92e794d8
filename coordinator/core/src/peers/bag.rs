//! A set with a random pick in constant time.

use std::collections::BTreeMap;

/// Items in no order, each once.
#[derive(Debug, Clone)]
pub(crate) struct Bag<T> {
    items: Vec<T>,
    at: BTreeMap<T, usize>,
}

impl<T: Ord + Copy> Bag<T> {
    /// Adds an item; nothing happens if it is in.
    pub(crate) fn insert(&mut self, item: T) {
        if !self.at.contains_key(&item) {
            self.at.insert(item, self.items.len());
            self.items.push(item);
        }
    }

    /// Takes an item out; nothing happens if it is not in.
    pub(crate) fn remove(&mut self, item: &T) {
        let Some(at) = self.at.remove(item) else { return };
        self.items.swap_remove(at);
        if let Some(moved) = self.items.get(at) {
            self.at.insert(*moved, at);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// The item at a position in `0..len`; positions wrap around.
    pub(crate) fn pick(&self, position: usize) -> Option<T> {
        self.items.get(position % self.items.len().max(1)).copied()
    }
}

impl<T> Default for Bag<T> {
    fn default() -> Self {
        Self { items: Vec::new(), at: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_as_a_set(steps in prop::collection::vec((any::<bool>(), 0u8..16), 0..200)) {
            let (mut bag, mut model) = (Bag::default(), BTreeSet::new());
            for (insert, item) in steps {
                if insert {
                    bag.insert(item);
                    model.insert(item);
                } else {
                    bag.remove(&item);
                    model.remove(&item);
                }
                let picked: BTreeSet<u8> = (0..bag.len()).filter_map(|i| bag.pick(i)).collect();
                prop_assert_eq!(&picked, &model);
                prop_assert_eq!(bag.len(), model.len());
            }
        }
    }
}
