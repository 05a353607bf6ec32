//! Messages as such: where their capabilities go, who waits for an answer, what answers are made of.
//!
//! What doesn't depend on the driver: another process that serves a port receives in the same way.

use abi::cap::CapAddr;
use abi::error::{EINVAL, OK, Status};
use dev::layout::{FEWEST_PAGES, STATISTICS};
use dev::refusal::Refusal;
use dev::statistics::Counters;
use dev::{Mac, Program};
use sys::{Error, Fault, Mem, Message, Request, Sys};

/// What a request comes to.
#[derive(Debug)]
pub enum Outcome {
    /// An answer.
    Answer(Message),
    /// An answer, and a slot to be emptied afterwards.
    AnswerAndEmpty(Message, CapAddr),
    /// The caller is answered later; the `Resume` was kept.
    Later,
}

/// What serving a request comes to.
pub type Served = Result<Outcome, Refused>;

/// A status with words.
#[derive(Debug)]
pub struct Refused(pub Status, pub Message);

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        Refused(error.0, Message::default())
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Refused {
        Refused(refusal.error().0, Message::new(&[refusal as u64]))
    }
}

/// An answer of words.
pub fn words(words: &[u64]) -> Served {
    Ok(Outcome::Answer(Message::new(words)))
}

/// The slots that messages come with and through.
#[derive(Debug)]
pub struct Reception {
    /// Where the next message's capabilities go.
    pub incoming: [CapAddr; 4],
    /// Where the caller being served is kept.
    pub caller: CapAddr,
}

impl Reception {
    /// Takes the slots.
    ///
    /// # Errors
    /// Those of [`Program::take_slot`].
    pub fn new<P: Program>(program: &P) -> Result<Reception, Error> {
        let mut incoming = [0; 4];
        for slot in &mut incoming {
            *slot = program.take_slot()?;
        }
        let caller = program.take_slot()?;
        Ok(Reception { incoming, caller })
    }

    /// Keeps who calls. `false`: nobody waits any more.
    pub fn hold_caller<P: Program>(&self, program: &P) -> bool {
        program.sys().save_caller(self.caller) == OK
    }

    /// Answers the caller being served, unless it is answered later.
    pub fn conclude<P: Program>(&self, program: &P, served: Served) {
        match served {
            Ok(Outcome::Answer(message)) => self.answer(program, self.caller, OK, &message),
            Ok(Outcome::AnswerAndEmpty(message, slot)) => {
                self.answer(program, self.caller, OK, &message);
                program.give_slot(slot);
            }
            Ok(Outcome::Later) => {}
            Err(Refused(status, message)) => self.answer(program, self.caller, status, &message),
        }
    }

    /// Keeps the caller, to be answered later.
    ///
    /// # Errors
    /// Those of [`Program::take_slot`].
    pub fn defer<P: Program>(&mut self, program: &P) -> Result<CapAddr, Error> {
        let next = program.take_slot()?;
        Ok(core::mem::replace(&mut self.caller, next))
    }

    /// Answers a caller.
    pub fn answer<P: Program>(
        &self,
        program: &P,
        resume: CapAddr,
        status: Status,
        message: &Message,
    ) {
        // A caller that is gone needs no answer. The slot is empty afterwards.
        program.sys().resume(resume, status, message);
        if resume != self.caller {
            program.give_slot(resume);
        }
    }

    /// Keeps the first capabilities that arrived; the next message's go elsewhere.
    ///
    /// # Errors
    /// Those of [`Program::take_slot`].
    pub fn keep<P: Program, const N: usize>(&mut self, program: &P) -> Result<[CapAddr; N], Error> {
        let mut slots = [0; N];
        for n in 0..N {
            match program.take_slot() {
                Ok(slot) => slots[n] = slot,
                Err(error) => {
                    slots[..n].iter().for_each(|slot| program.give_slot(*slot));
                    return Err(error);
                }
            }
        }
        for (fresh, incoming) in slots.iter_mut().zip(&mut self.incoming) {
            core::mem::swap(fresh, incoming);
        }
        Ok(slots)
    }

    /// Empties the slots of what arrived and was not kept.
    pub fn empty<P: Program>(&self, program: &P, request: &Request) {
        for (n, slot) in self.incoming.iter().enumerate() {
            if arrived(request, n) {
                let (table, index) = program.table_of(*slot);
                // An own table can't refuse.
                let _ = table.clear(program.sys(), index, 1);
            }
        }
    }
}

/// Whether the `n`-th capability arrived and lies in its slot.
pub const fn arrived(request: &Request, n: usize) -> bool {
    request.received >> n & 1 != 0 && request.received >> (4 + n) & 1 == 0
}

/// Whether all that attaching takes was offered: bank, segment, notification.
///
/// # Errors
/// What is missing.
pub fn check_offered(request: &Request) -> Result<(), Refusal> {
    let offered = [Refusal::NotABank, Refusal::NotASegment, Refusal::NotANotify];
    match (0..offered.len()).find(|n| !arrived(request, *n)) {
        Some(missing) => Err(offered[missing]),
        None => Ok(()),
    }
}

/// The number of pages that a word asks for.
///
/// # Errors
/// More than the port allows, or too few.
pub fn page_count(word: u64, most: u16) -> Result<u16, Refusal> {
    u16::try_from(word)
        .ok()
        .filter(|count| (FEWEST_PAGES..=most).contains(count))
        .ok_or(Refusal::PageCount)
}

/// The group that a word stands for.
///
/// # Errors
/// It isn't a group's address, or everybody's, or one of the link's control.
pub fn group(word: u64) -> Result<Mac, Error> {
    let group = Mac::from_word(word);
    let of_users = group.is_group() && group != Mac::BROADCAST && !group.is_link_control();
    let good = word >> 48 == 0 && of_users;
    good.then_some(group).ok_or(Error::new(EINVAL))
}

/// Writes counters where a client sees them.
///
/// # Errors
/// Its memory is gone.
pub fn write_counters(receive: &impl Mem, counters: &Counters) -> Result<(), Fault> {
    for (n, value) in counters.values().iter().enumerate() {
        receive.store_u64(STATISTICS + 8 * n, *value)?;
    }
    Ok(())
}
