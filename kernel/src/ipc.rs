//! Messages between processes, in general. The usual case is in `fast`.
//!
//! Only a call waits: for its server to take it, then for the answer. A send or reply to a receiver
//! that isn't ready is lost. A caller that is held is answered exactly once: by a reply, or with
//! `EPIPE` when the reply has become impossible.

use abi::cap::Kind;
use abi::invoke::{Received, unpack};
use abi::method::process::state;

use crate::Kernel;
use crate::cap::Capability;
use crate::error::{ABANDONED, AGAIN, INVALID, OK, Status, VOID};
use crate::frame::Frame;
use crate::machine::Machine;
use crate::object::Oid;
use crate::process::{Links, Process, Registers};

impl<M: Machine> Kernel<'_, M> {
    /// A call through a `Start`.
    pub(crate) fn call_process(
        &self,
        client: &Process,
        start: &Capability,
        registers: &mut Registers,
    ) {
        let Some(server) = self.live_process(start.oid()) else {
            return *registers = Registers::status(VOID);
        };
        client.receive.set(registers.r14);
        client.message.set(*registers);
        if server.state.get() == state::WAITING {
            self.hand_over(client, server, start.badge);
            return;
        }
        if server.frame.get() == client.frame.get() {
            // It would wait for itself for ever.
            return *registers = Registers::status(ABANDONED);
        }
        client.state.set(state::QUEUED);
        client.waits_for.set(server.frame.get());
        // The badge travels where the capability's address was: the slot may change meanwhile.
        client.message.set(Registers {
            rdi: start.badge,
            ..*registers
        });
        let last = server.last_caller.replace(client.frame.get());
        client.links.set(Links {
            before: last,
            after: Frame::NONE,
        });
        match last {
            Frame::NONE => server.first_caller.set(client.frame.get()),
            last => self.set_after(last, client.frame.get()),
        }
    }

    /// Delivers a call, whose registers are saved in the client, to a server that waits.
    fn hand_over(&self, client: &Process, server: &Process, badge: u64) {
        let message = client.message.get();
        let token = self.next_token();
        client.state.set(state::CALLING);
        client.token.set(token);
        server.caller.set(client.oid.get());
        server.caller_token.set(token);
        self.deliver(client, &message, server, Received::Call, badge);
    }

    /// Gives a waiting process a message.
    fn deliver(
        &self,
        from: &Process,
        message: &Registers,
        to: &Process,
        how: Received,
        badge: u64,
    ) {
        let mut arriving = *message;
        arriving.rax = (how as u64) << 32;
        arriving.rdi = badge;
        (arriving.r13, arriving.r14) = self.transfer(from, message.r13, to);
        to.message.set(arriving);
        to.full.set(0);
        to.turn.set(0);
        to.state.set(state::READY);
        self.enqueue(to);
    }

    /// Copies (or moves) the capabilities that a message names into the receiver's slots. Answers
    /// the mask of those that arrived, and the badge of the first that names the receiver itself.
    fn transfer(&self, from: &Process, sent: u64, to: &Process) -> (u64, u64) {
        let (mut mask, mut own) = (0, None);
        if sent == 0 {
            return (0, 0);
        }
        let (sent, receive) = (unpack(sent), unpack(to.receive.get()));
        for (n, (from_address, to_address)) in sent.into_iter().zip(receive).enumerate() {
            let Some(source) = self.slot(from, from_address) else {
                continue;
            };
            let capability = source.get();
            if !self.is_alive(&capability) {
                continue;
            }
            if capability.is(Kind::Start) && capability.oid() == to.oid.get() {
                own = own.or(Some(capability.badge));
                mask |= 0x11 << n;
                continue;
            }
            let Some(target) = self.slot(to, to_address) else {
                continue;
            };
            let capability = self.take_copy(source);
            self.store(target, capability);
            mask |= 1 << n;
        }
        (mask, own.unwrap_or(0))
    }

    /// A message without an answer.
    pub(crate) fn send_process(
        &self,
        from: &Process,
        start: &Capability,
        registers: &Registers,
    ) -> Status {
        match self.live_process(start.oid()) {
            None => VOID,
            Some(server) => {
                if server.state.get() == state::WAITING {
                    self.deliver(from, registers, server, Received::Sent, start.badge);
                }
                OK
            }
        }
    }

    /// Answers the caller that a token stands for. False when nobody waits for it any more.
    pub(crate) fn reply(
        &self,
        server: &Process,
        caller: Oid,
        token: u64,
        registers: &Registers,
    ) -> bool {
        let Some(client) = self.resumable(caller, token) else {
            return false;
        };
        client.token.set(0);
        let mut answer = *registers;
        answer.rax = registers.rax >> 32;
        answer.rdi = 0;
        (answer.r13, answer.r14) = self.transfer(server, registers.r13, client);
        client.message.set(answer);
        client.full.set(0);
        client.state.set(state::READY);
        self.enqueue(client);
        true
    }

    /// Ends the call with this token with `EPIPE`, if it still waits.
    pub(crate) fn abandon(&self, caller: Oid, token: u64) {
        if let Some(client) = self.resumable(caller, token) {
            client.token.set(0);
            client.state.set(state::READY);
            self.answer(client, ABANDONED);
            self.enqueue(client);
        }
    }

    /// Sets the status that a process finds when it runs again.
    pub(crate) fn answer(&self, process: &Process, status: Status) {
        process.message.set(Registers::status(status));
        process.full.set(0);
    }

    /// Drops the caller that a server holds.
    pub(crate) fn drop_caller(&self, server: &Process) {
        let caller = server.caller.replace(Oid::NONE);
        if caller != Oid::NONE {
            self.abandon(caller, server.caller_token.get());
        }
    }

    /// `Wait` and the second half of `ReplyWait`.
    pub(crate) fn wait(&self, server: &Process, registers: &mut Registers) {
        server.receive.set(registers.r14);
        if !self.take(server, registers) {
            server.state.set(state::WAITING);
        }
    }

    /// `Poll`.
    pub(crate) fn poll(&self, server: &Process, registers: &mut Registers) {
        let waiting = server.groups.get() != 0 || server.first_caller.get() != Frame::NONE;
        if !waiting {
            return registers.rax = u64::from(AGAIN);
        }
        self.drop_caller(server);
        self.wait(server, registers);
    }

    /// Takes a notification or a queued call, in turns. False when there is neither.
    fn take(&self, server: &Process, registers: &mut Registers) -> bool {
        let first = server.first_caller.get();
        if (first == Frame::NONE || server.turn.get() == 0)
            && let Some(told) = self.take_notification(server)
        {
            *registers = told;
            return true;
        }
        if first == Frame::NONE {
            return false;
        }
        let client = self.process(first);
        self.leave_queue(client);
        let badge = client.message.get().rdi;
        self.hand_over(client, server, badge);
        // The server is the one that runs, or is made to run from its saved registers.
        *registers = server.message.get();
        true
    }

    /// Takes a process out of the queue of the server that it waits for.
    pub(crate) fn leave_queue(&self, client: &Process) {
        let server = self.process(client.waits_for.replace(Frame::NONE));
        let Links { before, after } = client.links.get();
        match before {
            Frame::NONE => server.first_caller.set(after),
            before => self.set_after(before, after),
        }
        match after {
            Frame::NONE => server.last_caller.set(before),
            after => self.set_before(after, before),
        }
    }

    /// `ReplyWait`.
    pub(crate) fn reply_and_wait(&self, server: &Process, registers: &mut Registers) {
        let answer = *registers;
        match registers.rdi {
            0 => {
                let caller = server.caller.replace(Oid::NONE);
                self.reply(server, caller, server.caller_token.get(), &answer);
            }
            address => {
                if let Err(status) = self.reply_through(server, address, &answer) {
                    return registers.rax = u64::from(status);
                }
                self.drop_caller(server);
            }
        }
        self.wait(server, registers);
    }

    /// Replies through the `Resume` at an address, which is used up.
    fn reply_through(
        &self,
        server: &Process,
        address: u64,
        answer: &Registers,
    ) -> Result<(), Status> {
        let address = u16::try_from(address).map_err(|_| VOID)?;
        let slot = self.slot(server, address).ok_or(VOID)?;
        let resume = slot.get();
        if !resume.is(Kind::Resume) {
            return Err(if resume.is_void() {
                VOID
            } else {
                crate::error::KIND
            });
        }
        slot.set(Capability::VOID);
        if self.reply(server, resume.oid(), resume.version, answer) {
            Ok(())
        } else {
            Err(VOID)
        }
    }

    /// `Send` through a `Resume`: a reply that doesn't wait afterwards.
    pub(crate) fn send_resume(
        &self,
        server: &Process,
        address: u64,
        registers: &Registers,
    ) -> Status {
        match self.reply_through(server, address, registers) {
            Ok(()) => OK,
            Err(status) => status,
        }
    }

    /// `SaveCaller`.
    pub(crate) fn save_caller(&self, server: &Process, address: u64) -> Status {
        let Ok(address) = u16::try_from(address) else {
            return VOID;
        };
        let Some(slot) = self.slot(server, address) else {
            return VOID;
        };
        let caller = server.caller.get();
        if self.resumable(caller, server.caller_token.get()).is_none() {
            return INVALID;
        }
        server.caller.set(Oid::NONE);
        self.resumes.add();
        let rights = abi::cap::Rights::FULL;
        self.store(
            slot,
            Capability::new(Kind::Resume, rights, caller, server.caller_token.get()),
        );
        OK
    }
}
