//! Random numbers.

use abi::method::random as method;

use crate::{Cap, Error, Message, Sys};

/// Random numbers.
pub enum Random {}

impl Cap<Random> {
    /// Six random words.
    pub fn get(self, sys: &impl Sys) -> Result<[u64; 6], Error> {
        self.invoke(sys, &Message::new(&[method::GET]))
    }
}
