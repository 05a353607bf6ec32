//! What a tenant buys. All of it must be new.

use abi::cap::{CapAddr, Kind, Rights};
use abi::error::EACCES;
use dev::Program as _;
use sys::object::{Page, Table};
use sys::{Cap, Error, Mem};

use super::{Holding, Tenant, Thing, WORDS};

impl Tenant {
    /// Takes slots, in one table, for so many capabilities; none if there are none.
    pub(super) fn slots(&self, count: u16) -> Option<CapAddr> {
        match self.program.take_run(count) {
            Ok(first) => {
                // A table for slots may have been bought.
                Some(first)
            }
            Err(error) => {
                self.expects("taking slots", error);
                None
            }
        }
    }

    fn buy(&mut self, holding: usize, kind: Kind, count: u16) -> Option<CapAddr> {
        let first = self.slots(count)?;
        let (table, index) = self.program.table_of(first);
        let Holding { bank, opaque, .. } = self.holdings[holding];
        let bought = bank.buy_caps(&self.context, kind, count.into(), table, index);
        if opaque {
            let refused = bought == Err(Error::new(EACCES)) || self.context.is_gone();
            self.claim(refused, || {
                format!("an opaque bank sold capabilities: {bought:?}")
            });
        } else if let Err(error) = bought {
            self.expects("buying", error);
        } else {
            return Some(first);
        }
        (first..first + count).for_each(|slot| self.program.give_slot(slot));
        None
    }

    pub(super) fn buy_pages(&mut self, holding: usize) {
        let count = 1 + self.below(3) as u16;
        let Some(first) = self.buy(holding, Kind::Page, count) else {
            return;
        };
        for slot in first..first + count {
            let page: Cap<Page> = Cap::at(slot);
            let offset = 8 * self.context.world().dice.below(WORDS - 6);
            let words = page.read(&self.context, offset);
            self.claim(words == Ok([0; 6]), || {
                format!("a page that is not new: {words:?}")
            });
            self.holdings[holding]
                .things
                .push(Thing::Page { slot, mark: None });
        }
    }

    pub(super) fn buy_other(&mut self, holding: usize) {
        let kinds = [
            Kind::Table1,
            Kind::Table2,
            Kind::CapTable,
            Kind::Process,
            Kind::Aperture,
        ];
        let kind = *self.context.world().dice.pick(&kinds);
        if let Some(slot) = self.buy(holding, kind, 1) {
            self.holdings[holding].things.push(Thing::Other { slot });
        }
    }

    /// A segment is bought from its own bank; its pages from the holding's, which may be opaque.
    pub(super) fn buy_segment(&mut self, holding: usize) {
        let pages = 1 + self.below(6) as u64;
        let owner = if self.holdings[holding].opaque {
            0
        } else {
            holding
        };
        let Some(slot) = self.buy(owner, Kind::Table1, 1) else {
            return;
        };
        let table: Cap<Table> = Cap::at(slot);
        let rights = Rights::READ | Rights::WRITE;
        let mapped = self.program.map(table, rights);
        let place = match mapped {
            Ok(place) => place,
            Err(error) => {
                self.expects("mapping", error);
                return self.holdings[owner].things.push(Thing::Other { slot });
            }
        };
        let memory = self.program.shared(&place);
        let mut thing = Thing::Segment {
            slot,
            place,
            memory: memory.clone(),
            pages: Vec::new(),
            lent: false,
        };
        let bank = self.holdings[owner].bank;
        match bank.buy_places(&self.context, Kind::Page, pages, table, 0, rights) {
            Err(error) => self.expects("buying places", error),
            Ok(()) => {
                for page in 0..pages {
                    let offset = page * 4096 + 8 * self.context.world().dice.below(WORDS);
                    let word = memory.load_u64(offset as usize);
                    self.claim(word == Ok(0), || {
                        format!("a page that is not new: {word:?}")
                    });
                }
                if let Thing::Segment { pages: known, .. } = &mut thing {
                    known.resize(pages as usize, None);
                }
            }
        }
        self.holdings[owner].things.push(thing);
        if owner != holding {
            self.fill_from_opaque(holding, owner);
        }
    }

    /// An opaque bank sells into places. What it sold goes with it, and the segment stays.
    fn fill_from_opaque(&mut self, holding: usize, owner: usize) {
        let bank = self.holdings[holding].bank;
        let Some(Thing::Segment { slot, memory, .. }) = self.holdings[owner].things.last() else {
            return;
        };
        let (table, memory): (Cap<Table>, _) = (Cap::at(*slot), memory.clone());
        let place = 100 + self.below(300) as u64;
        let rights = Rights::READ | Rights::WRITE;
        match bank.buy_places(&self.context, Kind::Page, 1, table, place, rights) {
            Err(error) => self.expects("buying from an opaque bank", error),
            Ok(()) => {
                let word = memory.load_u64(place as usize * 4096);
                self.claim(word == Ok(0), || {
                    format!("a page that is not new: {word:?}")
                });
                // Its bank counts it; when it is given back with the segment's entries, nobody is
                // told which page it was.
                self.uncounted = true;
            }
        }
    }
}
