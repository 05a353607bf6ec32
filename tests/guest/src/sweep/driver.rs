//! The ethernet driver on the simulated wire, and what it needs; it dies, and starts again.

use alloc::vec::Vec;

use abi::boot::slot;
use abi::cap::{CapAddr, Rights};
use abi::method::process::state;
use dev::admin::Admin;
use dev::badge::ADMIN_BADGE;
use ethdrv::grant;
use ethdrv::slots::FIRST_VIEW;
use ethdrv::wire::{End, layout};
use guest::children::{BANK, Nursery, SELF};
use init::archive::Archive;
use init::host::priority;
use rt::child::{Child, Grant, Program};
use rt::shared::{self, Segment};
use rt::{Kernel, Mapping, slots};
use sys::Cap;
use sys::bank::Bank;
use sys::object::{DeviceDma, Notify, Process};

use crate::start::{Own, image, postcard, start_program, take};
use crate::{Failure, during};

/// The device's own MAC address, which nobody uses.
const DEVICE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xff];
/// The longest frame of the wire: that of an MTU of 1,500.
const FRAME_LIMIT: u32 = 1514;
/// Limit of the driver's bank: ample.
const LIMIT: u64 = 2048;
/// That of the wire's.
const WIRE_LIMIT: u64 = 16;
/// The notification bit of this program's that the driver sets.
const WIRE_BIT: u64 = 0;

/// The driver, and the wire at its device.
pub struct Driver {
    /// Its bank.
    pub bank: Cap<Bank>,
    /// Its administration.
    pub admin: Admin,
    /// This program's end of the wire.
    pub end: End<Mapping>,
    /// The function that its apertures are bound to.
    pub function: Cap<DeviceDma>,
    interrupt: Cap<Notify>,
    process: Cap<Process>,
    parts: Parts,
}

impl Driver {
    /// Starts it; `made` is told of its bank before anything is bought from it. `function`: a slot for the
    /// function, or the function. If it dies meanwhile, or can't be started, nothing is left of it.
    pub fn start(
        archive: &Archive<'_>,
        function: Cap<DeviceDma>,
        made: impl FnOnce(Cap<Bank>) -> Result<(), Failure>,
    ) -> Result<Driver, Failure> {
        let mut parts = Parts::new()?;
        let started = parts
            .make_banks()
            .and_then(|()| made(parts.bank))
            .and_then(|()| parts.start(archive, function));
        match started {
            Ok((process, end)) => Ok(Driver {
                bank: parts.bank,
                admin: parts.admin,
                end,
                function,
                interrupt: parts.interrupt,
                process,
                parts,
            }),
            Err(failure) => {
                parts.end(function)?;
                Err(failure)
            }
        }
    }

    /// Its process.
    pub fn process(&self) -> Cap<Process> {
        self.process
    }

    /// Whether it waits for something to do.
    pub fn is_alive(&self) -> bool {
        let info = self.process.info(&Kernel);
        info.is_ok_and(|info| info.state == state::WAITING)
    }

    /// Interrupts it.
    pub fn interrupt(&self) {
        // A driver that is gone is noticed elsewhere.
        let _ = self.interrupt.signal(&Kernel);
    }

    /// What it sees in the window of a number, if that isn't a port's.
    pub fn window(&self, number: usize) -> Option<&Own> {
        const POOL: usize = 0;
        match number {
            POOL => self.parts.pool.as_ref(),
            number if number == FIRST_VIEW as usize => self.parts.receive.as_ref(),
            _ => None,
        }
    }

    /// Takes it away, as init does when it has died: its bank goes, then its pins. Frames that lie in banks
    /// of clients' are free from then on. Nothing happens if that was done before.
    pub fn end(&mut self) -> Result<(), Failure> {
        self.parts.end(self.function)
    }
}

/// What a driver is made of, as far as it was.
struct Parts {
    bank: Cap<Bank>,
    /// A weak capability to it, for the driver.
    weak: CapAddr,
    kick: CapAddr,
    admin: Admin,
    interrupt: Cap<Notify>,
    /// What the rings are bought from.
    wire_bank: Cap<Bank>,
    /// Its pool, and what frames are received into.
    pool: Option<Own>,
    receive: Option<Own>,
    rings: Vec<Segment>,
    child: Option<Child>,
    /// It was taken away, and its slots are others'.
    ended: bool,
}

impl Parts {
    fn new() -> Result<Parts, Failure> {
        Ok(Parts {
            bank: Cap::at(take()?),
            weak: take()?,
            kick: take()?,
            admin: Admin::at(take()?),
            interrupt: Cap::at(take()?),
            wire_bank: Cap::at(take()?),
            pool: None,
            receive: None,
            rings: Vec::new(),
            child: None,
            ended: false,
        })
    }

    fn make_banks(&mut self) -> Result<(), Failure> {
        BANK.sub_bank(&Kernel, LIMIT, false, self.bank)
            .and_then(|_| BANK.sub_bank(&Kernel, WIRE_LIMIT, false, self.wire_bank))
            .map_err(during("making the driver's bank"))
            .map(|_| ())
    }

    fn start(
        &mut self,
        archive: &Archive<'_>,
        function: Cap<DeviceDma>,
    ) -> Result<(Cap<Process>, End<Mapping>), Failure> {
        let pool = self.pool.insert(Own::buy(self.bank, function)?);
        for pages in [layout::DRIVER_PAGES, layout::WIRE_PAGES] {
            let segment = shared::buy(self.wire_bank, pages);
            self.rings
                .push(segment.map_err(during("buying the wire's rings"))?);
        }
        let [theirs, ours] = &self.rings[..] else {
            return Err(Failure::Wrong("the wire has other rings"));
        };
        let end = End::begin(ours.place.mapping(), theirs.place.mapping())?;
        SELF.make_notify(&Kernel, WIRE_BIT, self.kick)
            .map_err(during("making a notification"))?;
        let mut nursery = Nursery::new().map_err(during("preparing to start the driver"))?;
        let child = start_program(
            &mut nursery,
            Program {
                arguments: &postcard(&grant::Arguments::Wire {
                    mac: DEVICE_MAC,
                    frame_limit: FRAME_LIMIT,
                })?,
                priority: priority::DRIVER,
                ..Program::new("ethdrv", &image(archive, "bin/ethdrv")?, self.bank)
            },
            self.weak,
            &[
                Grant::new(grant::VERIFIER, slot::INIT_VERIFIER),
                Grant::new(grant::wire::APERTURE, pool.aperture.address()),
                Grant::new(grant::wire::WINDOW, pool.window.address()),
                Grant::new(grant::wire::OWN_SEGMENT, theirs.table.address()),
                Grant::new(grant::wire::WIRE_SEGMENT, ours.table.address()).with(Rights::READ),
                Grant::new(grant::wire::KICK, self.kick),
            ],
        );
        nursery.end();
        let child = *self
            .child
            .insert(child.map_err(during("starting the driver"))?);
        child
            .process
            .make_start(&Kernel, ADMIN_BADGE, self.admin.address())
            .and_then(|()| {
                let interrupt = self.interrupt.address();
                child
                    .process
                    .make_notify(&Kernel, grant::DEVICE_BIT, interrupt)
            })
            .map_err(during("making capabilities to the driver"))?;
        self.admin
            .device(&Kernel)
            .map_err(during("asking the driver for its device"))?;
        pool.see()?;
        let receive = self.receive.insert(Own::buy(self.bank, function)?);
        self.admin
            .add_aperture(&Kernel, receive.aperture, receive.window)
            .map_err(during("giving the driver an aperture"))?;
        receive.see()?;
        Ok((child.process, end))
    }

    fn end(&mut self, function: Cap<DeviceDma>) -> Result<(), Failure> {
        if self.ended {
            return Ok(());
        }
        self.ended = true;
        // It may be gone already.
        let _ = self.bank.destroy(&Kernel);
        loop {
            let (_, more) = function
                .release(&Kernel)
                .map_err(during("releasing a dead driver's pins"))?;
            if !more {
                break;
            }
        }
        for mut own in self.pool.take().into_iter().chain(self.receive.take()) {
            own.forget();
        }
        for Segment { table, place } in self.rings.drain(..) {
            let _ = place.unmap();
            slots::give(table.address());
        }
        self.wire_bank
            .destroy(&Kernel)
            .map_err(during("destroying the wire's bank"))?;
        let child = self.child.take();
        let child = child.map(|child| [child.process.address(), child.root.address()]);
        let own = [self.bank.address(), self.weak, self.kick]
            .into_iter()
            .chain([self.admin.address(), self.interrupt.address()])
            .chain([self.wire_bank.address()]);
        own.chain(child.into_iter().flatten()).for_each(slots::give);
        Ok(())
    }
}
