//! Tables.

use abi::boot::slot;
use abi::cap::{CapAddr, Kind, Rights};
use abi::error::{
    EACCES, EBADF, EBUSY, EEXIST, EINVAL, EMLINK, ENOENT, EPERM, ERANGE, OK, Status, VOID,
};
use abi::method::{aperture, device_memory, table};
use sys::Error;

use crate::bed::{Bed, holds};
use crate::{Case, case, own};

const R: u64 = Rights::READ.bits() as u64;
const RW: u64 = R | Rights::WRITE.bits() as u64;
const RX: u64 = R | Rights::EXEC.bits() as u64;
const RWX: u64 = RW | RX;

/// A table of `above`, and an attempt to map something into it.
fn map(bed: &Bed, above: Kind, what: CapAddr, index: u64, rights: u64) -> Result<Status, Error> {
    bed.call_with(bed.buy(above)?, &[table::MAP, index, rights], &[what])
}

/// A page of device memory that is certainly some: a PCI hole's.
fn device(bed: &Bed) -> Result<CapAddr, Error> {
    bed.made(
        slot::INIT_DEVICE_MEMORY,
        &[device_memory::NARROW, 0xfe00_0000, 1],
    )
}

fn map_device(bed: &Bed, above: Kind, words: [u64; 4]) -> Result<Status, Error> {
    let [index, count, rights, first] = words;
    let memory = device(bed)?;
    let words = [table::MAP_DEVICE, index, count, rights, first];
    bed.call_with(bed.buy(above)?, &words, &[memory])
}

/// Maps a segment into tables until it has four parents; then into one more.
fn fifth_parent(bed: &Bed, segment: CapAddr, parents: u32) -> Result<Status, Error> {
    for _ in 0..parents {
        bed.must(bed.buy(Kind::Table2)?, &[table::MAP, 0, RW], &[segment])?;
    }
    bed.call_with(bed.buy(Kind::Table2)?, &[table::MAP, 0, RW], &[segment])
}

pub const CASES: &[Case] = &[
    case("table.map: index beyond the table", EINVAL, |bed| {
        map(bed, Kind::Table1, bed.buy(Kind::Page)?, 512, RW)
    }),
    own("table.map: nothing", VOID, |bed| {
        map(bed, Kind::Table1, 0, 0, RW)
    }),
    case("table.map: a page into level 2", EBADF, |bed| {
        map(bed, Kind::Table2, bed.buy(Kind::Page)?, 0, RW)
    }),
    case("table.map: a table into its own level", EBADF, |bed| {
        map(bed, Kind::Table2, bed.buy(Kind::Table2)?, 0, RW)
    }),
    case("table.map: a segment two levels up", EBADF, |bed| {
        map(bed, Kind::Table3, bed.buy(Kind::Table1)?, 0, RW)
    }),
    case("table.map: a capability table", EBADF, |bed| {
        map(bed, Kind::Table1, bed.buy(Kind::CapTable)?, 0, RW)
    }),
    case("table.map: a process", EBADF, |bed| {
        map(bed, Kind::Table1, bed.buy(Kind::Process)?, 0, RW)
    }),
    case("table.map: the clock", EBADF, |bed| {
        map(bed, Kind::Table1, slot::CLOCK, 0, RW)
    }),
    case("table.map: a page writable and executable", EINVAL, |bed| {
        map(bed, Kind::Table1, bed.buy(Kind::Page)?, 0, RWX)
    }),
    case("table.map: no rights", EINVAL, |bed| {
        map(bed, Kind::Table1, bed.buy(Kind::Page)?, 0, 0)
    }),
    case(
        "table.map: a right that is none of memory's",
        EINVAL,
        |bed| {
            map(
                bed,
                Kind::Table1,
                bed.buy(Kind::Page)?,
                0,
                RW | Rights::PIN.bits() as u64,
            )
        },
    ),
    case("table.map: rights beyond a byte", EINVAL, |bed| {
        map(bed, Kind::Table1, bed.buy(Kind::Page)?, 0, RW | 256)
    }),
    case("table.map: a page that may not be read", EACCES, |bed| {
        map(
            bed,
            Kind::Table1,
            bed.buy_without(Kind::Page, Rights::READ)?,
            0,
            RW,
        )
    }),
    case("table.map: without MANAGE", EPERM, |bed| {
        let weak = bed.buy_without(Kind::Table1, Rights::MANAGE)?;
        bed.call_with(weak, &[table::MAP, 0, RW], &[bed.buy(Kind::Page)?])
    }),
    case("table.map: an entry in use", EEXIST, |bed| {
        bed.call_with(
            bed.segment()?,
            &[table::MAP, 0, RW],
            &[bed.buy(Kind::Page)?],
        )
    }),
    case("table.map: a page that is mapped elsewhere", EBUSY, |bed| {
        let page = bed.buy(Kind::Page)?;
        bed.must(bed.buy(Kind::Table1)?, &[table::MAP, 0, RW], &[page])?;
        map(bed, Kind::Table1, page, 1, RW)
    }),
    case("table.map: a page twice in one table", EBUSY, |bed| {
        let (page, segment) = (bed.buy(Kind::Page)?, bed.buy(Kind::Table1)?);
        bed.must(segment, &[table::MAP, 0, RW], &[page])?;
        bed.call_with(segment, &[table::MAP, 1, RW], &[page])
    }),
    case("table.map: a fifth parent", EMLINK, |bed| {
        fifth_parent(bed, bed.buy(Kind::Table1)?, 4)
    }),
    case(
        "table.map: a fourth parent, without MANAGE on the segment",
        EMLINK,
        |bed| fifth_parent(bed, bed.buy_without(Kind::Table1, Rights::MANAGE)?, 3),
    ),
    case(
        "table.map: the upper half of an address space",
        EINVAL,
        |bed| map(bed, Kind::Table4, bed.buy(Kind::Table3)?, 256, RW),
    ),
    case("table.map: the kernel's entries", EINVAL, |bed| {
        map(bed, Kind::Table4, bed.buy(Kind::Table3)?, 511, RW)
    }),
    case("table.map: into a window", EBUSY, |bed| {
        let (device, window) = (bed.buy(Kind::Aperture)?, bed.buy(Kind::Table1)?);
        bed.must(device, &[aperture::SET_WINDOW], &[window])?;
        bed.call_with(window, &[table::MAP, 0, RW], &[bed.buy(Kind::Page)?])
    }),
    own(
        "table.map: a mapping has the rights that both have",
        OK,
        |bed| {
            let segment = bed.buy(Kind::Table1)?;
            let page = bed.buy_without(Kind::Page, Rights::WRITE)?;
            bed.must(segment, &[table::MAP, 7, RW], &[page])?;
            let words = bed.must(segment, &[table::QUERY, 7], &[])?;
            holds(words[..2] == [1, R])
        },
    ),
    case("table.unmap: no entries", EINVAL, |bed| {
        bed.call(bed.segment()?, &[table::UNMAP, 0, 0])
    }),
    case("table.unmap: 65 entries", EINVAL, |bed| {
        bed.call(bed.segment()?, &[table::UNMAP, 0, 65])
    }),
    case("table.unmap: beyond the table", EINVAL, |bed| {
        bed.call(bed.segment()?, &[table::UNMAP, 500, 13])
    }),
    case("table.unmap: an index that wraps", EINVAL, |bed| {
        bed.call(bed.segment()?, &[table::UNMAP, u64::MAX, 1])
    }),
    case("table.unmap: without MANAGE", EPERM, |bed| {
        bed.call(
            bed.buy_without(Kind::Table1, Rights::MANAGE)?,
            &[table::UNMAP, 0, 1],
        )
    }),
    own("table.unmap: tells how many were in use", OK, |bed| {
        let words = bed.must(bed.segment()?, &[table::UNMAP, 0, 64], &[])?;
        holds(words[0] == 1)
    }),
    case("table.protect: an empty entry", ENOENT, |bed| {
        bed.call(bed.segment()?, &[table::PROTECT, 1, R])
    }),
    case("table.protect: no rights", EINVAL, |bed| {
        bed.call(bed.segment()?, &[table::PROTECT, 0, 0])
    }),
    case("table.protect: index beyond the table", EINVAL, |bed| {
        bed.call(bed.segment()?, &[table::PROTECT, 512, R])
    }),
    own("table.protect: gives nothing back", OK, |bed| {
        let segment = bed.segment()?;
        bed.must(segment, &[table::PROTECT, 0, R], &[])?;
        bed.must(segment, &[table::PROTECT, 0, RX], &[])?;
        let words = bed.must(segment, &[table::QUERY, 0], &[])?;
        holds(words[..2] == [1, R])
    }),
    case("table.map_device: into level 2", EBADF, |bed| {
        map_device(bed, Kind::Table2, [0, 1, RW, 0])
    }),
    case("table.map_device: no pages", EINVAL, |bed| {
        map_device(bed, Kind::Table1, [0, 0, RW, 0])
    }),
    case("table.map_device: 65 pages", EINVAL, |bed| {
        map_device(bed, Kind::Table1, [0, 65, RW, 0])
    }),
    case("table.map_device: beyond the table", EINVAL, |bed| {
        map_device(bed, Kind::Table1, [511, 2, RW, 0])
    }),
    case("table.map_device: executable", EINVAL, |bed| {
        map_device(bed, Kind::Table1, [0, 1, RX, 0])
    }),
    case("table.map_device: beyond the capability", ERANGE, |bed| {
        map_device(bed, Kind::Table1, [0, 1, RW, 1])
    }),
    case("table.map_device: pages that wrap", ERANGE, |bed| {
        map_device(bed, Kind::Table1, [0, 1, RW, u64::MAX])
    }),
    case("table.map_device: RAM", EBADF, |bed| {
        let page = bed.buy(Kind::Page)?;
        bed.call_with(
            bed.buy(Kind::Table1)?,
            &[table::MAP_DEVICE, 0, 1, RW, 0],
            &[page],
        )
    }),
    case("table.map_device: an entry in use", EEXIST, |bed| {
        let memory = device(bed)?;
        bed.call_with(bed.segment()?, &[table::MAP_DEVICE, 0, 1, RW, 0], &[memory])
    }),
    case("table.query: index beyond the table", EINVAL, |bed| {
        bed.call(bed.segment()?, &[table::QUERY, 512])
    }),
    own("table.query: empty, page, table, device", OK, |bed| {
        let (segment, above) = (bed.segment()?, bed.buy(Kind::Table2)?);
        bed.must(above, &[table::MAP, 3, RWX], &[segment])?;
        bed.must(segment, &[table::MAP_DEVICE, 9, 1, RW, 0], &[device(bed)?])?;
        let ask = |table, index| bed.must(table, &[table::QUERY, index], &[]);
        holds(
            ask(segment, 1)?[..2] == [0, 0]
                && ask(segment, 0)?[..2] == [1, RW]
                && ask(above, 3)?[..2] == [2, RWX]
                && ask(segment, 9)?[..2] == [3, RW],
        )
    }),
];
