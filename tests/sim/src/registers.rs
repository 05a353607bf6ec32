//! Messages as registers, and back: what `rt`'s system calls do on the machine.

use abi::cap::CapAddr;
use abi::error::{OK, Status};
use abi::invoke::{Op, Received, pack};
use kernel::process::Registers;
use sys::{Event, Message, Reply, Request};

/// The registers of a call.
pub fn call(capability: CapAddr, message: &Message) -> Registers {
    registers(Op::Call, OK, capability, message)
}

/// The registers of an invocation.
pub fn registers(op: Op, status: Status, capability: CapAddr, message: &Message) -> Registers {
    let mut registers = Registers {
        rax: op as u64 | u64::from(status) << 32,
        rdi: capability.into(),
        r13: pack(message.caps),
        r14: pack(message.receive),
        ..Registers::default()
    };
    registers.set_words(message.words);
    registers
}

/// What an invocation's registers say when it comes back.
pub fn reply(registers: &Registers) -> Reply {
    Reply {
        status: registers.rax as Status,
        words: registers.words(),
        received: registers.r13 as u8,
    }
}

/// What a wait's registers say when it comes back.
pub fn event(registers: &Registers) -> Event {
    let kind = (registers.rax >> 32) as u8;
    if kind == Received::Notified as u8 {
        return Event::Notified {
            group: registers.rdi as u16,
            bits: registers.rsi,
        };
    }
    Event::Request(Request {
        badge: registers.rdi,
        words: registers.words(),
        received: registers.r13 as u8,
        own_badge: registers.r14,
        call: kind == Received::Call as u8,
    })
}
