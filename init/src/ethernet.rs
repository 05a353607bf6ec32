//! What init gives the ethernet driver when it starts it.

use alloc::vec::Vec;

use abi::cap::Rights;
use ethdrv::grant;
use rt::child::Grant;

use crate::driver::Driver;
use crate::failure::{Failure, Trying};
use crate::host::{DEVICE_MEMORY, Host, IRQ, VERIFIER};
use crate::launch::clear;

/// The driver's name.
pub const NAME: &str = "ethdrv";
/// The file that it runs.
pub const FILE: &str = "bin/ethdrv";

/// The driver's capabilities and arguments.
///
/// # Errors
/// What could not be had.
pub fn equip<H: Host>(host: &H, driver: &Driver) -> Result<(Vec<Grant>, Vec<u8>), Failure> {
    let card = driver
        .card
        .as_ref()
        .ok_or_else(|| Failure::new("equipping it", "there is no network card"))?;
    let pages = card.pages();
    let [pages] = pages.as_slice() else {
        return Err(Failure::new(
            "equipping it",
            "its registers lie in several regions",
        ));
    };
    clear(host, driver.scratch);
    DEVICE_MEMORY
        .narrow(host.sys(), pages.address, pages.count, driver.scratch)
        .trying("taking its registers")?;
    clear(host, driver.interrupt);
    IRQ.msix(host.sys(), card.address.number(), 0, driver.interrupt)
        .trying("taking its interrupt")?;
    let grants = [
        Grant::new(grant::VERIFIER, VERIFIER.address()),
        Grant::new(grant::FUNCTION, driver.function.address()).with(Rights::CONTROL),
        Grant::new(grant::REGISTERS, driver.scratch),
        Grant::new(grant::INTERRUPT, driver.interrupt),
    ];
    let arguments = grant::Arguments {
        locations: card.locations,
        first_page: pages.first as u32,
    };
    let arguments = postcard::to_allocvec(&arguments)
        .map_err(|error| Failure::new("writing its arguments", error))?;
    Ok((grants.into(), arguments))
}
