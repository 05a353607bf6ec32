//! Port banks: what is offered to the driver, so that sessions' banks can be made under it.
//!
//! A driver first makes a session's bank, and tells of it when the session begins. If it dies between
//! the two, only the dead driver knew of the bank, and its user would stay charged. So what a stack
//! offers is not the user's own bank but one under it that init holds: when a driver died init destroys
//! it, with whatever the driver had made there, and makes another.

use sys::Cap;
use sys::bank::{Bank, BankRights};

use dev::layout::FIRST_RECEIVE_PAGE;

use crate::failure::Failure;
use crate::host::Host;
use crate::launch::clear;
use crate::manifest::User;
use crate::plan::receive_slots;

/// What a stack may do with its port bank, and the driver that it is offered to: make banks under it.
pub const RIGHTS: BankRights = BankRights::BUY;

/// Objects that it may hold: each session's pages, and its bank's record.
fn limit(user: &User) -> u64 {
    2 * (1 + u64::from(FIRST_RECEIVE_PAGE) + receive_slots(user))
}

/// Makes one, with all rights in the slot of `made`. It may hold two sessions of the user's, for one may be
/// ending while another begins: how long its end takes, and so how long everybody may wait for the next
/// driver, is bounded by that.
///
/// # Errors
/// What the payer says.
pub fn make<H: Host>(
    host: &H,
    user: &User,
    payer: Cap<Bank>,
    made: Cap<Bank>,
) -> Result<(), Failure> {
    let sys = host.sys();
    clear(host, made.address());
    payer
        .sub_bank(sys, limit(user), false, made)
        .map(|_| ())
        .map_err(|error| Failure::buying(sys, payer, "making the bank for its port", error))
}
