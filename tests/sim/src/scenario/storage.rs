//! Tenants that buy, share and give back storage; a device that writes into it; banks that are
//! destroyed at random instants. At the end everything must have come back.

use std::rc::Rc;

use abi::boot::slot;
use abi::cap::CapAddr;
use abi::error::OK;
use dev::Program as _;
use dev::program::{BANK, PROCESS};
use rt::child::Grant;
use sys::bank::{Bank, BankRights};
use sys::object::{DeviceDma, Notify, Process};
use sys::{Cap, Error, Message, Sys};

use crate::actor::{fuzzer, pinner, sleep, tenant};
use crate::bank;
use crate::checks::Check;
use crate::context::Context;
use crate::launch::{Launch, Launcher};
use crate::pci::FUNCTIONS;
use crate::program::Program;
use crate::world::{Code, Ending, Settings, World};

/// Who there is: tenants or fuzzers, and the pinner.
pub const PARTIES: [&str; 5] = ["first", "second", "third", "fourth", "pinner"];
/// Tenants and fuzzers at a time.
const TENANTS: usize = PINNER;
/// The pinner's place among the parties.
const PINNER: usize = PARTIES.len() - 1;
/// Objects that each may have.
const LIMIT: u64 = 120;
/// Objects of the pinner's.
const PINNERS: u64 = 80;
/// Of all steps, so many tenths are played before everything is taken back.
const TENTHS: u64 = 7;

/// A world with this scenario in it.
pub fn world(settings: Settings) -> Rc<World> {
    // The code of init needs to know the numbers of the others, which are given in this order.
    let (pinner_code, tenant_code, fuzzer_code) = (2, 3, 4);
    let init: Code = Rc::new(move |context| {
        let codes = Codes {
            pinner: pinner_code,
            tenant: tenant_code,
            fuzzer: fuzzer_code,
        };
        match Init::new(context, codes) {
            Ok(mut init) => init.run(),
            Err(error) => context.claim(false, || format!("init can't start: {error}")),
        }
    });
    let world = World::new(settings, bank::code(), init);
    let device = Rc::new(pinner::Scribbler::default());
    assert_eq!(world.add_code(pinner::code(&device)), pinner_code);
    assert_eq!(world.add_code(tenant::code()), tenant_code);
    assert_eq!(world.add_code(fuzzer::code()), fuzzer_code);
    world.add_device(device);
    world
}

struct Codes {
    pinner: usize,
    tenant: usize,
    fuzzer: usize,
}

/// A tenant or fuzzer, as init sees it.
struct User {
    bank: Cap<Bank>,
    process: CapAddr,
    root: CapAddr,
    alive: bool,
}

struct Init {
    context: Context,
    program: Program,
    launcher: Launcher,
    codes: Codes,
    users: Vec<User>,
    /// Objects that were sold when there were no users.
    before: u64,
    pinner: Option<CapAddr>,
    ended: CapAddr,
    /// A user's bank, as the user gets it.
    lent: CapAddr,
    flat: bool,
}

/// Bit that tells of the end of a bank.
const ENDED: u64 = 5;

impl Init {
    fn new(context: &Context, codes: Codes) -> Result<Init, Error> {
        let program = Program::start(context);
        let launcher = Launcher::new(&program)?;
        let flat = context.world().dice.one_in(3);
        let slot = || program.take_slot();
        let (bank, process, root, start) = (slot()?, slot()?, slot()?, slot()?);
        let (ended, lent) = (slot()?, slot()?);
        BANK.sub_bank(context, PINNERS, false, Cap::at(bank))?;
        let mut grants = Vec::new();
        for (n, function) in FUNCTIONS.into_iter().enumerate() {
            let authority = slot()?;
            Cap::<DeviceDma>::at(slot::INIT_DEVICE_DMA).function(context, function, authority)?;
            grants.push(Grant::new(pinner::FUNCTION + n as CapAddr, authority));
        }
        let launch = Launch {
            grants: &grants,
            priority: if flat { 20 } else { 30 },
            ..Launch::new("pinner", codes.pinner, Cap::at(bank))
        };
        let pinner = context.world().settings().has(PINNER).then_some(start);
        if pinner.is_some() {
            launcher.launch(&launch, process, root)?;
            Cap::<Process>::at(process).make_start(context, 1, start)?;
        }
        PROCESS.make_notify(context, ENDED, ended)?;
        let mut users = Vec::new();
        for _ in 0..TENANTS {
            users.push(User {
                bank: Cap::at(slot()?),
                process: slot()?,
                root: slot()?,
                alive: false,
            });
        }
        // The pinner buys its own before it serves anybody.
        if let Some(pinner) = pinner {
            context.call(pinner, &Message::new(&[pinner::DRAIN])).ok()?;
        }
        let before = BANK.usage(context)?.bought;
        Ok(Init {
            context: context.clone(),
            program,
            launcher,
            codes,
            users,
            before,
            pinner,
            ended,
            lent,
            flat,
        })
    }

    fn dice(&self) -> &crate::random::Dice {
        &self.context.world().dice
    }

    fn run(&mut self) {
        let end = self.context.world().settings().steps * TENTHS / 10;
        while !self.context.is_gone() && self.context.world().steps() < end {
            let n = self.dice().below(TENANTS as u64) as usize;
            if self.users[n].alive {
                self.take_back(n);
            } else if self.context.world().settings().has(n)
                && let Err(error) = self.create(n)
            {
                self.context
                    .claim(false, || format!("making a user: {error}"));
            }
            let pause = self.dice().below(2_000_000);
            sleep(&self.program, pause);
        }
        self.end();
    }

    fn create(&mut self, n: usize) -> Result<(), Error> {
        let User {
            bank,
            process,
            root,
            ..
        } = self.users[n];
        let opaque = false;
        BANK.sub_bank(&self.context, LIMIT, opaque, bank)?;
        // Whoever may remove his bank can leave what he bought to his parent, and run on.
        let lent: Cap<Bank> = Cap::at(self.lent);
        bank.restrict(&self.context, BankRights::all() - BankRights::REMOVE, lent)?;
        let fuzzes = self.dice().one_in(4);
        let grants = self.pinner.map(|pinner| Grant::new(tenant::PINNER, pinner));
        let (name, code) = if fuzzes {
            ("fuzzer", self.codes.fuzzer)
        } else {
            ("tenant", self.codes.tenant)
        };
        let launch = Launch {
            grants: grants.as_slice(),
            priority: if self.flat {
                20
            } else {
                10 + self.dice().below(12) as u8
            },
            ..Launch::new(name, code, lent)
        };
        self.launcher.launch(&launch, process, root)?;
        let (table, index) = self.program.table_of(self.lent);
        table.clear(&self.context, index, 1)?;
        self.users[n].alive = true;
        self.context.note(|| format!("user {n} is a {name}"));
        Ok(())
    }

    /// Destroys a user's bank: it always succeeds, and takes everything.
    fn take_back(&mut self, n: usize) {
        let User {
            bank,
            process,
            root,
            ..
        } = self.users[n];
        let context = &self.context;
        context.note(|| format!("user {n} loses everything"));
        self.context.world().count("users' banks destroyed");

        if self.dice().one_in(3) {
            let begun = bank.destroy_and_notify(context, Cap::<Notify>::at(self.ended));
            // A fuzzer may have destroyed it itself, and no slot may be left for who waits, or none of its
            // branch's.
            let full = [abi::error::EMFILE, abi::error::EAGAIN];
            context.claim(
                begun.is_ok()
                    || begun == Err(Error::VOID)
                    || begun.is_err_and(|e| full.iter().any(|full| e.is(*full))),
                || format!("beginning to destroy: {begun:?}"),
            );
            if begun.is_ok() {
                sleep(&self.program, 3_000_000);
            }
        }
        let done = bank.destroy(context);
        context.claim(matches!(done, Ok(()) | Err(Error::VOID)), || {
            format!("destroying a user's bank: {done:?}")
        });
        for slot in [process, root] {
            let status = context.call(slot, &Message::new(&[0xffff])).status;
            context.claim(status == abi::error::VOID, || {
                format!("what the user had still works: {status}")
            });
        }
        for slot in [bank.address(), process, root] {
            let (own, index) = self.program.table_of(slot);
            let _ = own.clear(context, index, 1);
        }
        self.users[n].alive = false;
    }

    /// Takes everything back, and looks whether it is all there.
    fn end(&mut self) {
        for n in 0..TENANTS {
            if self.users[n].alive {
                self.take_back(n);
            }
        }
        let drain = |pinner| self.context.call(pinner, &Message::new(&[pinner::DRAIN]));
        let drained = self.pinner.map_or(OK, |pinner| drain(pinner).status);
        self.context.claim(drained == OK, || {
            format!("the pinner doesn't let go: {drained}")
        });
        self.context.world().checks.count(Check::Return);
        let all_back = |usage: sys::bank::Usage| usage.limbo == 0 && usage.bought == self.before;
        for _ in 0..200 {
            let usage = BANK.usage(&self.context);
            if usage.is_ok_and(all_back) {
                self.context.world().look_at_all();
                return self.over();
            }
            // spacebank learns of the end of a limbo in its own time.
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
        world.end(Ending::Over);
        loop {
            sleep(&self.program, 1);
        }
    }
}
