//! The process: takes the machine's storage over from the kernel and serves.
//!
//! Everything that decides anything is in the library. Here stand the two pieces of memory that the
//! kernel mapped for it: the array of entries, and the range in which records appear.
#![no_std]
#![no_main]

use core::fmt;

use abi::PAGE_SIZE;
use abi::boot::{BANK_ARRAY_ENTRY, BANK_MAGIC, BankBoot, layout};
use rt::{Kernel, arguments, message_page};
use spacebank::{Entry, Record, Records, Server, StartError};

rt::entry!(main);

/// Why there is no spacebank, and so no system.
enum Failure {
    /// The boot page is not one.
    Boot,
    /// The server refused what it says.
    Start(StartError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Boot => f.write_str("the boot page makes no sense"),
            Failure::Start(error) => error.fmt(f),
        }
    }
}

fn main() -> Result<(), Failure> {
    let boot = boot_page().ok_or(Failure::Boot)?;
    let entries = core::ptr::with_exposed_provenance_mut::<Entry>(boot.array as usize);
    // SAFETY:
    // - the kernel maps `array_bytes` zeroed bytes at `array` for this program alone, for good;
    //   `boot_page` checked that the entries fit and are aligned;
    // - memory of zeros is a valid array of entries;
    // - this is the only reference: `main` runs once.
    let entries = unsafe { core::slice::from_raw_parts_mut(entries, boot.objects as usize) };
    let batch = message_page::batch();
    let mut server =
        Server::start(&Kernel, entries, boot.sold, MappedRecords, batch).map_err(Failure::Start)?;
    rt::log::info!(
        "sells {} objects, {} of them sold already",
        boot.objects,
        boot.sold
    );
    server.serve(&Kernel)
}

/// The boot page, if it is one and its array holds all objects.
fn boot_page() -> Option<BankBoot> {
    let bytes = arguments::bytes();
    let word = |offset: usize| -> Option<u64> {
        let bytes = bytes.get(offset..offset + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    let counts = word(8)?;
    let boot = BankBoot {
        magic: word(0)?,
        objects: counts as u32,
        sold: (counts >> 32) as u32,
        array: word(16)?,
        array_bytes: word(24)?,
    };
    let fits = u64::from(boot.objects) * BANK_ARRAY_ENTRY as u64 <= boot.array_bytes;
    let aligned = boot.array != 0 && boot.array.is_multiple_of(align_of::<Entry>() as u64);
    (boot.magic == BANK_MAGIC && fits && aligned).then_some(boot)
}

/// Records in the pages that the server has mapped at [`layout::RECORDS`], each at its object's place.
///
/// Private to this program, and given to the server alone, which asks only for records that it has
/// created and not yet discarded: between the `MINT_INTO` that maps a record's page and the `RESCIND`
/// that unmaps it. Were it to ask for another, the access would be a fault that ends this process, not
/// an access to something else: nothing else is ever mapped in this range.
struct MappedRecords;

impl MappedRecords {
    fn at(oid: u32) -> *mut Record {
        let address = layout::RECORDS as usize + oid as usize * PAGE_SIZE;
        core::ptr::with_exposed_provenance_mut(address)
    }
}

impl Records for MappedRecords {
    fn get(&self, oid: u32) -> &Record {
        // SAFETY:
        // - the page is mapped, and was written by `create` (see above); a page is aligned for and
        //   larger than a record;
        // - the page is in no other table (nobody has a capability to it, or to its segment), so
        //   only this program writes it, and only through `&mut self`.
        unsafe { &*MappedRecords::at(oid) }
    }

    fn get_mut(&mut self, oid: u32) -> &mut Record {
        // SAFETY: as for `get`; `&mut self` makes the reference the only one.
        unsafe { &mut *MappedRecords::at(oid) }
    }

    fn create(&mut self, oid: u32, record: Record) {
        // SAFETY: as for `get_mut`; what was there before is zeros, or a record that needs no drop.
        unsafe { MappedRecords::at(oid).write(record) }
    }

    fn discard(&mut self, _: u32) {}
}
