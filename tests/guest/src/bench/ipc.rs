//! Messages and notifications between two address spaces.
//!
//! `ipc.round_trip.*`: a call to a server in an address space of its own, of the same priority, that
//! waits, and its answer: both stubs, the server's five instructions, both ways through the kernel.
//! The client passes and receives no capability. With 6 words it loads them from memory and has
//! those of the answer in registers; with 0 words it zeroes the registers, so that nothing leaks to the
//! server.
//!
//! `signal.wake`: from before the signal to after the wait in a process of higher priority in another
//! address space, both readings of the counter included.

use core::arch::asm;
use core::hint::black_box;

use abi::boot::layout;
use abi::cap::Rights;
use guest::children::{BANK, Failed, Nursery, own_priority};
use guest::code;
use guest::statistics::Statistics;
use rt::child::{Image, Program, Shared};
use rt::clock::ticks;
use rt::{Kernel, shared, slots};
use sys::object::{Notify, Start};
use sys::{Cap, Error, Mem, Message, Sys};

use crate::{ROUNDS, print, rounds};

/// Measures and prints.
pub fn run() -> Result<(), Failed> {
    let mut nursery = Nursery::new()?;
    round_trips(&mut nursery)?;
    wake(&mut nursery)
}

fn round_trips(nursery: &mut Nursery) -> Result<(), Failed> {
    let image = Image::from_code(code::echo())?;
    let priority = own_priority()?;
    let program = Program {
        priority,
        stack_pages: 1,
        ..Program::new("echo", &image, BANK)
    };
    let server = nursery.child(&program)?;
    // A slot of the root table, like every capability that is called often.
    let start: Cap<Start> = Cap::at(slots::take()?);
    server.process.make_start(&Kernel, 1, start.address())?;
    server.start(&Kernel)?;

    let empty = Message::default();
    let measured = rounds(ROUNDS, || {
        Kernel.call(start.address(), &empty);
    });
    print("ipc.round_trip.0w", measured);

    let full = black_box(Message {
        words: [1, 2, 3, 4, 5, 6],
        ..Message::default()
    });
    if Kernel.call(start.address(), &full).ok()? != full.words {
        return Err(Failed::Wrong("the echo does not answer what was sent"));
    }
    let measured = rounds(ROUNDS, || {
        arrived(Kernel.call(start.address(), &full).words);
    });
    print("ipc.round_trip.6w", measured);
    Ok(())
}

/// Has the words of an answer in registers, and does nothing with them.
#[inline(always)]
fn arrived([w0, w1, w2, w3, w4, w5]: [u64; 6]) {
    // SAFETY: there is no instruction.
    unsafe {
        asm!(
            "",
            in("rsi") w0,
            in("rdx") w1,
            in("r10") w2,
            in("r8") w3,
            in("r9") w4,
            in("r12") w5,
            options(nomem, nostack, preserves_flags),
        );
    }
}

fn wake(nursery: &mut Nursery) -> Result<(), Failed> {
    let image = Image::from_code(code::stamp())?;
    let page = shared::buy(BANK, 1)?;
    let rights = Rights::READ | Rights::WRITE;
    let segments = [Shared {
        address: layout::SHARED,
        segment: page.table,
        rights,
    }];
    let program = Program {
        priority: own_priority()? + 1,
        stack_pages: 1,
        segments: &segments,
        ..Program::new("stamp", &image, BANK)
    };
    let waiter = nursery.child(&program)?;
    let notify: Cap<Notify> = Cap::at(slots::take()?);
    waiter.process.make_notify(&Kernel, 0, notify.address())?;
    // It runs until it waits.
    waiter.start(&Kernel)?;

    let stamp = page.place.mapping();
    let mut measured = Statistics::new();
    for _ in 0..ROUNDS {
        let begin = ticks();
        notify.signal(&Kernel)?;
        let end = stamp.load_u64(0).map_err(|_| Error::VOID)?;
        if end <= begin {
            return Err(Failed::Wrong("the waiter was not woken at once"));
        }
        measured.add(end - begin, 1);
    }
    print("signal.wake", (measured, measured));
    Ok(())
}
