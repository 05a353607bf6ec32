//! The process: one user's stack, on the port that it was given.
//!
//! Its arguments are a [`Config`]; slot `GRANT` holds its port. It sleeps until the driver has
//! something for it or its next timer comes, and attaches again when its session is taken away.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;
use core::fmt;

use dev::bare::This;
use dev::port::{AttachError, Port};
use dev::program::{BANK, PROCESS};
use log::{error, warn};
use netstack::reattach::Reattach;
use netstack::session::{SessionLink, Terms};
use netstack::{BankTotals, Config, Facts, Instant, Stack, Wake};
use rt::{Kernel, slots};
use sys::abi::boot::slot;
use sys::bank::Bank;
use sys::object::Random;
use sys::{Cap, Sys};

rt::entry!(run);

/// The port.
const PORT: Port = Port::at(slot::GRANT);
/// The bank that it offers the driver.
const PORT_BANK: Cap<Bank> = Cap::at(slot::GRANT + 1);
const RANDOM: Cap<Random> = Cap::at(slot::RANDOM);
/// Notification: the session has something.
const SESSION_BIT: u64 = 0;
/// Notification: the timer.
const TIMER_BIT: u64 = 1;
/// Longest sleep: a session that is taken away says nothing.
const LONGEST_SLEEP: u64 = 1_000_000_000;

/// Why the stack can't start.
enum Failure {
    Arguments,
    Config(netstack::config::ConfigError),
    Kernel(&'static str, sys::Error),
    Attach(AttachError),
    Mac(dev::Mac),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Arguments => f.write_str("its arguments are no configuration of a stack"),
            Failure::Config(error) => error.fmt(f),
            Failure::Kernel(what, error) => write!(f, "{what}: {error}"),
            Failure::Attach(error) => write!(f, "attaching to the port: {error}"),
            Failure::Mac(mac) => write!(f, "the port is {mac}, not what the configuration says"),
        }
    }
}

/// The user's bank, whose totals it may read.
struct OwnBank;

impl Facts for OwnBank {
    fn bank(&self) -> Option<BankTotals> {
        let usage = BANK.usage(&Kernel).ok()?;
        Some(BankTotals {
            limit: usage.limit,
            bought: usage.bought,
            limbo: usage.limbo,
            high_water: usage.high_water,
            children: usage.children,
        })
    }
}

/// The kernel's random words, one by one.
fn random() -> Box<dyn FnMut() -> u64> {
    let mut words = [0; 6];
    let mut left = 0;
    Box::new(move || {
        if left == 0 {
            match RANDOM.get(&Kernel) {
                Ok(fresh) => words = fresh,
                // Said once: without the capability nothing here is unguessable.
                Err(error) => error!("no random numbers: {error}"),
            }
            left = words.len();
        }
        left -= 1;
        words[left]
    })
}

fn run() -> Result<(), Failure> {
    let config: Config = rt::arguments().map_err(|_| Failure::Arguments)?;
    config.check().map_err(Failure::Config)?;
    let kernel = |what| move |error| Failure::Kernel(what, error);
    let this = This::new().map_err(kernel("reading the clock"))?;
    let program: &'static This = Box::leak(Box::new(this));
    let notify = slots::take().map_err(kernel("taking a slot"))?;
    PROCESS
        .make_notify(&Kernel, SESSION_BIT, notify)
        .map_err(kernel("making a notification"))?;
    let described = PORT
        .describe(&Kernel)
        .map_err(kernel("looking at the port"))?;
    let terms = Terms {
        port: PORT,
        bank: PORT_BANK,
        notify: Cap::at(notify),
        receive_pages: described.receive_pages,
    };
    let link =
        SessionLink::open(program, &terms, described.transmit_pages).map_err(Failure::Attach)?;
    if link.mac() != config.mac {
        return Err(Failure::Mac(dev::Mac::new(link.mac())));
    }
    let now = || instant(dev::Program::now(program));
    let stack = Stack::new(config, link, OwnBank, random(), now()).map_err(Failure::Config)?;
    serve(stack, program, &terms)
}

fn instant(nanoseconds: u64) -> Instant {
    Instant::from_micros((nanoseconds / 1000) as i64)
}

fn serve(
    mut stack: Stack<SessionLink<'static, This>, OwnBank>,
    program: &'static This,
    terms: &Terms,
) -> ! {
    let mut reattach = Reattach::default();
    loop {
        let now = dev::Program::now(program);
        let mut wake = now + LONGEST_SLEEP;
        let link = stack.link_mut();
        if let Some(lost) = link.take_lost() {
            warn!("session lost: {lost}");
            reattach.lost(now);
        }
        if !link.is_attached() {
            if now >= reattach.at() {
                match link.attach(terms) {
                    Ok(()) => {
                        reattach.succeeded();
                        stack.relinked();
                    }
                    Err(error) => reattach.failed(now, &error),
                }
            }
            wake = wake.min(reattach.at().max(now));
        }
        match stack.poll(instant(now)) {
            Wake::Now => continue,
            Wake::At(at) => wake = wake.min(at.total_micros().max(0) as u64 * 1000),
            Wake::Never => {}
        }
        if stack.arm() || stack.link_mut().is_lost() {
            continue;
        }
        // It was refused only if there is no clock, and then the stack would not have started.
        let _ = dev::Program::arm(program, wake, TIMER_BIT);
        // Whatever it is, it is looked at from the beginning; nobody can call a stack.
        Kernel.wait([0; 4]);
    }
}
