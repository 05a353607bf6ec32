//! The program spacebank, on the simulated machine: the real server, from the real boot page.
//!
//! Between two requests its books are balanced, and compared with the kernel's rows.

use std::rc::Rc;

use abi::PAGE_SIZE;
use abi::boot::{BANK_MAGIC, layout};
use kernel::object::State;
use spacebank::{Entry, Record, Records, Server};
use sys::Mem;

use crate::checks::Check;
use crate::context::Context;
use crate::failure::Failure;
use crate::mmu::Access;
use crate::region::Region;
use crate::world::{Code, World};

/// Balances between which so many requests lie, in the mean.
const BALANCED_EVERY: u32 = 24;

/// The program.
pub fn code() -> Code {
    Rc::new(run)
}

fn run(context: &Context) {
    context.world().coverage.set_bank(context.oid());
    let boot = Region::own(context, layout::ARGUMENTS, PAGE_SIZE);
    let word = |n: usize| {
        let mut bytes = [0; 8];
        let read = boot.read(4 + n * 8, &mut bytes);
        context.claim(read.is_ok(), || "there is no boot page".to_owned());
        u64::from_le_bytes(bytes)
    };
    let (magic, counts) = (word(0), word(1));
    context.claim(magic == BANK_MAGIC, || "the boot page is none".to_owned());
    let (objects, sold) = (counts as u32, (counts >> 32) as u32);
    let mut entries = vec![Entry::default(); objects as usize];
    let records = HostRecords {
        context: context.clone(),
        records: Vec::new(),
    };
    let batch = Region::own(context, layout::MESSAGE, PAGE_SIZE);
    let mut server = match Server::start(context, &mut entries, sold, records, batch) {
        Ok(server) => server,
        Err(error) => return context.claim(false, || error.to_string()),
    };
    let mut answer = None;
    loop {
        answer = server.turn(context, answer);
        let world = context.world();
        if world.dice.one_in(BALANCED_EVERY) || world.accounts.wanted.get() {
            balance(world, &server);
        }
    }
}

/// A look at the books, between two requests.
pub trait Books {
    /// What an object is to spacebank.
    fn entry(&self, oid: u32) -> Option<Entry>;
    /// The object that holds the record of the living bank that a badge names.
    fn record_of(&self, badge: u64) -> Option<u32>;
}

impl<R: Records, M: Mem> Books for Server<'_, R, M> {
    fn entry(&self, oid: u32) -> Option<Entry> {
        self.entry(oid).copied()
    }

    fn record_of(&self, badge: u64) -> Option<u32> {
        self.record_of(badge)
    }
}

/// The books balance, and say what the kernel says.
fn balance<R: Records, M: Mem>(world: &World, server: &Server<'_, R, M>) {
    if world.is_ending() {
        return;
    }
    world.checks.count(Check::Books);
    match server.audit() {
        Ok(census) => world.accounts.bank.set(census),
        Err(unsound) => return world.fail(Failure::Bank(unsound)),
    }
    for (oid, row) in world.processor.memory().objects.iter().enumerate() {
        let Some(entry) = server.entry(oid as u32) else {
            continue;
        };
        let state = row.state.get();
        use spacebank::State as Bank;
        let (agree, bank) = match entry.state() {
            Bank::Free => (state == State::Free, "free"),
            // What was sold back may still be taken apart.
            Bank::Live => (
                matches!(state, State::Live | State::Dying) && entry.kind() == row.kind.get(),
                "live",
            ),
            Bank::Record => (
                state == State::Live && entry.kind() == row.kind.get(),
                "a record",
            ),
            Bank::Limbo => (state == State::Limbo, "in limbo"),
        };
        if !agree {
            let kernel = match state {
                State::Free => "free",
                State::Live => "live",
                State::Limbo => "in limbo",
                State::Dying => "dying",
            };
            return world.fail(Failure::Storage {
                oid: oid as u32,
                bank,
                kernel,
            });
        }
    }
    world.look_at_books(server);
}

/// Records, on the host; but each must be mapped where the real ones lie, whenever it is used.
struct HostRecords {
    context: Context,
    records: Vec<Option<Box<Record>>>,
}

impl HostRecords {
    fn check(&self, oid: u32) {
        let address = layout::RECORDS + u64::from(oid) * PAGE_SIZE as u64;
        if self.context.is_gone() {
            return;
        }
        let mapped = self.context.world().processor.reach(address, Access::Write);
        if mapped.is_err() {
            panic!("the record in object {oid} is not mapped");
        }
    }
}

impl Records for HostRecords {
    fn get(&self, oid: u32) -> &Record {
        self.check(oid);
        let record = self.records.get(oid as usize).and_then(Option::as_deref);
        record.expect("a record that was created")
    }

    fn get_mut(&mut self, oid: u32) -> &mut Record {
        self.check(oid);
        let record = self.records.get_mut(oid as usize);
        record
            .and_then(Option::as_deref_mut)
            .expect("a record that was created")
    }

    fn create(&mut self, oid: u32, record: Record) {
        self.check(oid);
        if self.records.len() <= oid as usize {
            self.records.resize_with(oid as usize + 1, || None);
        }
        self.records[oid as usize] = Some(Box::new(record));
    }

    fn discard(&mut self, oid: u32) {
        if let Some(record) = self.records.get_mut(oid as usize) {
            *record = None;
        }
    }
}
