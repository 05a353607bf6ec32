//! The watchdog's process: sleeps between beats, and hands on signs of life.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::String;

use dev::Program;
use dev::bare::This;
use init::watch::{ALIVE_BIT, BEAT, TIMER_BIT, Watch};
use rt::Kernel;
use sys::{Error, Event, Sys};

rt::entry!(run);

fn run() -> Result<(), Error> {
    let this = This::new()?;
    let watched: (String, String) = rt::arguments().map_err(|_| Error::new(abi::error::EINVAL))?;
    let mut watch = Watch::default();
    loop {
        this.arm(this.now() + BEAT, TIMER_BIT)?;
        // Signs of life don't move the next beat.
        loop {
            let Event::Notified { bits, .. } = Kernel.wait([0; 4]) else {
                continue;
            };
            if bits >> ALIVE_BIT & 1 != 0 {
                watch.alive();
            }
            if bits >> TIMER_BIT & 1 != 0 {
                break;
            }
        }
        watch.beat(&Kernel, &watched.0, &watched.1);
    }
}
