//! What there is of everything, in counts, kernel, spacebank and driver each asked for its own: what
//! must be the same before a user came and after it went.
//!
//! Audits say whether tables agree with each other; something that nobody gave back agrees with them
//! as well. This finds it.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;

use abi::CAP_TABLE_SLOTS;
use abi::cap::{Kind, STORAGE_KINDS};
use ethdrv::holdings::Holdings;
use kernel::cap::Capability;
use kernel::object::State;
use spacebank::Census;

use crate::lookup::slot;
use crate::memory::Memory;
use crate::world::World;

/// Counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Objects: free, live, in limbo.
    pub objects: [usize; 3],
    /// Objects that are live, by kind.
    pub kinds: [usize; STORAGE_KINDS],
    /// Capabilities that are alive.
    pub capabilities: usize,
    /// Slots for capabilities that init and the driver have taken, and tables bought for them.
    pub slots: [(u32, usize); 2],
    /// Pins of frames.
    pub pins: u32,
    /// What spacebank counts.
    pub bank: Census,
    /// What the driver holds.
    pub driver: Holdings,
}

impl Account {
    /// What there is now.
    pub fn of(world: &World) -> Account {
        let memory = world.processor.memory();
        let mut account = Account {
            objects: world.processor.kernel().census(),
            pins: memory.frames.iter().map(|row| row.pinned()).sum(),
            bank: world.accounts.bank.get(),
            driver: world.accounts.driver.get(),
            slots: [
                world.accounts.init_slots.get(),
                world.accounts.driver_slots.get(),
            ],
            ..Account::default()
        };
        for row in &memory.objects {
            if row.state.get() != State::Live {
                continue;
            }
            let kind = row.kind.get();
            if let Some(count) = account.kinds.get_mut((kind as usize).wrapping_sub(1)) {
                *count += 1;
            }
            if kind == Kind::CapTable {
                let slots = 0..CAP_TABLE_SLOTS;
                let held = slots.map(|n| slot(memory, row.frame.get(), n));
                account.capabilities += held.filter(|held| is_alive(memory, held)).count();
            }
        }
        account
    }

    /// Every capability and every pin, in words: what the counts are of, to say what came and what went.
    pub fn particulars(world: &World) -> BTreeSet<String> {
        let memory = world.processor.memory();
        let mut all = BTreeSet::new();
        for (oid, row) in memory.objects.iter().enumerate() {
            if row.state.get() != State::Live || row.kind.get() != Kind::CapTable {
                continue;
            }
            for n in 0..CAP_TABLE_SLOTS {
                let held = slot(memory, row.frame.get(), n);
                if is_alive(memory, &held) {
                    let (kind, of) = (held.kind(), held.oid().0);
                    all.insert(format!("slot {n} of table {oid}: {kind:?} of {of}"));
                }
            }
        }
        for row in &memory.frames {
            for pin in row.pins.iter().map(Cell::get).filter(|pin| pin.used != 0) {
                let (owner, aperture, slot) = (row.owner.get().0, pin.aperture.0, pin.slot);
                all.insert(format!(
                    "pin of object {owner}: slot {slot} of aperture {aperture}"
                ));
            }
        }
        all
    }

    /// The same without what is bought when it is first needed, and kept: the driver's reserve of pages,
    /// which stay pinned while the device has them, and tables for slots.
    pub fn without_stores(mut self) -> Account {
        let (pages, segments) = self.driver.reserve;
        let tables: usize = self.slots.iter().map(|(_, tables)| tables).sum();
        let all = pages + segments + tables;
        self.objects[0] += all;
        self.objects[1] -= all;
        self.bank.free += all;
        self.bank.live -= all;
        for (kind, count) in [
            (Kind::Page, pages),
            (Kind::Table1, segments),
            (Kind::CapTable, tables),
        ] {
            self.kinds[kind as usize - 1] -= count;
        }
        self.capabilities -= segments + tables;
        self.slots[1].0 -= segments as u32;
        self.slots.iter_mut().for_each(|(_, tables)| *tables = 0);
        // Whoever is gone has none of the rest.
        let away = self.driver.slots.min(pages);
        self.pins -= away as u32;
        self.driver.slots -= away;
        self.driver.reserve = (0, 0);
        self
    }

    /// Bought, in limbo and free are all there is, to the kernel and to spacebank, and to both the same.
    pub const fn adds_up(&self, all: usize) -> bool {
        let [free, live, limbo] = self.objects;
        let bank = &self.bank;
        free + live + limbo == all
            && bank.free == free
            && bank.live == live
            && bank.limbo == limbo
            && bank.ending == 0
    }
}

/// Whether a capability is good for something. Answers to calls come and go with them.
fn is_alive(memory: &Memory, held: &Capability) -> bool {
    let named = memory.objects.get(held.oid().0 as usize);
    let alive =
        named.is_none_or(|row| row.version.get() == held.version && row.state.get() == State::Live);
    alive && !held.is_void() && !held.is(Kind::Resume)
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [free, live, limbo] = self.objects;
        let Account {
            kinds,
            capabilities,
            slots,
            pins,
            bank,
            driver,
            ..
        } = self;
        write!(
            f,
            "{free} objects free, {live} live (by kind {kinds:?}), {limbo} in limbo; {capabilities} \
             capabilities, {slots:?} slots; {pins} pins; spacebank: {bank:?}; driver: {driver:?}"
        )
    }
}

/// What servers say of themselves, while somebody asks.
#[derive(Default)]
pub struct Accounts {
    /// Somebody asks.
    pub wanted: Cell<bool>,
    /// spacebank's, after its last request.
    pub bank: Cell<Census>,
    /// The driver's, before its last round.
    pub driver: Cell<Holdings>,
    /// Slots that it had taken then.
    pub driver_slots: Cell<(u32, usize)>,
    /// Slots that init has taken.
    pub init_slots: Cell<(u32, usize)>,
}
