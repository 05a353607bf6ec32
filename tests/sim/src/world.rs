//! A machine with programs on it, and who runs when.
//!
//! The kernel decides who runs; the seed decides when somebody loses its turn, when devices act and
//! how time goes by. All of that happens between two *steps*: a step is one system call, one access to
//! shared memory (of a copy, a piece of at most 256 bytes), or, while nobody runs, one choice of what
//! happens next. So everything that can come between two instructions that matter comes between
//! them in some run, and a run is the same each time its seed is the same.
//!
//! After each step an object is audited, a frame looked through, and what the CPU remembers checked;
//! every so many steps a piece of the kernel, and more seldom the whole.

mod actors;
mod devices;
mod steps;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use abi::cap::Kind;
use kernel::audit::Cursor;
use kernel::object::{Oid, State};

use crate::account::Accounts;
use crate::bank::Books;
use crate::checks::Checks;
use crate::context::Context;
use crate::coverage::Coverage;
use crate::failure::Failure;
use crate::fiber::{Fiber, message};
use crate::image;
use crate::plant::Plant;
use crate::processor::Processor;
use crate::random::Dice;
use crate::trace::{Event, Trace};

/// How a run is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What everything is decided by.
    pub seed: u64,
    /// Steps after which it ends.
    pub steps: u64,
    /// Objects of the machine.
    pub objects: usize,
    /// The whole kernel is audited once in so many steps.
    pub audit_every: u32,
    /// An object and a frame are looked at once in so many steps.
    pub look_every: u32,
    /// Whoever runs loses its turn once in so many steps.
    pub preempt: u32,
    /// A device acts once in so many steps.
    pub device: u32,
    /// Time leaps once in so many steps.
    pub leap: u32,
    /// Print what happens.
    pub live: bool,
    /// Parties that stay away, a bit for each, in the order of the scenario's.
    pub without: u32,
    /// A fault that should be found.
    pub plant: Option<Plant>,
}

impl Settings {
    /// Settings that a seed chooses: some runs are restless, some hardly disturbed, because other
    /// faults show in each.
    pub fn from_seed(seed: u64) -> Settings {
        let dice = Dice::new(seed ^ 0x5e77_1465);
        Settings {
            seed,
            steps: 100_000,
            objects: 1536,
            audit_every: 512,
            look_every: 1,
            preempt: *dice.pick(&[2, 4, 10, 30, 200, 2000]),
            device: *dice.pick(&[2, 5, 20, 100]),
            leap: *dice.pick(&[50, 500, 5000]),
            live: false,
            without: 0,
            plant: None,
        }
    }
}

impl Settings {
    /// Whether a party takes part.
    pub const fn has(&self, party: usize) -> bool {
        self.without >> party & 1 == 0
    }
}

/// What runs came by, and how often.
pub type Counts = BTreeMap<&'static str, u64>;

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// The scenario said that it was over.
    Over,
    /// All steps were used up.
    Steps,
    /// Everybody waits for ever.
    Quiet,
    /// Something was found.
    Failed(Failure),
}

pub use devices::{Device, Dma};

/// What a program does: a function on the host.
pub type Code = Rc<dyn Fn(&Context)>;

/// Something that must hold in a scenario, whenever the whole kernel is audited.
pub type Check = Box<dyn Fn(&World) -> Result<(), Failure>>;

/// Something that must hold in a scenario, whenever spacebank's books are balanced.
pub type BookCheck = Box<dyn Fn(&World, &dyn Books) -> Result<(), Failure>>;

/// A process that runs a program.
struct Actor {
    oid: Oid,
    version: u64,
    /// `None` while it runs, and when it has ended.
    fiber: Option<Fiber>,
    gone: Rc<Cell<bool>>,
}

/// A program that is begun once, before there are strangers. A hostile process may begin wherever it likes,
/// but it isn't spacebank or init for that, and makes none of their promises: it ends at once.
pub fn once(code: Code) -> Code {
    let begun = Cell::new(false);
    Rc::new(move |context| {
        if !begun.replace(true) {
            code(context);
        }
    })
}

/// The machine, the programs, and everything that decides.
pub struct World {
    /// The CPU with the kernel.
    pub processor: Processor,
    /// What decides.
    pub dice: Dice,
    /// How often what was checked.
    pub checks: Checks,
    /// Where revocations came.
    pub coverage: Coverage,
    /// What servers say that they hold.
    pub accounts: Accounts,
    settings: Settings,
    codes: RefCell<Vec<Code>>,
    actors: RefCell<Vec<Actor>>,
    /// What the last process that an object was is called: for the trace.
    names: RefCell<BTreeMap<u32, String>>,
    devices: RefCell<Vec<Rc<dyn Device>>>,
    demands: RefCell<Vec<Check>>,
    book_checks: RefCell<Vec<BookCheck>>,
    raised: RefCell<Vec<u8>>,
    steps: Cell<u64>,
    audited: Cell<u32>,
    /// How far an audit in pieces has come, which goes on while everybody works.
    audit: Cell<Cursor>,
    stopping: Cell<bool>,
    ending: RefCell<Option<Ending>>,
    trace: RefCell<Trace>,
    counts: RefCell<Counts>,
}

impl World {
    /// A machine that was just switched on. Its first two programs are `bank` and `init`.
    ///
    /// # Panics
    /// The settings give it too few objects.
    pub fn new(settings: Settings, bank: Code, init: Code) -> Rc<World> {
        let dice = Dice::new(settings.seed);
        let processor = Processor::boot(settings.objects, &dice)
            .unwrap_or_else(|error| panic!("the machine can't boot: {error}"));
        processor.machine().plant(settings.plant);
        #[cfg(feature = "planted")]
        if let Some(Plant::Kernel(fault)) = settings.plant {
            processor.kernel().plant(Some(fault));
        }
        Rc::new(World {
            processor,
            dice,
            checks: Checks::default(),
            coverage: Coverage::default(),
            accounts: Accounts::default(),
            settings,
            codes: RefCell::new(vec![once(bank), once(init)]),
            actors: RefCell::default(),
            names: RefCell::default(),
            devices: RefCell::default(),
            demands: RefCell::default(),
            book_checks: RefCell::default(),
            raised: RefCell::default(),
            steps: Cell::new(0),
            audited: Cell::new(0),
            audit: Cell::new(Cursor::start(true)),
            stopping: Cell::new(false),
            ending: RefCell::default(),
            trace: RefCell::new(Trace::new(settings.live)),
            counts: RefCell::default(),
        })
    }

    /// How it is played.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Makes a program known; answers its number, for [`image::entry`] and [`image::elf`].
    ///
    /// # Panics
    /// There are too many.
    pub fn add_code(&self, code: Code) -> usize {
        let mut codes = self.codes.borrow_mut();
        codes.push(code);
        assert!(codes.len() <= image::PROGRAMS, "too many programs");
        codes.len() - 1
    }

    /// Adds a device.
    pub fn add_device(&self, device: Rc<dyn Device>) {
        self.devices.borrow_mut().push(device);
    }

    /// Adds something that must hold.
    pub fn add_check(&self, check: Check) {
        self.demands.borrow_mut().push(check);
    }

    /// Adds something that must hold whenever spacebank's books are balanced.
    pub fn add_book_check(&self, check: BookCheck) {
        self.book_checks.borrow_mut().push(check);
    }

    /// spacebank's books were balanced.
    pub(crate) fn look_at_books(&self, books: &dyn Books) {
        for check in self.book_checks.borrow().iter() {
            self.demand(check(self, books), |failure| failure);
        }
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.steps.get()
    }

    /// The time, in nanoseconds.
    pub fn now(&self) -> u64 {
        self.processor.machine().now()
    }

    /// Something was found: the run ends. The first finding counts.
    pub fn fail(&self, failure: Failure) {
        self.end(Ending::Failed(failure));
    }

    /// The run ends.
    pub fn end(&self, ending: Ending) {
        self.stopping.set(true);
        self.ending.borrow_mut().get_or_insert(ending);
    }

    /// Whether the run is ending.
    pub fn is_ending(&self) -> bool {
        self.stopping.get()
    }

    /// Fails the run, unless this is success.
    pub fn demand<E>(&self, result: Result<(), E>, failure: impl FnOnce(E) -> Failure) {
        if let Err(error) = result {
            self.fail(failure(error));
        }
    }

    /// Counts something that a run should come by.
    pub fn count(&self, what: &'static str) {
        self.count_by(what, 1);
    }

    /// Counts several at once.
    pub fn count_by(&self, what: &'static str, number: u64) {
        *self.counts.borrow_mut().entry(what).or_default() += number;
    }

    /// What the run came by, and how often.
    pub fn counts(&self) -> Counts {
        self.counts.borrow().clone()
    }

    /// Notes what an actor did.
    pub fn note(&self, actor: Oid, event: Event) {
        self.trace
            .borrow_mut()
            .add(self.steps.get(), actor.0, event);
    }

    /// Notes what a device did.
    pub fn note_device(&self, what: &'static str, number: u64) {
        self.note(Oid::NONE, Event::Device(what, number));
    }

    /// The last things that happened.
    pub fn trace(&self) -> String {
        self.trace.borrow().show(|oid| self.name(oid))
    }

    /// What the last process that an object was is called.
    fn name(&self, oid: u32) -> String {
        self.names.borrow().get(&oid).cloned().unwrap_or_default()
    }

    /// Plays until it ends.
    pub fn run(self: &Rc<World>) -> Ending {
        let played = catch_unwind(AssertUnwindSafe(|| self.play()));
        if let Err(payload) = played {
            self.fail(Failure::Panic {
                actor: "the kernel, between two steps,".to_owned(),
                message: message(&*payload),
            });
        }
        if !matches!(&*self.ending.borrow(), Some(Ending::Failed(_))) {
            self.look_at_all();
        }
        self.shut_down();
        let ending = self.ending.borrow().clone();
        ending.unwrap_or(Ending::Quiet)
    }

    fn play(self: &Rc<World>) {
        self.processor.interrupt(None);
        while !self.stopping.get() {
            match self.processor.current().map(|process| process.oid.get()) {
                Some(oid) => self.run_actor(oid),
                None if self.wait() => {}
                None => self.end(Ending::Quiet),
            }
        }
    }

    /// Objects of a kind that are live.
    pub fn live(&self, kind: Kind) -> impl Iterator<Item = Oid> {
        let rows = self.processor.memory().objects.iter().enumerate();
        rows.filter(move |(_, row)| row.kind.get() == kind && row.state.get() == State::Live)
            .map(|(n, _)| Oid(n as u32))
    }
}
