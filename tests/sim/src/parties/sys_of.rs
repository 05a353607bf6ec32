//! `sys::Sys` for a party: what it can do, as programs see it.

use abi::cap::CapAddr;
use abi::error::{EAGAIN, MORE, OK, Status, status};
use abi::invoke::Op;
use sys::{Event, Message, Reply, Sys};

use super::{Parties, Party, call, event, registers, reply};

/// What a party can do, as programs see it. Panics when the party would wait.
#[derive(Clone, Copy)]
pub struct PartySys<'p> {
    pub(super) parties: &'p Parties,
    pub(super) party: Party,
}

impl Sys for PartySys<'_> {
    fn call(&self, capability: CapAddr, message: &Message) -> Reply {
        let answer = reply(&self.parties.invoke(self.party, call(capability, message)));
        assert!(answer.status != MORE || answer.words[0] < 1 << 32);
        answer
    }

    fn send(&self, capability: CapAddr, message: &Message) -> Status {
        let registers = registers(Op::Send, OK, capability, message);
        reply(&self.parties.invoke(self.party, registers)).status
    }

    fn wait(&self, receive: [CapAddr; 4]) -> Event {
        let message = Message::default().receiving(&receive);
        let registers = registers(Op::Wait, OK, 0, &message);
        event(&self.parties.invoke(self.party, registers))
    }

    fn reply_and_wait(&self, status: Status, message: &Message) -> Event {
        let registers = registers(Op::ReplyWait, status, 0, message);
        event(&self.parties.invoke(self.party, registers))
    }

    fn resume(&self, resume: CapAddr, status: Status, message: &Message) -> Status {
        let registers = registers(Op::Send, status, resume, message);
        reply(&self.parties.invoke(self.party, registers)).status
    }

    fn poll(&self, receive: [CapAddr; 4]) -> Option<Event> {
        let message = Message::default().receiving(&receive);
        let answer = self
            .parties
            .invoke(self.party, registers(Op::Poll, OK, 0, &message));
        (answer.rax as Status != status(EAGAIN)).then(|| event(&answer))
    }

    fn save_caller(&self, slot: CapAddr) -> Status {
        let registers = registers(Op::SaveCaller, OK, slot, &Message::default());
        reply(&self.parties.invoke(self.party, registers)).status
    }
}
