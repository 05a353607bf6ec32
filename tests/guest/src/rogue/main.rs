//! Stands in for `netstack`: an honest stack for most users, and something else first for those
//! whose names say so.
//!
//! | name | what it does first |
//! | --- | --- |
//! | `writer` | writes to its receive memory, and faults |
//! | `spoofer` | sends frames as somebody else |
//! | `liar` | breaks the protocol in every way, with a session for each |
//! | `prober` | tries to write to its receive memory in every way |
//! | `racer` | sends while another process of its rewrites what is sent |
//! | `vandal17` | does at random, from the seed 17, all that it should not |
//! | `caller` | has alice echo a datagram |
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod forge;
mod hostile;
mod liar;
mod prober;
mod racer;
mod vandal;

use alloc::boxed::Box;
use alloc::string::{String, ToString};

use abi::boot::slot;
use dev::Program;
use dev::bare::This;
use dev::port::Port;
use dev::program::{BANK, PROCESS};
use dev::session::{Session, TransmitSegment};
use log::{info, warn};
use netstack::facts::NoFacts;
use netstack::session::{SessionLink, Terms};
use netstack::{Config, Instant, Stack, Wake};
use rt::{Kernel, slots};
use sys::object::Random;
use sys::{Cap, Sys};

rt::entry!(main);

const PORT: Port = Port::at(slot::GRANT);
const RANDOM: Cap<Random> = Cap::at(slot::RANDOM);
/// Notification: the session has something.
const SESSION_BIT: u64 = 0;
/// Notification: the timer.
const TIMER_BIT: u64 = 1;
/// Pages of each kind.
const PAGES: u16 = 32;
/// How long something is waited for, in nanoseconds.
const PATIENCE: u64 = 5_000_000_000;
/// How long it takes until a port may be attached to once more, in nanoseconds, and a bit.
const EARNED: u64 = 120_000_000;
/// Longest sleep, in nanoseconds.
const LONGEST_SLEEP: u64 = 100_000_000;

fn main() -> Result<(), String> {
    let config: Config = rt::arguments().map_err(|error| error.to_string())?;
    let program: &'static This = Box::leak(Box::new(This::new().map_err(|e| e.to_string())?));
    let notify = slots::take().map_err(|error| error.to_string())?;
    PROCESS
        .make_notify(&Kernel, SESSION_BIT, notify)
        .map_err(|error| error.to_string())?;
    let terms = Terms {
        port: PORT,
        bank: BANK,
        notify: Cap::at(notify),
        receive_pages: PAGES,
    };
    match config.name.as_str() {
        "liar" => lie(program, &terms, &config)?,
        "prober" => prober::probe(program, &terms)?,
        "racer" => racer::race(program, &terms, &config)?,
        _ => {}
    }
    if let Some(seed) = vandal::seed(&config.name) {
        vandal::rampage(program, &terms, &config, seed)?;
    }
    let act = match config.name.as_str() {
        "writer" => Some(hostile::write as hostile::Act),
        "spoofer" => Some(hostile::spoof as hostile::Act),
        "caller" => Some(hostile::call as hostile::Act),
        _ => None,
    };
    if let Some(act) = act {
        before(program, &terms, &config, act)?;
    }
    let link = SessionLink::open(program, &terms, PAGES).map_err(|error| error.to_string())?;
    let random = Box::new(|| RANDOM.get(&Kernel).map_or(0, |words| words[0]));
    let stack = Stack::new(config, link, NoFacts, random, instant(program.now()))
        .map_err(|error| error.to_string())?;
    serve(stack, program, &terms)
}

/// Sleeps for so many nanoseconds, or until something is notified.
fn sleep(program: &This, time: u64) {
    let _ = program.arm(program.now() + time, TIMER_BIT);
    Kernel.wait([0; 4]);
}

/// Tells every lie, each in a session of its own.
fn lie(program: &'static This, terms: &Terms, config: &Config) -> Result<(), String> {
    for (what, act) in liar::LIES {
        // A port earns the right to attach again by and by.
        sleep(program, EARNED);
        info!("lies: {what}");
        before(program, terms, config, *act)?;
    }
    Ok(())
}

/// Does something with a session of its own.
fn before(
    program: &'static This,
    terms: &Terms,
    config: &Config,
    act: hostile::Act,
) -> Result<(), String> {
    let segment = TransmitSegment::buy(program, PAGES).map_err(|error| error.to_string())?;
    let (port, bank, notify) = (terms.port, terms.bank, terms.notify);
    let mut session = Session::attach(program, port, bank, &segment, PAGES, notify)
        .map_err(|error| error.to_string())?;
    match act(&mut session, program, config) {
        Ok(()) => info!("did what it wanted"),
        Err(lost) => info!("stopped: {lost}"),
    }
    session.detach(program);
    segment.release(program);
    Ok(())
}

fn instant(nanoseconds: u64) -> Instant {
    Instant::from_micros((nanoseconds / 1000) as i64)
}

/// Serves as `netstack` does; attaches again each time it wakes until it succeeds.
fn serve(
    mut stack: Stack<SessionLink<'static, This>, NoFacts>,
    program: &'static This,
    terms: &Terms,
) -> ! {
    loop {
        let now = program.now();
        let link = stack.link_mut();
        if let Some(lost) = link.take_lost() {
            warn!("session lost: {lost}");
        }
        if !link.is_attached() && link.attach(terms).is_ok() {
            stack.relinked();
        }
        let wake = match stack.poll(instant(now)) {
            Wake::Now => continue,
            Wake::At(at) => at.total_micros().max(0) as u64 * 1000,
            Wake::Never => u64::MAX,
        };
        if stack.arm() || stack.link_mut().is_lost() {
            continue;
        }
        let _ = program.arm(wake.min(now + LONGEST_SLEEP), TIMER_BIT);
        Kernel.wait([0; 4]);
    }
}
