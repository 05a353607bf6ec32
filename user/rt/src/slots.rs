//! Free slots for capabilities.
//!
//! The first come from the root `CapTable`; when they are used up, `CapTable`s are bought and hung
//! into it, 128 slots each, up to 8,192 in all. Segments whose pages are exchanged get tables of their own
//! then: a batch of exchanges names only three.

use abi::CAP_TABLE_SLOTS;
use abi::boot::slot;
use abi::cap::{CapAddr, Kind};
use abi::error::EMFILE;
use sys::bank::Bank;
use sys::object::CapTable;
use sys::{Cap, Error, Sys};

/// Where the runtime keeps the segment that its heap grows in.
pub const HEAP_SEGMENT: CapAddr = 24;

/// First root slot that holds a `CapTable` once it is needed; below it, from `slot::FREE`, root slots
/// are handed out themselves.
const TABLES: u16 = 64;
/// Root slots for `CapTable`s.
const TABLE_COUNT: usize = CAP_TABLE_SLOTS - TABLES as usize;

/// Which slots of a program are free.
pub struct Slots {
    /// Root slots that are taken, one bit each.
    root: u128,
    /// How many `CapTable`s there are.
    tables: usize,
    /// Those that only segments lie in, one bit each.
    for_segments: u64,
    /// Their slots that are taken.
    taken: [u128; TABLE_COUNT],
}

impl Slots {
    /// All from `slot::FREE` on are free.
    pub const fn new() -> Slots {
        let handed_out = !0u128 >> (128 - (TABLES - slot::FREE)) << slot::FREE;
        Slots {
            root: !handed_out,
            tables: 0,
            for_segments: 0,
            taken: [0; TABLE_COUNT],
        }
    }

    /// How many are taken, of those that can be.
    pub fn taken(&self) -> u32 {
        let tables = &self.taken[..self.tables];
        let all =
            self.root.count_ones() + tables.iter().map(|taken| taken.count_ones()).sum::<u32>();
        all - Slots::new().root.count_ones()
    }

    /// `CapTable`s bought so far: they are kept.
    pub const fn tables(&self) -> usize {
        self.tables
    }

    /// Takes a slot, empty. Buys a `CapTable` from `slot::BANK` when all are in use.
    ///
    /// # Errors
    /// `EMFILE`: there can be no more. Those of buying.
    pub fn take(&mut self, sys: &impl Sys) -> Result<CapAddr, Error> {
        self.take_run(sys, 1)
    }

    /// Takes `count` slots (1 to 128) that follow each other in one table, empty.
    ///
    /// # Errors
    /// As for [`Slots::take`].
    pub fn take_run(&mut self, sys: &impl Sys, count: u16) -> Result<CapAddr, Error> {
        if count == 0 || usize::from(count) > CAP_TABLE_SLOTS {
            return Err(Error::new(EMFILE));
        }
        if let Some(first) = run(&mut self.root, count) {
            return Ok(first);
        }
        self.take_in_tables(sys, count, false)
    }

    /// Takes a slot for a segment, empty: where other segments lie, as far as may be.
    ///
    /// # Errors
    /// As for [`Slots::take`].
    pub fn take_segment(&mut self, sys: &impl Sys) -> Result<CapAddr, Error> {
        match run(&mut self.root, 1) {
            Some(first) => Ok(first),
            None => self.take_in_tables(sys, 1, true),
        }
    }

    fn take_in_tables(
        &mut self,
        sys: &impl Sys,
        count: u16,
        segment: bool,
    ) -> Result<CapAddr, Error> {
        for (number, taken) in self.taken[..self.tables].iter_mut().enumerate() {
            let for_segments = self.for_segments >> number & 1 != 0;
            if for_segments == segment
                && let Some(first) = run(taken, count)
            {
                return Ok(join(TABLES + number as u16, first));
            }
        }
        if self.tables == TABLE_COUNT {
            return Err(Error::new(EMFILE));
        }
        let (bank, root): (Cap<Bank>, Cap<CapTable>) = (Cap::at(slot::BANK), Cap::at(slot::ROOT));
        let table = TABLES + self.tables as u16;
        bank.buy_caps(sys, Kind::CapTable, 1, root, table)?;
        self.for_segments |= u64::from(segment) << self.tables;
        self.tables += 1;
        let first = run(&mut self.taken[self.tables - 1], count).unwrap_or(0);
        Ok(join(table, first))
    }

    /// Empties a slot and makes it free again. One that was not taken is left alone.
    pub fn give(&mut self, sys: &impl Sys, address: CapAddr) {
        let (table, index) = table_of(address);
        let bit = 1u128 << index;
        let taken = match table.address().checked_sub(TABLES) {
            None if (slot::FREE..TABLES).contains(&index) => &mut self.root,
            Some(number) if usize::from(number) < self.tables => {
                &mut self.taken[usize::from(number)]
            }
            _ => return,
        };
        if *taken & bit != 0 {
            // An own table can't refuse; if it does, the slot stays taken.
            if table.clear(sys, index, 1).is_ok() {
                *taken &= !bit;
            }
        }
    }
}

impl Default for Slots {
    fn default() -> Slots {
        Slots::new()
    }
}

/// Takes `count` bits in a row that are clear.
fn run(taken: &mut u128, count: u16) -> Option<u16> {
    let count = u32::from(count);
    let mask = 1u128.checked_shl(count).map_or(!0, |bit| bit - 1);
    let first = (0..=128u32.checked_sub(count)?).find(|first| *taken & mask << first == 0)?;
    *taken |= mask << first;
    Some(first as u16)
}

/// The address of a slot of the `CapTable` in a root slot.
const fn join(table: u16, index: u16) -> CapAddr {
    table << 7 | index
}

/// The `CapTable` that a slot lies in, and its number there: what buying into it needs.
pub const fn table_of(address: CapAddr) -> (Cap<CapTable>, u16) {
    match address >> 7 {
        0 => (Cap::at(slot::ROOT), address),
        table => (Cap::at(table), address & 127),
    }
}

#[cfg(target_os = "none")]
mod own {
    use abi::cap::CapAddr;
    use abi::error::EMFILE;
    use sys::Error;

    use super::Slots;
    use crate::invoke::Kernel;
    use crate::single::Single;

    static SLOTS: Single<Slots> = Single::new(Slots::new());

    /// Takes a free slot of this program's.
    ///
    /// # Errors
    /// As for [`Slots::take`].
    pub fn take() -> Result<CapAddr, Error> {
        take_run(1)
    }

    /// Takes a free slot of this program's for a segment whose pages are exchanged.
    ///
    /// # Errors
    /// As for [`Slots::take_segment`].
    pub fn take_segment() -> Result<CapAddr, Error> {
        SLOTS.get().ok_or(Error::new(EMFILE))?.take_segment(&Kernel)
    }

    /// Takes free slots that follow each other in one table.
    ///
    /// # Errors
    /// As for [`Slots::take_run`].
    pub fn take_run(count: u16) -> Result<CapAddr, Error> {
        SLOTS
            .get()
            .ok_or(Error::new(EMFILE))?
            .take_run(&Kernel, count)
    }

    /// Empties a slot of this program's and makes it free again.
    pub fn give(address: CapAddr) {
        if let Some(mut slots) = SLOTS.get() {
            slots.give(&Kernel, address);
        }
    }
}

#[cfg(target_os = "none")]
pub use own::{give, take, take_run, take_segment};

#[cfg(test)]
mod tests;
