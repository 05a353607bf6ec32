//! DMA of PCI functions, and their configuration.

use abi::cap::CapAddr;
use abi::method::device_dma as method;

use super::Aperture;
use crate::{Cap, Error, Message, Sys};

/// DMA of all PCI functions, or of one.
pub enum DeviceDma {}

impl Cap<DeviceDma> {
    /// The capability for one function.
    pub fn function(self, sys: &impl Sys, function: u16, into: CapAddr) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[method::FUNCTION, function as u64]).receiving(&[into]),
        )
    }

    /// Reads configuration space.
    pub fn config_read(self, sys: &impl Sys, offset: u16, width: u8) -> Result<u32, Error> {
        let words = self.invoke(
            sys,
            &Message::new(&[method::CONFIG_READ, offset as u64, width as u64]),
        )?;
        Ok(words[0] as u32)
    }

    /// Writes configuration space.
    pub fn config_write(
        self,
        sys: &impl Sys,
        offset: u16,
        width: u8,
        value: u32,
    ) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[
                method::CONFIG_WRITE,
                offset as u64,
                width as u64,
                value as u64,
            ]),
        )
    }

    /// Binds an aperture to the function.
    pub fn bind(self, sys: &impl Sys, aperture: Cap<Aperture>) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[method::BIND]).with_caps(&[aperture.address()]),
        )
    }

    /// Bus mastering on or off.
    pub fn set_master(self, sys: &impl Sys, on: bool) -> Result<(), Error> {
        self.perform(sys, &Message::new(&[method::SET_MASTER, on as u64]))
    }

    /// Ends pins of the function's dead apertures; answers how many in this step, and whether it
    /// wants to go on.
    pub fn release(self, sys: &impl Sys) -> Result<(u64, bool), Error> {
        let (more, words) = sys
            .call(self.address(), &Message::new(&[method::RELEASE]))
            .more()?;
        Ok((words[0], more))
    }
}
