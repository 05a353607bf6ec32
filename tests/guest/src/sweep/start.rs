//! Starting programs, in init's place.

use alloc::vec;
use alloc::vec::Vec;

use abi::boot::slot;
use abi::cap::{CapAddr, Kind, Rights};
use guest::children::{Failed, Nursery};
use init::archive::Archive;
use init::boot::Boot;
use init::launch::OWN_BANK;
use rt::child::{Child, Grant, Image, Program};
use rt::{Kernel, RevocableMapping, shared, slots};
use sys::bank::Bank;
use sys::object::{Aperture, DeviceDma, Table};
use sys::{Cap, Error};

use crate::{Failure, during};

/// What the kernel tells the program in init's place.
pub fn boot() -> Result<Boot, Failure> {
    Boot::parse(rt::arguments::bytes())
        .map_err(|_| Failure::Wrong("the sweep runs in init's place"))
}

/// The boot archive.
pub fn archive(boot: &Boot) -> Result<Archive<'static>, Failure> {
    let start = core::ptr::with_exposed_provenance(boot.archive as usize);
    let bytes = match boot.archive_bytes {
        0 => &[][..],
        // SAFETY:
        // - the kernel mapped that many bytes there, read-only, before the program ran;
        // - nobody unmaps or changes them.
        bytes => unsafe { core::slice::from_raw_parts::<u8>(start, bytes as usize) },
    };
    Archive::open(bytes).map_err(|_| Failure::Wrong("there is no boot archive"))
}

/// A program of the archive's.
pub fn image<'a>(archive: &Archive<'a>, file: &str) -> Result<Image<'a>, Failure> {
    let bytes = archive
        .file(file)
        .map_err(|_| Failure::Wrong("the boot archive lacks a program"))?;
    Image::from_elf(bytes).map_err(during("reading a program"))
}

/// Arguments of a program.
pub fn postcard(value: &impl serde::Serialize) -> Result<Vec<u8>, Failure> {
    postcard::to_allocvec(value).map_err(|_| Failure::Wrong("arguments can't be written"))
}

/// An empty slot.
pub fn take() -> Result<CapAddr, Failure> {
    slots::take().map_err(during("taking a slot"))
}

/// Starts a program with a weak capability to its bank, as init does. `weak`: a slot for that.
pub fn start_program(
    nursery: &mut Nursery,
    program: Program<'_>,
    weak: CapAddr,
    grants: &[Grant],
) -> Result<Child, Failed> {
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

/// An aperture and its window, in slots of their own, and where this program sees the window.
pub struct Own {
    /// The aperture.
    pub aperture: Cap<Aperture>,
    /// Its window.
    pub window: Cap<Table>,
    place: Option<shared::Place>,
}

impl Own {
    /// Buys both, bound to the function. If that fails, what was bought goes with the bank.
    pub fn buy(bank: Cap<Bank>, function: Cap<DeviceDma>) -> Result<Own, Failure> {
        let mut own = Own {
            aperture: Cap::at(take()?),
            window: Cap::at(take()?),
            place: None,
        };
        let bought = own.buy_both(bank, function);
        if bought.is_err() {
            own.forget();
        }
        bought.map(|()| own)
    }

    fn buy_both(&self, bank: Cap<Bank>, function: Cap<DeviceDma>) -> Result<(), Failure> {
        let buy = |kind, address| {
            let (table, index) = slots::table_of(address);
            bank.buy_caps(&Kernel, kind, 1, table, index)
        };
        buy(Kind::Aperture, self.aperture.address()).map_err(during("buying an aperture"))?;
        buy(Kind::Table1, self.window.address()).map_err(during("buying a window"))?;
        bind(function, self.aperture)
            .and_then(|()| self.aperture.set_window(&Kernel, self.window))
            .map_err(during("binding an aperture"))
    }

    /// Maps the window for this program, who sees in it what the device would.
    pub fn see(&mut self) -> Result<(), Failure> {
        let rights = Rights::READ | Rights::WRITE;
        let place = shared::map(self.window, rights).map_err(during("mapping a window"))?;
        self.place = Some(place);
        Ok(())
    }

    /// What the window shows: it goes with the driver.
    pub fn memory(&self) -> Option<RevocableMapping> {
        self.place.as_ref().map(shared::Place::revocable)
    }

    /// Forgets both, which are gone.
    pub fn forget(&mut self) {
        if let Some(place) = self.place.take() {
            let _ = place.unmap();
        }
        slots::give(self.aperture.address());
        slots::give(self.window.address());
    }
}

/// Binds an aperture to the function; the first time that is the first one of bus 0 that takes it: it never
/// becomes bus master.
fn bind(function: Cap<DeviceDma>, aperture: Cap<Aperture>) -> Result<(), Error> {
    match function.bind(&Kernel, aperture) {
        Err(Error::VOID) => guest::wired::bind_first(function, aperture),
        bound => bound,
    }
}
