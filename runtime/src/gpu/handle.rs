//! Generational handles: a dropped handle stays invalid even when its slot is used again.

use super::limits::BUFFERS;

/// Low bits of a handle that name the slot.
const SLOT_BITS: u32 = 8;
const _: () = assert!(BUFFERS == 1 << SLOT_BITS);

/// Highest generation; a slot that reaches it is never used again, so no handle ever comes back.
const LAST_GENERATION: u32 = (i32::MAX as u32) >> SLOT_BITS;

/// Slots with their generations. Handles are positive, and depend only on the order of inserts and removes.
pub(super) struct Table<T> {
    slots: Vec<Slot<T>>,
    live: usize,
}

struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Table<T> {
    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), live: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.live
    }

    /// The handle of the next [`Self::insert`]; `None` when every slot is taken or worn out.
    pub(super) fn insert(&mut self, value: T) -> Option<i32> {
        let free = self.slots.iter().position(|s| s.value.is_none() && s.generation < LAST_GENERATION);
        let index = match free {
            Some(index) => index,
            None if self.slots.len() < BUFFERS => {
                self.slots.push(Slot { generation: 0, value: None });
                self.slots.len() - 1
            }
            None => return None,
        };
        let slot = &mut self.slots[index];
        slot.generation += 1;
        slot.value = Some(value);
        self.live += 1;
        Some(handle(index, slot.generation))
    }

    pub(super) fn find(&self, handle: i32) -> Option<&T> {
        let (index, generation) = parts(handle)?;
        self.slots.get(index).filter(|s| s.generation == generation)?.value.as_ref()
    }

    pub(super) fn find_mut(&mut self, handle: i32) -> Option<&mut T> {
        let (index, generation) = parts(handle)?;
        self.slots.get_mut(index).filter(|s| s.generation == generation)?.value.as_mut()
    }

    pub(super) fn remove(&mut self, handle: i32) -> Option<T> {
        let (index, generation) = parts(handle)?;
        let value = self.slots.get_mut(index).filter(|s| s.generation == generation)?.value.take()?;
        self.live -= 1;
        Some(value)
    }

    /// Live values.
    pub(super) fn into_values(self) -> impl Iterator<Item = T> {
        self.slots.into_iter().filter_map(|slot| slot.value)
    }

    /// Live values in ascending order of slot.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i32, &T)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(index, slot)| Some((handle(index, slot.generation), slot.value.as_ref()?)))
    }
}

fn handle(index: usize, generation: u32) -> i32 {
    // Both fit by construction: index < BUFFERS, generation <= LAST_GENERATION.
    (generation << SLOT_BITS | index as u32) as i32
}

fn parts(handle: i32) -> Option<(usize, u32)> {
    let raw = u32::try_from(handle).ok()?;
    Some(((raw & (BUFFERS as u32 - 1)) as usize, raw >> SLOT_BITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_handle_never_comes_back() {
        let mut table = Table::new();
        let first = table.insert('a').expect("room");
        assert_eq!(table.remove(first), Some('a'));
        let second = table.insert('b').expect("room");
        assert_ne!(first, second);
        assert!(first > 0 && second > 0);
        assert_eq!(table.find(first), None);
        assert_eq!(table.remove(first), None);
        assert_eq!(table.find(second), Some(&'b'));
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn garbage_is_no_handle() {
        let mut table = Table::new();
        table.insert(()).expect("room");
        for bad in [0, -1, 1, 255, 257, i32::MAX, i32::MIN] {
            assert_eq!(table.find(bad), None, "{bad}");
        }
    }

    #[test]
    fn slots_are_bounded_and_wear_out() {
        let mut table = Table::new();
        for _ in 0..BUFFERS {
            assert!(table.insert(()).is_some_and(|h| h > 0));
        }
        assert_eq!(table.insert(()), None);

        let mut worn = Table::new();
        let first = worn.insert(()).expect("room");
        worn.remove(first);
        worn.slots[0].generation = LAST_GENERATION - 1;
        let last = worn.insert(()).expect("one generation left");
        assert_eq!(last, i32::MAX & !0xff, "still positive");
        worn.remove(last);
        let other = worn.insert(()).expect("another slot");
        assert_eq!(other & 0xff, 1);
    }
}
