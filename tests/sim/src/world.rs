//! A machine with programs on it, and who runs when.
//!
//! The kernel decides who runs; the seed decides when somebody loses its turn, when devices act and
//! how time goes by. All of that happens between two *steps*: a step is one system call or one access
//! to shared memory. So everything that can come between two instructions that matter comes between
//! them in some run, and a run is the same each time its seed is the same.
//!
//! After each step an object is audited, a frame looked through, and what the CPU remembers checked;
//! the whole kernel every so many steps.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use abi::cap::Kind;
use kernel::frame::Frame;
use kernel::machine::Source;
use kernel::object::{Oid, State};
use kernel::process::Registers;

use crate::context::Context;
use crate::failure::Failure;
use crate::fiber::{Fiber, Outcome, Pause};
use crate::image;
use crate::machine::{FREQUENCY, Plant};
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
    /// Whoever runs loses its turn once in so many steps.
    pub preempt: u32,
    /// A device acts once in so many steps.
    pub device: u32,
    /// Time leaps once in so many steps.
    pub leap: u32,
    /// Print what happens.
    pub live: bool,
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
            preempt: *dice.pick(&[2, 4, 10, 30, 200, 2000]),
            device: *dice.pick(&[2, 5, 20, 100]),
            leap: *dice.pick(&[50, 500, 5000]),
            live: false,
            plant: None,
        }
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

/// A device, which acts between the steps of programs.
pub trait Device {
    /// Acts once. Answers whether it did anything.
    fn act(&self, world: &World) -> bool;

    /// Whether it may still do something, though it did nothing now.
    fn has_work(&self, world: &World) -> bool;
}

/// What a program does: a function on the host.
pub type Code = Rc<dyn Fn(&Context)>;

/// Something that must hold in a scenario, whenever the whole kernel is audited.
pub type Check = Box<dyn Fn(&World) -> Result<(), Failure>>;

/// A process that runs a program.
struct Actor {
    oid: Oid,
    version: u64,
    name: String,
    /// `None` while it runs, and when it has ended.
    fiber: Option<Fiber>,
    gone: Rc<Cell<bool>>,
}

/// The machine, the programs, and everything that decides.
pub struct World {
    /// The CPU with the kernel.
    pub processor: Processor,
    /// What decides.
    pub dice: Dice,
    settings: Settings,
    codes: RefCell<Vec<Code>>,
    actors: RefCell<Vec<Actor>>,
    devices: RefCell<Vec<Rc<dyn Device>>>,
    checks: RefCell<Vec<Check>>,
    raised: RefCell<Vec<u8>>,
    steps: Cell<u64>,
    audited: Cell<u32>,
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
        Rc::new(World {
            processor,
            dice,
            settings,
            codes: RefCell::new(vec![bank, init]),
            actors: RefCell::default(),
            devices: RefCell::default(),
            checks: RefCell::default(),
            raised: RefCell::default(),
            steps: Cell::new(0),
            audited: Cell::new(0),
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
        self.checks.borrow_mut().push(check);
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
        *self.counts.borrow_mut().entry(what).or_default() += 1;
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
        let actors = self.actors.borrow();
        self.trace.borrow().show(|oid| {
            let known = actors.iter().rev().find(|actor| actor.oid.0 == oid);
            known.map_or_else(String::new, |actor| actor.name.clone())
        })
    }

    /// A device raises an interrupt. It comes in between two steps.
    pub fn raise(&self, source: Source) {
        if let Some(vector) = self.processor.machine().raise(source) {
            self.raised.borrow_mut().push(vector);
        }
    }

    /// A device reads or writes memory by its physical address.
    ///
    /// The frame must be pinned by an aperture of the function, and bus mastering on: otherwise the
    /// run fails, and nothing is done.
    pub fn dma(&self, function: u16, address: u64, bytes: Dma<'_>) -> bool {
        let memory = self.processor.memory();
        let (frame, offset) = (Frame::holding(address), address as usize % abi::PAGE_SIZE);
        let what = if !self.processor.machine().pci.is_master(function) {
            "bus mastering is off"
        } else if !memory.is_ram(frame) {
            "no RAM"
        } else if !self.is_pinned_for(function, frame) {
            "not pinned for this function"
        } else if offset + bytes.len() > abi::PAGE_SIZE {
            "beyond the page"
        } else {
            match bytes {
                Dma::Read(into) => memory.read(frame, offset, into),
                Dma::Write(from) => memory.write(frame, offset, from),
            }
            return true;
        };
        self.fail(Failure::Dma { address, what });
        false
    }

    fn is_pinned_for(&self, function: u16, frame: Frame) -> bool {
        let memory = self.processor.memory();
        memory.frames[frame.0 as usize].pins.iter().any(|pin| {
            let pin = pin.get();
            let aperture = memory.objects.get(pin.aperture.0 as usize);
            pin.used != 0
                && aperture.is_some_and(|row| row.function.get() == u32::from(function) + 1)
        })
    }

    /// Between two steps: time goes by, devices act, interrupts come, turns are lost; and everything
    /// is looked at. Afterwards somebody else may run.
    pub(crate) fn between_steps(&self, who: Oid) {
        let steps = self.steps.get() + 1;
        self.steps.set(steps);
        if steps >= self.settings.steps {
            return self.end(Ending::Steps);
        }
        self.look(steps);
        let machine = self.processor.machine();
        machine.advance(self.dice.below(400));
        if self.dice.one_in(self.settings.leap) {
            machine.advance(self.dice.below(FREQUENCY / 200));
        }
        if self.dice.one_in(self.settings.device) {
            self.let_a_device_act();
        }
        self.let_interrupts_in();
        let runs = self
            .processor
            .current()
            .is_some_and(|process| process.oid.get() == who);
        if runs && self.dice.one_in(self.settings.preempt) {
            self.preempt(who);
        }
    }

    /// Looks at one object after the other, and at all of them every so often.
    fn look(&self, steps: u64) {
        let kernel = self.processor.kernel();
        let next = (self.audited.get() + 1) % self.settings.objects as u32;
        self.audited.set(next);
        self.demand(kernel.audit_object(Oid(next)), Failure::Kernel);
        self.demand(kernel.audit_zeroed(Oid(next)), Failure::Kernel);
        let machine = self.processor.machine();
        if let Some(stale) = machine.mmu.stale() {
            self.fail(Failure::Stale(stale));
        }
        if let Some(frame) = machine.zeroed_early() {
            self.fail(Failure::ZeroedEarly(frame));
        }
        if steps.is_multiple_of(u64::from(self.settings.audit_every.max(1))) {
            self.look_at_all();
        }
    }

    /// Audits the whole kernel, and checks what the scenario demands.
    pub fn look_at_all(&self) {
        self.count("audits");
        if self.processor.kernel().census()[2] != 0 {
            self.count("audits with something in limbo");
        }
        self.demand(self.processor.kernel().audit(), Failure::Kernel);
        let stale = self
            .processor
            .machine()
            .mmu
            .find_stale(self.processor.memory());
        if let Some(stale) = stale {
            self.fail(Failure::Stale(stale));
        }
        for check in self.checks.borrow().iter() {
            self.demand(check(self), |failure| failure);
        }
    }

    fn let_a_device_act(&self) -> bool {
        let devices = self.devices.borrow();
        !devices.is_empty() && self.dice.pick(&devices).act(self)
    }

    fn let_interrupts_in(&self) {
        loop {
            let Some(vector) = self.raised.borrow_mut().pop() else {
                break;
            };
            self.note(self.running(), Event::Interrupt(vector));
            self.count("interrupts");
            self.processor.interrupt(Some(vector));
        }
        if self.processor.machine().take_alarm() {
            self.note(self.running(), Event::Tick);
            self.processor.tick();
        }
    }

    fn running(&self) -> Oid {
        self.processor
            .current()
            .map_or(Oid::NONE, |process| process.oid.get())
    }

    /// Whoever runs loses its turn: mostly to an equal, by giving it up; sometimes because its slice
    /// is over.
    fn preempt(&self, who: Oid) {
        self.note(who, Event::Preempted);
        self.count("turns lost");
        if self.dice.one_in(8) {
            self.processor.machine().advance(FREQUENCY / 100);
            self.processor.machine().take_alarm();
            self.processor.tick();
        } else {
            self.processor.system_call(Registers {
                rax: abi::invoke::Op::Yield as u64,
                ..self.processor.registers()
            });
        }
    }

    /// Plays until it ends.
    pub fn run(self: &Rc<World>) -> Ending {
        self.processor.interrupt(None);
        while !self.stopping.get() {
            match self.processor.current().map(|process| process.oid.get()) {
                Some(oid) => self.run_actor(oid),
                None if self.wait() => {}
                None => self.end(Ending::Quiet),
            }
        }
        if !matches!(&*self.ending.borrow(), Some(Ending::Failed(_))) {
            self.look_at_all();
        }
        self.shut_down();
        let ending = self.ending.borrow().clone();
        ending.unwrap_or(Ending::Quiet)
    }

    /// Nobody runs. Lets devices act and time go by until somebody does; answers whether anything
    /// happened.
    fn wait(&self) -> bool {
        self.steps.set(self.steps.get() + 1);
        if self.steps.get() >= self.settings.steps {
            self.end(Ending::Steps);
            return true;
        }
        let devices = self.devices.borrow().clone();
        let acted = devices.iter().filter(|device| device.act(self)).count();
        self.let_interrupts_in();
        let machine = self.processor.machine();
        let idle = self.processor.current().is_none() && machine.alarm() != u64::MAX;
        if idle && (acted == 0 || self.dice.one_in(3)) {
            machine.advance(machine.alarm().saturating_sub(machine.now()));
            self.let_interrupts_in();
            return true;
        }
        acted != 0
            || self.processor.current().is_some()
            || devices.iter().any(|device| device.has_work(self))
    }

    /// Lets the process that the kernel chose go on.
    fn run_actor(self: &Rc<World>, oid: Oid) {
        let index = self.actor(oid);
        let fiber = index.and_then(|index| {
            let mut actors = self.actors.borrow_mut();
            actors[index].fiber.take().map(|fiber| (index, fiber))
        });
        let Some((index, mut fiber)) = fiber else {
            // It has nothing to do: it gives up.
            let decline = Registers {
                rax: abi::invoke::Op::FaultDecline as u64,
                ..Registers::default()
            };
            return self.processor.system_call(decline);
        };
        match fiber.resume().clone() {
            Outcome::Paused => self.actors.borrow_mut()[index].fiber = Some(fiber),
            Outcome::Finished => self.note(oid, Event::Ended),
            Outcome::Panicked(message) => {
                let actor = self.actors.borrow()[index].name.clone();
                self.fail(Failure::Panic { actor, message });
            }
        }
        self.bury();
    }

    /// The actor that plays a process; one that begins is made.
    fn actor(self: &Rc<World>, oid: Oid) -> Option<usize> {
        let version = self.processor.version(oid);
        let same = |actor: &Actor| actor.oid == oid && actor.version == version;
        let known = self.actors.borrow().iter().position(same);
        let process = self.processor.process(oid)?;
        let mut preserved = process.preserved.get();
        let begins = image::program(preserved.rip);
        let Some(code) = begins.and_then(|n| self.codes.borrow().get(n).cloned()) else {
            return known;
        };
        preserved.rip = image::RUNNING;
        process.preserved.set(preserved);
        let argument = self.processor.registers().rdi;
        let gone = Rc::new(Cell::new(false));
        let (world, flag) = (self.clone(), gone.clone());
        let fiber = Fiber::new(move |pause: Pause| {
            let context = Context::new(world, oid, version, argument, pause, flag);
            code(&context);
        });
        let actor = Actor {
            oid,
            version,
            name: process.name().to_string(),
            fiber: Some(fiber),
            gone,
        };
        self.note(oid, Event::Began);
        let Some(index) = known else {
            let mut actors = self.actors.borrow_mut();
            actors.push(actor);
            return Some(actors.len() - 1);
        };
        // Configured anew: what it did before is over.
        let before = std::mem::replace(&mut self.actors.borrow_mut()[index], actor);
        before.gone.set(true);
        drop(before);
        Some(index)
    }

    /// Ends the programs whose processes are gone.
    fn bury(&self) {
        loop {
            let dead = {
                let mut actors = self.actors.borrow_mut();
                let dead = actors.iter().position(|actor| {
                    actor.fiber.is_some() && self.processor.version(actor.oid) != actor.version
                });
                dead.and_then(|index| {
                    actors[index].gone.set(true);
                    actors[index].fiber.take()
                })
            };
            match dead {
                Some(fiber) => {
                    self.count("programs ended by revocation");
                    drop(fiber);
                }
                None => return,
            }
        }
    }

    fn shut_down(&self) {
        let fibers: Vec<Fiber> = {
            let mut actors = self.actors.borrow_mut();
            actors.iter().for_each(|actor| actor.gone.set(true));
            actors
                .iter_mut()
                .filter_map(|actor| actor.fiber.take())
                .collect()
        };
        drop(fibers);
        self.codes.borrow_mut().clear();
        self.devices.borrow_mut().clear();
        self.checks.borrow_mut().clear();
    }

    /// Objects of a kind that are live.
    pub fn live(&self, kind: Kind) -> impl Iterator<Item = Oid> {
        let rows = self.processor.memory().objects.iter().enumerate();
        rows.filter(move |(_, row)| row.kind.get() == kind && row.state.get() == State::Live)
            .map(|(n, _)| Oid(n as u32))
    }
}

/// What a device does with memory.
pub enum Dma<'b> {
    /// It reads.
    Read(&'b mut [u8]),
    /// It writes.
    Write(&'b [u8]),
}

impl Dma<'_> {
    fn len(&self) -> usize {
        match self {
            Dma::Read(into) => into.len(),
            Dma::Write(from) => from.len(),
        }
    }
}
