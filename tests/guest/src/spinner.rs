//! Stands in for `ethdrv`: gives signs of life and answers init until it is asked for a port; then it
//! spins, above everybody but the watchdog, with init waiting for its answer.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use abi::error::OK;
use dev::admin::method;
use ethdrv::grant::{ALIVE, BEAT_BIT};
use log::info;
use rt::Kernel;
use sys::object::Notify;
use sys::{Cap, Event, Message, Sys};

rt::entry!(run);

/// A device's address and longest frame, and a link that is up.
const DEVICE: [u64; 3] = [0x01_00_00_12_54_52, 1514, 1];

fn run() {
    let mut event = Kernel.wait([0; 4]);
    loop {
        event = match event {
            Event::Request(request) if request.words[0] == method::ADD_PORT => {
                info!("spinning");
                alive();
                loop {
                    core::hint::spin_loop();
                }
            }
            Event::Request(_) => Kernel.reply_and_wait(OK, &Message::new(&DEVICE)),
            Event::Notified { bits, .. } => {
                if bits >> BEAT_BIT & 1 != 0 {
                    alive();
                }
                Kernel.wait([0; 4])
            }
        };
    }
}

fn alive() {
    // Who watches and is gone needs no answer.
    let _ = Cap::<Notify>::at(ALIVE).signal(&Kernel);
}
