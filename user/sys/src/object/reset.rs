//! Reboot and halt.

use abi::count::{EVENTS, OBSERVE, READ};
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

    /// Counts events from now on, but for the invoker's own.
    ///
    /// # Errors
    /// `ENOSYS`: the kernel was not built to count.
    pub fn observe(self, sys: &impl Sys) -> Result<(), Error> {
        self.perform(sys, &Message::new(&[OBSERVE]))
    }

    /// What was counted, by [`Event`](abi::count::Event).
    ///
    /// # Errors
    /// As for [`observe`](Cap::<Reset>::observe).
    pub fn counts(self, sys: &impl Sys) -> Result<[u64; EVENTS], Error> {
        let mut counts = [0; EVENTS];
        for (n, six) in counts.chunks_mut(6).enumerate() {
            let words = self.invoke(sys, &Message::new(&[READ, 6 * n as u64]))?;
            six.copy_from_slice(&words[..six.len()]);
        }
        Ok(counts)
    }
}
