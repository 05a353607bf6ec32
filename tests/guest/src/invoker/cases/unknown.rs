//! Methods that nobody has: `ENOSYS` from every kind of object.

use abi::boot::slot;
use abi::cap::{CapAddr, Kind};
use abi::error::{ENOSYS, OK, Status, status};
use abi::method::{device_dma, io_port, irq};
use sys::Error;

use crate::bed::Bed;
use crate::{Case, own};

/// Method numbers that no object has.
const UNKNOWN: [u64; 4] = [0, 99, 1 << 32 | 1, u64::MAX];

/// `OK` when every unknown method is refused as such.
fn refuses(bed: &Bed, capability: CapAddr) -> Result<Status, Error> {
    for method in UNKNOWN {
        let answer = bed.call(capability, &[method])?;
        if answer != status(ENOSYS) {
            return Ok(answer);
        }
    }
    Ok(OK)
}

pub const CASES: &[Case] = &[
    own("unknown method: page", OK, |bed| {
        refuses(bed, bed.buy(Kind::Page)?)
    }),
    own("unknown method: segment", OK, |bed| {
        refuses(bed, bed.buy(Kind::Table1)?)
    }),
    own("unknown method: table of level 2", OK, |bed| {
        refuses(bed, bed.buy(Kind::Table2)?)
    }),
    own("unknown method: table of level 3", OK, |bed| {
        refuses(bed, bed.buy(Kind::Table3)?)
    }),
    own("unknown method: address space", OK, |bed| {
        refuses(bed, bed.buy(Kind::Table4)?)
    }),
    own("unknown method: capability table", OK, |bed| {
        refuses(bed, bed.buy(Kind::CapTable)?)
    }),
    own("unknown method: process", OK, |bed| {
        refuses(bed, bed.buy(Kind::Process)?)
    }),
    own("unknown method: aperture", OK, |bed| {
        refuses(bed, bed.buy(Kind::Aperture)?)
    }),
    own("unknown method: all interrupts", OK, |bed| {
        refuses(bed, slot::INIT_IRQ)
    }),
    own("unknown method: an interrupt", OK, |bed| {
        let line = bed.made(slot::INIT_IRQ, &[irq::ISA, 5])?;
        let answer = refuses(bed, line);
        bed.must(line, &[irq::RELEASE], &[])?;
        answer
    }),
    own("unknown method: I/O ports", OK, |bed| {
        refuses(
            bed,
            bed.made(slot::INIT_IO_PORT, &[io_port::NARROW, 0x60, 1])?,
        )
    }),
    own("unknown method: device memory", OK, |bed| {
        refuses(bed, slot::INIT_DEVICE_MEMORY)
    }),
    own("unknown method: all functions", OK, |bed| {
        refuses(bed, slot::INIT_DEVICE_DMA)
    }),
    own("unknown method: a function", OK, |bed| {
        refuses(
            bed,
            bed.made(slot::INIT_DEVICE_DMA, &[device_dma::FUNCTION, 0])?,
        )
    }),
    own("unknown method: clock", OK, |bed| refuses(bed, slot::CLOCK)),
    own("unknown method: random", OK, |bed| {
        refuses(bed, slot::RANDOM)
    }),
    own("unknown method: log", OK, |bed| refuses(bed, slot::LOG)),
    own("unknown method: reset", OK, |bed| {
        refuses(bed, slot::INIT_RESET)
    }),
    own("unknown method: bank", OK, |bed| {
        refuses(bed, bed.bank().address())
    }),
    own("unknown method: verifier", OK, |bed| {
        refuses(bed, slot::INIT_VERIFIER)
    }),
];
