//! What init knows of a user: settings, amounts, and how far it has come.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use abi::cap::CapAddr;
use sys::Cap;
use sys::bank::Bank;
use sys::object::{Aperture, Process, Table};

use dev::port::Port;

use crate::failure::{Failure, Trying};
use crate::host::{Host, bit};
use crate::launch::Held;
use crate::manifest::User;
use crate::plan::Plan;
use crate::supervise::backoff::BackOff;

/// How far a user has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Its turn to be brought up comes when the driver runs.
    Starting,
    /// Its stack runs, since then.
    Running {
        /// Nanoseconds since boot.
        since: u64,
    },
    /// Its bank is being destroyed.
    Emptying(Next),
    /// Its port is being removed.
    Closing(Next),
    /// It waits for its next start.
    Resting {
        /// Nanoseconds since boot.
        until: u64,
    },
    /// It could not be brought up, and trying again would not help.
    Failed(String),
}

/// How far a stack has come with its port since it was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attached {
    /// It has not attached yet.
    NotYet,
    /// The same, and somebody at the console waits to hear of it.
    Awaited,
    /// It has attached, and attaches again by itself whenever it loses its session.
    Done,
}

/// What follows when a user's bank is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is brought up again at this time.
    Restart {
        /// Nanoseconds since boot.
        at: u64,
    },
    /// It is forgotten, port and all.
    Forget,
    /// It is forgotten, and then this is said: it could not be spawned.
    Tell(String),
    /// It stays, without port, as failed for this reason.
    Fail(String),
}

/// A user's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortHeld {
    /// Its number with the driver.
    pub number: u64,
    /// Objects moved to the driver's bank for it.
    pub reserve: u64,
}

/// What was there when a revocation began, to say afterwards what came back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revocation {
    /// Objects of the user's bank, its record among them.
    pub objects: u64,
    /// Objects of them in limbo when it began.
    pub limbo: u64,
    /// Objects of the whole system.
    pub total: u64,
    /// Steps so far.
    pub steps: u64,
    /// Nanoseconds since boot when it began.
    pub began: u64,
}

/// Slots of init's that are a user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserSlots {
    /// The bank, with all rights.
    pub bank: Cap<Bank>,
    /// Process and root table of the stack.
    pub held: Held,
    /// Process and root table of the copier, if the user has one.
    pub copier: Held,
    /// Its bank, under the user's.
    pub copier_bank: Cap<Bank>,
    /// The [port bank](crate::port_bank) that the stack offers, under the user's.
    pub port_bank: Cap<Bank>,
    /// The port bank that the copier offers, under the copier's.
    pub copier_port_bank: Cap<Bank>,
    /// The port that the copier serves.
    pub served: Port,
    /// The port.
    pub port: Port,
    /// Its aperture, bought from the driver's bank.
    pub aperture: Cap<Aperture>,
    /// The aperture's window.
    pub window: Cap<Table>,
    /// The bank of the port's session, which the driver made under the bank that it was offered.
    pub session: Cap<Bank>,
}

/// How many those are.
const SLOTS: usize = 13;

impl UserSlots {
    fn all(&self) -> [CapAddr; SLOTS] {
        [
            self.bank.address(),
            self.held.process,
            self.held.root,
            self.copier.process,
            self.copier.root,
            self.copier_bank.address(),
            self.port_bank.address(),
            self.copier_port_bank.address(),
            self.served.address(),
            self.port.address(),
            self.aperture.address(),
            self.window.address(),
            self.session.address(),
        ]
    }

    /// Takes them.
    ///
    /// # Errors
    /// No slot is left; nothing is taken.
    pub fn take<H: Host>(host: &H) -> Result<UserSlots, Failure> {
        let mut taken = [abi::cap::NONE; SLOTS];
        for n in 0..SLOTS {
            match host.take_slot() {
                Ok(slot) => taken[n] = slot,
                Err(error) => {
                    taken[..n].iter().for_each(|slot| host.give_slot(*slot));
                    return Err(error).trying("taking capability slots");
                }
            }
        }
        let [
            bank,
            process,
            root,
            copier_process,
            copier_root,
            copier_bank,
            port_bank,
            copier_port_bank,
            served,
            port,
            aperture,
            window,
            session,
        ] = taken;
        Ok(UserSlots {
            bank: Cap::at(bank),
            held: Held { process, root },
            copier: Held {
                process: copier_process,
                root: copier_root,
            },
            copier_bank: Cap::at(copier_bank),
            port_bank: Cap::at(port_bank),
            copier_port_bank: Cap::at(copier_port_bank),
            served: Port::at(served),
            port: Port::at(port),
            aperture: Cap::at(aperture),
            window: Cap::at(window),
            session: Cap::at(session),
        })
    }

    /// Gives them back.
    pub fn give<H: Host>(&self, host: &H) {
        self.all().iter().for_each(|slot| host.give_slot(*slot));
    }
}

/// A user, as init knows it.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its settings.
    pub user: User,
    /// What it gets.
    pub plan: Plan,
    /// How far it has come.
    pub phase: Phase,
    /// Its capabilities.
    pub slots: UserSlots,
    /// Whether it has a bank.
    pub has_bank: bool,
    /// Its port, if it has one.
    pub port: Option<PortHeld>,
    /// How far its stack has come with its port.
    pub attached: Attached,
    /// When it is started again after its stack died.
    pub back_off: BackOff,
    /// Whether it was spawned at the console.
    pub spawned: bool,
    /// What was there when its bank began to be destroyed.
    pub revocation: Revocation,
}

impl Member {
    /// A user who waits to be brought up.
    pub fn new(user: User, plan: Plan, slots: UserSlots, spawned: bool) -> Member {
        Member {
            user,
            plan,
            phase: Phase::Starting,
            slots,
            has_bank: false,
            port: None,
            attached: Attached::NotYet,
            back_off: BackOff::default(),
            spawned,
            revocation: Revocation::default(),
        }
    }

    /// The user's name.
    pub fn name(&self) -> &str {
        self.user.name.as_str()
    }

    /// Who pays for the sessions that the driver makes, and the port bank that the driver is offered.
    pub fn driver_bank(&self) -> (Cap<Bank>, Cap<Bank>) {
        match self.user.copier {
            true => (self.slots.copier_bank, self.slots.copier_port_bank),
            false => (self.slots.bank, self.slots.port_bank),
        }
    }

    /// Its processes, while it has a bank: name and file of each.
    pub fn processes(&self) -> Vec<(String, &'static str, Cap<Process>)> {
        let name = self.name();
        let stack = Cap::at(self.slots.held.process);
        let mut processes = Vec::from([(name.into(), crate::stack::FILE, stack)]);
        if self.user.copier {
            let copier = Cap::at(self.slots.copier.process);
            processes.push((crate::copier::name(name), crate::copier::FILE, copier));
        }
        processes
    }
}

/// All users. Each keeps its number, which its notification bit follows from, until it is forgotten.
#[derive(Debug, Default)]
pub struct Members {
    all: alloc::vec::Vec<Option<Member>>,
    /// Whose the driver's ports are: a port's number, and its user's.
    at_ports: BTreeMap<u64, usize>,
}

/// Most users at once: the bits that are left.
pub const MOST: usize = abi::NOTIFY_BITS - bit::USERS as usize;

impl Members {
    /// Adds a user; answers its number. `None`: there are as many as there can be.
    pub fn add(&mut self, member: Member) -> Option<usize> {
        let free = self.all.iter().position(Option::is_none);
        let number = free.unwrap_or(self.all.len());
        if number >= MOST {
            return None;
        }
        if number == self.all.len() {
            self.all.push(None);
        }
        self.all[number] = Some(member);
        Some(number)
    }

    /// Forgets a user.
    pub fn remove(&mut self, number: usize) -> Option<Member> {
        self.all.get_mut(number)?.take()
    }

    /// The user of a number.
    pub fn get(&self, number: usize) -> Option<&Member> {
        self.all.get(number)?.as_ref()
    }

    /// The user of a number.
    pub fn get_mut(&mut self, number: usize) -> Option<&mut Member> {
        self.all.get_mut(number)?.as_mut()
    }

    /// The number of a name.
    pub fn find(&self, name: &str) -> Option<usize> {
        let named = |member: &Option<Member>| member.as_ref().is_some_and(|m| m.name() == name);
        self.all.iter().position(named)
    }

    /// Gives a user a port. The driver uses numbers again: answers who else had one of this number.
    pub fn give_port(&mut self, number: usize, port: PortHeld) -> Option<usize> {
        self.get_mut(number)?.port = Some(port);
        let before = self.at_ports.insert(port.number, number)?;
        (before != number).then_some(before)
    }

    /// A user has its port no longer.
    pub fn take_port(&mut self, number: usize) -> Option<PortHeld> {
        let port = self.get_mut(number)?.port.take()?;
        // By now it may be somebody else's.
        if self.at_port(port.number) == Some(number) {
            self.at_ports.remove(&port.number);
        }
        Some(port)
    }

    /// Whose a port is.
    pub fn at_port(&self, port: u64) -> Option<usize> {
        self.at_ports.get(&port).copied()
    }

    /// All users, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Member)> + Clone {
        let all = self.all.iter().enumerate();
        all.filter_map(|(number, member)| Some((number, member.as_ref()?)))
    }
}

/// The notification bit that is set when a user's stack stops.
pub const fn bit_of(number: usize) -> u64 {
    bit::USERS + number as u64
}
