//! The program copier: the real one, between the driver and a stack of which neither knows.

use std::rc::Rc;

use copier::{Copier, grant};
use dev::port::Port;
use sys::Cap;

use crate::actor::sleep;
use crate::program::Program;
use crate::world::Code;

/// The program.
pub fn code() -> Code {
    Rc::new(|context| {
        let program = Program::start(context);
        let (port, verifier) = (Port::at(grant::PORT), Cap::at(grant::VERIFIER));
        while !context.is_gone() {
            match Copier::begin(program.clone(), port, verifier) {
                Ok(mut copier) => copier.run(),
                // The driver, or its bank, is being taken down.
                Err(error) => context.note(|| format!("can't begin: {error}")),
            }
            sleep(&program, 1_000_000);
        }
    })
}
