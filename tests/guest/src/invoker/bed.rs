//! What a case works with: a bank, slots, and ways to invoke wrongly.

use core::cell::RefCell;

use alloc::vec::Vec;

use abi::cap::{CapAddr, Kind, Rights};
use abi::error::Status;
use guest::children::{Failed, Nursery, SubBank};
use guest::code;
use rt::child::{Child, Image, Program};
use rt::{Kernel, slots};
use sys::bank::Bank;
use sys::{Cap, Error, Message, Reply, Sys};

/// Objects that a case may buy.
const LIMIT: u64 = 160;

/// A case's own bank and slots; all gone when it is dropped.
pub struct Bed {
    owner: SubBank,
    taken: RefCell<Vec<CapAddr>>,
}

impl Bed {
    /// A bed with nothing in it.
    pub fn new() -> Result<Bed, Error> {
        Ok(Bed {
            owner: SubBank::new(LIMIT)?,
            taken: RefCell::default(),
        })
    }

    /// Its bank.
    pub fn bank(&self) -> Cap<Bank> {
        self.owner.bank
    }

    /// An empty slot.
    pub fn slot(&self) -> Result<CapAddr, Error> {
        let address = slots::take()?;
        self.taken.borrow_mut().push(address);
        Ok(address)
    }

    /// A new object, with all rights.
    pub fn buy(&self, kind: Kind) -> Result<CapAddr, Error> {
        let address = self.slot()?;
        let (table, index) = slots::table_of(address);
        self.bank().buy_caps(&Kernel, kind, 1, table, index)?;
        Ok(address)
    }

    /// A new object without some rights.
    pub fn buy_without(&self, kind: Kind, rights: Rights) -> Result<CapAddr, Error> {
        let whole = self.buy(kind)?;
        self.without(whole, rights)
    }

    /// A copy without some rights.
    pub fn without(&self, capability: CapAddr, rights: Rights) -> Result<CapAddr, Error> {
        let address = self.slot()?;
        let (table, index) = slots::table_of(address);
        table.put(&Kernel, index, capability, Rights::FULL.difference(rights))?;
        Ok(address)
    }

    /// A segment with a page at place 0.
    pub fn segment(&self) -> Result<CapAddr, Error> {
        let address = self.buy(Kind::Table1)?;
        let rights = Rights::READ | Rights::WRITE;
        self.bank()
            .buy_places(&Kernel, Kind::Page, 1, Cap::at(address), 0, rights)?;
        Ok(address)
    }

    /// What a method answers as a capability.
    pub fn made(&self, capability: CapAddr, words: &[u64]) -> Result<CapAddr, Error> {
        let into = self.slot()?;
        let message = Message::new(words).receiving(&[into]);
        Kernel.call(capability, &message).ok()?;
        Ok(into)
    }

    /// A child that answers calls; it runs.
    pub fn child(&self) -> Result<Child, Error> {
        self.child_of(code::echo(), 1)
    }

    /// A child with this code and priority; it runs.
    pub fn child_of(&self, code: &[u8], priority: u8) -> Result<Child, Error> {
        let failed = |failed| match failed {
            Failed::Prepare(error) => error,
            Failed::Build(error) => error.error,
            Failed::Image(_) | Failed::Wrong(_) => Error::new(abi::error::EINVAL),
        };
        let image = Image::from_code(code).map_err(|error| failed(error.into()))?;
        let mut nursery = Nursery::new()?;
        let program = Program {
            priority,
            stack_pages: 1,
            ..Program::new("child", &image, self.bank())
        };
        let child = nursery.child(&program).map_err(failed);
        nursery.end();
        let child = child?;
        self.taken
            .borrow_mut()
            .extend([child.process.address(), child.root.address()]);
        child.start(&Kernel)?;
        Ok(child)
    }

    /// Calls with words; the status.
    pub fn call(&self, capability: CapAddr, words: &[u64]) -> Result<Status, Error> {
        self.call_with(capability, words, &[])
    }

    /// Calls with words and capabilities; the status.
    pub fn call_with(
        &self,
        capability: CapAddr,
        words: &[u64],
        caps: &[CapAddr],
    ) -> Result<Status, Error> {
        Ok(self.reply(capability, words, caps).status)
    }

    /// Calls with words and capabilities; the whole answer.
    pub fn reply(&self, capability: CapAddr, words: &[u64], caps: &[CapAddr]) -> Reply {
        Kernel.call(capability, &Message::new(words).with_caps(caps))
    }

    /// Calls, which must succeed, and then goes on.
    pub fn must(
        &self,
        capability: CapAddr,
        words: &[u64],
        caps: &[CapAddr],
    ) -> Result<[u64; 6], Error> {
        self.reply(capability, words, caps).ok()
    }

    /// Voids everything that was bought, by the end of the bank.
    pub fn void(&self) -> Result<(), Error> {
        self.bank().destroy(&Kernel)
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.taken.borrow_mut().drain(..).for_each(slots::give);
    }
}

/// `OK` if something holds, `EPROTO` if not: for cases that look at more than the status.
pub fn holds(condition: bool) -> Result<Status, Error> {
    Ok(if condition {
        abi::error::OK
    } else {
        abi::error::status(abi::error::EPROTO)
    })
}
