//! Where the users are TCP/IP stacks: they act in their own time, and what they promise is that connections
//! go on.

use dev::admin::PortState;

use crate::Failure;
use crate::rig::Rig;
use crate::scenario::Scenario;
use crate::user::Runs;

/// The host's conversations.
pub const WITNESS: usize = 0;
/// The other one.
pub const VICTIM: usize = 1;

/// How long anything is waited for, and how often it is looked for meanwhile, in nanoseconds. A stack that
/// lost its session in silence looks after a second, and TCP sends again after a second and more.
const PATIENCE: u64 = 20_000_000_000;
const LOOK: u64 = 20_000_000;

impl Rig {
    /// What the host has to say goes onto the wire. Whether it was anything.
    pub fn speak(&mut self) -> Result<bool, Failure> {
        if self.streams[0].address.is_none() {
            return Ok(false);
        }
        self.host.run(self.witness.now())?;
        let mut spoke = false;
        while let Some(frame) = self.host.frame() {
            // Without a buffer it is lost, as on any wire.
            self.arrive_frame(&frame)?;
            spoke = true;
        }
        Ok(spoke)
    }

    /// Lets time pass until something is so. Clients do all they can at once.
    pub fn until(
        &mut self,
        otherwise: &'static str,
        is_so: impl Fn(&mut Rig) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let end = self.witness.now() + PATIENCE;
        while !is_so(self)? {
            if self.streams[0].address.is_none() || self.witness.now() >= end {
                return Err(Failure::Wrong(otherwise));
            }
            self.pause(LOOK)?;
            self.listen()?;
        }
        Ok(())
    }

    /// Calls a stack.
    pub fn call(&mut self, who: usize) -> Result<(), Failure> {
        self.host.call(who)?;
        self.listen()
    }

    /// The host talks with the witness for as long as that lives.
    pub fn talk_with_witness(&mut self) -> Result<(), Failure> {
        if !self.host.is_open(WITNESS) {
            self.call(WITNESS)?;
        }
        self.until("the witness can't be called", |rig| {
            Ok(rig.host.is_open(WITNESS))
        })
    }

    /// All that was said to the witness has come back without anything being sent twice: no time has passed.
    pub fn witness_was_heard(&self) -> Result<(), Failure> {
        if !self.host.is_open(WITNESS) {
            return Err(Failure::Wrong("the witness's connection was broken"));
        }
        match self.host.missing(WITNESS) {
            0 => Ok(()),
            missing => Err(Failure::Count(
                "bytes of the witness's connection are missing",
                missing,
                0,
            )),
        }
    }

    /// The victim's stack is given its new port, or started again if it gave up, as init does it.
    pub fn stack_finds_driver(&mut self, scenario: &Scenario) -> Result<(), Failure> {
        if self.victim.has_stopped() {
            if scenario.attached && self.victim.is_there() {
                return Err(Failure::Wrong("the stack did not outlive the driver"));
            }
            self.victim.end();
            self.victim.open_bank()?;
            self.start_victim()?;
        } else {
            self.victim.give_port(&self.ports[1])?;
        }
        self.attach_victim()
    }

    /// The serial number of the victim's session; 0 if it has none.
    pub fn current_serial(&self) -> u64 {
        let port = self.ports[1].inspect(&self.driver, self.victim.session);
        let open = port.filter(|port| port.state == PortState::Open);
        open.map_or(0, |port| port.session)
    }

    /// Whether the session that the victim had before it began is over. A stack may have another by now.
    pub fn session_is_over(&self, runs: Runs) -> bool {
        let has_another = || ![0, self.serial].contains(&self.current_serial());
        self.port_is_idle() || runs == Runs::Stack && has_another()
    }

    /// A victim that was not revoked itself goes on: it has a session, and connections that began before
    /// come to their end, with nothing lost.
    pub fn stack_goes_on(&mut self, scenario: &Scenario) -> Result<(), Failure> {
        self.until("the victim's stack doesn't echo any more", |rig| {
            if !rig.victim.is_attached(&rig.driver, &rig.ports[1]) {
                return Ok(false);
            }
            let arrived = rig.arrive(false)?;
            rig.tell()?;
            rig.listen()?;
            Ok(arrived && rig.streams[1].missing() == 0)
        })?;
        if !scenario.talks {
            return Ok(());
        }
        self.until("the victim's connection doesn't come to its end", |rig| {
            Ok(rig.host.missing(VICTIM) == 0 && rig.host.is_closed(VICTIM))
        })?;
        self.until("the witness's connection doesn't go on", |rig| {
            Ok(rig.host.missing(WITNESS) == 0 && rig.host.is_open(WITNESS))
        })
    }
}
