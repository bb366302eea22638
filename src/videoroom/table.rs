//! Slabs that only their own kind of id can index. An id is used again only after its entry was removed, which is when
//! the room pushes the effect that ends it: the engine's parallel tables rely on that.

use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

use slab::Slab;

use crate::id::{ForwarderId, LegId, MemberId, StreamId};

/// An id that is an index.
pub(super) trait Slot: Copy {
    /// The id of an index.
    fn of(index: u32) -> Self;
    /// The index of an id.
    fn index(self) -> u32;
}

macro_rules! slot {
    ($($id:ident),*) => {$(
        impl Slot for $id {
            fn of(index: u32) -> Self {
                $id(index)
            }

            fn index(self) -> u32 {
                self.0
            }
        }
    )*};
}

slot!(MemberId, StreamId, LegId, ForwarderId);

/// Entries of one kind, by their id.
#[derive(Debug)]
pub(super) struct Table<I, T> {
    entries: Slab<T>,
    kind: PhantomData<I>,
}

impl<I: Slot, T> Table<I, T> {
    pub(super) fn new() -> Self {
        Table { entries: Slab::new(), kind: PhantomData }
    }

    pub(super) fn insert(&mut self, entry: T) -> I {
        id(self.entries.insert(entry))
    }

    /// Takes an entry out. The id must name one: an id that is kept somewhere is dropped together with its entry.
    pub(super) fn remove(&mut self, id: I) -> T {
        self.entries.remove(index(id))
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(super) fn get(&self, id: I) -> Option<&T> {
        self.entries.get(index(id))
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        self.entries.iter().map(|(index, entry)| (id(index), entry))
    }

    pub(super) fn ids(&self) -> Vec<I> {
        self.iter().map(|(id, _)| id).collect()
    }
}

impl<I: Slot, T> Index<I> for Table<I, T> {
    type Output = T;

    fn index(&self, id: I) -> &T {
        &self.entries[index(id)]
    }
}

impl<I: Slot, T> IndexMut<I> for Table<I, T> {
    fn index_mut(&mut self, id: I) -> &mut T {
        &mut self.entries[index(id)]
    }
}

fn id<I: Slot>(index: usize) -> I {
    I::of(u32::try_from(index).expect("memory ends before 2^32 entries"))
}

fn index<I: Slot>(id: I) -> usize {
    usize::try_from(id.index()).expect("a usize holds an u32")
}
