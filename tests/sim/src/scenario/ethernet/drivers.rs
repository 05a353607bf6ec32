//! The driver: started, and taken down as init takes one down that died. The device is stopped first,
//! then reset; only then is a frame that it could reach used again.

use abi::boot::slot;
use abi::cap::{CapAddr, Kind, Rights};
use dev::Program as _;
use dev::badge::ADMIN_BADGE;
use dev::program::BANK;
use ethdrv::grant;
use rt::child::Grant;
use sys::object::{Aperture, CapTable, Irq, Table};
use sys::{Cap, Error};

use super::{APERTURES, DRIVER, DRIVERS, Init};
use crate::actor::stack;
use crate::card;
use crate::launch::Launch;

impl Init {
    pub(super) fn start_driver(&mut self) -> Result<(), Error> {
        let context = &self.context;
        BANK.sub_bank(context, DRIVERS, false, self.driver_bank)?;
        self.clear(self.interrupt);
        let all: Cap<Irq> = Cap::at(slot::INIT_IRQ);
        all.msix(context, card::FUNCTION, card::ENTRY, self.interrupt)?;
        let grants = [
            Grant::new(grant::VERIFIER, slot::INIT_VERIFIER),
            Grant::new(grant::FUNCTION, self.function.address()).with(Rights::CONTROL),
            Grant::new(grant::REGISTERS, self.registers),
            Grant::new(grant::INTERRUPT, self.interrupt),
        ];
        let launch = Launch {
            grants: &grants,
            priority: if self.flat { 20 } else { 30 },
            keeper: self.keeper,
            ..Launch::new("ethdrv", DRIVER, self.driver_bank)
        };
        let (process, root) = (self.driver.process.address(), self.driver.root.address());
        self.launcher.launch(&launch, process, root)?;
        self.driver
            .process
            .make_start(context, ADMIN_BADGE, self.admin.address())?;
        context.note(|| "the driver was started".to_owned());
        // Sometimes there are none: then everybody is served by copying.
        let count = self.dice().below(APERTURES as u64 + 1) as usize;
        self.receiving[..count]
            .iter()
            .try_for_each(|pair| self.add_aperture(*pair))
    }

    /// Gives the driver an aperture for receive pages.
    fn add_aperture(&self, (aperture, window): (CapAddr, CapAddr)) -> Result<(), Error> {
        let context = &self.context;
        for (kind, slot) in [(Kind::Aperture, aperture), (Kind::Table1, window)] {
            self.clear(slot);
            let (table, index) = self.program.table_of(slot);
            self.driver_bank.buy_caps(context, kind, 1, table, index)?;
        }
        let (aperture, window): (Cap<Aperture>, Cap<Table>) = (Cap::at(aperture), Cap::at(window));
        self.function.bind(context, aperture)?;
        aperture.set_window(context, window)?;
        self.admin.add_aperture(context, aperture, window)
    }

    /// The driver dies; what it had pinned is released when its device is reset.
    pub(super) fn stop_driver(&mut self) {
        let context = &self.context;
        self.killing.set(true);
        self.setting.network.driver_died();
        let stopped = self.function.set_master(context, false);
        context.claim(stopped.is_ok(), || {
            format!("stopping the device: {stopped:?}")
        });
        self.setting.card.reset();
        let destroyed = self.driver_bank.destroy(context);
        context.claim(destroyed.is_ok(), || {
            format!("destroying the driver's bank: {destroyed:?}")
        });
        context.world().coverage.absent();
        // Until just now it may have let somebody attach: that session too is of a life that is over.
        self.setting.network.driver_died();
        loop {
            match self.function.release(context) {
                Ok((_, true)) => {}
                Ok((_, false)) => break,
                Err(error) => return context.claim(false, || format!("releasing pins: {error}")),
            }
        }
        self.setting.card.reset();
        for slot in [
            self.driver.process.address(),
            self.driver.root.address(),
            self.driver_bank.address(),
            self.admin.address(),
        ] {
            self.clear(slot);
        }
        for (aperture, window) in self.receiving {
            self.clear(aperture);
            self.clear(window);
        }
        for user in &self.users {
            [user.aperture, user.window, user.port.address()]
                .into_iter()
                .for_each(|slot| self.clear(slot));
        }
        self.users.iter_mut().for_each(|user| user.made = None);
        self.killing.set(false);
    }

    pub(super) fn driver_dies(&mut self) {
        self.context.note(|| "the driver dies".to_owned());
        self.context.world().count("drivers killed");

        self.stop_driver();
        if let Err(error) = self.start_driver() {
            return self
                .context
                .claim(false, || format!("a new driver: {error}"));
        }
        for n in 0..self.users.len() {
            if !self.users[n].alive {
                continue;
            }
            let made = self.add_port(n).and_then(|()| {
                let user = &self.users[n];
                let between = user.between.map(|between| between.root);
                let root: Cap<CapTable> = Cap::at(between.unwrap_or(user.root));
                let port = self.users[n].port.address();
                root.put(&self.context, stack::PORT, port, Rights::FULL)
            });
            self.context.claim(made.is_ok(), || {
                format!("a new port for user {n}: {made:?}")
            });
        }
    }
}
