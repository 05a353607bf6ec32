//! A user's copier: what it costs, what init gives it, and what its stack gets instead of the port.

use alloc::format;
use alloc::string::String;

use dev::layout::{FIRST_RECEIVE_PAGE, FIRST_TRANSMIT_PAGE};
use dev::port::Port;
use rt::child::{Grant, Image, STACK_PAGES};
use sys::Cap;
use sys::object::Process;

use crate::failure::{Failure, Trying};
use crate::host::{Host, VERIFIER, priority};
use crate::launch::{Held, Launcher, OWN_BANK, Order, clear};
use crate::manifest::User;
use crate::plan::{program_objects, receive_slots};
use crate::port_bank;
use crate::user::UserSlots;

/// The file that copiers run.
pub const FILE: &str = "bin/copier";

/// Objects that its bank holds besides image and pages: heap, tables, the record of its session's bank.
const SLACK: u64 = 48;

/// Objects that a user's copier may hold, of the user's own limit.
pub fn objects(image: &Image<'_>, user: &User) -> u64 {
    let receive = u64::from(FIRST_RECEIVE_PAGE) + receive_slots(user);
    // The transmit segment's table is the copier's, and so is that of the stack's receive segment.
    let transmit = 2 + u64::from(FIRST_TRANSMIT_PAGE) + u64::from(user.transmit_slots);
    program_objects(image, STACK_PAGES) + receive + transmit + SLACK
}

/// How the copier of a user is called.
pub fn name(user: &str) -> String {
    format!("{user}/copier")
}

/// Starts a user's copier on the user's port; answers the port that it serves, for the stack. What was
/// made when it fails is the user's bank's.
///
/// # Errors
/// What was being done, and why it could not be.
pub fn launch<H: Host>(
    host: &H,
    launcher: &mut Launcher,
    image: &Image<'_>,
    user: &User,
    slots: &UserSlots,
    bit: u64,
) -> Result<Port, Failure> {
    let (sys, bank) = (host.sys(), slots.copier_bank);
    clear(host, bank.address());
    slots
        .bank
        .sub_bank(sys, objects(image, user), false, bank)
        .map_err(|error| Failure::buying(sys, slots.bank, "making its copier's bank", error))?;
    port_bank::make(host, user, bank, slots.copier_port_bank)?;
    let port_bank = launcher
        .lend(host, slots.copier_port_bank, port_bank::RIGHTS)
        .trying("giving its copier the bank for its port")?;
    let order = Order {
        name: &name(user.name.as_str()),
        file: FILE,
        arguments: &[],
        // No higher than stacks: it works for one of them.
        priority: priority::STACK,
        stack_pages: STACK_PAGES,
        bank,
        bank_rights: OWN_BANK,
        grants: &[
            Grant::new(copier::grant::PORT, slots.port.address()),
            Grant::new(copier::grant::VERIFIER, VERIFIER.address()),
            Grant::new(copier::grant::PORT_BANK.address(), port_bank),
        ],
        bit,
    };
    let Held { process, .. } = slots.copier;
    launcher.launch(host, image, &order, slots.copier)?;
    let served = slots.served;
    clear(host, served.address());
    Cap::<Process>::at(process)
        .make_start(sys, copier::grant::PORT_BADGE, served.address())
        .trying("making the port that its copier serves")?;
    Ok(served)
}
