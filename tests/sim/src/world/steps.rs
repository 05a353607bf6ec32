//! What happens between two steps of programs, and while nobody runs; and what is looked at then.

use kernel::audit::{Cursor, Piece};
use kernel::object::{Oid, State};
use kernel::process::Registers;

use super::{Ending, World};
use crate::checks::Check;
use crate::failure::Failure;
use crate::machine::FREQUENCY;
use crate::trace::Event;

/// The kernel is audited by a piece once in so many steps.
const PIECES: u64 = 16;

impl World {
    /// Between two steps: time goes by, devices act, interrupts come, turns are lost; and everything
    /// is looked at. Afterwards somebody else may run.
    pub(crate) fn between_steps(&self, who: Oid) {
        let steps = self.steps.get() + 1;
        self.steps.set(steps);
        if steps >= self.settings.steps {
            return self.end(Ending::Steps);
        }
        self.look(steps);
        let machine = self.processor.machine();
        machine.advance(self.dice.below(400));
        if self.dice.one_in(self.settings.leap) {
            machine.advance(self.dice.below(FREQUENCY / 200));
        }
        if self.dice.one_in(self.settings.device) {
            self.let_a_device_act();
        }
        self.let_interrupts_in();
        let runs = self
            .processor
            .current()
            .is_some_and(|process| process.oid.get() == who);
        if runs && self.dice.one_in(self.settings.preempt) {
            self.preempt(who);
        }
    }

    /// Looks at one object after the other, and at all of them every so often.
    fn look(&self, steps: u64) {
        if steps.is_multiple_of(u64::from(self.settings.look_every.max(1))) {
            self.look_at_next();
        }
        if steps.is_multiple_of(PIECES) {
            self.look_at_a_piece();
        }
        let machine = self.processor.machine();
        if let Some(stale) = machine.mmu.stale() {
            self.fail(Failure::Stale(stale));
        }
        if let Some(frame) = machine.zeroed_early() {
            self.fail(Failure::ZeroedEarly(frame));
        }
        if steps.is_multiple_of(u64::from(self.settings.audit_every.max(1))) {
            self.look_at_all();
        }
    }

    /// Audits a piece of the kernel: what changes between two of them is no disagreement.
    fn look_at_a_piece(&self) {
        match self.processor.kernel().audit_piece(self.audit.get()) {
            Ok(Piece::More(next)) => self.audit.set(next),
            Ok(Piece::Done { compared }) => {
                self.count("audits in pieces");
                if compared {
                    self.count("audits in pieces, calls and all");
                }
                self.audit.set(Cursor::start(true));
            }
            Err(violation) => self.fail(Failure::Kernel(violation)),
        }
    }

    fn look_at_next(&self) {
        let kernel = self.processor.kernel();
        let next = (self.audited.get() + 1) % self.settings.objects as u32;
        self.audited.set(next);
        self.demand(kernel.audit_object(Oid(next)), Failure::Kernel);
        self.checks.count(Check::Object);
        if self.processor.memory().objects[next as usize].state.get() == State::Free {
            self.checks.count(Check::Residue);
            self.demand(kernel.audit_zeroed(Oid(next)), Failure::Kernel);
        }
    }

    /// Audits the whole kernel, and checks what the scenario demands.
    pub fn look_at_all(&self) {
        self.count("audits");
        if self.processor.kernel().census()[2] != 0 {
            self.count("audits with something in limbo");
        }
        self.checks.count(Check::Kernel);
        self.demand(self.processor.kernel().audit(), Failure::Kernel);
        self.checks.count(Check::Translations);
        let stale = self
            .processor
            .machine()
            .mmu
            .find_stale(self.processor.memory());
        if let Some(stale) = stale {
            self.fail(Failure::Stale(stale));
        }
        for check in self.demands.borrow().iter() {
            self.checks.count(Check::Authority);
            self.demand(check(self), |failure| failure);
        }
    }

    fn let_a_device_act(&self) -> bool {
        let devices = self.devices.borrow();
        !devices.is_empty() && self.dice.pick(&devices).act(self)
    }

    fn let_interrupts_in(&self) {
        loop {
            let Some(vector) = self.raised.borrow_mut().pop() else {
                break;
            };
            self.note(self.running(), Event::Interrupt(vector));
            self.count("interrupts");
            self.processor.interrupt(Some(vector));
        }
        if self.processor.machine().take_alarm() {
            self.note(self.running(), Event::Tick);
            self.processor.tick();
        }
    }

    fn running(&self) -> Oid {
        self.processor
            .current()
            .map_or(Oid::NONE, |process| process.oid.get())
    }

    /// Whoever runs loses its turn: mostly to an equal, by giving it up; sometimes because its slice
    /// is over.
    fn preempt(&self, who: Oid) {
        self.note(who, Event::Preempted);
        self.count("turns lost");
        if self.dice.one_in(8) {
            self.processor.machine().advance(FREQUENCY / 100);
            self.processor.machine().take_alarm();
            self.processor.tick();
        } else {
            self.processor.system_call(Registers {
                rax: abi::invoke::Op::Yield as u64,
                ..self.processor.registers()
            });
        }
    }

    /// Nobody runs. Lets devices act and time go by until somebody does; answers whether anything
    /// happened. That is a step too.
    pub(super) fn wait(&self) -> bool {
        let steps = self.steps.get() + 1;
        self.steps.set(steps);
        if steps >= self.settings.steps {
            self.end(Ending::Steps);
            return true;
        }
        self.count("steps while nobody ran");
        self.look(steps);
        let devices = self.devices.borrow().clone();
        let acted = devices.iter().filter(|device| device.act(self)).count();
        self.let_interrupts_in();
        let machine = self.processor.machine();
        let idle = self.processor.current().is_none() && machine.alarm() != u64::MAX;
        if idle && (acted == 0 || self.dice.one_in(3)) {
            machine.advance(machine.alarm().saturating_sub(machine.now()));
            self.let_interrupts_in();
            return true;
        }
        acted != 0
            || self.processor.current().is_some()
            || devices.iter().any(|device| device.has_work(self))
    }
}
