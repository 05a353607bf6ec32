//! A stack of two processes: one sends frames with its own addresses, the other rewrites source MAC
//! address and IP source of every transmit buffer, there and back, all the time.

use core::net::Ipv4Addr;

use abi::cap::Rights;
use alloc::string::{String, ToString};
use dev::Program;
use dev::bare::This;
use dev::program::BANK;
use dev::session::{Lost, Session, TransmitSegment};
use guest::children::Nursery;
use guest::code;
use log::info;
use netstack::Config;
use netstack::session::Terms;
use rt::Kernel;
use rt::child::{Image, Program as Child, Shared};
use sys::Mem;

use crate::forge::{self, EVERYBODY, HONEST};
use crate::{PAGES, hostile};

/// How long it goes on, in nanoseconds.
const RACE: u64 = 2_000_000_000;
/// Frames that are told of at once.
const AT_ONCE: u32 = 16;
/// How long the other has for each, in nanoseconds, or longer.
const PAUSE: u64 = 100_000;
/// Bytes of a frame: what the driver copies, and more that it doesn't.
const DATA: usize = 600;

/// Races.
///
/// # Errors
/// What kept it from doing so.
pub fn race(program: &'static This, terms: &Terms, config: &Config) -> Result<(), String> {
    let segment = TransmitSegment::buy(program, PAGES).map_err(|error| error.to_string())?;
    let (port, bank, notify) = (terms.port, terms.bank, terms.notify);
    let mut session = Session::attach(program, port, bank, &segment, PAGES, notify)
        .map_err(|error| error.to_string())?;
    let image = Image::from_code(code::rewrite()).map_err(|error| error.to_string())?;
    let mut nursery = Nursery::new().map_err(|error| error.to_string())?;
    let segments = [Shared {
        address: code::SHARED,
        segment: segment.table(),
        rights: Rights::READ | Rights::WRITE,
    }];
    let own = guest::children::own_priority().map_err(|error| error.to_string())?;
    let child = nursery
        .child(&Child {
            segments: &segments,
            priority: own,
            ..Child::new("rewriter", &image, BANK)
        })
        .map_err(|error| error.to_string())?;
    nursery.end();
    child.start(&Kernel).map_err(|error| error.to_string())?;
    let raced = send(&mut session, program, config);
    child
        .process
        .stop(&Kernel)
        .map_err(|error| error.to_string())?;
    match raced {
        Ok(count) => info!("raced with {count} frames"),
        Err(lost) => info!("FAILED: {lost}"),
    }
    session.detach(program);
    segment.release(program);
    Ok(())
}

fn send(session: &mut Session<This>, program: &This, config: &Config) -> Result<u32, Lost> {
    let own = (config.mac, hostile::own_address(config));
    let data = [HONEST, &[0x2e; DATA]].concat();
    let frame = forge::udp((EVERYBODY, Ipv4Addr::BROADCAST), own, 9, &data);
    let end = program.now() + RACE;
    let mut count = 0;
    while program.now() < end {
        for _ in 0..AT_ONCE {
            if session.room()? == 0 {
                break;
            }
            session.transmit_memory().write(session.buffer(), &frame)?;
            session.send(frame.len() as u32)?;
            count += 1;
        }
        // The other's turn, between writing and telling.
        crate::sleep(program, PAUSE);
        session.flush(program)?;
    }
    Ok(count)
}
