//! By mapping it, or having it mapped.

use alloc::format;
use alloc::string::{String, ToString};

use abi::SEGMENT_SIZE;
use abi::boot::slot;
use abi::cap::{Kind, Rights};
use abi::method::process::state;
use dev::Program;
use dev::layout::FIRST_RECEIVE_PAGE;
use dev::program::BANK;
use guest::children::{Nursery, SubBank, own_priority, weakened};
use guest::code;
use rt::child::{Image, Program as Child, Shared};
use rt::{Kernel, shared, slots};
use sys::object::Table;
use sys::{Cap, Error};

use super::{Bed, Check, refused};
use crate::{PATIENCE, hostile};

/// The ways.
pub const CHECKS: &[Check] = &[
    ("mapping it again to write", |bed| {
        bed.map_and_write(bed.segment(), Rights::READ | Rights::WRITE)
    }),
    ("mapping it again with all rights", |bed| {
        bed.map_and_write(bed.segment(), Rights::FULL)
    }),
    ("writing through the mapping that it has", |bed| {
        let memory = bed.session.receive_memory();
        let mut offsets = bed.offsets();
        let written = offsets.find(|at| sys::Mem::store_u64(memory, *at, super::MAGIC).is_ok());
        written.map_or(Ok(()), |at| Err(format!("byte {at:#x} could be written")))
    }),
    ("a mapping that is to be given more rights", protect),
    ("a capability that is to be given more rights", stronger),
    ("changing the segment itself", change),
    ("mapping it through another table", other_table),
    ("having another process write to it", other_process),
];

/// Limit of a child's bank.
const CHILD: u64 = 64;

const READ_WRITE: Rights = Rights::READ.union(Rights::WRITE);

fn show(error: Error) -> String {
    error.to_string()
}

fn protect(bed: &Bed<'_>) -> Result<(), String> {
    let place = shared::map(bed.segment(), Rights::READ).map_err(show)?;
    let space: Cap<Table> = Cap::at(slot::SPACE);
    let index = (place.address() / SEGMENT_SIZE) as u64;
    // Whatever it answers, no right is gained.
    let _ = space.protect(&Kernel, index, READ_WRITE);
    let written = bed.write_through(&place);
    place.unmap().map_err(show)?;
    written
}

fn stronger(bed: &Bed<'_>) -> Result<(), String> {
    let Ok(copy) = weakened(bed.segment().address(), Rights::FULL) else {
        return Ok(());
    };
    let (table, index) = slots::table_of(copy);
    let (_, rights) = table.describe(&Kernel, index).map_err(show)?;
    let written = bed.map_and_write(Cap::at(copy), READ_WRITE);
    slots::give(copy);
    match rights == Rights::READ {
        true => written,
        false => Err(format!("the copy has {rights:?}")),
    }
}

fn change(bed: &Bed<'_>) -> Result<(), String> {
    let segment = bed.segment();
    let place = FIRST_RECEIVE_PAGE as u64;
    let page = buy(Kind::Page)?;
    let mapped = refused(
        "mapping a page into it",
        segment.map(
            &Kernel,
            place,
            Cap::<sys::object::Page>::at(page),
            READ_WRITE,
        ),
    );
    sell(page)?;
    mapped?;
    let behind = place + u64::from(bed.session.receive_pages());
    refused(
        "buying a page into it",
        BANK.buy_places(&Kernel, Kind::Page, 1, segment, behind, READ_WRITE),
    )?;
    refused("unmapping its pages", segment.unmap(&Kernel, place, 1))?;
    refused(
        "changing a page's rights",
        segment.protect(&Kernel, place, READ_WRITE),
    )
}

fn other_table(bed: &Bed<'_>) -> Result<(), String> {
    let address = buy(Kind::Table2)?;
    let table: Cap<Table> = Cap::at(address);
    let mapped = table.map(&Kernel, 0, bed.segment(), Rights::FULL);
    let entry = table.query(&Kernel, 0);
    sell(address)?;
    match (mapped, entry) {
        (Ok(()), Ok((_, rights))) if rights.contains(Rights::WRITE) => {
            Err(format!("there it has {rights:?}"))
        }
        _ => Ok(()),
    }
}

/// A child that has the segment in its address space writes to it.
fn other_process(bed: &Bed<'_>) -> Result<(), String> {
    let image = Image::from_code(code::scribble()).map_err(|error| format!("{error}"))?;
    let mut nursery = Nursery::new().map_err(show)?;
    let segments = [Shared {
        address: code::SHARED,
        segment: bed.segment(),
        rights: READ_WRITE,
    }];
    let bank = SubBank::new(CHILD).map_err(show)?;
    let child = nursery.child(&Child {
        segments: &segments,
        priority: own_priority().map_err(show)?,
        ..Child::new("scribbler", &image, bank.bank)
    });
    nursery.end();
    let Ok(child) = child else {
        // What can't be mapped can't be written to.
        return Ok(());
    };
    child.start(&Kernel).map_err(show)?;
    let deadline = bed.program.now() + PATIENCE;
    loop {
        let info = child.process.info(&Kernel).map_err(show)?;
        match info.state {
            // It faulted.
            state::STOPPED => return Ok(()),
            state::WAITING => return Err("it wrote, and faulted at nothing".to_string()),
            _ if bed.program.now() > deadline => return Err("it never ran".to_string()),
            _ => hostile::pause(),
        }
    }
}

/// Buys an object into a slot.
pub fn buy(kind: Kind) -> Result<u16, String> {
    let address = slots::take().map_err(show)?;
    let (table, index) = slots::table_of(address);
    let bought = BANK.buy_caps(&Kernel, kind, 1, table, index);
    bought.inspect_err(|_| slots::give(address)).map_err(show)?;
    Ok(address)
}

/// Sells it again.
pub fn sell(address: u16) -> Result<(), String> {
    let sold = BANK.sell(&Kernel, address).map_err(show);
    slots::give(address);
    sold
}
