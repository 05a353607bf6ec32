//! Operations and addresses, whatever is invoked.

use abi::boot::slot;
use abi::cap::Kind;
use abi::error::{EAGAIN, EBADF, EINVAL, EPIPE, OK, VOID};
use abi::invoke::Op;
use abi::method::process;
use rt::Kernel;
use sys::{Message, Sys};

use crate::bed::{Bed, holds};
use crate::{Case, case, own};

fn raw(rax: u64, rdi: u64) -> u32 {
    Kernel.raw(rax, rdi, [0; 6], 0, 0).0 as u32
}

/// The slot of a root table's that is empty in every program.
const EMPTY: u16 = 30;

pub const CASES: &[Case] = &[
    case("operation: unknown", EINVAL, |_| Ok(raw(10, 0))),
    case("operation: unknown, high", EINVAL, |_| {
        Ok(raw(0xff, slot::LOG.into()))
    }),
    own("call: address 0", VOID, |bed| bed.call(0, &[1])),
    own("call: an empty slot", VOID, |bed| bed.call(EMPTY, &[1])),
    own("call: an address beyond all tables", VOID, |_| {
        Ok(raw(Op::Call as u64, 1 << 14))
    }),
    own("call: an address that wraps to a slot", VOID, |_| {
        Ok(raw(Op::Call as u64, 1 << 16 | u64::from(slot::CLOCK)))
    }),
    own("call: through a table that isn't there", VOID, |bed| {
        bed.call(EMPTY << 7 | 1, &[1])
    }),
    own("call: through something else than a table", VOID, |bed| {
        bed.call(slot::LOG << 7 | 1, &[1])
    }),
    own("call: an object that was rescinded", VOID, |bed| {
        let page = bed.buy(Kind::Page)?;
        bed.void()?;
        bed.call(page, &[abi::method::page::READ, 0])
    }),
    own("call: through a table that was rescinded", VOID, |bed| {
        // The root slot of a table that a bed buys is itself addressable only below 128.
        let table = bed.buy(Kind::CapTable)?;
        if table >= 128 {
            return Ok(VOID);
        }
        bed.must(
            table,
            &[abi::method::cap_table::PUT, 3, 0xff],
            &[slot::CLOCK],
        )?;
        bed.must(table << 7 | 3, &[abi::method::clock::NOW], &[])?;
        bed.void()?;
        bed.call(table << 7 | 3, &[abi::method::clock::NOW])
    }),
    own("call: a process that was rescinded", VOID, |bed| {
        let child = bed.child()?;
        let start = bed.made(child.process.address(), &[process::MAKE_START, 5])?;
        bed.must(start, &[1, 2, 3], &[])?;
        bed.void()?;
        bed.call(start, &[1])
    }),
    case("call: oneself", EPIPE, |bed| {
        let start = bed.made(slot::PROCESS, &[process::MAKE_START, 5])?;
        bed.call(start, &[1])
    }),
    own("send: address 0", VOID, |_| {
        Ok(Kernel.send(0, &Message::new(&[1])))
    }),
    own("send: an empty slot", VOID, |_| {
        Ok(Kernel.send(EMPTY, &Message::new(&[1])))
    }),
    own("send: to a receiver that isn't ready, is lost", OK, |bed| {
        let start = bed.made(slot::PROCESS, &[process::MAKE_START, 5])?;
        Ok(Kernel.send(start, &Message::new(&[1])))
    }),
    case("poll: nothing is there", EAGAIN, |_| {
        // The send to oneself of the case before was lost, not kept.
        Ok(raw(Op::Poll as u64, 0))
    }),
    own("reply: through an empty slot", VOID, |_| {
        Ok(raw(Op::ReplyWait as u64, EMPTY.into()))
    }),
    case("reply: through something else than a Resume", EBADF, |_| {
        Ok(raw(Op::ReplyWait as u64, slot::LOG.into()))
    }),
    own("save_caller: no caller", EINVAL as u32, |bed| {
        Ok(Kernel.save_caller(bed.slot()?))
    }),
    case("fault_return: outside a fault", EINVAL, |_| {
        Ok(raw(Op::FaultReturn as u64, 0))
    }),
    own(
        "receive: address 0 drops the capability, not the message",
        OK,
        |_| {
            let words = [process::MAKE_START, 1, 0, 0, 0, 0];
            let answer = Kernel.raw(Op::Call as u64, slot::PROCESS.into(), words, 0, 0);
            holds(answer.0 as u32 == OK && answer.3 == 0)
        },
    ),
    own(
        "receive: a table that isn't there drops the capability too",
        OK,
        |_| {
            let words = [process::MAKE_START, 1, 0, 0, 0, 0];
            let nowhere = u64::from(EMPTY << 7 | 1);
            let answer = Kernel.raw(Op::Call as u64, slot::PROCESS.into(), words, 0, nowhere);
            holds(answer.0 as u32 == OK && answer.3 == 0)
        },
    ),
    own(
        "send a capability: from an empty slot sends none",
        OK,
        |bed: &Bed| {
            let child = bed.child()?;
            let start = bed.made(child.process.address(), &[process::MAKE_START, 5])?;
            let reply = bed.reply(start, &[7], &[EMPTY, 0, EMPTY << 7 | 1, 0]);
            holds(reply.status == OK && reply.words[0] == 7 && reply.received == 0)
        },
    ),
];
