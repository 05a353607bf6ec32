//! Processes that a test moves by hand, one system call at a time.
//!
//! For tests of the kernel alone: no program runs, the test says who invokes what. The process that
//! spacebank would run in is the test's own, with all storage ([`Parties::bank`]); others are made with
//! [`Parties::spawn`]. All have one priority, so the test can let any of them run that is ready.
//!
//! After each step the kernel's tables are audited.

mod make;
mod storage;
mod sys_of;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};

use abi::boot::slot;
use abi::cap::CapAddr;
use abi::invoke::Op;
use abi::method::process::state;
use kernel::audit::{Cursor, Piece};
use kernel::genesis::priority;
use kernel::object::{Oid, State};
use kernel::process::{Process, Registers};
use sys::Cap;
use sys::object::Range;

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
        self.check_pieces();
    }

    /// Checks everything, piece by piece.
    fn check_pieces(&self) {
        let mut at = Cursor::start(true);
        loop {
            match self.processor.kernel().audit_piece(at) {
                Ok(Piece::More(next)) => at = next,
                Ok(Piece::Done { compared }) => return assert!(compared, "nothing changes"),
                Err(fault) => panic!("{fault}"),
            }
        }
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

pub use self::sys_of::PartySys;
pub use crate::registers::{call, event, registers, reply};
