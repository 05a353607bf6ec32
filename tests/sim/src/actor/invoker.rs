//! A hostile process: it does whatever the grammar of `invocations` says.

use std::rc::Rc;

use abi::PAGE_SIZE;
use abi::boot::layout;
use abi::cap::CapAddr;
use abi::error::Status;
use invocations::grammar::Manner;
use invocations::slots::What;
use invocations::{Action, Grammar, Invocation};
use kernel::process::Registers;
use sys::Mem;

use crate::context::Context;
use crate::image;
use crate::program::Program;
use crate::region::Region;
use crate::world::Code;

/// Once in so many invocations it does what may be its last.
const LAST: u32 = 4000;

/// The program. What it makes processes of has this number; it has been granted these.
pub fn code(worker: usize, granted: &'static [(CapAddr, What)]) -> Code {
    Rc::new(move |context| {
        let _program = Program::start(context);
        let batch = Region::shared(context, layout::MESSAGE, PAGE_SIZE);
        let manner = Manner {
            entry: image::entry(worker),
            last: LAST,
        };
        let seed = context.world().dice.word();
        let mut grammar = Grammar::new(seed, manner, granted);
        while !context.is_gone() {
            match grammar.act() {
                Action::Invoke(invocation) => {
                    context.world().count("invocations");
                    let answer = invoke(context, &invocation);
                    let status = answer.rax as Status;
                    if status == abi::error::OK {
                        context.world().count("invocations that succeeded");
                    }
                    grammar.learn(&invocation, status, &answer.words(), answer.r13 as u8);
                }
                // What isn't there is a fault, from which it recovers.
                Action::Store { offset, word } => {
                    let _ = batch.store_u64(offset, word);
                }
                Action::Touch { address, write } => touch(context, address, write),
            }
        }
    })
}

fn invoke(context: &Context, invocation: &Invocation) -> Registers {
    let mut registers = Registers {
        rax: invocation.op,
        rdi: invocation.target,
        r13: invocation.send,
        r14: invocation.receive,
        ..Registers::default()
    };
    registers.set_words(invocation.words);
    context.system_call(registers)
}

fn touch(context: &Context, address: u64, write: bool) {
    // Beyond what programs may name there is nothing that the software MMU would translate.
    let address = address & 0x7fff_ffff_fff8;
    let memory = Region::shared(context, address, 8);
    if write {
        let _ = memory.store_u64(0, address);
    } else {
        let _ = memory.load_u64(0);
    }
}
