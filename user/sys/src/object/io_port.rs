//! I/O ports.

use abi::cap::CapAddr;
use abi::method::io_port as method;

use crate::{Cap, Error, Message, Sys};

/// A range of I/O ports.
pub enum IoPort {}

impl Cap<IoPort> {
    /// A part of the range.
    pub fn narrow(self, sys: &impl Sys, base: u16, count: u16, into: CapAddr) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[method::NARROW, base as u64, count as u64]).receiving(&[into]),
        )
    }

    /// Reads a byte.
    pub fn read_u8(self, sys: &impl Sys, port: u16) -> Result<u8, Error> {
        let words = self.invoke(sys, &Message::new(&[method::READ, port as u64, 1]))?;
        Ok(words[0] as u8)
    }

    /// Writes a byte.
    pub fn write_u8(self, sys: &impl Sys, port: u16, value: u8) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[method::WRITE, port as u64, 1, value as u64]),
        )
    }
}
