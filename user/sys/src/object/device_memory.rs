//! Device memory.

use abi::cap::CapAddr;
use abi::method::device_memory as method;

use crate::{Cap, Error, Message, Sys};

/// A range of device memory.
pub enum DeviceMemory {}

impl Cap<DeviceMemory> {
    /// A part of the range.
    pub fn narrow(
        self,
        sys: &impl Sys,
        physical: u64,
        pages: u64,
        into: CapAddr,
    ) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[method::NARROW, physical, pages]).receiving(&[into]),
        )
    }

    /// Physical address and pages.
    pub fn info(self, sys: &impl Sys) -> Result<(u64, u64), Error> {
        let words = self.invoke(sys, &Message::new(&[method::INFO]))?;
        Ok((words[0], words[1]))
    }
}
