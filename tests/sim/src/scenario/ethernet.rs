//! The real driver, with stacks that stay, come and go, or play foul, some of them behind the real
//! copier; users whose banks are destroyed in the middle of everything; and now and then a driver that
//! dies.
//!
//! Steady stacks must get every frame, once, whole, in order, whatever happens to the others.

pub mod accounting;
mod drivers;
mod users;

use std::cell::Cell;
use std::rc::Rc;

use abi::boot::slot;
use abi::cap::CapAddr;
use dev::Program as _;
use dev::admin::Admin;
use dev::port::Port;
use dev::program::{BANK, PROCESS};
use rt::child::Child;
use sys::bank::Bank;
use sys::object::{DeviceDma, DeviceMemory};
use sys::{Cap, Error, Event, Sys};

use crate::actor::stack::{self, Manner};
use crate::actor::{SLEEP, copier, driver, sleep};
use crate::bank;
use crate::card::{self, Card};
use crate::checks::Check;
use crate::context::Context;
use crate::guard::Guard;
use crate::launch::Launcher;
use crate::machine::DEVICE_PAGES;
use crate::network::{Network, Party};
use crate::program::Program;
use crate::world::{Code, Ending, Settings, World};

const DRIVER: usize = 2;
const STACK: usize = 3;
const COPIER: usize = 4;

/// Objects that a user may have.
const LIMIT: u64 = 130;
/// Objects that a user's copier may have, besides.
const COPIERS: u64 = 130;
/// Users that have a copier, at most.
const MOST_COPIERS: usize = 2;
/// Objects of the driver's.
const DRIVERS: u64 = 400;
/// Apertures that the driver is given for receive pages, at most.
const APERTURES: usize = 2;
/// Of all steps, so many tenths are played before everything is taken back.
const TENTHS: u64 = 6;

/// Who there is: users, and the other end of the wire.
pub const PARTIES: [&str; 5] = ["steady", "steady-too", "flighty", "foul", "wire"];
/// The wire's place among the parties.
const WIRE: usize = PARTIES.len() - 1;

/// How users behave.
const USERS: [Manner; WIRE] = [
    Manner::Steady,
    Manner::Steady,
    Manner::Flighty,
    Manner::Foul,
];

/// A world with this scenario in it.
pub fn world(settings: Settings) -> Rc<World> {
    world_of(settings, Init::run)
}

/// A world with the driver in it, in which init does this.
fn world_of(settings: Settings, deeds: fn(&mut Init)) -> Rc<World> {
    let network = Rc::new(Network::default());
    let guard = Rc::new(Guard::default());
    let card = Rc::new(Card::new(&network));
    let (shared, network_of_init) = (card.clone(), network.clone());
    let init: Code = Rc::new(move |context| {
        let setting = Setting {
            card: shared.clone(),
            network: network_of_init.clone(),
        };
        match Init::new(context, setting) {
            Ok(mut init) => deeds(&mut init),
            Err(error) => context.claim(false, || format!("init can't start: {error}")),
        }
    });
    let world = World::new(settings, bank::code(), init);
    assert_eq!(world.add_code(driver::code(&card)), DRIVER);
    assert_eq!(world.add_code(stack::code(&network, &card, &guard)), STACK);
    assert_eq!(world.add_code(copier::code()), COPIER);
    world.add_device(card);
    world.add_check(Box::new(move |world| guard.check(world, &network)));
    world
}

struct Setting {
    card: Rc<Card>,
    network: Rc<Network>,
}

/// A user, as init sees it.
struct User {
    number: Party,
    manner: Manner,
    bank: Cap<Bank>,
    process: CapAddr,
    root: CapAddr,
    port: Port,
    aperture: CapAddr,
    window: CapAddr,
    /// Its port's number with the driver, if there is one.
    made: Option<u64>,
    /// What stands between its stack and the driver, if anything does.
    between: Option<Between>,
    alive: bool,
}

/// A copier, as init sees it.
#[derive(Clone, Copy)]
struct Between {
    bank: Cap<Bank>,
    process: CapAddr,
    root: CapAddr,
    /// The port that the copier serves.
    port: CapAddr,
}

struct Init {
    context: Context,
    program: Program,
    launcher: Launcher,
    setting: Setting,
    users: Vec<User>,
    driver: Child,
    driver_bank: Cap<Bank>,
    admin: Admin,
    function: Cap<DeviceDma>,
    lent: Cap<Bank>,
    keeper: CapAddr,
    scratch: CapAddr,
    interrupt: CapAddr,
    /// Apertures for receive pages, and their windows.
    receiving: [(CapAddr, CapAddr); APERTURES],
    registers: CapAddr,
    /// Objects that were sold before there was a driver.
    before: u64,
    /// init takes the driver down itself.
    killing: Cell<bool>,
    /// Nanoseconds that pass between two deeds of init's, at most.
    pace: u64,
    flat: bool,
    deadly: bool,
}

/// Bit by which init learns that a program stopped.
const KEEPER: u64 = 7;

impl Init {
    fn new(context: &Context, setting: Setting) -> Result<Init, Error> {
        let program = Program::start(context);
        let launcher = Launcher::new(&program)?;
        let slot = || program.take_slot();
        let dice = &context.world().dice;
        let (flat, deadly) = (dice.one_in(3), dice.one_in(2));
        setting.card.set_lies(dice.one_in(3));
        setting.card.set_long(dice.one_in(3));
        for n in 0..USERS.len() {
            setting.network.set_private(n as Party + 2, dice.one_in(2));
        }
        let pace = *dice.pick(&[1_000_000, 6_000_000, 30_000_000]);
        let keeper = slot()?;
        PROCESS.make_notify(context, KEEPER, keeper)?;
        let function = slot()?;
        Cap::<DeviceDma>::at(slot::INIT_DEVICE_DMA).function(context, card::FUNCTION, function)?;
        let registers = slot()?;
        let memory: Cap<DeviceMemory> = Cap::at(slot::INIT_DEVICE_MEMORY);
        memory.narrow(context, DEVICE_PAGES[1] << 12, 1, registers)?;
        let mut users = Vec::new();
        let mut copiers = 0;
        for (n, manner) in USERS.into_iter().enumerate() {
            let between = match copiers < MOST_COPIERS && dice.one_in(4) {
                true => Some(Between {
                    bank: Cap::at(slot()?),
                    process: slot()?,
                    root: slot()?,
                    port: slot()?,
                }),
                false => None,
            };
            if between.is_some() {
                copiers += 1;
                setting.network.set_interposed(n as Party + 2);
            }
            users.push(User {
                number: n as Party + 2,
                manner,
                bank: Cap::at(slot()?),
                process: slot()?,
                root: slot()?,
                port: Port::at(slot()?),
                aperture: slot()?,
                window: slot()?,
                made: None,
                between,
                alive: false,
            });
        }
        let mut receiving = [(0, 0); APERTURES];
        for (aperture, window) in &mut receiving {
            (*aperture, *window) = (slot()?, slot()?);
        }
        let (process, root) = (slot()?, slot()?);
        let mut init = Init {
            users,
            driver: Child {
                process: Cap::at(process),
                root: Cap::at(root),
            },
            driver_bank: Cap::at(slot()?),
            admin: Admin::at(slot()?),
            function: Cap::at(function),
            lent: Cap::at(slot()?),
            keeper,
            scratch: slot()?,
            interrupt: slot()?,
            receiving,
            registers,
            before: 0,
            killing: Cell::new(false),
            pace,
            flat,
            deadly,
            context: context.clone(),
            launcher,
            setting,
            program,
        };
        init.before = BANK.usage(context)?.bought;
        init.start_driver()?;
        Ok(init)
    }

    fn dice(&self) -> &crate::random::Dice {
        &self.context.world().dice
    }

    fn clear(&self, slot: CapAddr) {
        let (table, index) = self.program.table_of(slot);
        let cleared = table.clear(&self.context, index, 1);
        self.context
            .claim(cleared.is_ok(), || format!("its own slot: {cleared:?}"));
    }

    fn run(&mut self) {
        let end = self.context.world().settings().steps * TENTHS / 10;
        let world = self.context.world().clone();
        for n in (0..self.users.len()).filter(|n| world.settings().has(*n)) {
            self.bring_up(n);
        }
        self.setting.card.set_talks(world.settings().has(WIRE));
        while !self.context.is_gone() && self.context.world().steps() < end {
            self.act();
            self.pause();
        }
        self.end();
    }

    /// Waits a while, and sees to programs that stopped.
    fn pause(&self) {
        let until = self.program.now() + self.dice().below(self.pace);
        while !self.context.is_gone() {
            let armed = self.program.arm(until, SLEEP);
            self.context
                .claim(armed.is_ok(), || format!("no timer: {armed:?}"));
            let Event::Notified { group: 0, bits } = self.context.wait([0; 4]) else {
                continue;
            };
            if bits >> KEEPER & 1 != 0 && !self.killing.get() {
                let info = self.driver.process.info(&self.context);
                let stopped = info.is_ok_and(|info| info.state == 0);
                self.context
                    .claim(!stopped, || format!("the driver stopped: {info:?}"));
            }
            if bits >> SLEEP & 1 != 0 {
                return;
            }
        }
    }

    fn act(&mut self) {
        let dice = self.dice();
        let n = 2 + dice.below(self.users.len() as u64 - 2) as usize;
        if self.deadly && dice.one_in(40) {
            return self.driver_dies();
        }
        let any = dice.below(self.users.len() as u64) as usize;
        match dice.below(8) {
            0 | 1 => return self.switch(any),
            2 => return self.throttle(any),
            _ => {}
        }
        match (self.users[n].alive, dice.below(3)) {
            (true, 0) => self.destroy_session(n),
            (true, 1) => self.take_back(n),
            (true, _) => {}
            (false, _) if self.context.world().settings().has(n) => self.bring_up(n),
            (false, _) => {}
        }
    }

    /// Everything that must arrive arrives; then everything is taken back, and must all be there.
    fn end(&mut self) {
        self.context.note(|| "the end begins".to_owned());
        self.setting.card.set_talks(false);
        self.setting.network.hush();
        let mut rounds = 0;
        while !self.context.is_gone() && !self.setting.network.is_quiet() {
            self.pause();
            rounds += 1;
            self.context.claim(rounds < 3_000, || {
                "frames that must arrive are under way for ever".to_owned()
            });
        }
        for n in 0..self.users.len() {
            if self.users[n].alive {
                self.take_back(n);
            }
        }
        self.stop_driver();
        self.context.world().checks.count(Check::Return);
        let all_back = |usage: sys::bank::Usage| usage.limbo == 0 && usage.bought == self.before;
        for _ in 0..200 {
            if BANK.usage(&self.context).is_ok_and(all_back) {
                return self.over();
            }
            sleep(&self.program, 1_000_000);
        }
        let usage = BANK.usage(&self.context);
        self.context.claim(false, || {
            format!(
                "not everything came back: {} objects before, {usage:?} now",
                self.before
            )
        });
    }

    fn over(&self) {
        let world = self.context.world();
        let delivered = self.setting.network.delivered();
        self.context
            .note(|| format!("{delivered} frames were delivered"));
        world.end(Ending::Over);
        loop {
            sleep(&self.program, 1);
        }
    }
}
