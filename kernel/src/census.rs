//! How many objects are free, sold and in limbo, counted as they change.
//!
//! Each count only grows, by one with each change of one object. So what there is now is a difference
//! of counts, and their sum tells how many objects have changed since somebody looked: that is what an
//! audit in pieces is held against.

use core::cell::Cell;

use crate::Kernel;
use crate::machine::Machine;

/// A count that only grows.
pub(crate) struct Count(Cell<u64>);

impl Count {
    pub const fn new() -> Count {
        Count(Cell::new(0))
    }

    /// One more.
    #[inline(always)]
    pub fn add(&self) {
        self.0.set(self.0.get().wrapping_add(1));
    }

    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// What became of objects since the machine started, when all were free.
pub(crate) struct Census {
    /// Free ones were sold.
    pub sold: Count,
    /// Sold ones became free.
    pub freed: Count,
    /// Sold ones came into limbo.
    pub held: Count,
    /// Limbos ended: the object waits to be reaped.
    pub ended: Count,
    /// Those whose limbo had ended became free.
    pub reaped: Count,
    /// Apertures came into limbo.
    pub died: Count,
    /// Their limbos ended.
    pub buried: Count,
}

/// How many objects are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub free: usize,
    pub limbo: usize,
    /// In limbo, with nothing that holds them: they wait to be reaped.
    pub ended: usize,
    /// In limbo, apertures that still pin frames.
    pub dead: usize,
}

impl Census {
    pub const fn new() -> Census {
        Census {
            sold: Count::new(),
            freed: Count::new(),
            held: Count::new(),
            ended: Count::new(),
            reaped: Count::new(),
            died: Count::new(),
            buried: Count::new(),
        }
    }

    /// How often an object has changed, in all.
    pub fn changes(&self) -> u64 {
        let counts = [
            &self.sold,
            &self.freed,
            &self.held,
            &self.ended,
            &self.reaped,
        ];
        let sum = |sum: u64, count: &Count| sum.wrapping_add(count.get());
        counts.into_iter().fold(0, sum)
    }
}

impl<M: Machine> Kernel<'_, M> {
    /// How many objects there should be in which state.
    pub(crate) fn tally(&self) -> Tally {
        let census = &self.census;
        let left = |more: &Count, less: &Count| more.get().wrapping_sub(less.get()) as usize;
        let sold = left(&census.sold, &census.freed).wrapping_sub(census.reaped.get() as usize);
        Tally {
            free: self.objects.len().wrapping_sub(sold),
            limbo: left(&census.held, &census.reaped),
            ended: left(&census.ended, &census.reaped),
            dead: left(&census.died, &census.buried),
        }
    }

    /// Objects that are free, live (or being taken apart), and in limbo.
    pub fn census(&self) -> [usize; 3] {
        let Tally { free, limbo, .. } = self.tally();
        let live = self.objects.len().wrapping_sub(free).wrapping_sub(limbo);
        [free, live, limbo]
    }
}
