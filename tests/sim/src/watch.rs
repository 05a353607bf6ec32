//! That hostile processes come by nothing that isn't theirs, looked at from outside.
//!
//! A *domain* is all processes that were bought from one bank, or from banks below it. What they can
//! reach is computed whenever spacebank's books were balanced, from the kernel's tables and the books;
//! it must be what they could reach when the first of them began, or bought from their bank.

use std::cell::RefCell;
use std::collections::BTreeMap;

use abi::cap::Kind;
use invocations::reach::{Domain, Look, Object, Owned, Reach};
use kernel::object::{Oid, State};
use spacebank::State as Bank;

use crate::bank::Books;
use crate::checks::Check;
use crate::failure::Failure;
use crate::processor::Processor;
use crate::world::World;

/// The kernel's tables.
struct Tables<'p>(&'p Processor);

impl Look for Tables<'_> {
    fn object(&self, oid: u32) -> Option<Object> {
        let row = self.0.memory().objects.get(oid as usize)?;
        Some(Object {
            live: (row.state.get() == State::Live).then_some(row.kind.get()),
            version: row.version.get(),
            frame: row.frame.get().0,
        })
    }

    fn owner(&self, frame: u32) -> Option<u32> {
        let row = self.0.memory().frames.get(frame as usize)?;
        Some(row.owner.get().0)
    }

    fn word(&self, frame: u32, index: usize) -> u64 {
        let word = self.0.memory().word(kernel::frame::Frame(frame), index);
        word.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn domain(&self, process: u32) -> Domain {
        let process = self.0.process(Oid(process));
        process.map_or(
            Domain {
                root: Oid::NONE.0,
                space: Oid::NONE.0,
            },
            |process| Domain {
                root: process.root_oid.get().0,
                space: process.space_oid.get().0,
            },
        )
    }

    fn pinned(&self, aperture: u32) -> Vec<u32> {
        let rows = self.0.memory().frames.iter().enumerate();
        let held = rows.filter(|(_, row)| {
            let holds = |pin: kernel::frame::Pin| pin.used != 0 && pin.aperture.0 == aperture;
            row.pins.iter().any(|pin| holds(pin.get()))
        });
        held.map(|(frame, _)| frame as u32).collect()
    }
}

/// What belongs to a bank and those below it.
struct Property<'b> {
    books: &'b dyn Books,
    /// The object that holds the bank's record.
    record: u32,
    /// The rights of the bank capability that the domain was given.
    rights: u8,
    spacebank: u32,
}

impl Property<'_> {
    /// Whether the bank with this record is the bank, or below it.
    fn is_below(&self, mut record: u32) -> bool {
        for _ in 0..spacebank::MAX_DEPTH {
            if record == self.record {
                return true;
            }
            let parent = self.books.entry(record).map(|entry| entry.owner());
            match parent.and_then(|owner| owner.record_object()) {
                Some(above) => record = above,
                None => return false,
            }
        }
        false
    }
}

impl Owned for Property<'_> {
    fn object(&self, oid: u32) -> bool {
        let Some(entry) = self.books.entry(oid) else {
            return false;
        };
        let owner = entry.owner().record_object();
        entry.state() == Bank::Live && owner.is_some_and(|record| self.is_below(record))
    }

    fn bank(&self, badge: u64) -> bool {
        let verifier = badge >> 8 == abi::boot::badge::VERIFIER >> 8;
        let prime = badge >> 8 == abi::boot::badge::PRIME >> 8;
        match self.books.record_of(badge) {
            // Its own, restricted.
            Some(record) if record == self.record => badge as u8 & !self.rights == 0,
            Some(record) => self.is_below(record),
            // A bank that is no more is as good as void.
            None => !verifier && !prime,
        }
    }

    fn spacebank(&self) -> u32 {
        self.spacebank
    }
}

/// A domain that is watched.
struct Watched {
    name: String,
    record: u32,
    version: u64,
    rights: u8,
    before: Reach,
}

/// The domains that are watched.
#[derive(Default)]
pub struct Watch(RefCell<BTreeMap<usize, Watched>>);

impl Watch {
    /// Watches the processes that are bought from a bank, which the world's spacebank knows by a badge.
    /// The first, `process`, has just been made.
    pub fn begin(&self, world: &World, number: usize, badge: u64, process: Oid) {
        let processor = &world.processor;
        let record = (badge >> 8) as u32 & (spacebank::MAX_OBJECTS as u32 - 1);
        let watched = Watched {
            name: format!("domain {number}"),
            record,
            version: processor.version(Oid(record)),
            rights: badge as u8,
            before: Reach::of(&Tables(processor), [process.0]),
        };
        self.0.borrow_mut().insert(number, watched);
    }

    /// Watches it no more.
    pub fn end(&self, number: usize) {
        self.0.borrow_mut().remove(&number);
    }

    /// Looks at all of them.
    ///
    /// # Errors
    /// One has gained something.
    pub fn look(&self, world: &World, books: &dyn Books, spacebank: Oid) -> Result<(), Failure> {
        let tables = Tables(&world.processor);
        for watched in self.0.borrow().values() {
            // Its bank is no more: nothing of it is left.
            if world.processor.version(Oid(watched.record)) != watched.version {
                continue;
            }
            let property = Property {
                books,
                record: watched.record,
                rights: watched.rights,
                spacebank: spacebank.0,
            };
            world.checks.count(Check::Reach);
            let processes = world.live(Kind::Process).map(|oid| oid.0);
            let own: Vec<u32> = processes.filter(|oid| property.object(*oid)).collect();
            let reach = Reach::of(&tables, own);
            world.count_by("objects reached", reach.count() as u64);
            if let Some(gained) = reach.exceeds(&tables, &watched.before, &property) {
                return Err(Failure::Gained {
                    actor: watched.name.clone(),
                    gained,
                });
            }
        }
        Ok(())
    }
}
