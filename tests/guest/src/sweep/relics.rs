//! What was the victim's, by capabilities that somebody kept: with its bank it is gone for good.
//!
//! An object of each kind is bought from the victim's bank, and the capabilities stay here. When the bank
//! is gone they must be void; and they must still be void when the next victim is there, to whom the same
//! objects were sold again.

use abi::cap::{CapAddr, Kind, Rights};
use guest::children::BANK;
use rt::shared::{self, Segment};
use rt::{Kernel, RevocableMapping, slots};
use sys::bank::Bank;
use sys::object::Page;
use sys::{Cap, Mem};

use crate::{Failure, during};

/// What is bought. The page comes first: it is mapped, too.
const KINDS: [Kind; 4] = [Kind::Page, Kind::Table1, Kind::CapTable, Kind::Process];
/// What is written into the page.
const MARK: u64 = 0x6672_7569_7473_2121;

/// The capabilities that were kept, and a segment that shows the page.
pub struct Relics {
    first: CapAddr,
    segment: Segment,
}

impl Relics {
    /// None yet.
    pub fn new() -> Result<Relics, Failure> {
        let first = slots::take_run(KINDS.len() as u16).map_err(during("taking slots"))?;
        let segment = shared::buy(BANK, 0).map_err(during("buying a segment"))?;
        Ok(Relics { first, segment })
    }

    fn memory(&self) -> RevocableMapping {
        self.segment.place.revocable()
    }

    /// Buys an object of each kind from a bank, in place of the former ones.
    pub fn keep(&self, bank: Cap<Bank>) -> Result<(), Failure> {
        let (table, index) = slots::table_of(self.first);
        table
            .clear(&Kernel, index, KINDS.len() as u16)
            .map_err(during("forgetting what is gone"))?;
        for (kind, index) in KINDS.into_iter().zip(index..) {
            bank.buy_caps(&Kernel, kind, 1, table, index)
                .map_err(during("buying from the victim's bank"))?;
        }
        let page: Cap<Page> = Cap::at(self.first);
        let rights = Rights::READ | Rights::WRITE;
        self.segment
            .table
            .map(&Kernel, 0, page, rights)
            .map_err(during("mapping a page of the victim's"))?;
        match self.memory().store_u64(0, MARK) {
            Ok(()) => Ok(()),
            Err(_) => Err(Failure::Wrong("a page of the victim's can't be written")),
        }
    }

    /// They name nothing any more.
    pub fn are_void(&self) -> Result<(), Failure> {
        let (table, index) = slots::table_of(self.first);
        for n in 0..KINDS.len() as u16 {
            let (kind, _) = table
                .describe(&Kernel, index + n)
                .map_err(during("describing a capability"))?;
            if kind != Kind::Void as u8 {
                return Err(Failure::Wrong(
                    "a capability to what was revoked names something again",
                ));
            }
        }
        let page: Cap<Page> = Cap::at(self.first);
        if page.read(&Kernel, 0).is_ok() {
            return Err(Failure::Wrong("a page that was revoked can be read"));
        }
        if self.memory().load_u64(0).is_ok() {
            return Err(Failure::Wrong("a page that was revoked is still seen"));
        }
        Ok(())
    }
}
