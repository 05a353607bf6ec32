//! What isolated operations cost: each is done by itself by the program `isolated`, while this one
//! observes.
//!
//! Two lines are printed of each: what the command to do it no time takes, and what it takes with the
//! operation, so often as the line says. The difference is the operation's.

use core::fmt::{self, Write};

use abi::boot::slot;
use abi::count::Event;
use guest::children::SELF;
use guest::operations::{ALL, Operation, step};
use guest::say;
use guest::wired::{Failure, System};
use rt::child::Grant;
use rt::{Kernel, slots};
use sys::object::{Process, Start};
use sys::{Cap, Message, Sys};

use crate::count::{self, Spent};

/// The notification of this program that is signalled while it waits for an answer.
const UNAWAITED_BIT: u64 = 2;

/// The badge of the capability by which this program commands.
const BADGE: u64 = 1;

/// Measures and prints all of them.
///
/// # Errors
/// One of them is refused, or can't be counted.
pub fn measure_all(system: &System) -> Result<(), Failure> {
    let slot = || slots::take().map_err(Failure::Count);
    let (notify, start) = (slot()?, slot()?);
    SELF.make_notify(&Kernel, UNAWAITED_BIT, notify)
        .map_err(Failure::Count)?;
    let grants = [
        Grant::new(slot::GRANT, system.aperture()?.address()),
        Grant::new(slot::GRANT + 1, notify),
    ];
    let process = system.add_program("isolated", &grants)?;
    process
        .make_start(&Kernel, BADGE, start)
        .map_err(Failure::Count)?;
    let worker = Worker {
        system,
        process,
        start: Cap::at(start),
    };
    for (number, operation) in (0..).zip(ALL) {
        worker.tell(number, step::PREPARE, 0)?;
        for times in [0, operation.times] {
            let spent = worker.measure(number, times)?;
            say!(
                "work {}",
                Line {
                    operation,
                    times,
                    spent
                }
            );
        }
        worker.tell(number, step::FINISH, 0)?;
    }
    Ok(())
}

/// The program that does them.
struct Worker<'a> {
    system: &'a System,
    process: Cap<Process>,
    start: Cap<Start>,
}

impl Worker<'_> {
    /// Has it do a step. Answers what it answers.
    fn tell(&self, number: u64, step: u64, times: u64) -> Result<[u64; 3], Failure> {
        let message = Message::new(&[number, step, times]);
        let answer = Kernel.call(self.start.address(), &message).ok();
        let [copies, copied, zeroed, ..] =
            answer.map_err(|_| Failure::Wrong("an isolated operation is refused"))?;
        Ok([copies, copied, zeroed])
    }

    fn measure(&self, number: u64, times: u64) -> Result<Spent, Failure> {
        let begun = count::begin(self.system, self.process)?;
        let [copies, copied, zeroed] = self.tell(number, step::DO, times)?;
        let mut spent = begun.end(self.system, self.process)?;
        // It copies by loops of its own, of which the kernel isn't told.
        if let Some(events) = &mut spent.events {
            events[Event::Copies as usize] = copies;
            events[Event::BytesCopied as usize] = copied;
            events[Event::ProgramZeroed as usize] = zeroed;
        }
        Ok(spent)
    }
}

/// What is printed: name, bytes, how many by one invocation, how many; instructions; and the events, by
/// number, if they were counted.
struct Line<'a> {
    operation: &'a Operation,
    times: u64,
    spent: Spent,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (operation, spent) = (self.operation, &self.spent);
        let instructions = spent.all;
        write!(
            f,
            "{} {} {} {} {instructions}",
            operation.name, operation.bytes, operation.together, self.times
        )?;
        for count in spent.events.iter().flatten() {
            write!(f, " {count}")?;
        }
        f.write_char('.')
    }
}
