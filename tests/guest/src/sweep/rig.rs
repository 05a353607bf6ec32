//! Everything that runs, and the state that it is in before each point.

use abi::boot::slot;
use abi::method::process::state;
use dev::admin::PortState;
use dev::settings::{Pinning, Receive, Strategy};
use dev::statistics::Counter;
use guest::children::BANK;
use init::archive::Archive;
use init::boot::Boot;
use rt::{Kernel, RevocableMapping};
use sys::object::{Clock, Probe, Process};
use sys::{Cap, Sys};

use crate::driver::Driver;
use crate::host::Host;
use crate::injector::Injector;
use crate::options::Options;
use crate::promises::Promises;
use crate::relics::Relics;
use crate::scenario::{Scenario, Target};
use crate::stacks::{VICTIM, WITNESS};
use crate::start::{archive, take};
use crate::traffic::Stream;
use crate::user::{Attachment, Order, Runs, User};
use crate::{Failure, during};

/// Addresses of the witness and of the victim.
const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
/// The notification bit of this program's that its timer sets.
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
    /// The host that they talk to where they are stacks.
    pub host: Host,
    /// Where `try_copy` lies in the driver.
    pub copies: (u64, u64),
    /// What was the victim's.
    pub relics: Relics,
    /// What the kernel owes to everybody.
    pub promises: Promises,
    /// The victim's session before it begins, by its serial number; 0 for none.
    pub serial: u64,
    archive: Archive<'static>,
    frames: u64,
    injector: Injector,
    /// What it is told to destroy.
    aim: Target,
    /// What was wrong with a frame that came.
    pub misheard: Option<&'static str>,
}

impl Rig {
    /// Starts everything but the victim, out of the boot archive.
    pub fn start(boot: &Boot, options: &Options) -> Result<Rig, Failure> {
        let archive = archive(boot)?;
        let driver = Driver::start(&archive, Cap::at(take()?), |_| Ok(()))?;
        let function = driver.function;
        let mut witness = User::new(&archive, "witness", MACS[0])?;
        let victim = User::new(&archive, "victim", MACS[1])?;
        let host = Host::new([witness.address(), victim.address()]);
        let ports = make_ports(&driver, [&witness, &victim], Pinning::Session)?;
        witness.open_bank()?;
        witness.start(&archive, &ports[0])?;
        let injector = Injector::start(&archive)?;
        let mut rig = Rig {
            driver,
            witness,
            victim,
            streams: MACS.map(Stream::new),
            ports,
            host,
            copies: options.copies,
            relics: Relics::new()?,
            promises: Promises::new(function)?,
            serial: 0,
            archive,
            frames: boot.frames.into(),
            injector,
            aim: Target::Bank,
            misheard: None,
        };
        rig.attach_witness()?;
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

    /// Lets nanoseconds pass: under instruction counting that costs no time.
    pub fn pause(&self, nanoseconds: u64) -> Result<(), Failure> {
        let now = || CLOCK.now(&Kernel).map_err(during("reading the clock"));
        let until = now()?.nanoseconds + nanoseconds;
        while now()?.nanoseconds < until {
            CLOCK
                .arm(&Kernel, until, TIMER_BIT)
                .map_err(during("arming the timer"))?;
            Kernel.wait([0; 4]);
        }
        Ok(())
    }

    fn attach_witness(&mut self) -> Result<(), Failure> {
        self.witness.order(Order::Attach);
        self.until("the witness can't attach", |rig| {
            Ok(rig.witness.is_attached(&rig.driver, &rig.ports[0]))
        })
    }

    pub fn attach_victim(&mut self) -> Result<(), Failure> {
        self.victim.order(Order::Attach);
        self.until("the victim can't attach", |rig| {
            Ok(rig.victim.is_attached(&rig.driver, &rig.ports[1]))
        })
    }

    /// Starts what the victim runs.
    pub fn start_victim(&mut self) -> Result<(), Failure> {
        self.victim.start(&self.archive, &self.ports[1])
    }

    /// Makes the ports anew, as a scenario wants them; the witness attaches again.
    pub fn set_up(&mut self, scenario: &Scenario) -> Result<(), Failure> {
        self.witness.run(scenario.runs);
        self.victim.run(scenario.runs);
        self.streams[0].address = self.witness.stack_address();
        self.streams[1].address = self.victim.stack_address();
        for port in &mut self.ports {
            port.remove(&self.driver)?;
        }
        self.injector.hurry(!scenario.slowly)?;
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
        let users = [&self.witness, &self.victim];
        self.ports = make_ports(&self.driver, users, scenario.pinning)?;
        self.set_receive(scenario.receive)?;
        if self.witness.is_there() {
            self.witness.give_port(&self.ports[0])?;
        } else {
            self.witness.open_bank()?;
            self.witness.start(&self.archive, &self.ports[0])?;
        }
        self.attach_witness()
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
        self.victim.open_bank()?;
        if scenario.attached || scenario.runs == Runs::Client {
            self.start_victim()?;
        }
        // Who loses a session may attach twice.
        self.pause(2 * EARNED)?;
        // The witness may have asked the host something meanwhile.
        self.listen()?;
        if scenario.attached {
            self.attach_victim()?;
            if scenario.receive.strategy != Strategy::Copy {
                self.drain(SHUFFLED)?;
            }
            self.traffic(scenario.before, true)?;
            self.nothing_is_missing()?;
        }
        if scenario.talks {
            self.talk_with_witness()?;
        }
        self.serial = self.current_serial();
        // The same objects were sold again.
        self.relics.are_void()?;
        self.relics.keep(self.victim.bank)?;
        self.streams[1].forget();
        Ok(())
    }

    /// Tells the injector what to destroy.
    pub fn aim(&mut self, target: Target) -> Result<(), Failure> {
        self.aim = target;
        self.injector.aim(match target {
            Target::Bank => self.victim.bank,
            Target::Session => self.victim.session,
            Target::Driver => self.driver.bank,
        })
    }

    /// Arms the probe: at the n-th entry, or instruction of `try_copy`. 0 counts only.
    pub fn arm(&self, scenario: &Scenario, n: u64) -> Result<(), Failure> {
        let told = self.injector.now.address();
        match scenario.copies {
            false => PROBE.arm(&Kernel, n, told, 0),
            true => PROBE.step(&Kernel, self.driver.process(), self.copies, n, told),
        }
        .map_err(during("arming the probe"))
    }

    /// Starts the driver again after its death, and all that goes with it.
    pub fn revive(&mut self, scenario: &Scenario) -> Result<(), Failure> {
        match scenario.runs {
            Runs::Client => self.victim.end(),
            Runs::Stack => self.victim.lose_driver(),
        }
        self.restart(scenario)?;
        if scenario.runs == Runs::Stack {
            self.stack_finds_driver(scenario)?;
        }
        self.use_up_pool(scenario)
    }

    /// Takes a dead driver away and starts it again; the witness attaches to it. An injector that aims at the
    /// driver aims at the new one as soon as there is something of it.
    pub fn restart(&mut self, scenario: &Scenario) -> Result<(), Failure> {
        self.witness.lose_driver();
        self.driver.end()?;
        self.ports.iter_mut().for_each(Attachment::forget);
        let made = |bank| match self.aim {
            Target::Driver => self.injector.aim(bank),
            Target::Bank | Target::Session => Ok(()),
        };
        self.driver = Driver::start(&self.archive, self.driver.function, made)?;
        self.streams.iter_mut().for_each(Stream::excuse);
        self.renew_ports(scenario)
    }

    /// Starts everything again, whatever state it is in.
    pub fn start_over(&mut self, scenario: &Scenario) -> Result<(), Failure> {
        self.witness.end();
        self.end_victim();
        self.host.forget(WITNESS);
        self.revive(scenario)?;
        self.end_victim();
        Ok(())
    }

    /// Ends the victim, whoever is left of it.
    pub fn end_victim(&mut self) {
        self.victim.end();
        self.host.forget(VICTIM);
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
            (waits(self.injector.process()), "the injector doesn't wait"),
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
        self.serve_witness(FRAMES)
    }

    /// What has come from the victim of its own accord, and what did not come back from it.
    pub fn victims_tally(&self) -> [u64; 2] {
        let Stream { own, lost, .. } = self.streams[1];
        [own, lost]
    }

    /// Undisturbed, the victim did all that the scenario is about. `before`: its tally before that.
    pub fn did_what_it_should(
        &mut self,
        scenario: &Scenario,
        before: [u64; 2],
    ) -> Result<(), Failure> {
        let [own, lost] = self.victims_tally();
        let missing = self.streams[1].missing();
        for (what, found, expected) in [
            (
                "frames that the victim sent",
                own - before[0],
                scenario.sends,
            ),
            ("frames of the victim's that are lost", lost - before[1], 0),
        ] {
            if found != expected {
                return Err(Failure::Count(what, found, expected));
            }
        }
        if !scenario.stays {
            return Ok(());
        }
        if !self.victim.is_attached(&self.driver, &self.ports[1]) {
            return Err(Failure::Wrong(
                "the victim has no session, though nobody disturbed it",
            ));
        }
        match missing {
            0 => Ok(()),
            missing => Err(Failure::Count(
                "frames of the victim's are missing",
                missing,
                0,
            )),
        }
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
            if !audit.compared {
                return Err(Failure::Wrong("calls came and went, where everybody waits"));
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

fn make_ports(
    driver: &Driver,
    [witness, victim]: [&User; 2],
    pinning: Pinning,
) -> Result<[Attachment; 2], Failure> {
    let mut first = Attachment::make(driver, &witness.settings(pinning))?;
    match Attachment::make(driver, &victim.settings(pinning)) {
        Ok(second) => Ok([first, second]),
        Err(failure) => {
            first.forget();
            Err(failure)
        }
    }
}
