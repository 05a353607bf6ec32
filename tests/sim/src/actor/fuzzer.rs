//! A process that invokes whatever it has with whatever comes.
//!
//! Half of its invocations are random through and through, half are of the methods that there are,
//! with arguments that are nearly right. It has no authority over others but to call them.

use std::rc::Rc;

use abi::boot::slot;
use abi::cap::{CAP_ADDRESSES, CapAddr};
use abi::invoke::{Op, pack};
use kernel::process::Registers;
use sys::Mem;

use crate::actor::sleep;
use crate::context::Context;
use crate::program::Program;
use crate::region::Region;
use crate::world::Code;

/// The program.
pub fn code() -> Code {
    Rc::new(|context| {
        let program = Program::start(context);
        let batch = Region::own(context, abi::boot::layout::MESSAGE, abi::PAGE_SIZE);
        while !context.is_gone() {
            if context.world().dice.one_in(40) {
                sleep(&program, 50_000);
            }
            if context.world().dice.one_in(4) {
                let offset = 8 * context.world().dice.below(512) as usize;
                let _ = batch.store_u64(offset, word(context));
            }
            context.system_call(invocation(context));
        }
    })
}

/// A slot, mostly one with something in it.
fn address(context: &Context) -> CapAddr {
    let dice = &context.world().dice;
    match dice.below(8) {
        0 => dice.below(CAP_ADDRESSES as u64 + 64) as CapAddr,
        1 => 0,
        2 => dice.below(64) as CapAddr,
        _ => *dice.pick(&[
            slot::ROOT,
            slot::PROCESS,
            slot::SPACE,
            slot::BANK,
            slot::LOG,
            slot::CLOCK,
            slot::RANDOM,
            slot::MESSAGE,
            slot::GRANT,
            slot::FREE,
            slot::FREE + 1,
            slot::FREE + 2,
            slot::FREE + 3,
            slot::FREE << 7,
        ]),
    }
}

/// A word: small, near a bound, an address, or anything.
fn word(context: &Context) -> u64 {
    let dice = &context.world().dice;
    match dice.below(8) {
        0..=3 => dice.below(10),
        4 => dice.below(600),
        5 => *dice.pick(&[63, 64, 65, 127, 128, 511, 512, 513, 4095, 4096, u64::MAX]),
        6 => 1 << dice.below(64),
        _ => dice.word(),
    }
}

fn invocation(context: &Context) -> Registers {
    let dice = &context.world().dice;
    let op = match dice.below(16) {
        // It waits for nobody, or it would wait for ever.
        0..=11 => Op::Call as u64,
        12 => Op::Send as u64,
        13 => Op::Poll as u64,
        14 => Op::SaveCaller as u64,
        _ => *dice.pick(&[
            Op::Yield as u64,
            Op::Null as u64,
            Op::FaultReturn as u64,
            10,
            200,
        ]),
    };
    let addresses = || std::array::from_fn(|_| address(context));
    let mut registers = Registers {
        rax: op | (dice.below(2) * (word(context) << 32)),
        rdi: address(context).into(),
        r13: pack(addresses()),
        r14: pack(addresses()),
        ..Registers::default()
    };
    registers.set_words(std::array::from_fn(|_| word(context)));
    // Nobody else would start it again.
    let stops =
        registers.rdi == u64::from(slot::PROCESS) && registers.rsi == abi::method::process::STOP;
    if stops {
        registers.rsi = abi::method::process::INFO;
    }
    registers
}
