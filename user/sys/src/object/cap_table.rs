//! Capability tables.

use abi::cap::{CapAddr, Rights};
use abi::method::cap_table as method;

use crate::{Cap, Error, Message, Sys};

/// 128 capability slots.
pub enum CapTable {}

impl Cap<CapTable> {
    /// Copies a capability into a slot, keeping only these rights.
    pub fn put(
        self,
        sys: &impl Sys,
        slot: u16,
        from: CapAddr,
        rights: Rights,
    ) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[method::PUT, slot as u64, rights.bits() as u64]).with_caps(&[from]),
        )
    }

    /// Copies a slot's capability to an address of one's own.
    pub fn get(self, sys: &impl Sys, slot: u16, into: CapAddr) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[method::GET, slot as u64]).receiving(&[into]),
        )
    }

    /// Empties slots.
    pub fn clear(self, sys: &impl Sys, slot: u16, count: u16) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[method::CLEAR, slot as u64, count as u64]),
        )
    }

    /// Moves a capability within the table.
    pub fn relocate(self, sys: &impl Sys, from: u16, to: u16) -> Result<(), Error> {
        self.perform(sys, &Message::new(&[method::MOVE, from as u64, to as u64]))
    }

    /// Kind (as a number) and rights of a slot's capability.
    pub fn describe(self, sys: &impl Sys, slot: u16) -> Result<(u8, Rights), Error> {
        let words = self.invoke(sys, &Message::new(&[method::DESCRIBE, slot as u64]))?;
        Ok((words[0] as u8, Rights::from_bits_truncate(words[1] as u8)))
    }
}
