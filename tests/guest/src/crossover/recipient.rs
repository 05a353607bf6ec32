//! Receives frames for the crossover bench: reads of each what it is told to, and gives it back.
//!
//! What is wrong with a frame that it compares, it tells its maker by a notification.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::{String, ToString};

use abi::boot::slot;
use dev::bare::This;
use dev::port::Port;
use dev::program::{BANK, PROCESS};
use dev::session::{Frame, Lost, Session, TransmitSegment};
use guest::traffic::{self, HEAD, HEADERS, bit};
use rt::{Kernel, slots};
use sys::object::Notify;
use sys::{Cap, Event, Mem, Sys};

rt::entry!(main);

const PORT: Port = Port::at(slot::GRANT);
/// Who is told of a wrong frame.
const WRONG: Cap<Notify> = Cap::at(slot::GRANT + 2);
/// Transmit pages: it sends nothing.
const TRANSMIT_PAGES: u16 = 2;

/// What is done with a frame.
#[derive(Clone, Copy)]
enum Reads {
    Nothing,
    Headers,
    All,
    Compares,
}

fn main() -> Result<(), String> {
    let program = This::new().map_err(|error| error.to_string())?;
    let notify = slots::take().map_err(|error| error.to_string())?;
    PROCESS
        .make_notify(&Kernel, bit::SESSION, notify)
        .map_err(|error| error.to_string())?;
    let pages = PORT
        .describe(&Kernel)
        .map_err(|error| error.to_string())?
        .receive_pages;
    let segment =
        TransmitSegment::buy(&program, TRANSMIT_PAGES).map_err(|error| error.to_string())?;
    let mut session = Session::attach(&program, PORT, BANK, &segment, pages, Cap::at(notify))
        .map_err(|error| error.to_string())?;
    match serve(&program, &mut session) {
        Ok(never) => match never {},
        Err(lost) => Err(lost.to_string()),
    }
}

fn serve(program: &This, session: &mut Session<This>) -> Result<core::convert::Infallible, Lost> {
    let mut reads = Reads::Nothing;
    loop {
        while let Some(frame) = session.receive()? {
            let memory = session.receive_memory();
            match reads {
                Reads::Nothing => {}
                Reads::Headers => read(memory, frame.offset(), HEADERS.min(frame.len()))?,
                Reads::All => {
                    for (start, length) in frame.pieces() {
                        read(memory, start, length)?;
                    }
                }
                Reads::Compares => {
                    if !is_right(memory, &frame)? {
                        // Whoever made it is there as long as it is.
                        let _ = WRONG.signal(&Kernel);
                    }
                }
            }
            session.give_back(frame);
        }
        session.flush(program)?;
        if session.ask(program, false)? {
            continue;
        }
        if let Event::Notified { bits, .. } = Kernel.wait([0; 4]) {
            for (bit, told) in [
                (bit::NONE, Reads::Nothing),
                (bit::HEADER, Reads::Headers),
                (bit::ALL, Reads::All),
                (bit::CHECK, Reads::Compares),
            ] {
                if bits >> bit & 1 != 0 {
                    reads = told;
                }
            }
        }
    }
}

/// Loads bytes, a word at a time and those that are left over one by one. Pieces begin at words.
fn read(memory: &impl Mem, start: usize, length: usize) -> Result<(), Lost> {
    let words = length / 8 * 8;
    for at in (0..words).step_by(8) {
        memory.load_u64(start + at)?;
    }
    for at in words..length {
        memory.load_u8(start + at)?;
    }
    Ok(())
}

/// Whether a frame is what it should be, byte by byte.
fn is_right(memory: &impl Mem, frame: &Frame) -> Result<bool, Lost> {
    let mut head = [0; HEAD];
    frame.read(memory, &mut head)?;
    let number = traffic::number(&head);
    let mut at = 0;
    for (start, length) in frame.pieces() {
        for offset in 0..length {
            if at >= HEAD && memory.load_u8(start + offset)? != traffic::byte(number, at) {
                return Ok(false);
            }
            at += 1;
        }
    }
    Ok(at == frame.len())
}
