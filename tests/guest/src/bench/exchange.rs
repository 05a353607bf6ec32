//! Frames exchanged between two segments of two owners' pages.
//!
//! `exchange.1`: one invocation, one pair. `exchange.32`: a batch of 32 pairs, a pair. As in a driver
//! that delivers a burst to one client: both segments are mapped by the running program and by another
//! address space, all frames are pinned for the device to write, and the batch is sorted.

use core::mem::offset_of;

use abi::batch::{self, direction};
use abi::cap::{Kind, Rights};
use guest::children::{BANK, Failed, Nursery};
use guest::code;
use guest::statistics::Statistics;
use rt::child::{Image, Program, Shared};
use rt::clock::ticks;
use rt::{Kernel, message_page, shared, slots};
use sys::object::{CapTable, Table};
use sys::{Cap, Error, Mem};

use crate::{ROUNDS, pin, print, rounds};

const PAIRS: u64 = 32;

/// Slot of the first segment in the table that goes with a batch.
const FIRST: u16 = 1;

/// Measures and prints.
pub fn run() -> Result<(), Failed> {
    let segments = [
        shared::buy(BANK, PAIRS as usize)?,
        shared::buy(BANK, PAIRS as usize)?,
    ];
    let tables = segments.each_ref().map(|segment| segment.table);
    // Whoever receives into them, in an address space of its own.
    let mut nursery = Nursery::new()?;
    let image = Image::from_code(code::echo())?;
    let shared = [0, 1].map(|n| Shared {
        address: abi::boot::layout::SHARED + n as u64 * abi::SEGMENT_SIZE as u64,
        segment: tables[n],
        rights: Rights::READ,
    });
    let program = Program {
        stack_pages: 1,
        segments: &shared,
        ..Program::new("reader", &image, BANK)
    };
    nursery.child(&program)?;

    let aperture = pin::aperture()?;
    for (n, table) in tables.into_iter().enumerate() {
        for place in 0..PAIRS as u16 {
            let slot = n as u16 * PAIRS as u16 + place;
            aperture.pin(&Kernel, slot, table, place, direction::FROM_DEVICE)?;
        }
    }
    let measured = rounds(ROUNDS, || {
        let _ = aperture.exchange(&Kernel, (tables[0], 3), (tables[1], 5));
    });
    print("exchange.1", measured);

    let names = name(tables)?;
    write_batch().map_err(|_| Error::VOID)?;
    let exchange = || aperture.exchange_batch(&Kernel, message_page::PAGE, &[names], 0, PAIRS);
    if exchange()? != PAIRS {
        return Err(Failed::Wrong("not all pairs could be exchanged"));
    }
    let (mut all, mut single) = (Statistics::new(), Statistics::new());
    let begin = ticks();
    for _ in 0..ROUNDS {
        exchange()?;
    }
    all.add(ticks() - begin, ROUNDS * PAIRS);
    for _ in 0..ROUNDS {
        let begin = ticks();
        exchange()?;
        single.add(ticks() - begin, PAIRS);
    }
    print("exchange.32", (all, single));
    Ok(())
}

/// A table with both segments, from slot [`FIRST`] on.
fn name(segments: [Cap<Table>; 2]) -> Result<Cap<CapTable>, Error> {
    let address = slots::take()?;
    let (into, index) = slots::table_of(address);
    BANK.buy_caps(&Kernel, Kind::CapTable, 1, into, index)?;
    let names: Cap<CapTable> = Cap::at(address);
    for (slot, segment) in (FIRST..).zip(segments) {
        names.put(&Kernel, slot, segment.address(), Rights::FULL)?;
    }
    Ok(names)
}

fn write_batch() -> Result<(), sys::Fault> {
    let page = message_page::batch();
    for n in 0..PAIRS as usize {
        let entry = n * size_of::<batch::Exchange>();
        let segments = entry + offset_of!(batch::Exchange, segments);
        let places = entry + offset_of!(batch::Exchange, places);
        page.store_u16(segments, FIRST)?;
        page.store_u16(segments + 2, FIRST + 1)?;
        page.store_u16(places, n as u16)?;
        page.store_u16(places + 2, (n as u16 * 7) % PAIRS as u16)?;
    }
    Ok(())
}
