//! A round: a hostile process's life, and what is looked at afterwards.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use abi::boot::slot;
use abi::cap::{Kind, Rights};
use guest::children::{BANK, Failed};
use rt::Kernel;
use rt::child::Child;
use rt::clock::Clock;
use sys::object::Probe;
use sys::{Cap, Error, Event, Sys};

use crate::field::{DONE, ENDED, Field, TIMER};
use crate::hostile::Order;

/// Nanoseconds after which a process that has got nowhere is stuck: it waits for what never comes.
const PATIENCE: u64 = 5_000_000;

/// Free frames are looked through once in so many rounds.
const WHOLE: u64 = 16;

const PROBE: Cap<Probe> = Cap::at(slot::INIT_PROBE);

/// Whether the kernel agrees with itself.
fn audit(whole: bool) -> Result<(), Found> {
    let audit = PROBE.audit(&Kernel, whole)?;
    match audit.violation {
        0 => Ok(()),
        n => Err(Found::new(format!(
            "the kernel's audit finds violation {n}"
        ))),
    }
}

/// What is wrong.
#[derive(Debug)]
pub struct Found {
    seed: Option<u64>,
    what: String,
}

impl Found {
    /// In words.
    pub fn new(what: impl ToString) -> Found {
        Found {
            seed: None,
            what: what.to_string(),
        }
    }

    /// A process holds what it can't.
    pub fn held(kind: Kind, rights: Rights) -> Found {
        Found::new(format!("it gained a {} with {rights:?}", kind.name()))
    }

    /// With which seed.
    pub fn with_seed(mut self, seed: u64) -> Found {
        self.seed = Some(seed);
        self
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seed {
            Some(seed) => write!(f, "seed {seed}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl From<Error> for Found {
    fn from(error: Error) -> Found {
        Found::new(error)
    }
}

impl From<Failed> for Found {
    fn from(failed: Failed) -> Found {
        Found::new(failed)
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It made all of its invocations.
    Done,
    /// It ended itself: it faulted, or took away what it was made of.
    Ended,
    /// It waits for what never comes.
    Stuck,
}

/// What came of rounds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums {
    /// Rounds.
    pub rounds: u64,
    /// Invocations made.
    pub made: u64,
    /// Those that succeeded.
    pub succeeded: u64,
    /// Processes that ended themselves.
    pub ended: u64,
    /// Processes that waited for what never comes.
    pub stuck: u64,
    /// Capabilities that were looked at.
    pub looked_at: u64,
}

impl Sums {
    /// Adds what came of more.
    pub fn add(&mut self, more: &Sums) {
        self.rounds += more.rounds;
        self.made += more.made;
        self.succeeded += more.succeeded;
        self.ended += more.ended;
        self.stuck += more.stuck;
        self.looked_at += more.looked_at;
    }
}

impl Field {
    /// Plays a round.
    ///
    /// # Errors
    /// Something was found.
    pub fn play(&mut self, clock: &Clock, seed: u64, invocations: u64) -> Result<Sums, Found> {
        let before = BANK.usage(&Kernel)?;
        let (bank, child) = self.hostile(Order { seed, invocations })?;
        let end = self.wait(clock, &child, invocations)?;
        let [made, succeeded] = self.counted();
        // It must not go on while it is looked at. If it destroyed its bank, there is nothing left of it.
        let looked_at = match child.process.stop(&Kernel) {
            Ok(()) => self.holdings.look(child.root)?,
            Err(Error::VOID) => 0,
            Err(error) => return Err(error.into()),
        };
        self.look_at_victim()?;
        audit(false)?;
        drop(bank);
        self.clean_up(child)?;
        let after = self.settled(clock, before.bought)?;
        if (after.bought, after.limbo) != (before.bought, before.limbo) {
            return Err(Found::new(format!("the bank {before:?} became {after:?}")));
        }
        audit(seed.is_multiple_of(WHOLE))?;
        Ok(Sums {
            rounds: 1,
            made,
            succeeded,
            ended: u64::from(end == End::Ended),
            stuck: u64::from(end == End::Stuck),
            looked_at,
        })
    }

    /// Waits for the end of a process.
    fn wait(&self, clock: &Clock, child: &Child, invocations: u64) -> Result<End, Found> {
        let mut before = u64::MAX;
        clock.arm(clock.now() + PATIENCE, TIMER)?;
        loop {
            let Event::Notified { group: 0, bits } = Kernel.wait([0; 4]) else {
                continue;
            };
            let [made, _] = self.counted();
            let (done, ended) = (bits >> DONE & 1 != 0, bits >> ENDED & 1 != 0);
            // It may say that it is done when it isn't.
            if done && made >= invocations {
                return Ok(End::Done);
            }
            if ended {
                return Ok(End::Ended);
            }
            if bits >> TIMER & 1 != 0 {
                if made == before {
                    return Ok(End::Stuck);
                }
                if child.process.info(&Kernel) == Err(Error::VOID) {
                    return Ok(End::Ended);
                }
                before = made;
                clock.arm(clock.now() + PATIENCE, TIMER)?;
            }
        }
    }

    /// The keeper's bank, once spacebank has learnt of limbos that ended.
    fn settled(&self, clock: &Clock, bought: u64) -> Result<sys::bank::Usage, Found> {
        for _ in 0..100 {
            let usage = BANK.usage(&Kernel)?;
            if usage.bought == bought && usage.limbo == 0 {
                return Ok(usage);
            }
            clock.arm(clock.now() + 1_000_000, TIMER)?;
            Kernel.wait([0; 4]);
        }
        Ok(BANK.usage(&Kernel)?)
    }
}
