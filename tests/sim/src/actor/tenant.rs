//! A tenant: buys storage from its bank, uses it, divides it among banks of its own, and gives it back.
//!
//! It knows what it should have. What it buys must be zeroed, what it wrote must be there, what it
//! sold or destroyed must be void, and its bank must count right.

use std::rc::Rc;

use abi::boot::slot;
use abi::cap::{CapAddr, Kind, Rights};
use abi::error::{EACCES, EDQUOT, EMFILE, EMLINK, ENOENT, ENOMEM, EPERM};
use dev::Program as _;
use dev::program::{BANK, PROCESS};
use sys::bank::{Bank, BankRights};
use sys::object::{Notify, Page, Table};
use sys::{Cap, Error, Event, Mem, Message, Sys};

use crate::actor::{SLEEP, pinner, sleep};
use crate::context::Context;
use crate::program::Program;
use crate::region::Region;
use crate::world::Code;

/// Where a tenant finds the pinner, if there is one.
pub const PINNER: CapAddr = slot::GRANT;

/// Bit that tells of the end of a bank.
const ENDED: u64 = 5;

/// Most things that it has at a time.
const MOST: usize = 24;

/// Words in a page.
const WORDS: u64 = (abi::PAGE_SIZE / 8) as u64;

/// The program.
pub fn code() -> Code {
    Rc::new(|context| {
        let mut tenant = Tenant::new(context);
        while !context.is_gone() {
            tenant.act();
        }
    })
}

/// A page that it wrote to: one word, which nobody else writes.
#[derive(Clone, Copy, Debug)]
struct Mark {
    offset: u64,
    value: u64,
}

/// Something that it bought.
enum Thing {
    /// A page, with a mark in it.
    Page { slot: CapAddr, mark: Option<Mark> },
    /// A table or the like, that it only keeps.
    Other { slot: CapAddr },
    /// A segment, mapped, with pages in its first places.
    Segment {
        slot: CapAddr,
        place: usize,
        memory: Region,
        pages: Vec<Option<Mark>>,
        /// Somebody else was given it: pages may be written by a device.
        lent: bool,
    },
}

impl Thing {
    fn slot(&self) -> CapAddr {
        match self {
            Thing::Page { slot, .. } | Thing::Other { slot } | Thing::Segment { slot, .. } => *slot,
        }
    }

    /// Objects that it is.
    fn objects(&self) -> u64 {
        match self {
            Thing::Segment { pages, .. } => 1 + pages.len() as u64,
            _ => 1,
        }
    }
}

/// A bank and what was bought from it.
struct Holding {
    bank: Cap<Bank>,
    opaque: bool,
    things: Vec<Thing>,
}

/// What must hold as long as the tenant's bank is there. Once that is being destroyed, the tenant has
/// nothing, and waits for its end.
fn claim_of(context: &Context, holds: bool, claim: impl FnOnce() -> String) {
    if holds || context.is_gone() {
        return;
    }
    if BANK.usage_of_kind(context, Kind::Page) == Err(Error::VOID) {
        context.note(|| "its bank is gone".to_owned());
        while !context.is_gone() {
            context.wait([0; 4]);
        }
        return;
    }
    context.claim(false, claim);
}

struct Tenant {
    context: Context,
    program: Program,
    /// The first is its own bank, the others are children of it.
    holdings: Vec<Holding>,
    /// Objects that its bank held before it bought anything.
    before: u64,
    /// Something that it bought may be in limbo, or may be gone from its books: it doesn't count.
    uncounted: bool,
    serial: u64,
    ended: CapAddr,
}

impl Tenant {
    fn new(context: &Context) -> Tenant {
        let program = Program::start(context);
        let ended = program.take_slot().unwrap_or(0);
        let made = PROCESS.make_notify(context, ENDED, ended);
        context.claim(made.is_ok(), || format!("no notification: {made:?}"));
        let before = BANK.usage(context).map_or(0, |usage| usage.bought);
        Tenant {
            context: context.clone(),
            program,
            holdings: vec![Holding {
                bank: BANK,
                opaque: false,
                things: Vec::new(),
            }],
            before,
            uncounted: false,
            serial: 0,
            ended,
        }
    }

    fn below(&self, limit: usize) -> usize {
        self.context.world().dice.below(limit as u64) as usize
    }

    fn claim(&self, holds: bool, claim: impl FnOnce() -> String) {
        claim_of(&self.context, holds, claim);
    }

    /// Refusals that a tenant must reckon with: its limit, an empty machine, no slot left.
    fn expects(&self, what: &str, error: Error) {
        let known = [EDQUOT, ENOMEM, EMFILE, EMLINK];
        let expected = known.iter().any(|errno| error.is(*errno));
        self.claim(expected, || format!("{what}: {error}"));
    }

    fn act(&mut self) {
        let holding = self.below(self.holdings.len());
        let things: usize = self
            .holdings
            .iter()
            .map(|holding| holding.things.len())
            .sum();
        match self.below(24) {
            0..=2 if things < MOST => self.buy_pages(holding),
            3 if things < MOST => self.buy_other(holding),
            4..=6 if things < MOST => self.buy_segment(holding),
            7..=10 => self.use_something(holding),
            11 | 12 => self.sell_something(holding),
            13 | 14 if self.holdings.len() < 4 => self.divide(),
            15 | 16 if holding != 0 => self.destroy(holding),
            17 if holding != 0 => self.remove(holding),
            18 => self.count(),
            19 => self.lend(holding),
            20 => self.look(holding),
            21 => self.restrict(holding),
            _ => {
                let pause = self.context.world().dice.below(300_000);
                sleep(&self.program, pause);
            }
        }
    }

    /// Takes slots, in one table, for so many capabilities; none if there are none.
    fn slots(&self, count: u16) -> Option<CapAddr> {
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

    fn buy_pages(&mut self, holding: usize) {
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

    fn buy_other(&mut self, holding: usize) {
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
    fn buy_segment(&mut self, holding: usize) {
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

    /// Writes marks, and looks whether they are there.
    fn use_something(&mut self, holding: usize) {
        let count = self.holdings[holding].things.len();
        if count == 0 {
            return;
        }
        let n = self.below(count);
        self.serial += 1;
        let dice = &self.context.world().dice;
        let fresh = Mark {
            offset: 8 * dice.below(WORDS),
            value: (u64::from(self.context.oid().0) << 48) | (self.serial << 8) | 0x5a,
        };
        let context = self.context.clone();
        match &mut self.holdings[holding].things[n] {
            Thing::Other { .. } => {}
            Thing::Page { slot, mark } => {
                let page: Cap<Page> = Cap::at(*slot);
                if let Some(known) = *mark {
                    let first = known.offset.min(8 * (WORDS - 6));
                    let at = (known.offset - first) as usize / 8;
                    let words = page.read(&context, first);
                    let kept = words.is_ok_and(|words| words[at] == known.value);
                    claim_of(&context, kept, || {
                        format!("a mark is gone: {words:?} for {known:?}")
                    });
                }
                let wrote = page.write(&context, fresh.offset, fresh.value);
                claim_of(&context, wrote.is_ok(), || {
                    format!("a page of its own: {wrote:?}")
                });
                *mark = Some(fresh);
            }
            Thing::Segment {
                memory,
                pages,
                lent,
                ..
            } => {
                if pages.is_empty() {
                    return;
                }
                let page = dice.below(pages.len() as u64) as usize;
                if let Some(known) = pages[page].filter(|_| !*lent) {
                    let word = memory.load_u64(page * 4096 + known.offset as usize);
                    let kept = word == Ok(known.value);
                    claim_of(&context, kept, || {
                        format!("a mark is gone: {word:?} for {known:?}")
                    });
                }
                let wrote = memory.store_u64(page * 4096 + fresh.offset as usize, fresh.value);
                claim_of(&context, wrote.is_ok(), || {
                    format!("memory of its own: {wrote:?}")
                });
                pages[page] = Some(fresh);
            }
        }
    }

    /// What a thing was is gone: its capability is void, and memory that it was reaches nothing.
    fn is_gone(&self, thing: Thing) {
        let sys = &self.context;
        let status = sys.call(thing.slot(), &Message::new(&[0xffff])).status;
        self.claim(status == abi::error::VOID, || {
            format!("slot {} still works: {status}", thing.slot())
        });
        let slot = thing.slot();
        if let Thing::Segment { place, memory, .. } = thing {
            let word = memory.load_u64(8 * self.below(512 * 512));
            self.claim(word.is_err(), || format!("it still reaches {word:?}"));
            self.program.unmap(place);
        }
        self.program.give_slot(slot);
    }

    fn sell_something(&mut self, holding: usize) {
        let count = self.holdings[holding].things.len();
        if count == 0 {
            return;
        }
        let n = self.below(count);
        let thing = self.holdings[holding].things.swap_remove(n);
        let bank = self.holdings[holding].bank;
        let sold = bank.sell(&self.context, thing.slot());
        self.claim(sold.is_ok(), || format!("selling its own: {sold:?}"));
        if let Thing::Segment { pages, lent, .. } = &thing {
            // Nobody can sell pages that lie in places; they are the bank's until it ends. And what
            // was lent may be pinned.
            self.before += pages.len() as u64;
            self.uncounted |= *lent || holding != 0;
        }
        self.context.world().count("objects sold back");
        self.is_gone(thing);
    }

    fn divide(&mut self) {
        let Some(slot) = self.slots(1) else { return };
        let bank: Cap<Bank> = Cap::at(slot);
        let opaque = self.below(2) == 0;
        let limit = 4 + self.below(40) as u64;
        match BANK.sub_bank(&self.context, limit, opaque, bank) {
            Ok(_) => self.holdings.push(Holding {
                bank,
                opaque,
                things: Vec::new(),
            }),
            Err(error) => {
                self.expects("dividing", error);
                self.program.give_slot(slot);
            }
        }
    }

    fn destroy(&mut self, holding: usize) {
        let Holding { bank, things, .. } = self.holdings.swap_remove(holding);
        self.context.world().count("sub-banks destroyed");
        self.uncounted |= things
            .iter()
            .any(|thing| matches!(thing, Thing::Segment { lent: true, .. }));
        if self.below(3) == 0 {
            let begun = bank.destroy_and_notify(&self.context, Cap::<Notify>::at(self.ended));
            if begun == Err(Error::new(EMFILE)) {
                let done = bank.destroy(&self.context);
                self.claim(done.is_ok(), || format!("destroying: {done:?}"));
            } else {
                self.claim(begun.is_ok(), || format!("beginning to destroy: {begun:?}"));
                self.wait_for_end();
            }
        } else {
            let done = bank.destroy(&self.context);
            self.claim(done.is_ok(), || format!("destroying: {done:?}"));
        }
        let usage = bank.usage(&self.context);
        self.claim(usage == Err(Error::VOID), || {
            format!("a bank that is no more: {usage:?}")
        });
        self.program.give_slot(bank.address());
        things.into_iter().for_each(|thing| self.is_gone(thing));
    }

    /// Waits until the bank that is being destroyed is. Everybody is told within a time.
    fn wait_for_end(&self) {
        let deadline = self.program.now() + 5_000_000_000;
        while !self.context.is_gone() {
            let armed = self.program.arm(self.program.now() + 1_000_000, SLEEP);
            self.claim(armed.is_ok(), || format!("no timer: {armed:?}"));
            if let Event::Notified { group: 0, bits } = self.context.wait([0; 4])
                && bits >> ENDED & 1 != 0
            {
                return;
            }
            self.claim(self.program.now() < deadline, || {
                "a bank doesn't end".to_owned()
            });
        }
    }

    /// A transparent bank's storage becomes its parent's; an opaque one's doesn't.
    fn remove(&mut self, holding: usize) {
        let Holding { bank, opaque, .. } = self.holdings[holding];
        let removed = bank.remove(&self.context);
        if opaque {
            let refused = removed == Err(Error::new(EPERM)) || self.context.is_gone();
            return self.claim(refused, || {
                format!("an opaque bank was removed: {removed:?}")
            });
        }
        self.claim(removed.is_ok(), || format!("removing: {removed:?}"));
        let Holding { things, .. } = self.holdings.swap_remove(holding);
        self.context.world().count("sub-banks removed");
        self.program.give_slot(bank.address());
        self.holdings[0].things.extend(things);
    }

    /// Its bank counts what it has, and no more.
    fn count(&mut self) {
        let Ok(usage) = BANK.usage(&self.context) else {
            return;
        };
        let things = self.holdings.iter().flat_map(|holding| &holding.things);
        let bought: u64 = things.map(Thing::objects).sum();
        let banks = self.holdings.len() as u64 - 1;
        let known = self.before + bought + banks;
        let within = usage.bought + usage.limbo <= usage.limit;
        self.claim(within, || format!("beyond the limit: {usage:?}"));
        // Tables for slots come and stay.
        let slack = usage.bought.saturating_sub(known);
        self.claim(
            self.uncounted || (usage.bought >= known && slack <= 64),
            || format!("it has {known} objects, and its bank counts {usage:?}"),
        );
        self.claim(usage.children == banks, || {
            format!("it has {banks} banks, and its bank counts {usage:?}")
        });
    }

    /// Offers a segment to the pinner, for its device to write into.
    fn lend(&mut self, holding: usize) {
        let context = self.context.clone();
        let segment = self.holdings[holding]
            .things
            .iter_mut()
            .find_map(|thing| match thing {
                Thing::Segment {
                    slot, lent, pages, ..
                } if !pages.is_empty() => {
                    *lent = true;
                    Some((*slot, pages.len() as u64))
                }
                _ => None,
            });
        if let Some((slot, pages)) = segment {
            self.uncounted = true;
            let offer = Message::new(&[pinner::PIN, pages]).with_caps(&[slot]);
            let status = context.call(PINNER, &offer).status;
            context.note(|| format!("the pinner answers {status}"));
        }
    }

    /// Goes through what a bank shows of what it sold.
    fn look(&mut self, holding: usize) {
        let Holding { bank, opaque, .. } = self.holdings[holding];
        let Some(slot) = self.slots(1) else { return };
        let mut cursor = 0;
        for _ in 0..4 {
            match bank.inspect(&self.context, cursor, slot) {
                Ok((next, kind)) => {
                    self.claim(!opaque, || "an opaque bank shows what it sold".to_owned());
                    let described = dev::program::describe(&self.program, slot);
                    let same =
                        described.is_ok_and(|(is, rights)| is == kind && rights == Rights::FULL);
                    self.claim(same || self.context.is_gone(), || {
                        format!("inspection shows {kind}, and gives {described:?}")
                    });
                    cursor = next;
                    if next == 0 {
                        break;
                    }
                }
                Err(error) => {
                    let expected = if opaque { EPERM } else { ENOENT };
                    let expected = error.is(expected) || self.context.is_gone();
                    self.claim(expected, || format!("inspecting: {error}"));
                    break;
                }
            }
        }
        self.program.give_slot(slot);
    }

    /// A weaker capability to a bank does less.
    fn restrict(&mut self, holding: usize) {
        let bank = self.holdings[holding].bank;
        let Some(slot) = self.slots(1) else { return };
        let weak: Cap<Bank> = Cap::at(slot);
        if bank
            .restrict(&self.context, BankRights::INSPECT, weak)
            .is_ok()
        {
            let destroyed = weak.destroy(&self.context);
            let refused = destroyed == Err(Error::new(EPERM)) || self.context.is_gone();
            self.claim(refused, || {
                format!("destroyed without the right: {destroyed:?}")
            });
            let again = weak.restrict(&self.context, BankRights::BUY, weak);
            self.claim(again.is_err(), || "a bank gained a right".to_owned());
        }
        self.program.give_slot(slot);
    }
}
