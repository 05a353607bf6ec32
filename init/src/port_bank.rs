//! Port banks: what is offered to the driver, so that sessions' banks can be made under it.
//!
//! A driver first makes a session's bank, and tells of it when the session begins. If it dies between
//! the two, only the dead driver knew of the bank, and its user would stay charged. So what a stack
//! offers is not the user's own bank but one under it that init holds: when a driver died init destroys
//! it, with whatever the driver had made there, and makes another.

use sys::Cap;
use sys::bank::{Bank, BankRights};

use crate::failure::Failure;
use crate::host::Host;
use crate::launch::clear;

/// What a stack may do with its port bank, and the driver that it is offered to: make banks under it.
pub const RIGHTS: BankRights = BankRights::BUY;

/// Makes one, with all rights in the slot of `made`. It may hold whatever `payer` may.
///
/// # Errors
/// What the payer says.
pub fn make<H: Host>(host: &H, payer: Cap<Bank>, made: Cap<Bank>) -> Result<(), Failure> {
    let sys = host.sys();
    clear(host, made.address());
    let limit = payer.usage(sys).map(|usage| usage.limit);
    limit
        .and_then(|limit| payer.sub_bank(sys, limit, false, made))
        .map(|_| ())
        .map_err(|error| Failure::buying(sys, payer, "making the bank for its port", error))
}
