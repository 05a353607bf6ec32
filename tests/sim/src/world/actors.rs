//! The programs: each plays one process, from the moment at which the kernel first runs it until the
//! process is gone.

use std::cell::Cell;
use std::rc::Rc;

use kernel::object::Oid;
use kernel::process::Registers;

use super::{Actor, World};
use crate::context::Context;
use crate::failure::Failure;
use crate::fiber::{Fiber, Outcome, Pause};
use crate::image;
use crate::trace::Event;

impl World {
    /// Lets the process that the kernel chose go on.
    pub(super) fn run_actor(self: &Rc<World>, oid: Oid) {
        let index = self.actor(oid);
        let fiber = index.and_then(|index| {
            let mut actors = self.actors.borrow_mut();
            actors[index].fiber.take().map(|fiber| (index, fiber))
        });
        let Some((index, mut fiber)) = fiber else {
            // It has nothing to do: it gives up.
            let decline = Registers {
                rax: abi::invoke::Op::FaultDecline as u64,
                ..Registers::default()
            };
            return self.processor.system_call(decline);
        };
        match fiber.resume().clone() {
            Outcome::Paused => self.actors.borrow_mut()[index].fiber = Some(fiber),
            Outcome::Finished => self.note(oid, Event::Ended),
            Outcome::Panicked(message) => {
                let actor = self.name(oid.0);
                self.fail(Failure::Panic { actor, message });
            }
        }
        self.bury();
    }

    /// The actor that plays a process; one that begins is made.
    fn actor(self: &Rc<World>, oid: Oid) -> Option<usize> {
        let version = self.processor.version(oid);
        let same = |actor: &Actor| actor.oid == oid && actor.version == version;
        let known = self.actors.borrow().iter().position(same);
        let process = self.processor.process(oid)?;
        let mut preserved = process.preserved.get();
        let begins = image::program(preserved.rip);
        let Some(code) = begins.and_then(|n| self.codes.borrow().get(n).cloned()) else {
            return known;
        };
        preserved.rip = image::RUNNING;
        process.preserved.set(preserved);
        let argument = self.processor.registers().rdi;
        let gone = Rc::new(Cell::new(false));
        let (world, flag) = (self.clone(), gone.clone());
        let fiber = Fiber::new(move |pause: Pause| {
            let context = Context::new(world, oid, version, argument, pause, flag);
            code(&context);
        });
        let actor = Actor {
            oid,
            version,
            fiber: Some(fiber),
            gone,
        };
        self.note(oid, Event::Began);
        self.names
            .borrow_mut()
            .insert(oid.0, process.name().to_string());
        let Some(index) = known else {
            let mut actors = self.actors.borrow_mut();
            actors.push(actor);
            return Some(actors.len() - 1);
        };
        // Configured anew: what it did before is over.
        let before = std::mem::replace(&mut self.actors.borrow_mut()[index], actor);
        before.gone.set(true);
        drop(before);
        Some(index)
    }

    /// Ends the programs whose processes are gone, and forgets them.
    fn bury(&self) {
        loop {
            let dead = {
                let mut actors = self.actors.borrow_mut();
                let gone = |actor: &Actor| self.processor.version(actor.oid) != actor.version;
                let dead = actors.iter().position(gone);
                dead.map(|index| actors.remove(index))
            };
            let Some(actor) = dead else {
                return;
            };
            actor.gone.set(true);
            if actor.fiber.is_some() {
                self.count("programs ended by revocation");
            }
        }
    }

    pub(super) fn shut_down(&self) {
        let fibers: Vec<Fiber> = {
            let mut actors = self.actors.borrow_mut();
            actors.iter().for_each(|actor| actor.gone.set(true));
            actors
                .iter_mut()
                .filter_map(|actor| actor.fiber.take())
                .collect()
        };
        drop(fibers);
        self.codes.borrow_mut().clear();
        self.devices.borrow_mut().clear();
        self.demands.borrow_mut().clear();
        self.book_checks.borrow_mut().clear();
    }
}
