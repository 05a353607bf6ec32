//! Memory that is taken back.

use abi::PAGE_SIZE;
use abi::cap::{Kind, Rights};
use guest::children::{BANK, SubBank};
use rt::shared::{self, Place, Segment};
use rt::vanish::Vanishing;
use rt::{Kernel, slots};
use sys::object::{Page, Table};
use sys::{Cap, Fault, Mem};

use super::{Outcome, Test, check, show};

pub const TESTS: &[Test] = &[
    ("memory that is there is read and written", there),
    ("each access to memory that is gone says so", gone),
    (
        "a copy over the edge of what is left is cut short there",
        edge,
    ),
    (
        "a copy between two regions notices the loss of either",
        between,
    ),
    ("memory is lost a thousand times", often),
    (
        "a write to memory that may only be read says so too",
        read_only,
    ),
    ("a segment that vanishes turns to zeros", vanishes),
    (
        "a page that vanishes takes its segment along",
        page_vanishes,
    ),
    (
        "vanished segments can be replaced by new ones",
        vanishes_again,
    ),
];

/// A segment of somebody else's, with two pages.
struct Lent {
    owner: SubBank,
    segment: Segment,
}

impl Lent {
    fn new() -> Result<Lent, alloc::string::String> {
        let owner = SubBank::new(20).map_err(show)?;
        let segment = shared::buy(owner.bank, 2).map_err(show)?;
        Ok(Lent { owner, segment })
    }

    fn take_back(&self) -> Outcome {
        self.owner.bank.destroy(&Kernel).map_err(show)
    }

    fn end(self) -> Outcome {
        slots::give(self.segment.table.address());
        self.segment.place.unmap().map_err(show)
    }
}

fn there() -> Outcome {
    let lent = Lent::new()?;
    let memory = lent.segment.place.revocable();
    let written = memory.write(PAGE_SIZE - 3, b"abcdef");
    let mut bytes = [0; 6];
    let read = memory.read(PAGE_SIZE - 3, &mut bytes);
    check(
        written.is_ok() && read.is_ok() && bytes == *b"abcdef",
        "not read as written",
    )?;
    check(
        memory.load_u16(PAGE_SIZE) == Ok(0x6564),
        "not loaded as written",
    )?;
    lent.end()
}

fn gone() -> Outcome {
    let lent = Lent::new()?;
    let memory = lent.segment.place.revocable();
    memory.store_u64(0, 1).map_err(show)?;
    lent.take_back()?;
    let lost = Err(Fault::Revoked);
    let mut bytes = [7; 100];
    let answers = [
        memory.load_u8(0).map(|_| ()),
        memory.load_u16(0).map(|_| ()),
        memory.load_u32(0).map(|_| ()),
        memory.load_u64(0).map(|_| ()),
        memory.acquire_u16(2).map(|_| ()),
        memory.acquire_u32(4).map(|_| ()),
        memory.store_u8(0, 1),
        memory.store_u16(0, 1),
        memory.store_u32(0, 1),
        memory.store_u64(0, 1),
        memory.release_u16(0, 1),
        memory.release_u32(0, 1),
        memory.read(5, &mut bytes),
        memory.write(5, &bytes),
    ];
    check(
        answers.iter().all(|answer| *answer == lost),
        "an access went through",
    )?;
    check(bytes == [7; 100], "something was read")?;
    lent.end()
}

/// Maps two pages of which the second can be sold by itself.
fn two_pages() -> Result<(SubBank, Cap<Table>, Cap<Page>, Place), sys::Error> {
    let owner = SubBank::new(20)?;
    let first = slots::take_run(3)?;
    let (table, index) = slots::table_of(first);
    owner.bank.buy_caps(&Kernel, Kind::Page, 2, table, index)?;
    owner
        .bank
        .buy_caps(&Kernel, Kind::Table1, 1, table, index + 2)?;
    let segment: Cap<Table> = Cap::at(first + 2);
    let rights = Rights::READ | Rights::WRITE;
    for n in 0..2 {
        segment.map(&Kernel, n, Cap::<Page>::at(first + n as u16), rights)?;
    }
    let place = shared::map(segment, rights)?;
    Ok((owner, segment, Cap::at(first + 1), place))
}

fn free_three(last: Cap<Table>) {
    (last.address() - 2..=last.address()).for_each(slots::give);
}

fn edge() -> Outcome {
    let (owner, segment, second, place) = two_pages().map_err(show)?;
    let memory = place.revocable();
    memory.write(PAGE_SIZE - 64, &[5; 128]).map_err(show)?;
    owner.bank.sell(&Kernel, second.address()).map_err(show)?;
    let mut bytes = [0; 128];
    let answer = memory.read(PAGE_SIZE - 64, &mut bytes);
    check(answer == Err(Fault::Revoked), "the loss went unnoticed")?;
    check(
        bytes[..64] == [5; 64] && bytes[64..] == [0; 64],
        "what was left was not copied",
    )?;
    check(
        memory.load_u8(PAGE_SIZE - 1) == Ok(5),
        "what is left can't be read",
    )?;
    check(
        memory.load_u8(PAGE_SIZE) == Err(Fault::Revoked),
        "the first byte lost is there",
    )?;
    place.unmap().map_err(show)?;
    free_three(segment);
    Ok(())
}

fn between() -> Outcome {
    for lose_source in [true, false] {
        let (source, target) = (Lent::new()?, Lent::new()?);
        let (from, to) = (
            source.segment.place.revocable(),
            target.segment.place.revocable(),
        );
        from.write(100, b"0123456789").map_err(show)?;
        from.copy_to(100, &to, 4000, 10).map_err(show)?;
        let mut bytes = [0; 10];
        to.read(4000, &mut bytes).map_err(show)?;
        check(bytes == *b"0123456789", "not copied")?;
        let beyond = from.copy_to(0, &to, abi::SEGMENT_SIZE - 4, 5);
        check(beyond == Err(Fault::OutOfRange), "copied beyond the region")?;
        if lose_source {
            source.take_back()?
        } else {
            target.take_back()?
        }
        let answer = from.copy_to(100, &to, 4000, 10);
        check(answer == Err(Fault::Revoked), "the loss went unnoticed")?;
        source.end()?;
        target.end()?;
    }
    Ok(())
}

fn often() -> Outcome {
    let lent = Lent::new()?;
    let memory = lent.segment.place.revocable();
    lent.take_back()?;
    let lost = (0..1000)
        .filter(|n| memory.load_u32(n * 4) == Err(Fault::Revoked))
        .count();
    check(lost == 1000, "an access went through")?;
    lent.end()
}

fn read_only() -> Outcome {
    let segment = shared::buy(BANK, 1).map_err(show)?;
    segment.place.unmap().map_err(show)?;
    let place = shared::map(segment.table, Rights::READ).map_err(show)?;
    let memory = place.revocable();
    check(memory.load_u64(8) == Ok(0), "not readable")?;
    check(memory.store_u64(8, 1) == Err(Fault::Revoked), "written")?;
    check(memory.load_u64(8) == Ok(0), "changed")?;
    place.unmap().map_err(show)
}

fn vanishes() -> Outcome {
    let lent = Lent::new()?;
    lent.segment
        .place
        .mapping()
        .write(0, b"before")
        .map_err(show)?;
    let watched = Vanishing::map(lent.segment.table).map_err(show)?;
    let memory = watched.mapping();
    let mut bytes = [0; 6];
    memory.read(0, &mut bytes).map_err(show)?;
    check(bytes == *b"before" && !watched.gone(), "not there before")?;
    lent.take_back()?;
    check(!watched.gone(), "gone before anybody looked")?;
    memory.read(0, &mut bytes).map_err(show)?;
    check(bytes == [0; 6] && watched.gone(), "not zeros")?;
    // Everywhere, also across pages, more often than there are pages of zeros.
    for place in 0..64 {
        let word = memory.load_u64(place * 4 * PAGE_SIZE + 8).map_err(show)?;
        let mut bytes = [1; 16];
        memory
            .read((place + 1) * PAGE_SIZE - 8, &mut bytes)
            .map_err(show)?;
        check(word == 0 && bytes == [0; 16], "not zeros everywhere")?;
    }
    watched.unmap().map_err(show)?;
    lent.end()
}

fn page_vanishes() -> Outcome {
    let (owner, segment, second, place) = two_pages().map_err(show)?;
    place
        .mapping()
        .write(0, &[9; PAGE_SIZE + 8])
        .map_err(show)?;
    let watched = Vanishing::map(segment).map_err(show)?;
    let memory = watched.mapping();
    owner.bank.sell(&Kernel, second.address()).map_err(show)?;
    check(memory.load_u8(0) == Ok(9), "the page that is left is gone")?;
    check(
        memory.load_u8(PAGE_SIZE) == Ok(0),
        "the page that is gone is there",
    )?;
    check(
        memory.load_u8(0) == Ok(0) && watched.gone(),
        "half of it is there",
    )?;
    check(
        place.mapping().load_u8(0) == Ok(9),
        "another mapping of it changed",
    )?;
    watched.unmap().map_err(show)?;
    place.unmap().map_err(show)?;
    free_three(segment);
    Ok(())
}

fn vanishes_again() -> Outcome {
    let before = BANK.usage(&Kernel).map_err(show)?;
    for _ in 0..20 {
        vanishes()?;
    }
    let after = BANK.usage(&Kernel).map_err(show)?;
    check(
        before.bought == after.bought,
        "something was not given back",
    )
}
