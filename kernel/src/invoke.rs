//! Invocation: what a system call does.

use core::cell::Cell;

use abi::cap::{Kind, Rights};
use abi::count::Event;
use abi::fault::Cause;
use abi::invoke::Op;
use abi::method::aperture;
use abi::method::process::state;

use crate::Kernel;
use crate::cap::Capability;
use crate::error::{INVALID, METHOD, MORE, OK, Result, VOID};
use crate::machine::Machine;
use crate::object::Named;
use crate::process::{Process, Registers};

/// An invocation of one of the kernel's own objects, read out of the registers once.
pub(crate) struct Invocation<'k> {
    /// Who invokes.
    pub invoker: &'k Process,
    /// What is invoked; alive.
    pub capability: Capability,
    /// Method, arguments, and the addresses of the capabilities sent. The kernel's own copy.
    pub registers: &'k Registers,
}

impl Invocation<'_> {
    /// Method and arguments.
    #[inline(always)]
    pub fn words(&self) -> [u64; 6] {
        self.registers.words()
    }

    /// The address of the *n*-th capability sent; 0 for none.
    #[inline(always)]
    pub const fn sent(&self, n: usize) -> u16 {
        (self.registers.r13 >> (16 * (n & 3))) as u16
    }

    /// The *n*-th capability sent, which must be alive (of storage, [`Kernel::object`] finds out). A
    /// `Resume` can't be an argument.
    #[inline(always)]
    pub fn argument<M: Machine>(&self, kernel: &Kernel<'_, M>, n: usize) -> Result<Capability> {
        let capability = kernel.capability(self.invoker, self.sent(n));
        if capability.is_void() {
            Err(VOID)
        } else {
            Ok(capability)
        }
    }

    /// The object that the *n*-th capability sent names, which must be of this kind, with all these
    /// rights.
    #[inline(always)]
    pub fn object<'k, M: Machine>(
        &self,
        kernel: &'k Kernel<'_, M>,
        n: usize,
        kind: Kind,
        rights: Rights,
    ) -> Result<Named<'k>> {
        match kernel.near_slot(self.invoker, self.sent(n).into()) {
            Some(slot) => kernel.object_in(slot, kind, rights),
            None => kernel.object_with(&self.argument(kernel, n)?, kind, rights),
        }
    }
}

/// What a kernel object answers. Most answer a word or nothing, and carry no more than that about.
pub(crate) enum Answer {
    /// Success.
    Word(u64),
    /// A bounded piece was done; the word tells how much.
    More(u64),
    /// Success, at length.
    Words([u64; 6]),
    /// A bounded piece was done; the words tell where to go on.
    MoreWords([u64; 6]),
    /// Success, and a capability.
    Capability(Capability),
}

impl Answer {
    /// Success, and nothing else to tell.
    pub const NOTHING: Answer = Answer::Word(0);

    /// One word.
    pub const fn word(word: u64) -> Answer {
        Answer::Word(word)
    }

    /// Six words.
    pub const fn words(words: [u64; 6]) -> Answer {
        Answer::Words(words)
    }

    /// A capability.
    pub const fn capability(capability: Capability) -> Answer {
        Answer::Capability(capability)
    }

    /// A bounded piece was done; `word` tells how much.
    pub const fn more(word: u64) -> Answer {
        Answer::More(word)
    }
}

const _: () = assert!(Op::Call as u8 == 0 && Op::ReplyWait as u8 == 1);

impl<M: Machine> Kernel<'_, M> {
    /// A system call of the current process, whose message registers are `registers`. On return
    /// these are the registers of the process to run, which is the answer; `None` for nobody.
    #[inline(always)]
    pub fn system_call(&self, registers: &mut Registers) -> Option<&Process> {
        let current = self.current()?;
        let op = registers.rax as u8;
        #[cfg(feature = "count-events")]
        if op == abi::count::NOTE {
            self.note(registers);
            return Some(current);
        }
        self.count(Event::Traps, 1);
        if op > Op::ReplyWait as u8 {
            if op == Op::Null as u8 {
                registers.rax = u64::from(OK);
                return Some(current);
            }
        } else if op == Op::ReplyWait as u8 {
            if let Some(client) = self.fast_reply(current, registers) {
                return Some(client);
            }
        } else if let Some(slot) = self.near_slot(current, registers.rdi) {
            if slot.get().is(Kind::Start) {
                if let Some(server) = self.fast_call(current, slot, registers) {
                    return Some(server);
                }
            } else if slot.get().is_storage() {
                return self.call_storage(current, slot, registers);
            }
        }
        self.slow_call(current, registers)
    }

    /// A call of an object of storage whose capability lies in the root table.
    #[inline(always)]
    fn call_storage<'s>(
        &'s self,
        current: &'s Process,
        slot: &Cell<Capability>,
        registers: &mut Registers,
    ) -> Option<&'s Process> {
        if slot.get().is(Kind::Aperture) && registers.rsi == aperture::EXCHANGE {
            return self.call_exchange(current, slot, registers);
        }
        self.call_object(current, slot, registers)
    }

    /// A call for an exchange of two frames. It wakes nobody, so that the caller goes on.
    #[inline(never)]
    fn call_exchange<'s>(
        &'s self,
        current: &'s Process,
        slot: &Cell<Capability>,
        registers: &mut Registers,
    ) -> Option<&'s Process> {
        match self.exchange_directly(current, slot, registers) {
            Some(()) => {
                registers.answer(OK, 0);
                Some(current)
            }
            None => self.call_object(current, slot, registers),
        }
    }

    /// A call of an object of storage, or of the authority over all of it, whose capability lies in
    /// the root table.
    #[inline(never)]
    fn call_object<'s>(
        &'s self,
        current: &'s Process,
        slot: &Cell<Capability>,
        registers: &mut Registers,
    ) -> Option<&'s Process> {
        current.full.set(0);
        let call = Invocation {
            invoker: current,
            capability: slot.get(),
            registers,
        };
        let answer = self.dispatch_storage(&call);
        self.finish(current, &answer, registers);
        self.flush_pending();
        if current.state.get() == state::READY
            && self.is_current(current)
            && self.may_run(current.priority.get())
        {
            return Some(current);
        }
        self.reschedule(registers)
    }

    #[inline(never)]
    fn slow_call<'s>(
        &'s self,
        current: &'s Process,
        registers: &mut Registers,
    ) -> Option<&'s Process> {
        if registers.rax as u8 == Op::Send as u8
            && let Some(next) = self.fast_signal(current, registers)
        {
            return Some(next);
        }
        if registers.rax as u8 == Op::Call as u8
            && let Some(slot) = self.near_slot(current, registers.rdi)
            && slot.get().is(Kind::Range)
        {
            return self.call_object(current, slot, registers);
        }
        current.full.set(0);
        let Some(op) = Op::from_u8(registers.rax as u8) else {
            registers.rax = u64::from(INVALID);
            return Some(current);
        };
        match op {
            Op::Call | Op::Send => self.invoke(current, op, registers),
            Op::ReplyWait => self.reply_and_wait(current, registers),
            Op::Wait => {
                self.drop_caller(current);
                self.wait(current, registers);
            }
            Op::Poll => self.poll(current, registers),
            Op::SaveCaller => registers.rax = u64::from(self.save_caller(current, registers.rdi)),
            Op::FaultReturn => self.fault_return(current, registers),
            Op::FaultDecline => self.fault_decline(current, registers),
            Op::Yield => {
                registers.rax = u64::from(OK);
                self.flush_pending();
                return self.take_turns(registers);
            }
            Op::Null => registers.rax = u64::from(OK),
        }
        self.flush_pending();
        self.reschedule(registers)
    }

    /// `Call` and `Send`.
    fn invoke(&self, current: &Process, op: Op, registers: &mut Registers) {
        let capability = match u16::try_from(registers.rdi) {
            Ok(address) => self.capability(current, address),
            Err(_) => Capability::VOID,
        };
        match (capability.kind(), op) {
            (None | Some(Kind::Void), _) => *registers = Registers::status(VOID),
            (Some(Kind::Start), Op::Call) => self.call_process(current, &capability, registers),
            (Some(Kind::Start), _) => {
                registers.rax = u64::from(self.send_process(current, &capability, registers));
            }
            (Some(Kind::Resume), _) => {
                let address = registers.rdi;
                registers.rax = u64::from(self.send_resume(current, address, registers));
            }
            _ => self.invoke_object(current, capability, registers),
        }
    }

    /// Has one of the kernel's own objects answer.
    #[inline(always)]
    fn invoke_object(&self, current: &Process, capability: Capability, registers: &mut Registers) {
        let call = Invocation {
            invoker: current,
            capability,
            registers,
        };
        let answer = self.dispatch(&call);
        self.finish(current, &answer, registers);
    }

    /// Puts a kernel object's answer into the invoker's registers and slots.
    #[inline(always)]
    fn finish(&self, current: &Process, answer: &Result<Answer>, registers: &mut Registers) {
        if !self.is_current(current) {
            // It ended itself: there is nobody to answer.
            return;
        }
        let receive = registers.r14 as u16;
        match answer {
            Ok(Answer::Word(word)) => registers.answer(OK, *word),
            Ok(Answer::More(word)) => registers.answer(MORE, *word),
            Err(status) => registers.answer(*status, 0),
            Ok(Answer::Words(words)) => {
                registers.answer(OK, 0);
                registers.set_words(*words);
            }
            Ok(Answer::MoreWords(words)) => {
                registers.answer(MORE, 0);
                registers.set_words(*words);
            }
            Ok(Answer::Capability(capability)) => {
                registers.answer(OK, 0);
                registers.r13 = self.hand_out(current, receive, *capability);
            }
        }
    }

    /// Puts an answer's capability where it is received. Answers the mask of what arrived.
    #[inline(never)]
    fn hand_out(&self, current: &Process, receive: u16, capability: Capability) -> u64 {
        match self.slot(current, receive) {
            Some(slot) => {
                self.store(slot, capability);
                1
            }
            // A `Resume` that nobody takes would leave its caller waiting for ever.
            None if capability.is(Kind::Resume) => {
                self.abandon(capability.oid(), capability.version);
                0
            }
            None => 0,
        }
    }

    /// Has an object of storage, or the authority over all of it, answer: what is invoked for every page is kept apart from the rest.
    #[inline(always)]
    fn dispatch_storage(&self, call: &Invocation) -> Result<Answer> {
        match call.capability.kind() {
            Some(Kind::Page) => self.invoke_page(call),
            Some(Kind::CapTable) => self.invoke_cap_table(call),
            Some(Kind::Process) => self.invoke_process(call),
            Some(Kind::Aperture) => self.invoke_aperture(call),
            Some(Kind::Range) => self.invoke_range(call),
            _ => self.invoke_table(call),
        }
    }

    #[inline(never)]
    fn dispatch(&self, call: &Invocation) -> Result<Answer> {
        match call.capability.kind().unwrap_or(Kind::Void) {
            kind if kind.is_storage() || kind == Kind::Range => self.dispatch_storage(call),
            Kind::Notify => {
                if let Some(process) = self.live_process(call.capability.oid()) {
                    self.signal(process, call.capability.badge);
                }
                Ok(Answer::NOTHING)
            }
            Kind::Irq => self.invoke_irq(call),
            Kind::IoPort => self.invoke_io_port(call),
            Kind::DeviceMemory => self.invoke_device_memory(call),
            Kind::DeviceDma => self.invoke_device_dma(call),
            Kind::Clock => self.invoke_clock(call),
            Kind::Random => Ok(Answer::words([(); 6].map(|()| self.machine.random()))),
            Kind::Log => self.invoke_log(call),
            Kind::Reset => self.invoke_reset(call),
            Kind::Probe => self.invoke_probe(call),
            _ => Err(METHOD),
        }
    }

    /// `FaultReturn`.
    fn fault_return(&self, current: &Process, registers: &mut Registers) {
        if current.in_fault.get() == 0 || registers.rdi >= abi::USER_END {
            return registers.rax = u64::from(INVALID);
        }
        let mut preserved = current.fault_preserved.get();
        if registers.rdi != 0 {
            preserved.rip = registers.rdi;
        }
        current.preserved.set(preserved);
        current.message.set(current.fault_message.get());
        current.full.set(1);
        current.in_fault.set(0);
    }

    /// `FaultDecline`.
    fn fault_decline(&self, current: &Process, registers: &Registers) {
        let cause = match current.in_fault.get() {
            0 => Cause::Declined,
            _ => Cause::from_u8(current.cause.get()),
        };
        if cause == Cause::Declined {
            current.message.set(*registers);
            current.fault_instruction.set(current.preserved.get().rip);
            current.fault_address.set(0);
            // What it invoked before is overwritten by the giving up itself.
            current.fault_invocation.set(0);
        }
        self.suspend(current, cause);
    }
}
