//! What can be signalled and started in a process.

use abi::method::notify as method;

use crate::{Cap, Error, Message, Sys};

/// One notification bit of a process.
pub enum Notify {}

impl Cap<Notify> {
    /// Sets the bit. Never waits.
    pub fn signal(self, sys: &impl Sys) -> Result<(), Error> {
        Error::check(sys.send(self.address(), &Message::new(&[method::SIGNAL])))
    }
}

/// A process to be started with messages; a server's own type says which methods.
pub enum Start {}
