//! Objects and processes, made as spacebank and init make them, but by the test.

use abi::boot::{layout, slot};
use abi::cap::{CapAddr, Kind, Rights};
use abi::{PAGE_SIZE, TABLE_ENTRIES};
use kernel::genesis::priority;
use kernel::object::{Oid, State};
use sys::Cap;
use sys::object::{CapTable, Page, Registers as Start, Table};

use super::{
    MOST, PROCESS_IN_HAND, Parties, Party, RANGE, ROOTS, SCRATCH, SPACE_IN_HAND, TABLE_IN_HAND,
    TABLES,
};

impl Parties {
    /// Sells an object, of which nobody has a capability yet.
    ///
    /// # Panics
    /// Nothing is left.
    pub fn mint(&self, kind: Kind) -> Oid {
        let free = |oid: &u32| {
            let row = self.processor.memory().objects.get(*oid as usize);
            row.is_some_and(|row| row.state.get() == State::Free)
        };
        let all = self.processor.memory().objects.len() as u32;
        let oid = (self.next.get()..all)
            .find(free)
            .or_else(|| (0..all).find(free));
        let oid = oid.expect("an object is left");
        self.next.set(oid + 1);
        RANGE
            .mint(&self.sys(self.bank), oid, kind as u8, SCRATCH)
            .unwrap_or_else(|error| panic!("minting: {error}"));
        Oid(oid)
    }

    /// Puts a capability to an object into a party's slot.
    ///
    /// # Panics
    /// The object is not sold.
    pub fn give(&self, party: Party, address: CapAddr, oid: Oid, rights: Rights) {
        let sys = self.sys(self.bank);
        let kind = self.processor.memory().objects[oid.0 as usize].kind.get();
        let given = RANGE
            .mint(&sys, oid.0, kind as u8, SCRATCH)
            .and_then(|()| self.root_of(party).put(&sys, address, SCRATCH, rights));
        given.unwrap_or_else(|error| panic!("giving {kind:?}: {error}"));
    }

    /// Sells an object to a party, with all rights.
    pub fn buy(&self, party: Party, address: CapAddr, kind: Kind) -> Oid {
        let oid = self.mint(kind);
        self.give(party, address, oid, Rights::FULL);
        oid
    }

    /// A party's root table, in the bank's hands.
    pub fn root_of(&self, party: Party) -> Cap<CapTable> {
        if party == self.bank {
            return Cap::at(slot::ROOT);
        }
        let n = self
            .spawned
            .borrow()
            .iter()
            .position(|other| *other == party);
        Cap::at(ROOTS + n.expect("it was spawned here") as u16)
    }

    /// Copies a capability from one party's slot into another's.
    ///
    /// # Panics
    /// There is none.
    pub fn copy(&self, from: (Party, CapAddr), to: (Party, CapAddr), rights: Rights) {
        let sys = self.sys(self.bank);
        let copied = self
            .root_of(from.0)
            .get(&sys, from.1, SCRATCH)
            .and_then(|()| self.root_of(to.0).put(&sys, to.1, SCRATCH, rights));
        copied.unwrap_or_else(|error| panic!("copying: {error}"));
    }

    /// Gives a party a capability that the kernel gave init: device authorities, for instance.
    ///
    /// # Panics
    /// init has none there.
    pub fn copy_from_init(&self, from: u16, to: (Party, CapAddr), rights: Rights) {
        let sys = self.sys(self.bank);
        let objects = &self.processor.memory().objects;
        let is_init = |row: &&kernel::object::ObjectRow| {
            row.kind.get() == Kind::Process
                && row.frame.get() != self.process(self.bank).frame.get()
        };
        let init = objects.iter().position(|row| is_init(&row));
        let init = Party(init.expect("init is there") as u32);
        let root = self.process(init).root_oid.get();
        let copied = RANGE
            .mint(&sys, root.0, Kind::CapTable as u8, SCRATCH)
            .and_then(|()| Cap::<CapTable>::at(SCRATCH).get(&sys, from, SCRATCH))
            .and_then(|()| self.root_of(to.0).put(&sys, to.1, SCRATCH, rights));
        copied.unwrap_or_else(|error| panic!("init's slot {from}: {error}"));
    }

    /// A process that is ready, with an address space up to a segment at `layout::START`, a message
    /// page in it, and the usual first slots, all with all rights: `ROOT`, `PROCESS`, `SPACE` (level
    /// 2), `MESSAGE`; in [`super::SEGMENT`] the segment.
    ///
    /// # Panics
    /// There are too many, or nothing is left.
    pub fn spawn(&self) -> Party {
        let number = self.spawned.borrow().len() as u16;
        assert!(number < MOST, "too many parties");
        let sys = self.sys(self.bank);
        let process = self.mint(Kind::Process);
        let root = self.mint(Kind::CapTable);
        let party = Party(process.0);
        self.spawned.borrow_mut().push(party);
        let table = self.root_of(party);
        let memory = Rights::READ | Rights::WRITE | Rights::EXEC;
        let fail = |error: sys::Error| -> ! { panic!("spawning: {error}") };
        let own: Cap<CapTable> = Cap::at(slot::ROOT);
        RANGE
            .mint(&sys, root.0, Kind::CapTable as u8, SCRATCH)
            .and_then(|()| own.put(&sys, table.address(), SCRATCH, Rights::FULL))
            .unwrap_or_else(|error| fail(error));
        self.give(party, slot::ROOT, root, Rights::FULL);
        self.give(party, slot::PROCESS, process, Rights::FULL);
        // The tables are linked from the top down, through the party's own slots.
        let levels = [Kind::Table4, Kind::Table3, Kind::Table2, Kind::Table1];
        let tables = levels.map(|kind| self.mint(kind));
        for (n, oid) in tables.iter().enumerate() {
            self.give(party, TABLES + n as u16, *oid, Rights::FULL);
        }
        self.give(party, slot::SPACE, tables[2], Rights::FULL);
        let message = self.buy(party, slot::MESSAGE, Kind::Page);
        self.give(self.bank, PROCESS_IN_HAND, process, Rights::FULL);
        self.give(self.bank, SPACE_IN_HAND, tables[0], Rights::FULL);
        for (n, below) in tables.iter().skip(1).enumerate() {
            self.give(self.bank, TABLE_IN_HAND, tables[n], Rights::FULL);
            self.give(self.bank, SCRATCH, *below, Rights::FULL);
            let table: Cap<Table> = Cap::at(TABLE_IN_HAND);
            let address = layout::START >> (39 - 9 * n) & (TABLE_ENTRIES as u64 - 1);
            table
                .map(&sys, address, Cap::<Table>::at(SCRATCH), memory)
                .unwrap_or_else(|error| fail(error));
        }
        self.give(self.bank, TABLE_IN_HAND, tables[3], Rights::FULL);
        self.give(self.bank, SCRATCH, message, Rights::FULL);
        let segment: Cap<Table> = Cap::at(TABLE_IN_HAND);
        let place = (layout::MESSAGE - layout::START) / PAGE_SIZE as u64;
        let write = Rights::READ | Rights::WRITE;
        segment
            .map(&sys, place, Cap::<Page>::at(SCRATCH), write)
            .unwrap_or_else(|error| fail(error));
        let process: Cap<sys::object::Process> = Cap::at(PROCESS_IN_HAND);
        let start = Start {
            instruction: layout::IMAGE,
            stack: layout::STACK_TOP,
            priority: priority::SPACEBANK,
            argument: 0,
        };
        process
            .configure(&sys, start, table, Cap::at(SPACE_IN_HAND), 0)
            .and_then(|()| process.start(&sys))
            .unwrap_or_else(|error| fail(error));
        Cap::<CapTable>::at(slot::ROOT)
            .clear(&sys, PROCESS_IN_HAND, 3)
            .unwrap_or_else(|error| fail(error));
        party
    }

    /// The object that a party's slot names.
    ///
    /// # Panics
    /// It names none.
    pub fn named(&self, party: Party, address: CapAddr) -> Oid {
        let sys = self.sys(self.bank);
        let named = self
            .root_of(party)
            .get(&sys, address, SCRATCH)
            .and_then(|()| RANGE.identify(&sys, SCRATCH));
        let (oid, _, _) = named.unwrap_or_else(|error| panic!("slot {address}: {error}"));
        Oid(oid)
    }
}
