//! Processes that a test moves by hand, one system call at a time.
//!
//! For tests of the kernel alone: no program runs, the test says who invokes what. The process that
//! spacebank would run in is the test's own, with all storage ([`Parties::bank`]); others are made with
//! [`Parties::spawn`]. All have one priority, so the test can let any of them run that is ready.
//!
//! After each step the kernel's tables are audited.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};

use abi::batch::RESCIND_LIMBO;
use abi::boot::{layout, slot};
use abi::cap::{CapAddr, Kind, Rights};
use abi::error::{EAGAIN, MORE, OK, Status, status};
use abi::invoke::Op;
use abi::method::process::state;
use abi::{PAGE_SIZE, TABLE_ENTRIES};
use kernel::frame::Frame;
use kernel::genesis::priority;
use kernel::object::{Oid, State};
use kernel::process::{Process, Registers};
use sys::object::{CapTable, Page, Range, Registers as Start, Table};
use sys::{Cap, Event, Message, Reply, Sys};

use crate::machine::SimMachine;
use crate::processor::Processor;
use crate::random::Dice;

/// Objects of a test's machine, unless it asks for more.
pub const OBJECTS: usize = if cfg!(miri) { 256 } else { 400 };

/// A process that the test moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Party(u32);

impl Party {
    /// Its number.
    pub const fn oid(self) -> Oid {
        Oid(self.0)
    }
}

/// Slots of the bank's own: a capability on its way to somebody.
const SCRATCH: CapAddr = slot::FREE;
/// First of the slots that hold the root tables of parties.
const ROOTS: CapAddr = slot::FREE + 1;
/// Most parties.
const MOST: u16 = slot::BANK_RECORD_TABLES - ROOTS;

/// The processes, and the machine that they run on.
pub struct Parties {
    /// The machine.
    pub processor: Processor,
    bank: Party,
    next: Cell<u32>,
    spawned: RefCell<Vec<Party>>,
    answers: RefCell<HashMap<u32, Registers>>,
    /// Who gave up its turn, and will come back from that with registers that mean nothing.
    yielding: RefCell<HashSet<u32>>,
    audited: Cell<bool>,
    /// The object whose frame is looked through next.
    looked_at: Cell<u32>,
}

/// Frames looked through after each step; all of them at the end.
const ZEROED: usize = 16;

impl Default for Parties {
    fn default() -> Parties {
        Parties::new()
    }
}

impl Parties {
    /// A machine of [`OBJECTS`] objects.
    pub fn new() -> Parties {
        Parties::with_objects(OBJECTS)
    }

    /// A machine of this many objects.
    ///
    /// # Panics
    /// They are too few.
    pub fn with_objects(objects: usize) -> Parties {
        let processor = Processor::boot(objects, &Dice::new(objects as u64))
            .unwrap_or_else(|error| panic!("{error}"));
        processor.interrupt(None);
        let bank = processor.current().expect("spacebank is the most urgent");
        assert_eq!(bank.priority.get(), priority::SPACEBANK);
        let bank = Party(bank.oid.get().0);
        let free = |row: &kernel::object::ObjectRow| row.state.get() == State::Free;
        let next = processor.memory().objects.iter().position(free);
        let next = next.expect("not everything is sold") as u32;
        Parties {
            processor,
            bank,
            next: Cell::new(next),
            spawned: RefCell::new(Vec::new()),
            answers: RefCell::default(),
            yielding: RefCell::default(),
            audited: Cell::new(!cfg!(miri)),
            looked_at: Cell::new(0),
        }
    }

    /// The process that has all storage: spacebank's, in the test's hands.
    pub fn bank(&self) -> Party {
        self.bank
    }

    /// The machine.
    pub fn machine(&self) -> &SimMachine {
        self.processor.machine()
    }

    /// Turns the audits between steps off or on: for tests that count, or that break something.
    ///
    /// Miri looks at each access itself, and takes its time: there they are always off.
    pub fn audit_each_step(&self, each: bool) {
        self.audited.set(each && !cfg!(miri));
    }

    /// Checks everything now.
    ///
    /// # Panics
    /// Something doesn't agree.
    pub fn check(&self) {
        self.check_tables();
        self.check_zeroed(self.processor.memory().objects.len());
    }

    /// Looks through the frames of the next few objects, if they are free.
    fn check_zeroed(&self, count: usize) {
        let all = self.processor.memory().objects.len() as u32;
        for _ in 0..count {
            let oid = self.looked_at.get() % all;
            self.looked_at.set(oid + 1);
            let zeroed = self.processor.kernel().audit_zeroed(Oid(oid));
            zeroed.unwrap_or_else(|fault| panic!("{fault}"));
        }
    }

    /// Checks everything but the contents of free frames.
    ///
    /// # Panics
    /// Something doesn't agree.
    pub fn check_tables(&self) {
        let kernel = self.processor.kernel();
        kernel.audit().unwrap_or_else(|fault| panic!("{fault}"));
        let mmu = &self.machine().mmu;
        assert_eq!(
            mmu.stale(),
            None,
            "a translation was used that was taken back"
        );
        let stale = mmu.find_stale(self.processor.memory());
        assert_eq!(
            stale, None,
            "a translation is remembered that was taken back"
        );
        let early = self.machine().zeroed_early();
        assert_eq!(
            early, None,
            "a frame was zeroed while it could still be written"
        );
    }

    fn step(&self) {
        if self.audited.get() {
            self.check_tables();
            self.check_zeroed(ZEROED);
        }
    }

    /// A party's process.
    ///
    /// # Panics
    /// It is gone.
    pub fn process(&self, party: Party) -> &Process {
        self.processor
            .process(party.oid())
            .expect("the party lives")
    }

    /// A party's state, as `abi::method::process::state`.
    pub fn state(&self, party: Party) -> u8 {
        self.process(party).state.get()
    }

    fn runs(&self, party: Party) -> bool {
        self.processor
            .current()
            .is_some_and(|process| process.oid.get() == party.oid())
    }

    /// Lets others have their turns until it is this party's.
    ///
    /// # Panics
    /// It is not ready, or less urgent than somebody who is.
    pub fn run(&self, party: Party) {
        assert_eq!(self.state(party), state::READY, "{party:?} is not ready");
        for _ in 0..2 * MOST + 4 {
            if self.runs(party) {
                return;
            }
            if let Some(process) = self.processor.current() {
                self.yielding.borrow_mut().insert(process.oid.get().0);
            }
            let yielded = Registers {
                rax: Op::Yield as u64,
                ..Registers::default()
            };
            self.execute(yielded);
        }
        panic!("{party:?} gets no turn");
    }

    fn execute(&self, registers: Registers) {
        self.processor.system_call(registers);
        self.note();
    }

    /// Remembers what the process that runs found in its registers.
    pub fn note(&self) {
        if let Some(process) = self.processor.current() {
            let oid = process.oid.get().0;
            if !self.yielding.borrow_mut().remove(&oid) {
                self.answers
                    .borrow_mut()
                    .insert(oid, self.processor.registers());
            }
        }
    }

    /// A party executes `syscall`. It may not come back from it.
    ///
    /// # Panics
    /// It is not its turn, and can't be.
    pub fn begin(&self, party: Party, registers: Registers) {
        self.run(party);
        self.answers.borrow_mut().remove(&party.0);
        self.execute(registers);
        self.step();
    }

    /// What a party's last system call came back with; `None` while it doesn't.
    pub fn answer(&self, party: Party) -> Option<Registers> {
        let process = self.processor.process(party.oid())?;
        if process.state.get() != state::READY {
            return None;
        }
        let known = self.answers.borrow().get(&party.0).copied();
        if known.is_some() || self.runs(party) {
            return known;
        }
        Some(process.message.get())
    }

    /// A party executes `syscall` and comes back.
    ///
    /// # Panics
    /// It doesn't.
    pub fn invoke(&self, party: Party, registers: Registers) -> Registers {
        self.begin(party, registers);
        let answer = self.answer(party);
        answer.unwrap_or_else(|| panic!("{party:?} doesn't come back: {registers:?}"))
    }

    /// What a party can do, as programs see it.
    pub fn sys(&self, party: Party) -> PartySys<'_> {
        PartySys {
            parties: self,
            party,
        }
    }

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
    /// 2), `MESSAGE`; in [`SEGMENT`] the segment.
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

    /// Rescinds objects, in as many pieces as the kernel wants. Answers which are in limbo.
    ///
    /// # Panics
    /// The kernel refuses.
    pub fn rescind(&self, oids: &[Oid]) -> Vec<bool> {
        oids.iter()
            .map(|oid| {
                loop {
                    if let Some(limbo) = self.rescind_piece(*oid) {
                        return limbo;
                    }
                }
            })
            .collect()
    }

    /// One piece of a rescind; answers, at its end, whether the object is in limbo.
    ///
    /// # Panics
    /// The kernel refuses.
    pub fn rescind_piece(&self, oid: Oid) -> Option<bool> {
        let sys = self.sys(self.bank);
        self.write_batch(self.bank, 0, &[oid.0.into()]);
        let (_, more) = RANGE
            .rescind(&sys, Cap::at(slot::MESSAGE), 0, 1)
            .unwrap_or_else(|error| panic!("rescinding: {error}"));
        if more {
            return None;
        }
        let result = (self.read_batch(self.bank, 0) >> 32) as u32;
        assert!(matches!(result, OK | RESCIND_LIMBO), "{oid:?}: {result}");
        Some(result == RESCIND_LIMBO)
    }

    /// Objects whose limbo ended.
    ///
    /// # Panics
    /// The kernel refuses.
    pub fn reap(&self) -> Vec<Oid> {
        let words = RANGE
            .reap(&self.sys(self.bank))
            .unwrap_or_else(|error| panic!("reaping: {error}"));
        let [count, words @ ..] = words;
        let oid = |n: u64| Oid((words[n as usize / 2] >> (32 * (n % 2))) as u32);
        (0..count).map(oid).collect()
    }

    /// The frame of a party's message page.
    fn message_frame(&self, party: Party) -> Frame {
        let space = self.process(party).space.get();
        self.frame_at(space, layout::MESSAGE)
            .expect("it has a message page")
    }

    /// The frame that an address of an address space reaches, by its tables.
    pub fn frame_at(&self, space: Frame, address: u64) -> Option<Frame> {
        let memory = self.processor.memory();
        let mut frame = space;
        for shift in [39, 30, 21, 12] {
            let index = (address >> shift) as usize & (TABLE_ENTRIES - 1);
            let entry = memory
                .word(frame, index)
                .load(std::sync::atomic::Ordering::Relaxed);
            if entry & 1 == 0 {
                return None;
            }
            frame = Frame::holding(entry & 0x000f_ffff_ffff_f000);
        }
        Some(frame)
    }

    /// Writes words into a party's message page.
    pub fn write_batch(&self, party: Party, offset: usize, words: &[u64]) {
        let frame = self.message_frame(party);
        for (n, word) in words.iter().enumerate() {
            self.write_word(frame, offset + n * 8, *word);
        }
    }

    /// Reads a word of a party's message page.
    pub fn read_batch(&self, party: Party, offset: usize) -> u64 {
        self.read_word(self.message_frame(party), offset)
    }

    /// Writes a word of a frame, as a device or a program would.
    pub fn write_word(&self, frame: Frame, offset: usize, value: u64) {
        let word = self.processor.memory().word(frame, offset / 8);
        word.store(value, std::sync::atomic::Ordering::Relaxed);
    }

    /// Reads a word of a frame.
    pub fn read_word(&self, frame: Frame, offset: usize) -> u64 {
        let word = self.processor.memory().word(frame, offset / 8);
        word.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl Drop for Parties {
    fn drop(&mut self) {
        if self.audited.get() && !std::thread::panicking() {
            self.check();
        }
    }
}

/// All storage, which the bank has.
pub const RANGE: Cap<Range> = Cap::at(slot::BANK_RANGE);
/// The slot of a party's address space; the tables of levels 3 to 1 lie in those after it.
pub const TABLES: CapAddr = slot::GRANT;
/// The slot of a party's segment at `layout::START`.
pub const SEGMENT: CapAddr = TABLES + 3;

const PROCESS_IN_HAND: CapAddr = 24;
const SPACE_IN_HAND: CapAddr = 25;
const TABLE_IN_HAND: CapAddr = 26;

pub use crate::registers::{call, event, registers, reply};

/// What a party can do, as programs see it. Panics when the party would wait.
#[derive(Clone, Copy)]
pub struct PartySys<'p> {
    parties: &'p Parties,
    party: Party,
}

impl Sys for PartySys<'_> {
    fn call(&self, capability: CapAddr, message: &Message) -> Reply {
        let answer = reply(&self.parties.invoke(self.party, call(capability, message)));
        assert!(answer.status != MORE || answer.words[0] < 1 << 32);
        answer
    }

    fn send(&self, capability: CapAddr, message: &Message) -> Status {
        let registers = registers(Op::Send, OK, capability, message);
        reply(&self.parties.invoke(self.party, registers)).status
    }

    fn wait(&self, receive: [CapAddr; 4]) -> Event {
        let message = Message::default().receiving(&receive);
        let registers = registers(Op::Wait, OK, 0, &message);
        event(&self.parties.invoke(self.party, registers))
    }

    fn reply_and_wait(&self, status: Status, message: &Message) -> Event {
        let registers = registers(Op::ReplyWait, status, 0, message);
        event(&self.parties.invoke(self.party, registers))
    }

    fn resume(&self, resume: CapAddr, status: Status, message: &Message) -> Status {
        let registers = registers(Op::Send, status, resume, message);
        reply(&self.parties.invoke(self.party, registers)).status
    }

    fn poll(&self, receive: [CapAddr; 4]) -> Option<Event> {
        let message = Message::default().receiving(&receive);
        let answer = self
            .parties
            .invoke(self.party, registers(Op::Poll, OK, 0, &message));
        (answer.rax as Status != status(EAGAIN)).then(|| event(&answer))
    }

    fn save_caller(&self, slot: CapAddr) -> Status {
        let registers = registers(Op::SaveCaller, OK, slot, &Message::default());
        reply(&self.parties.invoke(self.party, registers)).status
    }
}
