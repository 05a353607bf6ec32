//! The ethernet driver's process: makes its pool, brings the device up, and works. The device is
//! virtio-net, or for benches the simulated wire.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use abi::cap::{Kind, Rights};
use core::fmt;

use dev::bare::This;
use dev::pool::Pool;
use dev::program::{BANK, PROCESS};
use ethdrv::driver::{BeginError, Driver};
use ethdrv::grant;
use ethdrv::threshold;
use ethdrv::transport::Transport;
use ethdrv::virtio_net::{self, PAGES, Vectors, VirtioNet};
use ethdrv::wire::Wire;
use rt::{Kernel, Mapping, device, shared, slots};
use sys::object::{Aperture, DeviceDma, DeviceMemory, Irq, Notify, Table};
use sys::{Cap, Fault};
use virtio::queue::Area;
use virtio::transport::Stopped;
use virtio::{Location, Locations};

rt::entry!(run);

const FUNCTION: Cap<DeviceDma> = Cap::at(grant::FUNCTION);
const REGISTERS: Cap<DeviceMemory> = Cap::at(grant::REGISTERS);
const INTERRUPT: Cap<Irq> = Cap::at(grant::INTERRUPT);

/// Pages of the pool: the device's queues, 128 pages of receive buffers for a queue of 256, and the
/// header copies of the frames that such a queue can hold.
const POOL: u16 = PAGES as u16 + 134;
/// Bytes of heap, and slots, that the driver begins with: enough for some ten sessions.
const HEAP: usize = 96 * 1024;
const SLOTS: usize = 96;
/// The entry of the MSI-X table that [`grant::INTERRUPT`] stands for.
const VECTOR: u16 = 0;
/// How often a device that resets itself is looked at before it is given up.
const PATIENCE: u32 = 1_000_000;

/// Why the driver can't start, or go on.
enum Failure {
    Arguments,
    Kernel(&'static str, sys::Error),
    Registers(Fault),
    Device(virtio_net::Error),
    Begin(BeginError),
    Broken(Option<virtio_net::Failure>),
    Still,
    Wire(Option<ring::Error>),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Arguments => {
                f.write_str("its arguments don't say where the device's structures lie")
            }
            Failure::Kernel(what, error) => write!(f, "{what}: {error}"),
            Failure::Registers(fault) => write!(f, "a structure of the device's: {fault}"),
            Failure::Device(error) => write!(f, "the device: {error}"),
            Failure::Begin(error) => write!(f, "beginning: {error}"),
            Failure::Broken(Some(failure)) => write!(f, "the device broke: {failure}"),
            Failure::Broken(None) => f.write_str("the device broke"),
            Failure::Still => f.write_str("the device stopped sending what it has to send"),
            Failure::Wire(Some(error)) => write!(f, "the wire: {error}"),
            Failure::Wire(None) => f.write_str("the wire broke"),
        }
    }
}

fn kernel(what: &'static str) -> impl FnOnce(sys::Error) -> Failure {
    move |error| Failure::Kernel(what, error)
}

fn run() -> Result<(), Failure> {
    let this = This::new().map_err(kernel("reading the clock"))?;
    match rt::arguments().map_err(|_| Failure::Arguments)? {
        grant::Arguments::VirtioNet {
            locations,
            first_page,
        } => {
            let pool = make_pool(&this)?;
            let device = start_device(&locations, first_page, &pool)?;
            listen()?;
            let mut driver = begin(this, device, pool, "virtio-net", PAGES)?;
            driver.run();
            match driver.is_still() {
                true => Err(Failure::Still),
                false => Err(Failure::Broken(driver.transport().failure())),
            }
        }
        grant::Arguments::Wire { mac, frame_limit } => {
            let (aperture, window) = (Cap::at(grant::wire::APERTURE), Cap::at(grant::wire::WINDOW));
            let pool =
                Pool::make(&this, aperture, window, POOL).map_err(kernel("making its pool"))?;
            let mut driver = begin(
                this,
                start_wire(mac, frame_limit)?,
                pool,
                "simulated wire",
                0,
            )?;
            driver.run();
            Err(Failure::Wire(driver.transport().failure()))
        }
    }
}

/// A driver for a transport that works; its buffers lie in the pool from page `first` on.
fn begin<T: Transport>(
    this: This,
    transport: T,
    pool: Pool<This>,
    name: &str,
    first: usize,
) -> Result<Driver<This, T>, Failure> {
    stock_up().map_err(kernel("buying what sessions come and go with"))?;
    let information = transport.information();
    log::info!(
        "{name} {}, frames of up to {} bytes, queues for {} in and {} out",
        dev::Mac::new(information.mac),
        information.frame_limit,
        information.receive_capacity,
        information.transmit_capacity,
    );
    let hybrid = threshold::choose(threshold::measure(&this, &pool, first).as_ref());
    log::info!("{hybrid}");
    let driver = Driver::begin(this, transport, Cap::at(grant::VERIFIER), pool, first);
    let mut driver = driver.map_err(Failure::Begin)?;
    driver.set_hybrid(hybrid);
    Ok(driver)
}

/// Buys slots and heap that a few sessions take before there is any: users come and go without the
/// driver's holding more afterwards than before, and none finds it short of them.
fn stock_up() -> Result<(), sys::Error> {
    let mut heap = Vec::<u8>::new();
    heap.try_reserve_exact(HEAP)
        .map_err(|_| sys::Error::new(abi::error::ENOMEM))?;
    let mut taken = Vec::with_capacity(SLOTS);
    for _ in 1..SLOTS {
        taken.push(slots::take()?);
    }
    taken.push(slots::take_segment()?);
    taken.into_iter().for_each(slots::give);
    Ok(())
}

/// Maps the rings of the simulated wire.
fn start_wire(mac: [u8; 6], frame_limit: u32) -> Result<Wire<Mapping, impl FnMut()>, Failure> {
    let map = |slot, rights| {
        shared::map(Cap::at(slot), rights)
            .map(|place| place.mapping())
            .map_err(kernel("mapping the wire's rings"))
    };
    let own = map(grant::wire::OWN_SEGMENT, Rights::READ | Rights::WRITE)?;
    let peer = map(grant::wire::WIRE_SEGMENT, Rights::READ)?;
    let kick: Cap<Notify> = Cap::at(grant::wire::KICK);
    let kick = move || {
        // A wire process that is gone carries nothing more; nobody is left to be told.
        let _ = kick.signal(&Kernel);
    };
    Wire::begin(own, peer, mac, frame_limit, kick).map_err(|error| Failure::Wire(Some(error)))
}

/// Buys aperture, window and pages, and pins them.
fn make_pool(this: &This) -> Result<Pool<This>, Failure> {
    let buy = |kind: Kind| {
        let slot = slots::take()?;
        let (table, index) = slots::table_of(slot);
        BANK.buy_caps(&Kernel, kind, 1, table, index).map(|()| slot)
    };
    let aperture: Cap<Aperture> =
        Cap::at(buy(Kind::Aperture).map_err(kernel("buying an aperture"))?);
    let window: Cap<Table> = Cap::at(buy(Kind::Table1).map_err(kernel("buying a window"))?);
    FUNCTION
        .bind(&Kernel, aperture)
        .map_err(kernel("binding its aperture to the device"))?;
    aperture
        .set_window(&Kernel, window)
        .map_err(kernel("giving its aperture a window"))?;
    Pool::make(this, aperture, window, POOL).map_err(kernel("making its pool"))
}

fn start_device(
    locations: &Locations,
    first_page: u32,
    pool: &Pool<This>,
) -> Result<VirtioNet<Mapping, Mapping>, Failure> {
    let (_, pages) = REGISTERS
        .info(&Kernel)
        .map_err(kernel("looking at the registers"))?;
    let bar = device::map(REGISTERS, 0, pages).map_err(kernel("mapping the registers"))?;
    let skipped = first_page as usize * abi::PAGE_SIZE;
    let structure = |location: Location| {
        let offset = (location.offset as usize)
            .checked_sub(skipped)
            .ok_or(Failure::Registers(Fault::OutOfRange))?;
        bar.part(offset, location.length as usize)
            .map_err(Failure::Registers)
    };
    let registers = virtio::Transport::new(
        structure(locations.common)?,
        structure(locations.notify)?,
        locations.notify_multiplier,
        locations.device.map(structure).transpose()?,
    );
    let page = |number: usize| {
        let memory = pool
            .memory()
            .part(Pool::<This>::offset(number), abi::PAGE_SIZE)
            .ok()?;
        Some(Area {
            memory,
            address: pool.address(number)?,
        })
    };
    let vectors = Vectors {
        receive: Some(VECTOR),
        transmit: Some(VECTOR),
        control: Some(VECTOR),
        configuration: None,
    };
    let mut polls = 0;
    let wait = || {
        polls += 1;
        polls < PATIENCE
    };
    // Reset, it is told of nothing but what is pinned in the pool.
    let master = |_: &Stopped| FUNCTION.set_master(&Kernel, true);
    VirtioNet::begin(registers, master, page, vectors, wait).map_err(Failure::Device)
}

/// Has the device's interrupts arrive.
fn listen() -> Result<(), Failure> {
    let slot = slots::take().map_err(kernel("taking a slot"))?;
    let notify: Cap<Notify> = Cap::at(slot);
    PROCESS
        .make_notify(&Kernel, grant::DEVICE_BIT, slot)
        .map_err(kernel("making a notification"))?;
    INTERRUPT
        .bind(&Kernel, notify)
        .map_err(kernel("binding the interrupt"))?;
    INTERRUPT
        .unmask(&Kernel)
        .map_err(kernel("unmasking the interrupt"))
}
