//! A world with a copier in it: driver, copier, stack.

use std::cell::RefCell;
use std::rc::Rc;

use abi::boot::slot;
use abi::cap::Rights;
use abi::error::VOID;
use copier::{Copier, grant};
use dev::port::Port;
use dev::settings::PortSettings;
use dev::statistics::Counter;
use sys::Cap;
use sys::bank::BankRights;

use crate::support::client::Client;
use crate::support::kernel::{Capability, INIT, Pid, Shared, What};
use crate::support::program::{FakeProgram, Pump};
use crate::support::{TestPort, World};

pub type TestCopier = Copier<FakeProgram>;

/// A user whose stack the copier serves. Copier and stack each have a bank under the user's.
pub struct Between {
    pub world: World,
    pub copier: Rc<RefCell<TestCopier>>,
    /// The copier's process, and its bank.
    pub pid: Pid,
    pub bank: usize,
    /// The stack.
    pub stack: Client,
    pub port: TestPort,
    /// Slots and places that the copier has while nobody is attached.
    pub idle: (usize, usize),
}

impl Between {
    /// Nobody is attached.
    pub fn new(world: World, settings: PortSettings) -> Between {
        let port = world.port(settings);
        let (pid, bank, stack_pid, stack_bank) = {
            let mut kernel = world.kernel.borrow_mut();
            let user = kernel.sub_bank(0, 3000, false).unwrap();
            let bank = kernel.sub_bank(user, 1000, false).unwrap();
            let stack_bank = kernel.sub_bank(user, 1000, false).unwrap();
            let pid = kernel.add_process(bank);
            let stack_pid = kernel.add_process(stack_bank);
            let granted = kernel.get(INIT, port.capability.address()).unwrap();
            kernel.put(pid, grant::PORT, granted);
            kernel.put(pid, grant::VERIFIER, full(What::Verifier));
            let rights = BankRights::BUY.bits();
            let offered = full(What::Bank { bank, rights });
            kernel.put(pid, grant::PORT_BANK.address(), offered);
            (pid, bank, stack_pid, stack_bank)
        };
        let driver = world.init.sys.pump.clone();
        let program = FakeProgram::new(&world.kernel, pid, &driver);
        let copier = Copier::begin(program, Port::at(grant::PORT), Cap::at(grant::VERIFIER));
        let copier = Rc::new(RefCell::new(copier.unwrap()));
        let pump = pump(&world, copier.clone(), pid);
        let program = FakeProgram::new(&world.kernel, stack_pid, &pump);
        let badge = grant::PORT_BADGE;
        let granted = full(What::Start { pid, badge });
        let stack = Client::new(program, stack_pid, stack_bank, port, granted);
        let idle = taken(&world.kernel, pid);
        Between {
            world,
            copier,
            pid,
            bank,
            stack,
            port,
            idle,
        }
    }

    /// The stack is attached.
    pub fn attached() -> Between {
        let mut between = Between::new(World::new(), crate::support::settings(1));
        between.stack.attach().unwrap();
        between
    }

    /// Lets copier and driver work until neither has anything to do.
    pub fn run(&self) {
        self.stack.program.sys.pump();
    }

    /// Time passes.
    pub fn advance(&self, milliseconds: u64) {
        self.world.advance(milliseconds * 1_000_000);
        self.run();
    }

    pub fn counter(&self, counter: Counter) -> u64 {
        self.copier.borrow().counters().get(counter)
    }

    pub fn taken(&self) -> (usize, usize) {
        taken(&self.world.kernel, self.pid)
    }

    /// The living bank of a session under a bank.
    pub fn session_bank(&self, under: usize) -> Option<usize> {
        let kernel = self.world.kernel.borrow();
        let lives =
            |bank: &usize| kernel.banks[*bank].parent == Some(under) && kernel.banks[*bank].alive;
        (0..kernel.banks.len()).find(lives)
    }

    /// Objects that a bank and those under it have sold.
    pub fn bought(&self, bank: usize) -> u64 {
        self.world.kernel.borrow().banks[bank].bought
    }

    /// The driver's port goes, as when the driver dies; what was there is answered.
    pub fn take_port(&self) -> Capability {
        let mut kernel = self.world.kernel.borrow_mut();
        let port = kernel.get(self.pid, grant::PORT).unwrap();
        kernel.processes[self.pid].caps.remove(&grant::PORT);
        port
    }

    /// A port comes to where the old one was.
    pub fn give_port(&self, port: Capability) {
        self.world
            .kernel
            .borrow_mut()
            .put(self.pid, grant::PORT, port);
    }
}

fn full(what: What) -> Capability {
    Capability {
        what,
        rights: Rights::all(),
    }
}

fn taken(kernel: &Shared, pid: Pid) -> (usize, usize) {
    let kernel = kernel.borrow();
    (kernel.slots_taken(pid), kernel.processes[pid].mapped)
}

/// What runs while the stack waits: driver, copier, driver.
fn pump(world: &World, copier: Rc<RefCell<TestCopier>>, pid: Pid) -> Pump {
    let (driver, kernel) = (world.init.sys.clone(), world.kernel.clone());
    let pump = Pump::default();
    *pump.borrow_mut() = Some(Box::new(move || {
        driver.pump();
        let mut copier = copier.borrow_mut();
        let mut busy = copier.poll();
        busy |= copier.round();
        busy |= copier.ready();
        driver.pump();
        let kernel = kernel.borrow();
        let process = &kernel.processes[pid];
        busy || !process.bits.is_empty() || !process.inbox.is_empty()
    }));
    pump
}

/// A status that says that a capability is void.
pub fn is_void(status: sys::Error) -> bool {
    status.0 == VOID
}

const _: () = assert!(grant::PORT == slot::GRANT);
