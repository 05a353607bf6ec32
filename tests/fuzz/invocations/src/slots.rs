//! What a process believes to have in its slots.
//!
//! A belief may be wrong: what was there may have been taken back. It is corrected when the process
//! looks (`CapTable::DESCRIBE`) or comes by it. Sets by kind make it quick to find one of a kind.

use abi::cap::{CapAddr, Kind};

use crate::sequence::Sequence;

/// Slots of the root table that are kept track of: the first.
pub const ROOTS: usize = 64;
/// All slots that are kept track of: those, and the first of a table within the root.
pub const TRACKED: usize = 128;
/// The root's slot that holds that table.
pub const NEST: CapAddr = 63;

/// What a slot holds: the number of a kind, [`BANK`] or [`CHILD`].
pub type What = u8;

/// A `Start` that is the process's own bank.
pub const BANK: What = Kind::Probe as u8 + 1;
/// A `Start` that is a bank below that.
pub const CHILD: What = BANK + 1;
const WHATS: usize = CHILD as usize + 1;

/// Whether it is a bank.
pub const fn is_bank(what: What) -> bool {
    what == BANK || what == CHILD
}

/// Beliefs.
pub struct Slots {
    what: [What; TRACKED],
    sets: [u128; WHATS],
}

impl Default for Slots {
    fn default() -> Slots {
        Slots::new()
    }
}

impl Slots {
    /// Nothing anywhere.
    pub const fn new() -> Slots {
        let mut sets = [0; WHATS];
        sets[0] = u128::MAX;
        Slots {
            what: [0; TRACKED],
            sets,
        }
    }

    /// The address of a place among those that are kept track of.
    pub const fn address(place: usize) -> CapAddr {
        if place < ROOTS {
            place as CapAddr
        } else {
            NEST << 7 | (place - ROOTS) as CapAddr
        }
    }

    /// The place of an address, if it is kept track of.
    pub const fn place(address: CapAddr) -> Option<usize> {
        let (high, low) = (address >> 7, (address & 127) as usize);
        if low >= ROOTS {
            None
        } else if high == 0 {
            Some(low)
        } else if high == NEST {
            Some(low + ROOTS)
        } else {
            None
        }
    }

    /// What is believed to be at an address; nothing where nothing is known.
    pub fn at(&self, address: CapAddr) -> What {
        Slots::place(address).map_or(0, |place| self.what[place])
    }

    /// Believes that this is at an address.
    pub fn set(&mut self, address: CapAddr, what: What) {
        let Some(place) = Slots::place(address) else {
            return;
        };
        let what = if usize::from(what) < WHATS { what } else { 0 };
        let bit = 1 << place;
        self.sets[usize::from(self.what[place])] &= !bit;
        self.sets[usize::from(what)] |= bit;
        self.what[place] = what;
    }

    /// Somewhere where this is believed to be.
    pub fn pick(&self, what: What, sequence: &mut Sequence) -> Option<CapAddr> {
        one_of(self.sets[usize::from(what)], sequence)
    }

    /// Somewhere where anything is believed to be.
    pub fn any(&self, sequence: &mut Sequence) -> Option<CapAddr> {
        one_of(!self.sets[0], sequence)
    }

    /// How many there are of this.
    pub fn count(&self, what: What) -> u32 {
        self.sets[usize::from(what)].count_ones()
    }
}

/// One of the places in a set: the first from a random one on.
fn one_of(set: u128, sequence: &mut Sequence) -> Option<CapAddr> {
    if set == 0 {
        return None;
    }
    let turn = sequence.below(TRACKED as u32);
    let place = (set.rotate_right(turn).trailing_zeros() + turn) as usize % TRACKED;
    Some(Slots::address(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_places_are_one_to_one() {
        for place in 0..TRACKED {
            assert_eq!(Slots::place(Slots::address(place)), Some(place));
        }
        assert_eq!(Slots::place(ROOTS as CapAddr), None);
        assert_eq!(Slots::place(NEST << 7 | 127), None);
    }

    #[test]
    fn what_is_believed_is_found() {
        let (mut slots, mut sequence) = (Slots::new(), Sequence::new(3));
        assert_eq!(slots.any(&mut sequence), None);
        slots.set(NEST << 7 | 5, Kind::Page as u8);
        slots.set(40, BANK);
        assert_eq!(slots.pick(BANK, &mut sequence), Some(40));
        assert_eq!(
            slots.pick(Kind::Page as u8, &mut sequence),
            Some(NEST << 7 | 5)
        );
        slots.set(40, 0);
        assert_eq!(slots.pick(BANK, &mut sequence), None);
        assert_eq!(slots.any(&mut sequence), Some(NEST << 7 | 5));
        assert_eq!(slots.count(Kind::Page as u8), 1);
    }
}
