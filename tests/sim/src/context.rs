//! What a program has in the simulator: system calls, and its place in the world.

use std::cell::Cell;
use std::rc::Rc;

use abi::cap::CapAddr;
use abi::error::{EAGAIN, OK, Status, VOID, status};
use abi::fault::{Access, Cause};
use abi::invoke::Op;
use kernel::object::Oid;
use kernel::process::{Preserved, Process, Registers};
use sys::{Message, Reply, Sys};

use crate::checks::Check;
use crate::exchange::Foretold;
use crate::failure::Failure;
use crate::fiber::Pause;
use crate::image;
use crate::registers::{event, registers, reply};
use crate::trace::Event;
use crate::world::World;

/// A running program's hold on the world. Copies are the same program.
#[derive(Clone)]
pub struct Context(Rc<Inside>);

struct Inside {
    world: Rc<World>,
    oid: Oid,
    version: u64,
    argument: u64,
    pause: Pause,
    /// Its process is no more, or the world ends: nothing that it does has any effect.
    gone: Rc<Cell<bool>>,
}

impl Context {
    pub(crate) fn new(
        world: Rc<World>,
        oid: Oid,
        version: u64,
        argument: u64,
        pause: Pause,
        gone: Rc<Cell<bool>>,
    ) -> Context {
        Context(Rc::new(Inside {
            world,
            oid,
            version,
            argument,
            pause,
            gone,
        }))
    }

    /// The world.
    pub fn world(&self) -> &Rc<World> {
        &self.0.world
    }

    /// The process that runs the program.
    pub fn oid(&self) -> Oid {
        self.0.oid
    }

    /// The word that it was started with.
    pub fn argument(&self) -> u64 {
        self.0.argument
    }

    /// Whether its process is gone. It is being unwound then.
    pub fn is_gone(&self) -> bool {
        self.0.gone.get()
    }

    /// That process, if it lives.
    pub fn process(&self) -> Option<&Process> {
        self.0.world.processor.process(self.0.oid)
    }

    fn name(&self) -> String {
        self.process()
            .map_or_else(String::new, |process| process.name().to_string())
    }

    /// Says what it does, for the trace.
    pub fn note(&self, text: impl FnOnce() -> String) {
        if !self.is_gone() {
            self.0.world.note(self.0.oid, Event::Note(text()));
        }
    }

    /// Says that something must hold.
    pub fn claim(&self, holds: bool, claim: impl FnOnce() -> String) {
        self.world().checks.count(Check::Claim);
        if !holds && !self.is_gone() {
            self.0.world.fail(Failure::Claim {
                actor: self.name(),
                claim: claim(),
            });
            self.go_on();
        }
    }

    fn has_the_cpu(&self) -> bool {
        let world = &self.0.world;
        !world.is_ending()
            && world.processor.version(self.0.oid) == self.0.version
            && world
                .processor
                .current()
                .is_some_and(|process| process.oid.get() == self.0.oid)
    }

    /// Waits until the kernel lets it run. If it never does again, this doesn't return.
    fn go_on(&self) {
        while !self.has_the_cpu() {
            self.0.pause.pause();
        }
    }

    /// What can happen between two of its instructions, happens.
    pub fn step(&self) {
        if self.is_gone() {
            return;
        }
        let world = &self.0.world;
        let (preserved, live) = self.canary();
        world.processor.set_registers(live);
        world.between_steps(self.0.oid);
        if !self.has_the_cpu() {
            self.go_on();
        }
        world.checks.count(Check::Registers);
        let process = self.process();
        let kept = process.is_some_and(|process| process.preserved.get() == preserved);
        // Who gives up its turn finds a status in `rax`, and all else as it was.
        let now = world.processor.registers();
        let same = Registers { rax: 0, ..now } == Registers { rax: 0, ..live };
        if !(kept && same) {
            world.fail(Failure::Registers { actor: self.name() });
            self.go_on();
        }
    }

    /// Registers that a program could have between two instructions.
    fn canary(&self) -> (Preserved, Registers) {
        let word = self.0.world.steps() << 8;
        let preserved = Preserved {
            rip: image::RUNNING,
            rflags: kernel::process::USER_FLAGS,
            rsp: word | 1,
            rbx: word | 2,
            rbp: 0,
            r15: word | 3,
            rcx: word | 4,
            r11: word | 5,
        };
        if let Some(process) = self.process() {
            process.preserved.set(preserved);
        }
        let registers = Registers {
            rax: 0,
            rdi: word | 6,
            rsi: word | 7,
            rdx: word | 8,
            r10: word | 9,
            r8: word | 10,
            r9: word | 11,
            r12: word | 12,
            r13: word | 13,
            r14: word | 14,
        };
        (preserved, registers)
    }

    /// A system call, and what it comes back with.
    pub fn system_call(&self, with: Registers) -> Registers {
        if self.is_gone() {
            return Registers::status(VOID);
        }
        self.step();
        self.enter(with)
    }

    /// A system call without anything before it.
    fn enter(&self, with: Registers) -> Registers {
        let world = &self.0.world;
        world.note(self.0.oid, Event::Call(with.rax as u8, with.rdi, with.rsi));
        let foretold = self.process().and_then(|process| {
            let memory = world.processor.memory();
            Foretold::new(memory, process, &with)
        });
        let revocation = world.coverage.before(world, self.0.oid, &with);
        world.processor.system_call(with);
        if let Some(revocation) = revocation
            && self.has_the_cpu()
        {
            let answer = world.processor.registers();
            world.coverage.after(&revocation, &answer);
        }
        if let Some(foretold) = foretold {
            world.checks.count(Check::Exchange);
            let answer = self.has_the_cpu().then(|| world.processor.registers());
            let checked = foretold.check(world.processor.memory(), answer.as_ref());
            match checked {
                Ok(count) => world.count_by("pages exchanged", 2 * count),
                Err(failure) => world.fail(failure),
            }
        }
        if !self.has_the_cpu() {
            self.go_on();
        }
        let answer = world.processor.registers();
        world.note(self.0.oid, Event::Return(answer.rax as Status));
        answer
    }

    /// A page fault at an access that it has prepared for: the fault entry goes back to where the
    /// access gives up. Answers whether that could be; otherwise it was stopped, and has been started
    /// again.
    pub(crate) fn recover(&self, address: u64, access: Access) -> bool {
        if !self.fault(address, access) {
            return false;
        }
        self.0.world.coverage.faulted(self.0.oid);
        self.0.world.count("accesses to memory that was taken back");
        let back = Registers {
            rax: Op::FaultReturn as u64,
            rdi: image::RUNNING,
            ..Registers::default()
        };
        self.enter(back);
        true
    }

    /// A page fault that nobody has prepared for: it ends here, unless somebody starts it again.
    pub(crate) fn give_up(&self, address: u64, access: Access) {
        if self.fault(address, access) {
            let decline = Registers {
                rax: Op::FaultDecline as u64,
                ..Registers::default()
            };
            self.enter(decline);
        }
    }

    /// A page fault. Answers whether it is in its fault entry now.
    fn fault(&self, address: u64, access: Access) -> bool {
        let world = &self.0.world;
        world.note(self.0.oid, Event::Fault(address));
        world.processor.fault(Cause::Page, access, address);
        if !self.has_the_cpu() {
            self.go_on();
        }
        self.process()
            .is_some_and(|process| process.in_fault.get() != 0)
    }
}

impl Sys for Context {
    fn call(&self, capability: CapAddr, message: &Message) -> Reply {
        reply(&self.system_call(registers(Op::Call, OK, capability, message)))
    }

    fn send(&self, capability: CapAddr, message: &Message) -> Status {
        reply(&self.system_call(registers(Op::Send, OK, capability, message))).status
    }

    fn wait(&self, receive: [CapAddr; 4]) -> sys::Event {
        let message = Message::default().receiving(&receive);
        event(&self.system_call(registers(Op::Wait, OK, 0, &message)))
    }

    fn reply_and_wait(&self, status: Status, message: &Message) -> sys::Event {
        event(&self.system_call(registers(Op::ReplyWait, status, 0, message)))
    }

    fn resume(&self, resume: CapAddr, status: Status, message: &Message) -> Status {
        reply(&self.system_call(registers(Op::Send, status, resume, message))).status
    }

    fn poll(&self, receive: [CapAddr; 4]) -> Option<sys::Event> {
        let message = Message::default().receiving(&receive);
        let answer = self.system_call(registers(Op::Poll, OK, 0, &message));
        let nothing = self.is_gone() || answer.rax as Status == status(EAGAIN);
        (!nothing).then(|| event(&answer))
    }

    fn save_caller(&self, slot: CapAddr) -> Status {
        let message = Message::default();
        reply(&self.system_call(registers(Op::SaveCaller, OK, slot, &message))).status
    }
}
