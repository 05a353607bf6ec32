//! Device registers.

use abi::boot::slot;
use abi::cap::{Kind, Rights};
use abi::error::ERANGE;
use abi::{PAGE_SIZE, TABLE_ENTRIES};
use sys::bank::Bank;
use sys::object::{DeviceMemory, Table};
use sys::{Cap, Error};

use crate::invoke::Kernel;
use crate::mapping::Mapping;
use crate::{shared, slots};

/// Most entries that the kernel maps at once.
const STEP: u64 = 64;

/// Maps `pages` of device memory from the `first` of the capability's on, for the life of the
/// program, in a segment bought from its bank.
///
/// # Errors
/// `ERANGE`: more than a segment, or than the capability covers. `EMFILE`: no slot or place is left.
/// Those of buying.
pub fn map(memory: Cap<DeviceMemory>, first: u64, pages: u64) -> Result<Mapping, Error> {
    if pages > TABLE_ENTRIES as u64 {
        return Err(Error::new(ERANGE));
    }
    let address = slots::take()?;
    let (root, index) = slots::table_of(address);
    let bank: Cap<Bank> = Cap::at(slot::BANK);
    let made = bank
        .buy_caps(&Kernel, Kind::Table1, 1, root, index)
        .and_then(|()| {
            let mapped = fill(Cap::at(address), memory, first, pages);
            if mapped.is_err() {
                let _ = bank.sell(&Kernel, address);
            }
            mapped
        });
    made.inspect_err(|_| slots::give(address))
}

fn fill(
    segment: Cap<Table>,
    memory: Cap<DeviceMemory>,
    first: u64,
    pages: u64,
) -> Result<Mapping, Error> {
    let rights = Rights::READ | Rights::WRITE;
    let mut done = 0;
    while done < pages {
        let count = (pages - done).min(STEP);
        segment.map_device(&Kernel, done, count, rights, first + done, memory)?;
        done += count;
    }
    let place = shared::map(segment, rights)?;
    let whole = place.mapping();
    whole
        .part(0, pages as usize * PAGE_SIZE)
        .map_err(|_| Error::new(ERANGE))
}
