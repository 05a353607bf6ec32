//! Pages pinned for a device.
//!
//! `pin_unpin.32`: 32 pages pinned, for the device to write, and unpinned, by one batch each, a page:
//! both invocations together. The device is the first PCI function that no driver has; it does
//! nothing.

use abi::batch::{Pin, Unpin, direction};
use abi::boot::slot;
use abi::cap::Kind;
use guest::children::{BANK, Failed};
use guest::statistics::Statistics;
use rt::clock::ticks;
use rt::{Kernel, message_page, shared, slots};
use sys::object::{Aperture, DeviceDma, Table};
use sys::{Cap, Error, Mem};

use crate::print;

const PAGES: u64 = 32;
const PINS: u64 = 0;
const UNPINS: u64 = PINS + PAGES * size_of::<Pin>() as u64;

/// Measures and prints.
pub fn run() -> Result<(), Failed> {
    let segment = shared::buy(BANK, PAGES as usize)?.table;
    let aperture = aperture()?;
    write_batches().map_err(|_| Error::VOID)?;

    let mut measured = Statistics::new();
    for _ in 0..64 {
        let begin = ticks();
        let pinned = aperture.pin_batch(&Kernel, message_page::PAGE, segment, PINS, PAGES)?;
        let unpinned = aperture.unpin_batch(&Kernel, message_page::PAGE, UNPINS, PAGES)?;
        measured.add(ticks() - begin, PAGES);
        if (pinned, unpinned) != (PAGES, PAGES) {
            return Err(Failed::Wrong("not all pages could be pinned and unpinned"));
        }
    }
    print("pin_unpin.32", (measured, measured));
    Ok(())
}

/// An aperture with a window, bound to a function.
pub fn aperture() -> Result<Cap<Aperture>, Error> {
    let aperture: Cap<Aperture> = buy(Kind::Aperture)?;
    let window: Cap<Table> = buy(Kind::Table1)?;
    bind(aperture)?;
    aperture.set_window(&Kernel, window)?;
    Ok(aperture)
}

fn buy<T>(kind: Kind) -> Result<Cap<T>, Error> {
    let address = slots::take()?;
    let (table, index) = slots::table_of(address);
    BANK.buy_caps(&Kernel, kind, 1, table, index)?;
    Ok(Cap::at(address))
}

/// Binds the aperture to the first function that takes it.
fn bind(aperture: Cap<Aperture>) -> Result<(), Error> {
    let all: Cap<DeviceDma> = Cap::at(slot::INIT_DEVICE_DMA);
    let one: Cap<DeviceDma> = Cap::at(slots::take()?);
    let mut result = Err(Error::new(abi::error::ENODEV));
    // The functions 0 of bus 0's devices.
    for device in 0..32 {
        result = all
            .function(&Kernel, device << 3, one.address())
            .and_then(|()| one.bind(&Kernel, aperture));
        if result.is_ok() {
            break;
        }
    }
    result
}

fn write_batches() -> Result<(), sys::Fault> {
    let page = message_page::batch();
    for n in 0..PAGES {
        let pin = PINS as usize + n as usize * size_of::<Pin>();
        page.store_u16(pin + core::mem::offset_of!(Pin, slot), n as u16)?;
        page.store_u16(pin + core::mem::offset_of!(Pin, index), n as u16)?;
        let way = direction::FROM_DEVICE;
        page.store_u8(pin + core::mem::offset_of!(Pin, direction), way)?;
        page.store_u8(pin + core::mem::offset_of!(Pin, reserved), 0)?;
        let unpin = UNPINS as usize + n as usize * size_of::<Unpin>();
        page.store_u16(unpin + core::mem::offset_of!(Unpin, slot), n as u16)?;
        page.store_u32(unpin + core::mem::offset_of!(Unpin, reserved), 0)?;
    }
    Ok(())
}
