//! What init gives the ethernet driver when it starts it: [`ethdrv::grant`].

use alloc::vec::Vec;

use abi::cap::{CapAddr, Rights};
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

/// The entry of the card's MSI-X table whose interrupt the driver gets.
const VECTOR: u16 = 0;

/// The driver's capabilities and arguments. It gets the pages with the card's registers and nothing of
/// its configuration space. `alive` is where it gives signs of life.
///
/// # Errors
/// What could not be had.
pub fn equip<H: Host>(
    host: &H,
    driver: &Driver,
    alive: CapAddr,
) -> Result<(Vec<Grant>, Vec<u8>), Failure> {
    let sys = host.sys();
    let what = "equipping it";
    let card = driver
        .card
        .as_ref()
        .ok_or_else(|| Failure::new(what, "there is no network card"))?;
    let pages = card.pages();
    let [pages] = pages.as_slice() else {
        return Err(Failure::new(
            what,
            "the card's registers lie in several regions",
        ));
    };
    if card.locations.vectors == 0 {
        return Err(Failure::new(what, "the card has no MSI-X"));
    }
    clear(host, driver.registers);
    DEVICE_MEMORY
        .narrow(sys, pages.address, pages.count, driver.registers)
        .trying("taking the card's registers")?;
    clear(host, driver.interrupt);
    IRQ.msix(sys, card.address.number(), VECTOR, driver.interrupt)
        .trying("taking the card's interrupt")?;
    let grants = [
        Grant::new(grant::VERIFIER, VERIFIER.address()),
        Grant::new(grant::FUNCTION, driver.function.address()).with(Rights::CONTROL),
        Grant::new(grant::REGISTERS, driver.registers),
        Grant::new(grant::INTERRUPT, driver.interrupt),
        Grant::new(grant::ALIVE, alive),
    ];
    let arguments = grant::Arguments::VirtioNet {
        locations: card.locations,
        first_page: u32::try_from(pages.first).map_err(|error| Failure::new(what, error))?,
    };
    let arguments = postcard::to_allocvec(&arguments)
        .map_err(|error| Failure::new("writing its arguments", error))?;
    Ok((grants.into(), arguments))
}
