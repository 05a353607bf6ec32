//! What is going on when the revocation comes.

use dev::settings::{Pinning, Receive, Strategy};
use dev::statistics::Counter;
use guest::sweeping::SENT;
use rt::Kernel;

use crate::Failure;
use crate::rig::Rig;
use crate::stacks::{VICTIM, WITNESS};
use crate::user::{Order, Runs};

/// What the injector destroys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The victim's bank, and with it the victim.
    Bank,
    /// The bank of its session: a sub-bank of the one that is in use.
    Session,
    /// The driver's bank: the driver dies.
    Driver,
}

impl Target {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Target::Bank => "bank",
            Target::Session => "session",
            Target::Driver => "driver",
        }
    }
}

/// A scenario.
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What both are.
    pub runs: Runs,
    /// How both receive.
    pub receive: Receive,
    /// How long what they send from is pinned.
    pub pinning: Pinning,
    /// The victim is attached before it begins. Otherwise a client waits for the order, and of a stack
    /// there is nothing but its bank.
    pub attached: bool,
    /// The host talks with stacks over TCP.
    pub talks: bool,
    /// Instructions of `try_copy` are counted, not entries.
    pub copies: bool,
    /// The injector is less urgent than driver and clients: its first step comes at the entry, the others
    /// when they have nothing to do, and what they do meanwhile they do with a bank that is half gone.
    pub slowly: bool,
    /// Frames to each before it begins.
    pub before: u64,
    /// Frames that the victim sends of its own accord.
    pub sends: u64,
    /// Undisturbed, it has a session in the end, and all that was sent to it came back.
    pub stays: bool,
    /// What happens.
    pub act: fn(&mut Rig, &Scenario) -> Result<(), Failure>,
    /// A counter of the witness's that grows by that, unless it is another scenario than it says.
    pub shows: Option<Counter>,
    targets: &'static [Target],
}

impl Scenario {
    /// Whether the driver is told of the destruction, because it has pinned what is destroyed: receive pages,
    /// unless they are copied to, which belong to the session, or what the victim sends from. Otherwise it
    /// finds out when it looks.
    pub fn is_told(&self, target: Target) -> bool {
        let receives = self.receive.strategy != Strategy::Copy;
        match target {
            Target::Bank => receives || self.pinning == Pinning::Session,
            Target::Session => receives,
            Target::Driver => false,
        }
    }
}

/// How often the victim is told to send.
const ORDERS: u64 = 8;

/// Length of the frame that is copied: with something of each step that copying takes.
const COPIED: usize = 64 * 9 + 8 * 5 + 7;

use Target::{Bank, Driver, Session};

const ALL: &[Target] = &[Bank, Session, Driver];

/// The usual.
const PLAIN: Scenario = Scenario {
    name: "",
    runs: Runs::Client,
    receive: receive(Strategy::Copy, false),
    pinning: Pinning::Session,
    attached: true,
    talks: false,
    copies: false,
    slowly: false,
    before: 2,
    sends: 0,
    stays: true,
    act: receive_frames,
    shows: None,
    targets: ALL,
};

/// The usual with stacks.
const STACKS: Scenario = Scenario {
    runs: Runs::Stack,
    ..PLAIN
};

const fn receive(strategy: Strategy, sealed: bool) -> Receive {
    Receive {
        strategy,
        threshold: 600,
        sealed,
    }
}

/// All scenarios.
static SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "attach",
        attached: false,
        act: attach,
        targets: &[Bank, Driver],
        ..PLAIN
    },
    Scenario {
        name: "receive-copy",
        shows: Some(Counter::Copied),
        ..PLAIN
    },
    Scenario {
        name: "receive-flip",
        receive: receive(Strategy::Flip, false),
        shows: Some(Counter::InPlace),
        ..PLAIN
    },
    Scenario {
        name: "receive-hybrid",
        receive: receive(Strategy::Hybrid, false),
        ..PLAIN
    },
    Scenario {
        name: "sealed-copy",
        receive: receive(Strategy::Copy, true),
        shows: Some(Counter::Copied),
        ..PLAIN
    },
    Scenario {
        name: "sealed-flip",
        receive: receive(Strategy::Flip, true),
        shows: Some(Counter::Exchanged),
        ..PLAIN
    },
    Scenario {
        name: "transmit",
        sends: ORDERS * SENT,
        act: send,
        ..PLAIN
    },
    Scenario {
        name: "transmit-per-frame",
        pinning: Pinning::Frame,
        sends: ORDERS * SENT,
        act: send,
        ..PLAIN
    },
    Scenario {
        name: "exchange",
        receive: receive(Strategy::Flip, false),
        act: frames_of_the_witness,
        shows: Some(Counter::Exchanged),
        ..PLAIN
    },
    Scenario {
        name: "recovery",
        receive: receive(Strategy::Flip, false),
        stays: false,
        act: recover,
        shows: Some(Counter::Recovered),
        targets: &[Bank, Driver],
        ..PLAIN
    },
    Scenario {
        name: "detach",
        receive: receive(Strategy::Flip, false),
        stays: false,
        act: detach,
        ..PLAIN
    },
    Scenario {
        name: "destroy-session",
        receive: receive(Strategy::Flip, false),
        stays: false,
        act: destroy_session,
        targets: &[Bank, Driver],
        ..PLAIN
    },
    Scenario {
        name: "destroy-bank",
        receive: receive(Strategy::Flip, false),
        stays: false,
        act: destroy_bank,
        targets: &[Bank, Session, Driver],
        ..PLAIN
    },
    Scenario {
        name: "restart",
        receive: receive(Strategy::Flip, false),
        act: restart,
        targets: &[Bank, Driver],
        ..PLAIN
    },
    Scenario {
        name: "try-copy",
        copies: true,
        act: frame_of_the_victim,
        ..PLAIN
    },
    Scenario {
        name: "slow-receive",
        slowly: true,
        receive: receive(Strategy::Hybrid, false),
        targets: &[Bank, Session],
        ..PLAIN
    },
    Scenario {
        name: "slow-exchange",
        slowly: true,
        receive: receive(Strategy::Flip, false),
        act: frames_of_the_witness,
        shows: Some(Counter::Exchanged),
        targets: &[Bank, Session],
        ..PLAIN
    },
    Scenario {
        name: "slow-transmit",
        slowly: true,
        pinning: Pinning::Frame,
        sends: ORDERS * SENT,
        act: send,
        targets: &[Bank, Session],
        ..PLAIN
    },
    Scenario {
        name: "netstack-attach",
        attached: false,
        act: start_stack,
        targets: &[Bank, Driver],
        ..STACKS
    },
    Scenario {
        name: "netstack-udp",
        receive: receive(Strategy::Flip, false),
        act: receive_frames,
        shows: Some(Counter::InPlace),
        ..STACKS
    },
    Scenario {
        name: "netstack-tcp",
        receive: receive(Strategy::Hybrid, false),
        talks: true,
        act: talk,
        ..STACKS
    },
];

/// All of them, with each of their targets.
pub fn all() -> impl Iterator<Item = (&'static Scenario, Target)> {
    SCENARIOS.iter().flat_map(|scenario| {
        scenario
            .targets
            .iter()
            .map(move |target| (scenario, *target))
    })
}

fn attach(rig: &mut Rig, _: &Scenario) -> Result<(), Failure> {
    rig.victim.order(Order::Attach);
    rig.traffic(2, true)
}

fn receive_frames(rig: &mut Rig, _: &Scenario) -> Result<(), Failure> {
    rig.traffic(8, true)
}

fn frames_of_the_witness(rig: &mut Rig, _: &Scenario) -> Result<(), Failure> {
    rig.traffic(10, false)
}

fn send(rig: &mut Rig, _: &Scenario) -> Result<(), Failure> {
    for _ in 0..ORDERS {
        rig.victim.order(Order::Send);
        rig.listen()?;
    }
    Ok(())
}

fn detach(rig: &mut Rig, _: &Scenario) -> Result<(), Failure> {
    rig.victim.order(Order::Detach);
    rig.traffic(2, false)
}

/// Frames have come, in pages of the victim's too, before the driver could look; then these are revoked.
fn recover(rig: &mut Rig, _: &Scenario) -> Result<(), Failure> {
    for _ in 0..6 {
        rig.arrive(true)?;
    }
    let _ = rig.victim.session.destroy(&Kernel);
    rig.tell()?;
    rig.listen()
}

/// The driver dies with frames in pages of both, and is taken away and started again; both attach to the new
/// one. If it is to be the driver that the injector destroys, it is the new one, however little there is of it.
fn restart(rig: &mut Rig, scenario: &Scenario) -> Result<(), Failure> {
    rig.arrive(true)?;
    rig.arrive(false)?;
    let _ = rig.driver.bank.destroy(&Kernel);
    rig.victim.lose_driver();
    rig.restart(scenario)?;
    // It may be gone.
    let _ = rig.victim.give_port(&rig.ports[1]);
    rig.victim.order(Order::Attach);
    rig.traffic(2, true)
}

fn destroy_session(rig: &mut Rig, _: &Scenario) -> Result<(), Failure> {
    // Somebody else may be faster.
    let _ = rig.victim.session.destroy(&Kernel);
    Ok(())
}

fn destroy_bank(rig: &mut Rig, _: &Scenario) -> Result<(), Failure> {
    let _ = rig.victim.bank.destroy(&Kernel);
    Ok(())
}

fn frame_of_the_victim(rig: &mut Rig, _: &Scenario) -> Result<(), Failure> {
    rig.arrive_with(false, COPIED)?;
    rig.tell()?;
    rig.listen()
}

/// From the first step of its start until its address is in use.
fn start_stack(rig: &mut Rig, _: &Scenario) -> Result<(), Failure> {
    let started = rig.start_victim();
    // Out of a bank that is gone nobody is started.
    if rig.victim.bank.usage(&Kernel).is_ok() {
        started?;
    }
    rig.traffic(2, true)
}

/// A connection to the victim, from its beginning to its end, while the one to the witness goes on.
fn talk(rig: &mut Rig, _: &Scenario) -> Result<(), Failure> {
    /// What is said to each, in bytes: less than a segment, several at once, and little again.
    const SAID: [usize; 3] = [64, 4000, 300];
    rig.call(VICTIM)?;
    for bytes in SAID {
        rig.host.say(WITNESS, bytes);
        rig.host.say(VICTIM, bytes);
        rig.listen()?;
    }
    rig.host.end(VICTIM);
    rig.listen()
}
