//! The ethernet driver on the simulated wire, and what it needs; it dies, and starts again.

use abi::boot::slot;
use abi::cap::Rights;
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
use sys::object::{DeviceDma, Notify};

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
    child: Child,
    slots: [u16; 6],
    /// What the rings are bought from.
    wire_bank: Cap<Bank>,
    /// Its pool, and what frames are received into.
    pool: Own,
    receive: Own,
    rings: Option<[Segment; 2]>,
}

impl Driver {
    /// Starts it. `function`: a slot for the function, or the function.
    pub fn start(archive: &Archive<'_>, function: Cap<DeviceDma>) -> Result<Driver, Failure> {
        let slots = [take()?, take()?, take()?, take()?, take()?, take()?];
        let [bank, weak, kick, admin, interrupt, wire_bank] = slots;
        let (bank, wire_bank) = (Cap::<Bank>::at(bank), Cap::<Bank>::at(wire_bank));
        BANK.sub_bank(&Kernel, LIMIT, false, bank)
            .and_then(|_| BANK.sub_bank(&Kernel, WIRE_LIMIT, false, wire_bank))
            .map_err(during("making the driver's bank"))?;
        let mut pool = Own::buy(bank, function)?;
        let segment =
            |pages| shared::buy(wire_bank, pages).map_err(during("buying the wire's rings"));
        let (theirs, ours) = (segment(layout::DRIVER_PAGES)?, segment(layout::WIRE_PAGES)?);
        let end = End::begin(ours.place.mapping(), theirs.place.mapping())?;
        SELF.make_notify(&Kernel, WIRE_BIT, kick)
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
                ..Program::new("ethdrv", &image(archive, "bin/ethdrv")?, bank)
            },
            weak,
            &[
                Grant::new(grant::VERIFIER, slot::INIT_VERIFIER),
                Grant::new(grant::wire::APERTURE, pool.aperture.address()),
                Grant::new(grant::wire::WINDOW, pool.window.address()),
                Grant::new(grant::wire::OWN_SEGMENT, theirs.table.address()),
                Grant::new(grant::wire::WIRE_SEGMENT, ours.table.address()).with(Rights::READ),
                Grant::new(grant::wire::KICK, kick),
            ],
        );
        nursery.end();
        let child = child.map_err(during("starting the driver"))?;
        child
            .process
            .make_start(&Kernel, ADMIN_BADGE, admin)
            .and_then(|()| {
                let process = child.process;
                process.make_notify(&Kernel, grant::DEVICE_BIT, interrupt)
            })
            .map_err(during("making capabilities to the driver"))?;
        let admin = Admin::at(admin);
        admin
            .device(&Kernel)
            .map_err(during("asking the driver for its device"))?;
        pool.see()?;
        let mut receive = Own::buy(bank, function)?;
        admin
            .add_aperture(&Kernel, receive.aperture, receive.window)
            .map_err(during("giving the driver an aperture"))?;
        receive.see()?;
        Ok(Driver {
            bank,
            admin,
            end,
            function,
            interrupt: Cap::at(interrupt),
            child,
            slots,
            wire_bank,
            pool,
            receive,
            rings: Some([theirs, ours]),
        })
    }

    /// Its process.
    pub fn process(&self) -> Cap<sys::object::Process> {
        self.child.process
    }

    /// Whether it waits for something to do.
    pub fn is_alive(&self) -> bool {
        let info = self.child.process.info(&Kernel);
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
            POOL => Some(&self.pool),
            number if number == FIRST_VIEW as usize => Some(&self.receive),
            _ => None,
        }
    }

    /// Takes it away, as init does when it has died: its bank goes, then its pins. Frames that lie in banks
    /// of clients' are free from then on.
    pub fn end(&mut self) -> Result<(), Failure> {
        // It may be gone already.
        let _ = self.bank.destroy(&Kernel);
        loop {
            let (_, more) = self
                .function
                .release(&Kernel)
                .map_err(during("releasing a dead driver's pins"))?;
            if !more {
                break;
            }
        }
        self.pool.forget();
        self.receive.forget();
        for Segment { table, place } in self.rings.take().into_iter().flatten() {
            let _ = place.unmap();
            slots::give(table.address());
        }
        self.wire_bank
            .destroy(&Kernel)
            .map_err(during("destroying the wire's bank"))?;
        let child = [self.child.process.address(), self.child.root.address()];
        self.slots.into_iter().chain(child).for_each(slots::give);
        Ok(())
    }
}
