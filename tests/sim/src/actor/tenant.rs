//! A tenant: buys storage from its bank, uses it, divides it among banks of its own, and gives it back.
//!
//! It knows what it should have. What it buys must be zeroed, what it wrote must be there, what it
//! sold or destroyed must be void, and its bank must count right.

mod banks;
mod purchases;

use std::rc::Rc;

use abi::boot::slot;
use abi::cap::{CapAddr, Kind};
use abi::error::{EDQUOT, EMFILE, EMLINK, ENOMEM};
use dev::Program as _;
use dev::program::{BANK, PROCESS};
use sys::bank::Bank;
use sys::object::Page;
use sys::{Cap, Error, Mem, Message, Sys};

use crate::actor::{pinner, sleep};
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
}
