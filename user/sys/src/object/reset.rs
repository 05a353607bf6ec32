//! Reboot and halt.

use abi::method::reset as method;

use crate::{Cap, Error, Message, Sys};

/// Reboot and halt.
pub enum Reset {}

impl Cap<Reset> {
    /// Starts the machine again.
    pub fn reboot(self, sys: &impl Sys) -> Result<(), Error> {
        self.perform(sys, &Message::new(&[method::REBOOT]))
    }

    /// Stops the machine with a code, 0 for success.
    pub fn halt(self, sys: &impl Sys, code: u64) -> Result<(), Error> {
        self.perform(sys, &Message::new(&[method::HALT, code]))
    }
}
