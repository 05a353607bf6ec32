//! Interrupts, ports, device memory, PCI functions.

use abi::boot::slot;
use abi::cap::{CapAddr, Kind, Rights};
use abi::error::{EBADF, EBUSY, EINVAL, ENODEV, EPERM, ERANGE, OK, Status, VOID};
use abi::method::{device_dma, device_memory, io_port, irq};
use sys::Error;

use crate::bed::{Bed, holds};
use crate::{Case, case, own};

const IRQ: CapAddr = slot::INIT_IRQ;
const PORTS: CapAddr = slot::INIT_IO_PORT;
const MEMORY: CapAddr = slot::INIT_DEVICE_MEMORY;
const DMA: CapAddr = slot::INIT_DEVICE_DMA;

/// An ISA interrupt that no device here has; acts with it, and gives it back.
fn with_line(
    bed: &Bed,
    act: impl FnOnce(CapAddr) -> Result<Status, Error>,
) -> Result<Status, Error> {
    let line = bed.made(IRQ, &[irq::ISA, 5])?;
    let status = act(line);
    // It may have been released already.
    let _ = bed.call(line, &[irq::RELEASE]);
    status
}

/// The host bridge.
fn function(bed: &Bed) -> Result<CapAddr, Error> {
    bed.made(DMA, &[device_dma::FUNCTION, 0])
}

fn narrow(bed: &Bed, physical: u64, pages: u64) -> Result<Status, Error> {
    bed.call(MEMORY, &[device_memory::NARROW, physical, pages])
}

pub const CASES: &[Case] = &[
    case("irq.isa: line 16", EINVAL, |bed| {
        bed.call(IRQ, &[irq::ISA, 16])
    }),
    case("irq.isa: on one interrupt", EPERM, |bed| {
        with_line(bed, |line| bed.call(line, &[irq::ISA, 5]))
    }),
    case("irq.msix: a function without it", ENODEV, |bed| {
        bed.call(IRQ, &[irq::MSIX, 0, 0])
    }),
    case("irq.msix: a function that isn't there", ENODEV, |bed| {
        bed.call(IRQ, &[irq::MSIX, 31 << 3 | 6, 0])
    }),
    case("irq.msix: a function number beyond all", EINVAL, |bed| {
        bed.call(IRQ, &[irq::MSIX, 1 << 16, 0])
    }),
    case("irq.bind: no Notify", EBADF, |bed| {
        with_line(bed, |line| {
            bed.call_with(line, &[irq::BIND], &[slot::CLOCK])
        })
    }),
    own("irq.bind: nothing", VOID, |bed| {
        with_line(bed, |line| bed.call(line, &[irq::BIND]))
    }),
    own("irq.release: void afterwards", VOID, |bed| {
        with_line(bed, |line| {
            bed.must(line, &[irq::RELEASE], &[])?;
            bed.call(line, &[irq::MASK])
        })
    }),
    case("io_port.narrow: beyond the range", ERANGE, |bed| {
        bed.call(PORTS, &[io_port::NARROW, 0xffff, 2])
    }),
    case("io_port.narrow: a range that wraps", ERANGE, |bed| {
        bed.call(PORTS, &[io_port::NARROW, 1, u64::MAX])
    }),
    case("io_port.narrow: no ports", ERANGE, |bed| {
        bed.call(PORTS, &[io_port::NARROW, 0x60, 0])
    }),
    case("io_port.read: outside", ERANGE, |bed| {
        let some = bed.made(PORTS, &[io_port::NARROW, 0x60, 1])?;
        bed.call(some, &[io_port::READ, 0x61, 1])
    }),
    case("io_port.read: partly outside", ERANGE, |bed| {
        let some = bed.made(PORTS, &[io_port::NARROW, 0x60, 1])?;
        bed.call(some, &[io_port::READ, 0x60, 2])
    }),
    case("io_port.read: three bytes", EINVAL, |bed| {
        bed.call(PORTS, &[io_port::READ, 0x80, 3])
    }),
    case("io_port.write: five bytes", EINVAL, |bed| {
        bed.call(PORTS, &[io_port::WRITE, 0x80, 5, 0])
    }),
    case(
        "io_port.write: configuration space is the kernel's",
        ERANGE,
        |bed| bed.call(PORTS, &[io_port::WRITE, 0xcf8, 4, 0]),
    ),
    case(
        "io_port.read: interrupt controllers are the kernel's",
        ERANGE,
        |bed| bed.call(PORTS, &[io_port::READ, 0x21, 1]),
    ),
    case("device_memory.narrow: not a page", EINVAL, |bed| {
        narrow(bed, 0xfe00_0010, 1)
    }),
    case("device_memory.narrow: no pages", EINVAL, |bed| {
        narrow(bed, 0xfe00_0000, 0)
    }),
    case("device_memory.narrow: RAM", ERANGE, |bed| {
        narrow(bed, 0x10_0000, 1)
    }),
    case(
        "device_memory.narrow: from a device into RAM",
        ERANGE,
        |bed| narrow(bed, 0xfe00_0000, 1 << 40),
    ),
    case("device_memory.narrow: pages that wrap", ERANGE, |bed| {
        narrow(bed, 0xfe00_0000, u64::MAX)
    }),
    case("device_memory.narrow: a local APIC", ERANGE, |bed| {
        narrow(bed, 0xfee0_0000, 1)
    }),
    case("device_memory.narrow: an I/O APIC", ERANGE, |bed| {
        narrow(bed, 0xfec0_0000, 1)
    }),
    case("device_memory.narrow: configuration space", ERANGE, |bed| {
        narrow(bed, 0xb000_0000, 1)
    }),
    case(
        "device_memory.narrow: beyond the capability",
        ERANGE,
        |bed| {
            let one = bed.made(MEMORY, &[device_memory::NARROW, 0xfe00_0000, 1])?;
            bed.call(one, &[device_memory::NARROW, 0xfe00_1000, 1])
        },
    ),
    own("device_memory.info: tells what it covers", OK, |bed| {
        let two = bed.made(MEMORY, &[device_memory::NARROW, 0xfe00_0000, 2])?;
        holds(bed.must(two, &[device_memory::INFO], &[])?[..2] == [0xfe00_0000, 2])
    }),
    case("device_dma.function: number beyond all", EINVAL, |bed| {
        bed.call(DMA, &[device_dma::FUNCTION, 1 << 16])
    }),
    case("device_dma.function: not there", ENODEV, |bed| {
        bed.call(DMA, &[device_dma::FUNCTION, 31 << 3 | 6])
    }),
    case("device_dma.function: on one function", EPERM, |bed| {
        bed.call(function(bed)?, &[device_dma::FUNCTION, 0])
    }),
    case("device_dma.config_read: three bytes", EINVAL, |bed| {
        bed.call(function(bed)?, &[device_dma::CONFIG_READ, 0, 3])
    }),
    case("device_dma.config_read: not aligned", EINVAL, |bed| {
        bed.call(function(bed)?, &[device_dma::CONFIG_READ, 1, 2])
    }),
    case(
        "device_dma.config_read: beyond configuration space",
        EINVAL,
        |bed| bed.call(function(bed)?, &[device_dma::CONFIG_READ, 256, 4]),
    ),
    case("device_dma.config_read: without CONFIGURE", EPERM, |bed| {
        let weak = bed.without(function(bed)?, Rights::CONFIGURE)?;
        bed.call(weak, &[device_dma::CONFIG_READ, 0, 4])
    }),
    case("device_dma.config_write: without CONFIGURE", EPERM, |bed| {
        let weak = bed.without(function(bed)?, Rights::CONFIGURE)?;
        bed.call(weak, &[device_dma::CONFIG_WRITE, 0x3c, 1, 0])
    }),
    own(
        "device_dma.config_write: bus mastering is the kernel's",
        OK,
        |bed| {
            let function = function(bed)?;
            bed.must(function, &[device_dma::SET_MASTER, 0], &[])?;
            for (offset, width, value) in [(4, 2, 7), (4, 1, 7), (4, 4, 7)] {
                bed.must(
                    function,
                    &[device_dma::CONFIG_WRITE, offset, width, value],
                    &[],
                )?;
            }
            let command = bed.must(function, &[device_dma::CONFIG_READ, 4, 2], &[])?;
            holds(command[0] & 4 == 0)
        },
    ),
    case("device_dma.bind: no aperture", EBADF, |bed| {
        bed.call_with(function(bed)?, &[device_dma::BIND], &[bed.buy(Kind::Page)?])
    }),
    case(
        "device_dma.bind: without CONTROL on the aperture",
        EPERM,
        |bed| {
            let weak = bed.buy_without(Kind::Aperture, Rights::CONTROL)?;
            bed.call_with(function(bed)?, &[device_dma::BIND], &[weak])
        },
    ),
    case("device_dma.bind: without CONTROL", EPERM, |bed| {
        let weak = bed.without(function(bed)?, Rights::CONTROL)?;
        bed.call_with(weak, &[device_dma::BIND], &[bed.buy(Kind::Aperture)?])
    }),
    case("device_dma.bind: bound already", EBUSY, |bed| {
        let (function, aperture) = (function(bed)?, bed.buy(Kind::Aperture)?);
        bed.must(function, &[device_dma::BIND], &[aperture])?;
        bed.call_with(function, &[device_dma::BIND], &[aperture])
    }),
    case("device_dma.set_master: without CONTROL", EPERM, |bed| {
        let weak = bed.without(function(bed)?, Rights::CONTROL)?;
        bed.call(weak, &[device_dma::SET_MASTER, 0])
    }),
    case(
        "device_dma.release: while the function may master the bus",
        EBUSY,
        |bed| {
            // A bridge may refuse the bit; the VGA, network or ISA function of this machine does not.
            for device in 1..32 {
                let Ok(function) = bed.made(DMA, &[device_dma::FUNCTION, device << 3]) else {
                    continue;
                };
                let command = bed.must(function, &[device_dma::CONFIG_READ, 4, 2], &[])?;
                if command[0] & 4 != 0 {
                    // Somebody drives it.
                    continue;
                }
                bed.must(function, &[device_dma::SET_MASTER, 1], &[])?;
                let command = bed.must(function, &[device_dma::CONFIG_READ, 4, 2], &[])?;
                let status = bed.call(function, &[device_dma::RELEASE]);
                bed.must(function, &[device_dma::SET_MASTER, 0], &[])?;
                if command[0] & 4 != 0 {
                    return status;
                }
            }
            Err(Error::new(ENODEV))
        },
    ),
    case("device_dma.release: without CONTROL", EPERM, |bed| {
        let weak = bed.without(function(bed)?, Rights::CONTROL)?;
        bed.call(weak, &[device_dma::RELEASE])
    }),
];
