//! Pages of memory.

use abi::method::page as method;

use crate::{Cap, Error, Message, Sys};

/// A page of memory.
pub enum Page {}

impl Cap<Page> {
    /// Clears the page's home.
    pub fn unmap(self, sys: &impl Sys) -> Result<(), Error> {
        self.perform(sys, &Message::new(&[method::UNMAP]))
    }

    /// Reads six words at a byte offset.
    pub fn read(self, sys: &impl Sys, offset: u64) -> Result<[u64; 6], Error> {
        self.invoke(sys, &Message::new(&[method::READ, offset]))
    }

    /// Writes a word at a byte offset.
    pub fn write(self, sys: &impl Sys, offset: u64, word: u64) -> Result<(), Error> {
        self.perform(sys, &Message::new(&[method::WRITE, offset, 1, word]))
    }
}
