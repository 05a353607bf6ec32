//! The program ethdrv, on the simulated machine: the real driver, with the simulated card.

use std::rc::Rc;

use abi::cap::{CapAddr, Kind};
use dev::pool::Pool;
use dev::program::{BANK, PROCESS};
use dev::{Activity, Program as _};
use ethdrv::Driver;
use ethdrv::grant;
use sys::object::{Aperture, DeviceDma, Irq, Notify, Table};
use sys::{Cap, Error};

use crate::card::{Card, CardTransport};
use crate::context::Context;
use crate::program::Program;
use crate::world::Code;

type SimDriver = Driver<Program, CardTransport>;

/// The program, for this card.
pub fn code(card: &Rc<Card>) -> Code {
    let card = card.clone();
    Rc::new(move |context| match begin(context, &card) {
        Ok(mut driver) => {
            let (accounts, program) = (&context.world().accounts, driver.program().clone());
            driver.run_watched(|driver| {
                if accounts.wanted.get() {
                    accounts.driver.set(driver.holdings());
                    accounts.driver_slots.set(program.taken_slots());
                }
            });
        }
        Err(error) => context.claim(false, || format!("the driver can't start: {error}")),
    })
}

fn begin(context: &Context, card: &Rc<Card>) -> Result<SimDriver, Error> {
    let program = Program::start(context);
    context.world().coverage.set_driver(context.oid());
    program.doing(Activity::Beginning);
    let buy = |kind| -> Result<CapAddr, Error> {
        let slot = program.take_slot()?;
        let (table, index) = program.table_of(slot);
        BANK.buy_caps(context, kind, 1, table, index)?;
        Ok(slot)
    };
    let aperture: Cap<Aperture> = Cap::at(buy(Kind::Aperture)?);
    let window: Cap<Table> = Cap::at(buy(Kind::Table1)?);
    let function: Cap<DeviceDma> = Cap::at(grant::FUNCTION);
    function.bind(context, aperture)?;
    aperture.set_window(context, window)?;
    let pages = SimDriver::pool_pages(&card.information()) as u16;
    let pool = Pool::make(&program, aperture, window, pages)?;
    function.set_master(context, true)?;
    let notify = program.take_slot()?;
    PROCESS.make_notify(context, grant::DEVICE_BIT, notify)?;
    let interrupt: Cap<Irq> = Cap::at(grant::INTERRUPT);
    interrupt.bind(context, Cap::<Notify>::at(notify))?;
    interrupt.unmask(context)?;
    let transport = card.transport(context);
    let begun = Driver::begin(program, transport, Cap::at(grant::VERIFIER), pool, 0);
    #[cfg_attr(not(feature = "planted"), allow(unused_mut))]
    let mut driver = begun.map_err(|error| match error {
        ethdrv::driver::BeginError::Sys(error) => error,
        ethdrv::driver::BeginError::Pool(_) => Error::new(abi::error::ENOMEM),
    })?;
    #[cfg(feature = "planted")]
    if let Some(crate::plant::Plant::Driver(fault)) = context.world().settings().plant {
        driver.plant(Some(fault));
    }
    Ok(driver)
}
