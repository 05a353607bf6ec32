//! The ethernet driver on the simulated wire, and [users](users) of it: for benches in init's place.

mod users;

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use abi::boot::slot;
use abi::cap::{CapAddr, Kind, Rights};
use abi::error::ENODEV;
use dev::admin::Admin;
use dev::badge::ADMIN_BADGE;
use ethdrv::grant;
use ethdrv::wire::{End, layout};
use init::archive::Archive;
use init::boot::Boot;
use init::host::priority;
use init::launch::OWN_BANK;
use rt::child::{Child, Grant, Image, Program};
use rt::{Kernel, Mapping, shared, slots};
use sys::bank::Bank;
use sys::object::{Aperture, DeviceDma, Notify, Process, Table};
use sys::{Cap, Error};

use crate::children::{BANK, Failed, Nursery, SELF};

pub use users::User;

/// The device's own MAC address, which nobody uses.
const DEVICE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xff];
/// Limit of the driver's bank: ample.
const DRIVER_LIMIT: u64 = 4096;
/// The number of the window over the driver's pool.
const POOL_VIEW: usize = 0;
/// The notification bit of the wire process's that the driver sets.
const WIRE_BIT: u64 = 0;

/// Why a bench has no figures.
pub enum Failure {
    /// The system could not be started.
    Start(&'static str, Failed),
    /// The wire's rings.
    Wire(ring::Error),
    /// A window's memory.
    Memory(sys::Fault),
    /// What happened instead of what should have.
    Wrong(&'static str),
    /// The kernel refused to count.
    Count(Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Start(what, error) => write!(f, "{what}: {error}"),
            Failure::Wire(error) => write!(f, "the wire: {error}"),
            Failure::Memory(fault) => write!(f, "a window: {fault}"),
            Failure::Wrong(what) => f.write_str(what),
            Failure::Count(error) => write!(f, "counting: {error}"),
        }
    }
}

impl From<ring::Error> for Failure {
    fn from(error: ring::Error) -> Failure {
        Failure::Wire(error)
    }
}

impl From<sys::Fault> for Failure {
    fn from(fault: sys::Fault) -> Failure {
        Failure::Memory(fault)
    }
}

/// The wire's end of the rings, and the driver's interrupt.
pub struct Cable {
    /// The end.
    pub end: End<Mapping>,
    /// The driver's interrupt.
    pub interrupt: Cap<Notify>,
}

impl Cable {
    /// Lets the driver see what was done, and interrupts it if it wants that.
    ///
    /// # Errors
    /// The driver is gone, or broken.
    pub fn tell(&mut self) -> Result<(), Failure> {
        if self.end.publish()? && self.interrupt.signal(&Kernel).is_err() {
            return Err(Failure::Wrong("the driver is gone"));
        }
        Ok(())
    }
}

/// What runs.
pub struct System {
    /// The driver.
    pub driver: Cap<Process>,
    archive: Archive<'static>,
    admin: Admin,
    driver_bank: Cap<Bank>,
    function: Cap<DeviceDma>,
    /// The windows that the driver sees, by their numbers.
    windows: Vec<(usize, Mapping)>,
    /// The numbers of the users' ports.
    ports: Vec<u64>,
    /// How many apertures for receive pages the driver has.
    receive_apertures: usize,
}

/// Says in which step an error came.
fn during<E: Into<Failed>>(what: &'static str) -> impl FnOnce(E) -> Failure {
    move |error| Failure::Start(what, error.into())
}

/// An aperture and its window, bought from a bank.
#[derive(Clone, Copy)]
struct Own {
    aperture: Cap<Aperture>,
    window: Cap<Table>,
}

impl System {
    /// Starts the driver, out of the boot archive, on a wire whose frames may be so long.
    ///
    /// # Errors
    /// What could not be done.
    pub fn start(boot: &Boot, frame_limit: u32) -> Result<(System, Cable), Failure> {
        let archive = archive(boot)?;
        let mut nursery = Nursery::new().map_err(during("preparing to start programs"))?;
        let driver_bank = sub_bank(DRIVER_LIMIT).map_err(during("making the driver's bank"))?;

        let function = Cap::at(slots::take().map_err(during("taking a slot"))?);
        let pool = own(driver_bank, function, true).map_err(during("making the driver's pool"))?;
        let segment = |pages| shared::buy(BANK, pages).map_err(during("buying the wire's rings"));
        let (theirs, ours) = (segment(layout::DRIVER_PAGES)?, segment(layout::WIRE_PAGES)?);
        let end = End::begin(ours.place.mapping(), theirs.place.mapping())?;
        let kick = slots::take().map_err(during("taking a slot"))?;
        SELF.make_notify(&Kernel, WIRE_BIT, kick)
            .map_err(during("making a notification"))?;

        let driver = start_program(
            &mut nursery,
            Program {
                arguments: &postcard(&grant::Arguments::Wire {
                    mac: DEVICE_MAC,
                    frame_limit,
                })?,
                priority: priority::DRIVER,
                ..Program::new("ethdrv", &image(&archive, "bin/ethdrv")?, driver_bank)
            },
            &[
                Grant::new(grant::VERIFIER, slot::INIT_VERIFIER),
                Grant::new(grant::wire::APERTURE, pool.aperture.address()),
                Grant::new(grant::wire::WINDOW, pool.window.address()),
                Grant::new(grant::wire::OWN_SEGMENT, theirs.table.address()),
                Grant::new(grant::wire::WIRE_SEGMENT, ours.table.address()).with(Rights::READ),
                Grant::new(grant::wire::KICK, kick),
            ],
        )
        .map_err(during("starting the driver"))?;
        let capability = || slots::take().map_err(during("taking a slot"));
        let (admin, interrupt) = (capability()?, capability()?);
        driver
            .process
            .make_start(&Kernel, ADMIN_BADGE, admin)
            .and_then(|()| {
                let process = driver.process;
                process.make_notify(&Kernel, grant::DEVICE_BIT, interrupt)
            })
            .map_err(during("making capabilities to the driver"))?;
        let admin = Admin::at(admin);
        admin
            .device(&Kernel)
            .map_err(during("asking the driver for its device"))?;

        let own_window = window_memory(pool.window)?;
        let system = System {
            driver: driver.process,
            archive,
            admin,
            driver_bank,
            function,
            windows: vec![(POOL_VIEW, own_window)],
            ports: Vec::new(),
            receive_apertures: 0,
        };
        let cable = Cable {
            end,
            interrupt: Cap::<Notify>::at(interrupt),
        };
        Ok((system, cable))
    }
}

/// A window of the driver's, as the wire process sees it.
fn window_memory(window: Cap<Table>) -> Result<Mapping, Failure> {
    shared::map(window, Rights::READ | Rights::WRITE)
        .map(|place| place.mapping())
        .map_err(during("mapping the driver's windows"))
}

/// What the kernel tells the program in init's place.
///
/// # Errors
/// It doesn't run there.
pub fn boot() -> Result<Boot, Failure> {
    Boot::parse(rt::arguments::bytes())
        .map_err(|_| Failure::Wrong("the bench must run in init's place"))
}

/// The boot archive.
///
/// # Errors
/// There is none.
pub fn archive(boot: &Boot) -> Result<Archive<'static>, Failure> {
    let wrong = |_| Failure::Wrong("there is no boot archive");
    let start = core::ptr::with_exposed_provenance(boot.archive as usize);
    let bytes = match boot.archive_bytes {
        0 => &[][..],
        // SAFETY:
        // - the kernel mapped that many bytes there, read-only, before the program ran;
        // - nobody unmaps or changes them.
        bytes => unsafe { core::slice::from_raw_parts::<u8>(start, bytes as usize) },
    };
    Archive::open(bytes).map_err(wrong)
}

fn image<'a>(archive: &Archive<'a>, file: &str) -> Result<Image<'a>, Failure> {
    let bytes = archive
        .file(file)
        .map_err(|_| Failure::Wrong("the boot archive lacks a program of the bench's"))?;
    Image::from_elf(bytes).map_err(during("reading a program"))
}

/// Arguments as programs get them.
///
/// # Errors
/// They can't be written.
pub fn postcard(value: &impl serde::Serialize) -> Result<Vec<u8>, Failure> {
    postcard::to_allocvec(value).map_err(|_| Failure::Wrong("arguments can't be written"))
}

fn sub_bank(limit: u64) -> Result<Cap<Bank>, Error> {
    let bank = Cap::at(slots::take()?);
    BANK.sub_bank(&Kernel, limit, false, bank)?;
    Ok(bank)
}

fn buy<T>(bank: Cap<Bank>, kind: Kind) -> Result<Cap<T>, Error> {
    let address = slots::take()?;
    let (table, index) = slots::table_of(address);
    bank.buy_caps(&Kernel, kind, 1, table, index)?;
    Ok(Cap::at(address))
}

/// Buys an aperture, bound to the function (which is chosen first, if so asked), and its window.
fn own(bank: Cap<Bank>, function: Cap<DeviceDma>, choose: bool) -> Result<Own, Error> {
    let aperture = buy(bank, Kind::Aperture)?;
    let window = buy(bank, Kind::Table1)?;
    if choose {
        bind_first(function, aperture)?;
    } else {
        function.bind(&Kernel, aperture)?;
    }
    aperture.set_window(&Kernel, window)?;
    Ok(Own { aperture, window })
}

/// Binds an aperture to the first function of bus 0 that takes it: it never becomes bus master.
///
/// # Errors
/// None takes it, or there is no room for its capability.
pub fn bind_first(function: Cap<DeviceDma>, aperture: Cap<Aperture>) -> Result<(), Error> {
    let all: Cap<DeviceDma> = Cap::at(slot::INIT_DEVICE_DMA);
    let mut result = Err(Error::new(ENODEV));
    for device in 0..32 {
        result = all
            .function(&Kernel, device << 3, function.address())
            .and_then(|()| function.bind(&Kernel, aperture));
        if result.is_ok() {
            break;
        }
    }
    result
}

/// Starts a program with a weak capability to its bank, as init does.
fn start_program(
    nursery: &mut Nursery,
    program: Program<'_>,
    grants: &[Grant],
) -> Result<Child, Failed> {
    let weak: CapAddr = slots::take()?;
    program.bank.restrict(&Kernel, OWN_BANK, Cap::at(weak))?;
    let mut all = vec![Grant::new(slot::BANK, weak)];
    all.extend(Grant::SERVICES);
    all.extend(grants);
    let child = nursery.child(&Program {
        grants: &all,
        ..program
    })?;
    child.start(&Kernel)?;
    Ok(child)
}
