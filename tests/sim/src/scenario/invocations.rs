//! Hostile processes that invoke by a grammar, a victim that they may call, and nobody else.
//!
//! Each has a bank of its own, which is destroyed at random instants; it may destroy it itself. It is
//! given some of everything that a user may hold, and some that is the victim's, with too few rights
//! to do anything with. What it comes by is watched. At the end everything must have come back.

use std::rc::Rc;

use abi::boot::slot;
use abi::cap::{CapAddr, Kind, Rights};
use dev::Program as _;
use dev::program::BANK;
use invocations::grammar::SERVER;
use invocations::slots::What;
use rt::child::Grant;
use sys::bank::{Bank, BankRights};
use sys::object::{CapTable, DeviceDma, Process};
use sys::{Cap, Error};

use crate::actor::{fuzzer, invoker, sleep, victim};
use crate::bank;
use crate::checks::Check;
use crate::context::Context;
use crate::launch::{Launch, Launcher};
use crate::lookup::held;
use crate::pci::FUNCTIONS;
use crate::program::Program;
use crate::watch::Watch;
use crate::world::{Code, Ending, Settings, World, once};

/// Who there is.
pub const PARTIES: [&str; 3] = ["first", "second", "third"];
/// Objects that each may have.
const LIMIT: u64 = 160;
/// Objects of the victim's.
const VICTIMS: u64 = 60;
/// Of all steps, so many tenths are played before everything is taken back.
const TENTHS: u64 = 8;

/// The victim's `Start`.
const START: CapAddr = SERVER;
/// One of its notification bits.
const NOTIFY: CapAddr = slot::GRANT + 1;
/// A page of its, to be read.
const PAGE: CapAddr = slot::GRANT + 2;
/// A segment of its, to be read.
const SEGMENT: CapAddr = slot::GRANT + 3;
/// Its root table, without the right to do anything with it.
const TABLE: CapAddr = slot::GRANT + 4;
/// Its process, to be looked at.
const PROCESS: CapAddr = slot::GRANT + 5;
/// A PCI function's DMA; the third party has none.
const DEVICE: CapAddr = slot::GRANT + 6;

/// What a hostile process is given, besides what all programs have.
const GRANTED: &[(CapAddr, What)] = &[
    (START, Kind::Start as What),
    (NOTIFY, Kind::Notify as What),
    (PAGE, Kind::Page as What),
    (SEGMENT, Kind::Table1 as What),
    (TABLE, Kind::CapTable as What),
    (PROCESS, Kind::Process as What),
    (DEVICE, Kind::DeviceDma as What),
];

/// A world with this scenario in it.
pub fn world(settings: Settings) -> Rc<World> {
    let (victim_code, worker_code, hostile_code) = (2, 3, 4);
    let watch = Rc::new(Watch::default());
    let seen = watch.clone();
    let init: Code = Rc::new(move |context| {
        let codes = [victim_code, hostile_code];
        match Init::new(context, seen.clone(), codes) {
            Ok(mut init) => init.run(),
            Err(error) => context.claim(false, || format!("init can't start: {error}")),
        }
    });
    let world = World::new(wide(settings), bank::code(), init);
    assert_eq!(world.add_code(once(victim::code())), victim_code);
    assert_eq!(world.add_code(fuzzer::code()), worker_code);
    let hostile = invoker::code(worker_code, GRANTED);
    assert_eq!(world.add_code(hostile), hostile_code);
    world.add_book_check(Box::new(move |world, books| match world.coverage.bank() {
        Some(bank) => watch.look(world, books, bank),
        None => Ok(()),
    }));
    world
}

/// Many invocations are worth more here than a close look after each.
fn wide(settings: Settings) -> Settings {
    match settings.audit_every {
        // Somebody looks closely: a failure is being shrunk, or asked for again.
        1 => settings,
        every => Settings {
            look_every: 16,
            audit_every: every.saturating_mul(4),
            ..settings
        },
    }
}

/// A hostile process, as init sees it.
struct User {
    bank: Cap<Bank>,
    process: CapAddr,
    root: CapAddr,
    device: Option<CapAddr>,
    alive: bool,
}

struct Init {
    context: Context,
    program: Program,
    launcher: Launcher,
    watch: Rc<Watch>,
    hostile: usize,
    users: Vec<User>,
    /// What each is granted.
    grants: Vec<Grant>,
    /// Objects that were sold when there were no users.
    before: u64,
    /// A user's bank, as the user gets it.
    lent: CapAddr,
}

impl Init {
    fn new(context: &Context, watch: Rc<Watch>, codes: [usize; 2]) -> Result<Init, Error> {
        let program = Program::start(context);
        let launcher = Launcher::new(&program)?;
        let [victim, hostile] = codes;
        let slot = || program.take_slot();
        let bank: Cap<Bank> = Cap::at(slot()?);
        BANK.sub_bank(context, VICTIMS, false, bank)?;
        let launch = Launch {
            priority: 20,
            ..Launch::new("victim", victim, bank)
        };
        let (process, root) = (slot()?, slot()?);
        launcher.launch(&launch, process, root)?;
        let grants = baits(&program, bank, process, root)?;
        let mut users = Vec::new();
        for n in 0..PARTIES.len() {
            let device = match FUNCTIONS.get(n) {
                Some(function) => {
                    let device = slot()?;
                    let all: Cap<DeviceDma> = Cap::at(slot::INIT_DEVICE_DMA);
                    all.function(context, *function, device)?;
                    Some(device)
                }
                None => None,
            };
            users.push(User {
                bank: Cap::at(slot()?),
                process: slot()?,
                root: slot()?,
                device,
                alive: false,
            });
        }
        let lent = slot()?;
        let before = BANK.usage(context)?.bought;
        Ok(Init {
            context: context.clone(),
            program,
            launcher,
            watch,
            hostile,
            users,
            grants,
            before,
            lent,
        })
    }

    fn run(&mut self) {
        let end = self.context.world().settings().steps * TENTHS / 10;
        while !self.context.is_gone() && self.context.world().steps() < end {
            let dice = &self.context.world().dice;
            let (n, pause) = (
                dice.below(PARTIES.len() as u64) as usize,
                dice.below(400_000_000),
            );
            if self.users[n].alive {
                self.take_back(n);
            } else if self.context.world().settings().has(n)
                && let Err(error) = self.create(n)
            {
                self.context
                    .claim(false, || format!("making a user: {error}"));
            }
            sleep(&self.program, pause);
        }
        self.end();
    }

    fn create(&mut self, n: usize) -> Result<(), Error> {
        let context = &self.context;
        let user = &self.users[n];
        BANK.sub_bank(context, LIMIT, false, user.bank)?;
        // Whoever may remove his bank can leave what he bought to his parent, and run on.
        let lent: Cap<Bank> = Cap::at(self.lent);
        let rights = BankRights::all() - BankRights::REMOVE - BankRights::LIMIT;
        user.bank.restrict(context, rights, lent)?;
        let mut grants = self.grants.clone();
        let dma = user.device.map(|device| Grant::new(DEVICE, device));
        grants.extend(dma.map(|grant| grant.with(Rights::CONTROL)));
        let launch = Launch {
            grants: &grants,
            priority: 10 + context.world().dice.below(6) as u8,
            ..Launch::new(PARTIES[n], self.hostile, lent)
        };
        self.launcher.launch(&launch, user.process, user.root)?;
        // It is less urgent than this, and has not run yet.
        let named = |address| {
            let process = context.process();
            process.map(|own| held(context.world().processor.memory(), own, address))
        };
        if let (Some(bank), Some(process)) = (named(self.lent), named(user.process)) {
            let world = context.world();
            self.watch.begin(world, n, bank.badge, process.oid());
        }
        let (table, index) = self.program.table_of(self.lent);
        table.clear(context, index, 1)?;
        self.users[n].alive = true;
        Ok(())
    }

    /// Destroys a user's bank: it always succeeds, and takes everything.
    fn take_back(&mut self, n: usize) {
        let User {
            bank,
            process,
            root,
            device,
            ..
        } = self.users[n];
        let context = &self.context;
        context.note(|| format!("user {n} loses everything"));
        context.world().count("users' banks destroyed");
        let done = bank.destroy(context);
        context.claim(matches!(done, Ok(()) | Err(Error::VOID)), || {
            format!("destroying a user's bank: {done:?}")
        });
        self.watch.end(n);
        if let Some(device) = device {
            let released = release(context, Cap::at(device));
            context.claim(released.is_ok(), || format!("releasing pins: {released:?}"));
        }
        for slot in [bank.address(), process, root] {
            let (own, index) = self.program.table_of(slot);
            let _ = own.clear(context, index, 1);
        }
        self.users[n].alive = false;
    }

    /// Takes everything back, and looks whether it is all there.
    fn end(&mut self) {
        for n in 0..self.users.len() {
            if self.users[n].alive {
                self.take_back(n);
            }
        }
        let context = &self.context;
        context.world().checks.count(Check::Return);
        let all_back = |usage: sys::bank::Usage| usage.limbo == 0 && usage.bought == self.before;
        for _ in 0..200 {
            if BANK.usage(context).is_ok_and(all_back) {
                context.world().look_at_all();
                context.world().end(Ending::Over);
                loop {
                    sleep(&self.program, 1);
                }
            }
            // spacebank learns of the end of a limbo in its own time.
            sleep(&self.program, 1_000_000);
        }
        let usage = BANK.usage(context);
        context.claim(false, || {
            format!(
                "not everything came back: {} objects before, {usage:?} now",
                self.before
            )
        });
    }
}

/// What is the victim's, with too few rights to do anything with, as it is granted.
fn baits(
    program: &Program,
    bank: Cap<Bank>,
    process: CapAddr,
    root: CapAddr,
) -> Result<Vec<Grant>, Error> {
    let context = program.context();
    let slot = || program.take_slot();
    let victim: Cap<Process> = Cap::at(process);
    let (start, notify, page, segment) = (slot()?, slot()?, slot()?, slot()?);
    victim.make_start(context, 1, start)?;
    victim.make_notify(context, 1, notify)?;
    let into = |slot| -> (Cap<CapTable>, u16) { program.table_of(slot) };
    for (kind, slot) in [(Kind::Page, page), (Kind::Table1, segment)] {
        let (table, index) = into(slot);
        bank.buy_caps(context, kind, 1, table, index)?;
    }
    let write = Rights::READ | Rights::WRITE;
    bank.buy_places(context, Kind::Page, 8, Cap::at(segment), 0, write)?;
    let weak = |slot, from, rights| Grant::new(slot, from).with(rights);
    Ok(vec![
        Grant::new(START, start),
        Grant::new(NOTIFY, notify),
        weak(PAGE, page, Rights::READ),
        weak(SEGMENT, segment, Rights::READ),
        weak(TABLE, root, Rights::READ | Rights::WRITE),
        weak(PROCESS, process, Rights::INSPECT),
    ])
}

/// Stops a function's DMA, and ends the pins of apertures that are no more.
fn release(context: &Context, device: Cap<DeviceDma>) -> Result<(), Error> {
    device.set_master(context, false)?;
    loop {
        let (ended, more) = device.release(context)?;
        context.world().count_by("pins of what is no more", ended);
        if !more {
            return Ok(());
        }
    }
}
