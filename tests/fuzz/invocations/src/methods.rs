//! What there is to invoke, as data: methods of the kernel's objects and of banks, what their words
//! mean, and which capabilities go with them.

use abi::cap::Kind;
use abi::method::{
    aperture, cap_table, clock, device_dma, device_memory, irq, log, notify, page, process, random,
    table,
};
use sys::bank::method as bank;

use crate::slots::{BANK, CHILD, What, is_bank};

/// What a word means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// An offset in a page, a multiple of 8.
    Offset,
    /// The offset of a batch.
    Batch,
    /// Rights of a mapping.
    Mapping,
    /// Rights of a capability.
    Rights,
    /// An entry of a table, or a slot of an aperture. Mostly one of the first.
    Place,
    /// A slot of the tables that are kept track of.
    Slot,
    /// How many.
    Count,
    /// A user's address.
    Address,
    /// A priority.
    Priority,
    /// A notification bit.
    Bit,
    /// A pin's direction.
    Direction,
    /// A kind that banks sell.
    Storage,
    /// A small number.
    Small,
    /// Anything.
    Any,
}

/// Which capability goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// One of this kind.
    A(Kind),
    /// A bank.
    Bank,
    /// Anything.
    Any,
    /// A table or page that can be mapped in a table of the invoked one's level.
    Below,
    /// A `CapTable` or a table: what a bank sells into.
    Into,
}

/// A method.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// Its number.
    pub number: u64,
    /// Its words.
    pub words: &'static [Word],
    /// Capabilities that go with it.
    pub sent: &'static [Sent],
    /// What comes back; 0 for nothing.
    pub gives: What,
    /// It may take away what the process runs on, if it is invoked on what that is.
    pub takes: bool,
}

const fn method(number: u64, words: &'static [Word], sent: &'static [Sent]) -> Method {
    Method {
        number,
        words,
        sent,
        gives: 0,
        takes: false,
    }
}

impl Method {
    const fn giving(mut self, what: What) -> Method {
        self.gives = what;
        self
    }

    const fn taking(mut self) -> Method {
        self.takes = true;
        self
    }
}

use Word::{
    Address, Any, Batch, Bit, Count, Direction, Mapping, Offset, Place, Priority, Rights, Slot,
    Small, Storage,
};

/// A `Start`, by number.
const START: What = Kind::Start as u8;
const NOTIFY: What = Kind::Notify as u8;

const PAGE: &[Method] = &[
    method(page::UNMAP, &[], &[]).taking(),
    method(page::READ, &[Offset], &[]),
    method(page::WRITE, &[Offset, Small, Any, Any, Any], &[]),
];

const TABLE: &[Method] = &[
    method(table::MAP, &[Place, Mapping], &[Sent::Below]),
    method(table::MAP, &[Place, Mapping], &[Sent::Below]),
    method(table::UNMAP, &[Place, Count], &[]).taking(),
    method(table::PROTECT, &[Place, Mapping], &[]).taking(),
    method(
        table::MAP_DEVICE,
        &[Place, Count, Mapping, Small],
        &[Sent::A(Kind::DeviceMemory)],
    ),
    method(table::QUERY, &[Place], &[]),
];

const CAP_TABLE: &[Method] = &[
    method(cap_table::PUT, &[Slot, Rights], &[Sent::Any]).taking(),
    method(cap_table::PUT, &[Slot, Rights], &[Sent::Any]).taking(),
    method(cap_table::GET, &[Slot], &[]),
    method(cap_table::CLEAR, &[Slot, Small], &[]).taking(),
    method(cap_table::MOVE, &[Slot, Slot], &[]).taking(),
    method(cap_table::DESCRIBE, &[Slot], &[]),
];

const PROCESS: &[Method] = &[
    method(
        process::CONFIGURE,
        &[Address, Address, Priority, Any],
        &[
            Sent::A(Kind::CapTable),
            Sent::A(Kind::Table4),
            Sent::A(Kind::Notify),
        ],
    ),
    method(process::START, &[], &[]),
    method(process::STOP, &[], &[]).taking(),
    method(process::MAKE_START, &[Any], &[]).giving(START),
    method(process::MAKE_NOTIFY, &[Bit], &[]).giving(NOTIFY),
    method(process::SET_FAULT_ENTRY, &[Address, Address], &[]).taking(),
    method(process::INFO, &[], &[]),
    method(process::REGISTERS, &[Small], &[]),
    method(process::READ_MEMORY, &[Address], &[]),
    method(process::SET_NAME, &[Any, Any], &[]),
    method(process::SET_PRIORITY, &[Priority], &[]),
    method(process::SET_CEILING, &[Priority], &[]),
];

const APERTURE: &[Method] = &[
    method(aperture::SET_WINDOW, &[], &[Sent::A(Kind::Table1)]),
    method(
        aperture::PIN,
        &[Place, Place, Direction],
        &[Sent::A(Kind::Table1)],
    ),
    method(
        aperture::PIN,
        &[Place, Place, Direction],
        &[Sent::A(Kind::Table1)],
    ),
    method(aperture::UNPIN, &[Place], &[]),
    method(
        aperture::PIN_BATCH,
        &[Batch, Count],
        &[Sent::A(Kind::Page), Sent::A(Kind::Table1)],
    ),
    method(
        aperture::UNPIN_BATCH,
        &[Batch, Count],
        &[Sent::A(Kind::Page)],
    ),
    method(aperture::LIMBO, &[], &[]),
    method(aperture::SET_LIMBO_NOTIFY, &[], &[Sent::A(Kind::Notify)]),
    method(aperture::INFO, &[], &[]),
    method(
        aperture::EXCHANGE,
        &[Place, Place],
        &[Sent::A(Kind::Table1), Sent::A(Kind::Table1)],
    ),
    method(
        aperture::EXCHANGE_BATCH,
        &[Batch, Count],
        &[
            Sent::A(Kind::Page),
            Sent::A(Kind::CapTable),
            Sent::A(Kind::CapTable),
        ],
    ),
];

const BANKS: &[Method] = &[
    method(bank::BUY, &[Storage, Count, Place, Mapping], &[Sent::Into]),
    method(
        bank::BUY,
        &[Storage, Count, Slot, Mapping],
        &[Sent::A(Kind::CapTable)],
    ),
    method(
        bank::BUY,
        &[Storage, Small, Slot, Mapping],
        &[Sent::A(Kind::CapTable)],
    ),
    method(bank::SELL, &[], &[Sent::Any]),
    method(bank::SELL, &[], &[Sent::Any]),
    method(bank::SUB_BANK, &[Count, Small], &[]).giving(CHILD),
    method(bank::USAGE, &[], &[]),
    method(bank::USAGE_OF_KIND, &[Storage], &[]),
    method(bank::RESTRICT, &[Rights], &[]).giving(BANK),
    method(bank::DESTROY, &[], &[]).taking(),
    method(bank::DESTROY, &[], &[Sent::A(Kind::Notify)]).taking(),
    method(bank::REMOVE, &[], &[]).taking(),
    method(bank::INSPECT, &[Any], &[]).giving(Kind::Page as u8),
    method(bank::SET_LIMIT, &[Count], &[]),
];

const SERVER: &[Method] = &[
    method(0, &[Any, Any], &[Sent::Any]),
    method(1, &[Any], &[Sent::Any, Sent::Any, Sent::Any, Sent::Any]),
];

const SIGNAL: &[Method] = &[method(notify::SIGNAL, &[Any], &[])];

const IRQ: &[Method] = &[
    method(irq::ISA, &[Small], &[]).giving(Kind::Irq as u8),
    method(irq::MSIX, &[Any, Small], &[]).giving(Kind::Irq as u8),
    method(irq::BIND, &[], &[Sent::A(Kind::Notify)]),
    method(irq::UNMASK, &[], &[]),
    method(irq::MASK, &[], &[]),
    method(irq::RELEASE, &[], &[]),
];

const DEVICE_MEMORY: &[Method] = &[
    method(device_memory::NARROW, &[Any, Small], &[]).giving(Kind::DeviceMemory as u8),
    method(device_memory::INFO, &[], &[]),
];

const DEVICE_DMA: &[Method] = &[
    method(device_dma::FUNCTION, &[Any], &[]).giving(Kind::DeviceDma as u8),
    method(device_dma::BIND, &[], &[Sent::A(Kind::Aperture)]),
    method(device_dma::BIND, &[], &[Sent::A(Kind::Aperture)]),
    method(device_dma::SET_MASTER, &[Small], &[]),
    method(device_dma::RELEASE, &[], &[]),
    method(device_dma::CONFIG_READ, &[Offset, Small], &[]),
];

const CLOCK: &[Method] = &[
    method(clock::NOW, &[], &[]),
    method(clock::ARM, &[Any, Bit], &[]),
];

const RANDOM: &[Method] = &[method(random::GET, &[], &[])];

/// Lines of the log are few: what they say is nothing.
const LOG: &[Method] = &[
    method(log::WRITE, &[Any, Any, Any], &[Sent::A(Kind::Page)]),
    method(log::CONSOLE, &[Any, Any], &[Sent::A(Kind::Page)]),
    method(log::SET_LEVEL, &[Small], &[]),
    method(log::SET_NOTIFY, &[], &[Sent::A(Kind::Notify)]),
];

/// What something can be asked for.
pub fn methods(what: What) -> &'static [Method] {
    if is_bank(what) {
        return BANKS;
    }
    match Kind::from_u8(what) {
        Some(Kind::Page) => PAGE,
        Some(Kind::Table1 | Kind::Table2 | Kind::Table3 | Kind::Table4) => TABLE,
        Some(Kind::CapTable) => CAP_TABLE,
        Some(Kind::Process) => PROCESS,
        Some(Kind::Aperture) => APERTURE,
        Some(Kind::Notify) => SIGNAL,
        Some(Kind::Irq) => IRQ,
        Some(Kind::DeviceMemory) => DEVICE_MEMORY,
        Some(Kind::DeviceDma) => DEVICE_DMA,
        Some(Kind::Clock) => CLOCK,
        Some(Kind::Random) => RANDOM,
        Some(Kind::Log) => LOG,
        _ => SERVER,
    }
}
