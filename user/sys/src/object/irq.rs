//! Interrupts.

use abi::cap::CapAddr;
use abi::method::irq as method;

use super::Notify;
use crate::{Cap, Error, Message, Sys};

/// Interrupts, all or one.
pub enum Irq {}

impl Cap<Irq> {
    /// An ISA interrupt.
    pub fn isa(self, sys: &impl Sys, line: u8, into: CapAddr) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[method::ISA, line as u64]).receiving(&[into]),
        )
    }

    /// An entry of a function's MSI-X table.
    pub fn msix(
        self,
        sys: &impl Sys,
        function: u16,
        entry: u16,
        into: CapAddr,
    ) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[method::MSIX, function as u64, entry as u64]).receiving(&[into]),
        )
    }

    /// Names who is told.
    pub fn bind(self, sys: &impl Sys, notify: Cap<Notify>) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[method::BIND]).with_caps(&[notify.address()]),
        )
    }

    /// Unmasks.
    pub fn unmask(self, sys: &impl Sys) -> Result<(), Error> {
        self.perform(sys, &Message::new(&[method::UNMASK]))
    }

    /// Masks.
    pub fn mask(self, sys: &impl Sys) -> Result<(), Error> {
        self.perform(sys, &Message::new(&[method::MASK]))
    }

    /// Gives the vector back.
    pub fn release(self, sys: &impl Sys) -> Result<(), Error> {
        self.perform(sys, &Message::new(&[method::RELEASE]))
    }
}
