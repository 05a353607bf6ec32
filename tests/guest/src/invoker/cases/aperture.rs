//! Apertures: on a PCI function that does nothing, the host bridge.

use abi::batch::{Pin, Unpin, direction};
use abi::boot::slot;
use abi::cap::{CapAddr, Kind, Rights};
use abi::error::{
    EACCES, EBADF, EBUSY, EEXIST, EINVAL, ENODEV, ENOENT, EPERM, OK, Status, VOID, status,
};
use abi::method::{aperture, device_dma, table};
use rt::message_page;
use sys::{Error, Mem};

use crate::bed::{Bed, holds};
use crate::{Case, case, own};

const IN: u64 = direction::FROM_DEVICE as u64;
const OUT: u64 = direction::TO_DEVICE as u64;
const PAGE: CapAddr = slot::MESSAGE;

/// The host bridge.
fn function(bed: &Bed) -> Result<CapAddr, Error> {
    bed.made(slot::INIT_DEVICE_DMA, &[device_dma::FUNCTION, 0])
}

/// An aperture that is bound and has a window.
fn ready(bed: &Bed) -> Result<CapAddr, Error> {
    let aperture = bed.buy(Kind::Aperture)?;
    bed.must(function(bed)?, &[device_dma::BIND], &[aperture])?;
    bed.must(aperture, &[aperture::SET_WINDOW], &[bed.buy(Kind::Table1)?])?;
    Ok(aperture)
}

/// Pins with these words out of this segment.
fn pin(bed: &Bed, words: [u64; 3], segment: CapAddr) -> Result<Status, Error> {
    let [slot, place, way] = words;
    bed.call_with(ready(bed)?, &[aperture::PIN, slot, place, way], &[segment])
}

/// A batch call with these words, its page being the message page.
fn batch(bed: &Bed, method: u64, offset: u64, count: u64) -> Result<Status, Error> {
    bed.call_with(
        ready(bed)?,
        &[method, offset, count],
        &[PAGE, bed.segment()?],
    )
}

/// A segment with a page in place 0 that may only be read.
fn read_only(bed: &Bed) -> Result<CapAddr, Error> {
    let segment = bed.segment()?;
    bed.must(
        segment,
        &[table::PROTECT, 0, Rights::READ.bits().into()],
        &[],
    )?;
    Ok(segment)
}

pub const CASES: &[Case] = &[
    own("aperture.set_window: nothing", VOID, |bed| {
        bed.call(bed.buy(Kind::Aperture)?, &[aperture::SET_WINDOW])
    }),
    case("aperture.set_window: of another kind", EBADF, |bed| {
        let other = bed.buy(Kind::Table2)?;
        bed.call_with(bed.buy(Kind::Aperture)?, &[aperture::SET_WINDOW], &[other])
    }),
    case("aperture.set_window: without MANAGE on it", EPERM, |bed| {
        let window = bed.buy_without(Kind::Table1, Rights::MANAGE)?;
        bed.call_with(bed.buy(Kind::Aperture)?, &[aperture::SET_WINDOW], &[window])
    }),
    case("aperture.set_window: not empty", EEXIST, |bed| {
        let window = bed.segment()?;
        bed.call_with(bed.buy(Kind::Aperture)?, &[aperture::SET_WINDOW], &[window])
    }),
    case("aperture.set_window: a second", EBUSY, |bed| {
        let window = bed.buy(Kind::Table1)?;
        bed.call_with(ready(bed)?, &[aperture::SET_WINDOW], &[window])
    }),
    case("aperture.set_window: another aperture's", EBUSY, |bed| {
        let window = bed.buy(Kind::Table1)?;
        bed.must(bed.buy(Kind::Aperture)?, &[aperture::SET_WINDOW], &[window])?;
        bed.call_with(bed.buy(Kind::Aperture)?, &[aperture::SET_WINDOW], &[window])
    }),
    case("aperture: without MANAGE", EPERM, |bed| {
        let weak = bed.buy_without(Kind::Aperture, Rights::MANAGE)?;
        bed.call_with(weak, &[aperture::SET_WINDOW], &[bed.buy(Kind::Table1)?])
    }),
    case("aperture.pin: not bound", ENODEV, |bed| {
        let aperture = bed.buy(Kind::Aperture)?;
        bed.must(aperture, &[aperture::SET_WINDOW], &[bed.buy(Kind::Table1)?])?;
        bed.call_with(aperture, &[aperture::PIN, 0, 0, OUT], &[bed.segment()?])
    }),
    case("aperture.pin: no window", ENODEV, |bed| {
        let aperture = bed.buy(Kind::Aperture)?;
        bed.must(function(bed)?, &[device_dma::BIND], &[aperture])?;
        bed.call_with(aperture, &[aperture::PIN, 0, 0, OUT], &[bed.segment()?])
    }),
    case("aperture.pin: its window is gone", ENODEV, |bed| {
        let (aperture, window) = (bed.buy(Kind::Aperture)?, bed.buy(Kind::Table1)?);
        bed.must(function(bed)?, &[device_dma::BIND], &[aperture])?;
        bed.must(aperture, &[aperture::SET_WINDOW], &[window])?;
        bed.bank().sell(&rt::Kernel, window)?;
        bed.call_with(aperture, &[aperture::PIN, 0, 0, OUT], &[bed.segment()?])
    }),
    case("aperture.pin: slot 512", EINVAL, |bed| {
        pin(bed, [512, 0, OUT], bed.segment()?)
    }),
    case("aperture.pin: a slot that wraps", EINVAL, |bed| {
        pin(bed, [1 << 16, 0, OUT], bed.segment()?)
    }),
    case("aperture.pin: place 512", EINVAL, |bed| {
        pin(bed, [0, 512, OUT], bed.segment()?)
    }),
    case("aperture.pin: direction 4", EINVAL, |bed| {
        pin(bed, [0, 0, 4], bed.segment()?)
    }),
    case("aperture.pin: an empty place", ENOENT, |bed| {
        pin(bed, [0, 1, OUT], bed.segment()?)
    }),
    case("aperture.pin: out of a table of level 2", EBADF, |bed| {
        pin(bed, [0, 0, OUT], bed.buy(Kind::Table2)?)
    }),
    case("aperture.pin: a page itself", EBADF, |bed| {
        pin(bed, [0, 0, OUT], bed.buy(Kind::Page)?)
    }),
    case("aperture.pin: without PIN on the segment", EACCES, |bed| {
        pin(bed, [0, 0, OUT], bed.without(bed.segment()?, Rights::PIN)?)
    }),
    case(
        "aperture.pin: from the device without WRITE on the segment",
        EACCES,
        |bed| pin(bed, [0, 0, IN], bed.without(bed.segment()?, Rights::WRITE)?),
    ),
    case(
        "aperture.pin: from the device into a page mapped read-only",
        EACCES,
        |bed| pin(bed, [0, 0, IN], read_only(bed)?),
    ),
    own(
        "aperture.pin: to the device from a page mapped read-only",
        OK,
        |bed| pin(bed, [0, 0, OUT], read_only(bed)?),
    ),
    case("aperture.pin: a slot in use", EEXIST, |bed| {
        let (aperture, segment) = (ready(bed)?, bed.segment()?);
        bed.must(aperture, &[aperture::PIN, 3, 0, OUT], &[segment])?;
        bed.call_with(aperture, &[aperture::PIN, 3, 0, OUT], &[segment])
    }),
    case("aperture.pin: a third pin on one frame", EBUSY, |bed| {
        let (aperture, segment) = (ready(bed)?, bed.segment()?);
        for slot in 0..2 {
            bed.must(aperture, &[aperture::PIN, slot, 0, OUT], &[segment])?;
        }
        bed.call_with(aperture, &[aperture::PIN, 2, 0, OUT], &[segment])
    }),
    case("aperture.unpin: slot 512", EINVAL, |bed| {
        bed.call(ready(bed)?, &[aperture::UNPIN, 512])
    }),
    case("aperture.unpin: not in use", ENOENT, |bed| {
        bed.call(ready(bed)?, &[aperture::UNPIN, 5])
    }),
    own(
        "aperture: what is pinned is counted, and no longer",
        OK,
        |bed| {
            let (aperture, segment) = (ready(bed)?, bed.segment()?);
            bed.must(aperture, &[aperture::PIN, 3, 0, OUT], &[segment])?;
            let with = bed.must(aperture, &[aperture::INFO], &[])?;
            bed.must(aperture, &[aperture::UNPIN, 3], &[])?;
            let without = bed.must(aperture, &[aperture::INFO], &[])?;
            holds(with[..3] == [1, 0, 1] && without[..3] == [0, 0, 1])
        },
    ),
    case("aperture.pin_batch: no entries", EINVAL, |bed| {
        batch(bed, aperture::PIN_BATCH, 0, 0)
    }),
    case("aperture.pin_batch: 65 entries", EINVAL, |bed| {
        batch(bed, aperture::PIN_BATCH, 0, 65)
    }),
    case(
        "aperture.pin_batch: not aligned to an entry",
        EINVAL,
        |bed| batch(bed, aperture::PIN_BATCH, 8, 1),
    ),
    case("aperture.pin_batch: beyond the page", EINVAL, |bed| {
        batch(bed, aperture::PIN_BATCH, 4096 - 16, 2)
    }),
    case("aperture.pin_batch: an offset that wraps", EINVAL, |bed| {
        batch(bed, aperture::PIN_BATCH, u64::MAX - 15, 1)
    }),
    case(
        "aperture.pin_batch: a page that may not be written",
        EACCES,
        |bed| {
            let page = bed.buy_without(Kind::Page, Rights::WRITE)?;
            bed.call_with(
                ready(bed)?,
                &[aperture::PIN_BATCH, 0, 1],
                &[page, bed.segment()?],
            )
        },
    ),
    case("aperture.pin_batch: no page", EBADF, |bed| {
        let segment = bed.segment()?;
        bed.call_with(
            ready(bed)?,
            &[aperture::PIN_BATCH, 0, 1],
            &[segment, segment],
        )
    }),
    case("aperture.unpin_batch: beyond the page", EINVAL, |bed| {
        batch(bed, aperture::UNPIN_BATCH, 4096, 1)
    }),
    own(
        "aperture.pin_batch: each entry has its own result",
        OK,
        |bed| {
            let (aperture, segment) = (ready(bed)?, bed.segment()?);
            let page = message_page::batch();
            // In order, an empty place, the first slot again, a bad direction.
            let entries = [[0, 0, 1], [1, 9, 1], [0, 0, 1], [2, 0, 7]];
            for (n, [slot, index, way]) in entries.into_iter().enumerate() {
                let at = n * size_of::<Pin>();
                let write = page
                    .store_u16(at, slot)
                    .and_then(|()| page.store_u16(at + 2, index))
                    .and_then(|()| page.store_u32(at + 4, u32::from(way)))
                    .and_then(|()| page.store_u64(at + 8, 0));
                write.map_err(|_| Error::VOID)?;
            }
            let words = bed.must(aperture, &[aperture::PIN_BATCH, 0, 4], &[PAGE, segment])?;
            let result = |n: usize| page.load_u16(n * size_of::<Pin>() + 6).map(Status::from);
            let wanted = [OK, status(ENOENT), status(EEXIST), status(EINVAL)];
            holds(words[0] == 1 && (0..4).all(|n| result(n) == Ok(wanted[n])))
        },
    ),
    own(
        "aperture.unpin_batch: each entry has its own result",
        OK,
        |bed| {
            let (aperture, segment) = (ready(bed)?, bed.segment()?);
            bed.must(aperture, &[aperture::PIN, 4, 0, OUT], &[segment])?;
            let page = message_page::batch();
            for (n, slot) in [4u16, 4, 512].into_iter().enumerate() {
                page.store_u64(n * size_of::<Unpin>(), slot.into())
                    .map_err(|_| Error::VOID)?;
            }
            let words = bed.must(aperture, &[aperture::UNPIN_BATCH, 0, 3], &[PAGE])?;
            let result = |n: usize| page.load_u16(n * size_of::<Unpin>() + 2).map(Status::from);
            let wanted = [OK, status(ENOENT), status(EINVAL)];
            holds(words[0] == 1 && (0..3).all(|n| result(n) == Ok(wanted[n])))
        },
    ),
    case("aperture.set_limbo_notify: no Notify", EBADF, |bed| {
        bed.call_with(
            bed.buy(Kind::Aperture)?,
            &[aperture::SET_LIMBO_NOTIFY],
            &[slot::CLOCK],
        )
    }),
    case("aperture.info: without INSPECT", EPERM, |bed| {
        bed.call(
            bed.buy_without(Kind::Aperture, Rights::INSPECT)?,
            &[aperture::INFO],
        )
    }),
    own(
        "aperture.limbo: a page that is sold while it is pinned, told once",
        OK,
        |bed| {
            let (aperture, segment) = (ready(bed)?, bed.buy(Kind::Table1)?);
            let (page, rights) = (bed.buy(Kind::Page)?, Rights::READ | Rights::WRITE);
            bed.must(segment, &[table::MAP, 0, rights.bits().into()], &[page])?;
            bed.must(aperture, &[aperture::PIN, 6, 0, OUT], &[segment])?;
            bed.bank().sell(&rt::Kernel, page)?;
            let first = bed.must(aperture, &[aperture::LIMBO], &[])?;
            let second = bed.must(aperture, &[aperture::LIMBO], &[])?;
            let info = bed.must(aperture, &[aperture::INFO], &[])?;
            bed.must(aperture, &[aperture::UNPIN, 6], &[])?;
            holds(first[..2] == [1, 6] && second[0] == 0 && info[..2] == [1, 1])
        },
    ),
];
