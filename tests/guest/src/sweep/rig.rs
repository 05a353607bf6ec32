//! Everything that runs, and the state that it is in before each point.

use abi::boot::slot;
use abi::cap::Rights;
use abi::method::process::state;
use dev::admin::PortState;
use dev::settings::{Pinning, Receive, Strategy};
use dev::statistics::Counter;
use guest::children::{BANK, Nursery};
use guest::sweeping::{Role, bit, grant};
use init::archive::Archive;
use init::boot::Boot;
use init::host::priority;
use rt::child::{Child, Grant, Program};
use rt::{Kernel, RevocableMapping};
use sys::bank::Bank;
use sys::object::{Clock, Notify, Probe, Process};
use sys::{Cap, Sys};

use crate::driver::Driver;
use crate::options::Options;
use crate::promises::Promises;
use crate::relics::Relics;
use crate::scenario::{Scenario, Target};
use crate::start::{archive, image, postcard, start_program, take};
use crate::traffic::Stream;
use crate::user::{Attachment, Order, User};
use crate::{Failure, during};

const WITNESS: [u8; 6] = [2, 0, 0, 0, 0, 1];
const VICTIM: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// Nobody is more urgent than the injector.
const URGENT: u8 = 62;
/// One who takes its time is less urgent than the clients, and more so than this program.
const LEISURELY: u8 = priority::INIT + 2;
/// Limit of its bank.
const INJECTOR_LIMIT: u64 = 128;
/// Notification bits of this program's.
const DONE_BIT: u64 = 1;
const TIMER_BIT: u64 = 2;
/// How long a port takes to earn the right to attach again, in nanoseconds.
const EARNED: u64 = 150_000_000;

/// Frames until pages of both clients are posted in turn: when somebody attaches, the driver posts all of its
/// own again.
const SHUFFLED: u64 = 300;

const CLOCK: Cap<Clock> = Cap::at(slot::CLOCK);
/// The probe.
pub const PROBE: Cap<Probe> = Cap::at(slot::INIT_PROBE);

/// Storage, when the victim is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Objects that are free, as the kernel says.
    pub free: u64,
    /// Objects that all banks have bought, as spacebank says.
    pub bought: u64,
    /// Those of the driver's among them: it keeps some for the next time.
    pub driver: u64,
}

/// What runs.
pub struct Rig {
    /// The driver.
    pub driver: Driver,
    /// Who is never revoked.
    pub witness: User,
    /// Who is.
    pub victim: User,
    /// Their frames.
    pub streams: [Stream; 2],
    /// Their ports.
    pub ports: [Attachment; 2],
    /// Where `try_copy` lies in the driver.
    pub copies: (u64, u64),
    /// What was the victim's.
    pub relics: Relics,
    /// What the kernel owes to everybody.
    pub promises: Promises,
    archive: Archive<'static>,
    frames: u64,
    injector: Child,
    /// The injector's notification.
    now: Cap<Notify>,
    /// What it is told to destroy.
    aim: Target,
}

impl Rig {
    /// Starts everything but the victim, out of the boot archive.
    pub fn start(boot: &Boot, options: &Options) -> Result<Rig, Failure> {
        let archive = archive(boot)?;
        let driver = Driver::start(&archive, Cap::at(take()?), |_| Ok(()))?;
        let function = driver.function;
        let ports = make_ports(&driver, Pinning::Session)?;
        let (mut witness, victim) = (User::new(WITNESS)?, User::new(VICTIM)?);
        witness.start(&archive, &ports[0])?;
        let (injector, now) = start_injector(&archive)?;
        let rig = Rig {
            driver,
            witness,
            victim,
            streams: [Stream::new(WITNESS), Stream::new(VICTIM)],
            ports,
            copies: options.copies,
            relics: Relics::new()?,
            promises: Promises::new(function)?,
            archive,
            frames: boot.frames.into(),
            injector,
            now,
            aim: Target::Bank,
        };
        rig.attach(&rig.witness, 0)?;
        Ok(rig)
    }

    /// What the driver sees in the window of a number.
    pub fn window(&self, number: usize) -> Option<RevocableMapping> {
        let port = || {
            let is = |port: &&Attachment| port.number as usize + 1 == number;
            self.ports.iter().find(is).map(Attachment::own)
        };
        self.driver.window(number).or_else(port)?.memory()
    }

    /// Lets time pass: under instruction counting it costs none.
    fn pause(&self) -> Result<(), Failure> {
        let now = || CLOCK.now(&Kernel).map_err(during("reading the clock"));
        let until = now()?.nanoseconds + EARNED;
        while now()?.nanoseconds < until {
            CLOCK
                .arm(&Kernel, until, TIMER_BIT)
                .map_err(during("arming the timer"))?;
            Kernel.wait([0; 4]);
        }
        Ok(())
    }

    fn attach(&self, user: &User, port: usize) -> Result<(), Failure> {
        user.order(Order::Attach);
        match user.is_attached(&self.driver, &self.ports[port]) {
            true => Ok(()),
            false => Err(Failure::Wrong("a client can't attach")),
        }
    }

    /// Makes the ports anew, as a scenario wants them; the witness attaches again.
    pub fn set_up(&mut self, scenario: &Scenario) -> Result<(), Failure> {
        for port in &mut self.ports {
            port.remove(&self.driver)?;
        }
        let priority = match scenario.slowly {
            true => LEISURELY,
            false => URGENT,
        };
        self.injector
            .process
            .set_priority(&Kernel, priority)
            .map_err(during("setting the injector's priority"))?;
        self.renew_ports(scenario)?;
        self.use_up_pool(scenario)
    }

    /// Where clients' pages are posted, frames come until all that the driver posted of its own are used up:
    /// from then on they come in clients' pages.
    pub fn use_up_pool(&mut self, scenario: &Scenario) -> Result<(), Failure> {
        /// Buffers that the driver posts at most.
        const POSTED: u64 = 256;
        match scenario.receive.strategy {
            Strategy::Copy => Ok(()),
            Strategy::Flip | Strategy::Hybrid => self.drain(POSTED + 4),
        }
    }

    fn renew_ports(&mut self, scenario: &Scenario) -> Result<(), Failure> {
        self.ports = make_ports(&self.driver, scenario.pinning)?;
        self.set_receive(scenario.receive)?;
        match self.witness.is_there() {
            true => self.witness.give_port(&self.ports[0])?,
            false => self.witness.start(&self.archive, &self.ports[0])?,
        }
        self.attach(&self.witness, 0)
    }

    fn set_receive(&self, receive: Receive) -> Result<(), Failure> {
        for port in &self.ports {
            self.driver
                .admin
                .set_receive(&Kernel, port.number, receive)
                .map_err(during("changing how a port receives"))?;
        }
        Ok(())
    }

    /// Starts the victim; it attaches, and frames come, if the scenario wants that.
    pub fn prepare(&mut self, scenario: &Scenario) -> Result<(), Failure> {
        self.victim.start(&self.archive, &self.ports[1])?;
        self.pause()?;
        if scenario.attached {
            self.attach(&self.victim, 1)?;
            if scenario.receive.strategy != Strategy::Copy {
                self.drain(SHUFFLED)?;
            }
            self.traffic(scenario.before, true)?;
            self.nothing_is_missing()?;
        }
        // The same objects were sold again.
        self.relics.are_void()?;
        self.relics.keep(self.victim.bank)?;
        self.streams[1].forget();
        Ok(())
    }

    /// Tells the injector what to destroy.
    pub fn aim(&mut self, target: Target) -> Result<(), Failure> {
        self.aim = target;
        aim_at(
            &self.injector,
            match target {
                Target::Bank => self.victim.bank,
                Target::Session => self.victim.session,
                Target::Driver => self.driver.bank,
            },
        )
    }

    /// Arms the probe: at the n-th entry, or instruction of `try_copy`. 0 counts only.
    pub fn arm(&self, scenario: &Scenario, n: u64) -> Result<(), Failure> {
        let told = self.now.address();
        match scenario.copies {
            false => PROBE.arm(&Kernel, n, told, 0),
            true => PROBE.step(&Kernel, self.driver.process(), self.copies, n, told),
        }
        .map_err(during("arming the probe"))
    }

    /// Starts the driver again after its death, and all that goes with it.
    pub fn revive(&mut self, scenario: &Scenario) -> Result<(), Failure> {
        self.victim.end();
        self.restart(scenario)?;
        self.use_up_pool(scenario)
    }

    /// Takes a dead driver away and starts it again; the witness attaches to it. An injector that aims at the
    /// driver aims at the new one as soon as there is something of it.
    pub fn restart(&mut self, scenario: &Scenario) -> Result<(), Failure> {
        self.witness.lose_driver();
        self.driver.end()?;
        self.ports.iter_mut().for_each(Attachment::forget);
        let made = |bank| match self.aim {
            Target::Driver => aim_at(&self.injector, bank),
            Target::Bank | Target::Session => Ok(()),
        };
        self.driver = Driver::start(&self.archive, self.driver.function, made)?;
        self.streams.iter_mut().for_each(Stream::forget);
        self.renew_ports(scenario)
    }

    /// Starts everything again, whatever state it is in.
    pub fn start_over(&mut self, scenario: &Scenario) -> Result<(), Failure> {
        self.witness.end();
        self.revive(scenario)
    }

    /// Everybody who was not revoked lives, and is served.
    pub fn all_is_well(&mut self) -> Result<(), Failure> {
        /// Frames to the witness.
        const FRAMES: u64 = 4;
        let spacebank: Cap<Process> = Cap::at(slot::INIT_SPACEBANK);
        let waits = |process: Cap<Process>| {
            let info = process.info(&Kernel);
            info.is_ok_and(|info| info.state == state::WAITING)
        };
        for (lives, dead) in [
            (waits(spacebank), "spacebank doesn't wait for anybody"),
            (waits(self.injector.process), "the injector doesn't wait"),
            (
                self.driver.is_alive(),
                "the driver doesn't wait for anything",
            ),
            (self.witness.is_alive(), "the witness stopped"),
            (
                self.witness.is_attached(&self.driver, &self.ports[0]),
                "the witness has no session any more",
            ),
        ] {
            if !lives {
                return Err(Failure::Wrong(dead));
            }
        }
        self.nothing_is_missing()?;
        self.traffic(FRAMES, false)?;
        self.nothing_is_missing()
    }

    /// What there is of storage, when nothing of the victim's is in limbo any more.
    pub fn storage(&mut self, whole: bool) -> Result<Storage, Failure> {
        /// How often frames come that free what is in limbo: as many as the driver posts buffers.
        const ROUNDS: usize = 8;
        const FRAMES: u64 = 64;
        let mut rounds = 0;
        loop {
            let audit = PROBE.audit(&Kernel, whole).map_err(during("auditing"))?;
            if audit.violation != 0 {
                return Err(Failure::Wrong("the kernel doesn't agree with itself"));
            }
            let census = PROBE.census(&Kernel).map_err(during("counting objects"))?;
            let all = census.free + census.live + census.limbo;
            if all != self.frames {
                return Err(Failure::Count("objects in all", all, self.frames));
            }
            let usage = BANK.usage(&Kernel).map_err(during("asking spacebank"))?;
            if usage.limbo != census.limbo {
                return Err(Failure::Count(
                    "objects in limbo, as spacebank says",
                    usage.limbo,
                    census.limbo,
                ));
            }
            if census.limbo == 0 {
                let driver = self.driver.bank.usage(&Kernel);
                return Ok(Storage {
                    free: census.free,
                    bought: usage.bought,
                    driver: driver.map_err(during("asking spacebank"))?.bought,
                });
            }
            rounds += 1;
            if rounds > ROUNDS {
                return Err(Failure::Count("objects stay in limbo", census.limbo, 0));
            }
            self.drain(FRAMES)?;
        }
    }

    /// A counter of the witness's port.
    pub fn counter(&self, counter: Counter) -> u64 {
        let counters = self.driver.admin.statistics(&Kernel, self.ports[0].number);
        counters.map_or(0, |counters| counters.get(counter))
    }

    /// Whether the victim's port is as it is without a client.
    pub fn port_is_idle(&self) -> bool {
        let port = self.ports[1].inspect(&self.driver, self.victim.session);
        port.is_some_and(|port| port.state == PortState::Idle)
    }
}

fn make_ports(driver: &Driver, pinning: Pinning) -> Result<[Attachment; 2], Failure> {
    let mut first = Attachment::make(driver, WITNESS, pinning)?;
    match Attachment::make(driver, VICTIM, pinning) {
        Ok(second) => Ok([first, second]),
        Err(failure) => {
            first.forget();
            Err(failure)
        }
    }
}

/// Tells the injector which bank to destroy.
fn aim_at(injector: &Child, bank: Cap<Bank>) -> Result<(), Failure> {
    injector
        .root
        .put(&Kernel, grant::VICTIM, bank.address(), Rights::FULL)
        .map_err(during("aiming"))
}

fn start_injector(archive: &Archive<'_>) -> Result<(Child, Cap<Notify>), Failure> {
    let [bank, weak, done, now] = [take()?, take()?, take()?, take()?];
    let bank = Cap::at(bank);
    BANK.sub_bank(&Kernel, INJECTOR_LIMIT, false, bank)
        .map_err(during("making the injector's bank"))?;
    guest::children::SELF
        .make_notify(&Kernel, DONE_BIT, done)
        .map_err(during("making a notification"))?;
    let mut nursery = Nursery::new().map_err(during("preparing to start the injector"))?;
    let child = start_program(
        &mut nursery,
        Program {
            arguments: &postcard(&Role::Injector)?,
            priority: URGENT,
            stack_pages: 4,
            ..Program::new("injector", &image(archive, "bin/swept")?, bank)
        },
        weak,
        &[Grant::new(grant::DONE, done)],
    );
    nursery.end();
    let child = child.map_err(during("starting the injector"))?;
    child
        .process
        .make_notify(&Kernel, bit::NOW, now)
        .map_err(during("making a notification"))?;
    Ok((child, Cap::at(now)))
}
