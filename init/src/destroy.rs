//! Destroying banks, a step at a time.

use sys::bank::{Bank, method};
use sys::{Cap, Error, Message, Sys};

/// Does a step of destroying a bank; answers whether there is more.
pub fn destroy_step(sys: &impl Sys, bank: Cap<Bank>, whose: &str) -> bool {
    match sys
        .call(bank.address(), &Message::new(&[method::DESTROY]))
        .more()
    {
        Ok((more, _)) => more,
        // Somebody else took the last step.
        Err(Error::VOID) => false,
        Err(error) => {
            log::error!("{whose}'s bank can't be destroyed: {error}");
            false
        }
    }
}
