//! The kernel's log.

use abi::method::log as method;

use super::{Notify, Page};
use crate::{Cap, Error, Message, Sys};

/// The kernel's log.
pub enum Log {}

impl Cap<Log> {
    /// Writes a line that lies in a page; answers the level above which lines are dropped.
    pub fn write(
        self,
        sys: &impl Sys,
        page: Cap<Page>,
        offset: u64,
        length: u64,
        level: u64,
    ) -> Result<u64, Error> {
        let message = Message::new(&[method::WRITE, offset, length, level]);
        let words = self.invoke(sys, &message.with_caps(&[page.address()]))?;
        Ok(words[0])
    }

    /// Writes bytes to the console as they are.
    pub fn console(
        self,
        sys: &impl Sys,
        page: Cap<Page>,
        offset: u64,
        length: u64,
    ) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[method::CONSOLE, offset, length]).with_caps(&[page.address()]),
        )
    }

    /// Sets the level, 0 (none) to 5.
    pub fn set_level(self, sys: &impl Sys, level: u64) -> Result<(), Error> {
        self.perform(sys, &Message::new(&[method::SET_LEVEL, level]))
    }

    /// Names who is told after each line.
    pub fn set_notify(self, sys: &impl Sys, notify: Cap<Notify>) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[method::SET_NOTIFY]).with_caps(&[notify.address()]),
        )
    }
}
