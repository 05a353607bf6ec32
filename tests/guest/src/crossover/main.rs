//! Prints what frames cost that are copied, left in place or exchanged: in instructions and, on a
//! kernel that counts them (`abi::count`), in events. And what [isolated operations](isolated) cost.
//!
//! The program is the *wire process* of [`ethdrv::wire`], in init's place (`init=crossover`). It starts
//! the ethernet driver on the simulated wire and a recipient with a session, and sends frames as
//! `etc/crossover` says ([`plan`]). They are raw frames of an experimental type, not IP: nobody looks
//! into them but the driver, for the address, and the recipient, as far as it is told to.
//!
//! `batch` frames arrive together and are delivered before the next ones come: the wire process is less
//! urgent than the others. Its own instructions and events are left out, as a network's and a device's
//! would be.
//!
//! Which way frames take is made certain, and looked at afterwards: a row is printed only if the driver
//! counted every one of its frames as delivered in the way that the row says.
//!
//! - `copy`: the recipient copies, so the device gets the driver's own buffers.
//! - `in_place`: the recipient flips and is alone, so the device gets its pages.
//! - `sealed`: so too, sealed: the device gets pages that the recipient can't see.
//! - `exchange`: another user flips too, with a share so great that the recipient is left with one
//!   page on the device's side; the wire passes that one by.
#![no_std]
#![no_main]

extern crate alloc;

mod count;
mod feed;
mod isolated;
mod plan;
mod strategy;
mod touched;

use core::fmt::{self, Write};

use abi::boot::slot;
use dev::layout::MOST_PAGES;
use dev::settings::Pinning;
use ethdrv::frame::LONGEST;
use guest::children::SELF;
use guest::traffic::bit;
use guest::wired::{self, Failure, System, User};
use guest::{report, say};
use rt::child::Grant;
use rt::{Kernel, slots};
use sys::object::{Notify, Process};
use sys::{Cap, Sys};

use count::Spent;
use feed::Feed;
use plan::Plan;
use strategy::Delivery;
use touched::Touched;

rt::entry!(main);

/// The recipient's MAC address.
const RECIPIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// The other user's.
const OTHER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// Share of the other user: all but nothing is left to the recipient.
const OTHER_SHARE: u16 = u16::MAX;
/// The notification of this program by which the recipient says that a frame is wrong.
const WRONG_BIT: u64 = 1;
/// Frames, sent one by one, after which every buffer that was posted before a change has been used.
const ROUND: usize = 2 * ring::CAPACITY as usize;
/// Rounds after which frames must take the right way.
const PATIENCE: usize = 8;
/// Length of a frame when only its way matters.
const SHORT: usize = 64;
/// Batches after which it shows whether the driver has buffers for more.
const TRIED: usize = 6;
/// Frames compared byte by byte before those that are counted.
const COMPARED: usize = 2;

fn main() {
    let code = match run() {
        Ok(()) => 0,
        Err(failure) => {
            say!("crossover: {failure}");
            report::FAILED
        }
    };
    report::stop(code)
}

/// The bench.
struct Bench {
    system: System,
    feed: Feed,
    recipient: Cap<Process>,
    /// The recipient's notifications, by bit.
    tell: [Cap<Notify>; bit::CHECK as usize + 1],
}

fn run() -> Result<(), Failure> {
    let boot = wired::boot()?;
    let archive = wired::archive(&boot)?;
    let text = archive
        .file(plan::FILE)
        .map_err(|_| Failure::Wrong("there is no etc/crossover"))?;
    let plan = Plan::parse(text)?;
    let mut bench = Bench::start(&boot)?;
    for delivery in Delivery::ALL {
        if plan.strategies.contains(&delivery) {
            bench.prepare(delivery)?;
            bench.measure_all(&plan, delivery)?;
        }
    }
    if plan.operations {
        isolated::measure_all(&bench.system)?;
    }
    Ok(())
}

impl Bench {
    fn start(boot: &init::boot::Boot) -> Result<Bench, Failure> {
        let slot = || slots::take().map_err(|error| Failure::Start("taking a slot", error.into()));
        let (mut system, cable) = System::start(boot, LONGEST)?;
        // Pages of two users, half as many more to be sealed, and the driver's reserve.
        for _ in 0..3 {
            system.add_receive_slots()?;
        }
        let wrong = slot()?;
        SELF.make_notify(&Kernel, WRONG_BIT, wrong)
            .map_err(Failure::Count)?;
        let recipient = system.add_user(&User {
            program: "recipient",
            arguments: &[],
            grants: &[Grant::new(slot::GRANT + 2, wrong)],
            mac: RECIPIENT_MAC,
            pages: MOST_PAGES,
            share: 1,
            pinning: Pinning::default(),
        })?;
        let mut tell = [Cap::at(0); bit::CHECK as usize + 1];
        for (bit, notify) in (0..).zip(&mut tell) {
            let address = slot()?;
            recipient
                .make_notify(&Kernel, bit, address)
                .map_err(Failure::Count)?;
            *notify = Cap::at(address);
        }
        Ok(Bench {
            system,
            feed: Feed::new(cable),
            recipient,
            tell,
        })
    }

    /// Has frames take this way, from now on and for certain.
    fn prepare(&mut self, delivery: Delivery) -> Result<(), Failure> {
        self.tell(bit::CHECK)?;
        if delivery == Delivery::Exchange {
            self.system.add_user(&User {
                program: "recipient",
                arguments: &[],
                grants: &[],
                mac: OTHER_MAC,
                pages: MOST_PAGES,
                share: OTHER_SHARE,
                pinning: Pinning::default(),
            })?;
            self.system.set_receive_of(1, delivery.receive())?;
        }
        self.system.set_receive_of(0, delivery.receive())?;
        for _ in 0..PATIENCE {
            if self.round(delivery)? {
                return Ok(());
            }
            if delivery == Delivery::Exchange {
                self.pass_by_own()?;
            }
        }
        Err(Failure::Wrong("frames don't take the way that they should"))
    }

    /// Sends frames one by one. Whether all took the right way.
    fn round(&mut self, delivery: Delivery) -> Result<bool, Failure> {
        let before = self.system.counters(0)?;
        self.send(ROUND, 1, SHORT, true)?;
        let after = self.system.counters(0)?;
        Ok(delivery.is_all(&before, &after, ROUND as u64))
    }

    /// Finds the one page of the recipient's that the device has: when it is filled, another comes in its
    /// stead, which is never filled.
    fn pass_by_own(&mut self) -> Result<(), Failure> {
        for _ in 0..ROUND {
            let had = self.feed.collect()?;
            let before = self.system.counters(0)?;
            self.send(1, 1, SHORT, true)?;
            let after = self.system.counters(0)?;
            if Delivery::InPlace.is_all(&before, &after, 1) && self.feed.collect()? == had {
                self.feed.pass_by_last();
                return Ok(());
            }
        }
        Ok(())
    }

    fn tell(&self, bit: u64) -> Result<(), Failure> {
        let found = self.tell.get(bit as usize);
        let signalled = found.map(|notify| notify.signal(&Kernel));
        match signalled {
            Some(Ok(())) => Ok(()),
            _ => Err(Failure::Wrong("the recipient is gone")),
        }
    }

    fn measure_all(&mut self, plan: &Plan, delivery: Delivery) -> Result<(), Failure> {
        for &size in &plan.sizes {
            for &batch in &plan.batches {
                if !self.compare(size)? || !self.can(batch, size)? {
                    say!("skip {} {size} {batch}", delivery.name());
                    continue;
                }
                for &touched in &plan.touched {
                    let frames = plan.frames.next_multiple_of(batch);
                    let spent = self.measure(delivery, size, batch, touched, frames)?;
                    let row = Row {
                        delivery,
                        size,
                        batch,
                        touched,
                        frames,
                        spent,
                    };
                    say!("row {row}");
                }
            }
        }
        Ok(())
    }

    /// Sends so many batches.
    fn send(
        &mut self,
        batches: usize,
        batch: usize,
        size: usize,
        whole: bool,
    ) -> Result<(), Failure> {
        for _ in 0..batches {
            if !self.feed.frames(&self.system, batch, size, whole)? {
                return Err(Failure::Wrong("the driver posts too few buffers"));
            }
        }
        Ok(())
    }

    /// Has frames compared byte by byte. `false`: there are no buffers for one.
    fn compare(&mut self, size: usize) -> Result<bool, Failure> {
        self.tell(bit::CHECK)?;
        for _ in 0..COMPARED {
            if !self.feed.frames(&self.system, 1, size, true)? {
                return Ok(false);
            }
        }
        while let Some(event) = Kernel.poll([0; 4]) {
            if let sys::Event::Notified { bits, .. } = event
                && bits >> WRONG_BIT & 1 != 0
            {
                return Err(Failure::Wrong("a frame arrives altered"));
            }
        }
        Ok(true)
    }

    /// Whether the driver has buffers for such batches, one after the other.
    fn can(&mut self, batch: usize, size: usize) -> Result<bool, Failure> {
        self.tell(bit::NONE)?;
        for _ in 0..TRIED {
            if !self.feed.frames(&self.system, batch, size, false)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn measure(
        &mut self,
        delivery: Delivery,
        size: usize,
        batch: usize,
        touched: Touched,
        frames: usize,
    ) -> Result<Spent, Failure> {
        self.tell(touched.bit())?;
        // As long as it takes until all is as it goes on.
        self.send(frames / batch, batch, size, false)?;
        let before = self.system.counters(0)?;
        let begun = count::begin(&self.system, self.recipient)?;
        self.send(frames / batch, batch, size, false)?;
        let spent = begun.end(&self.system, self.recipient)?;
        let after = self.system.counters(0)?;
        if !delivery.is_all(&before, &after, frames as u64) {
            return Err(Failure::Wrong("some frames took another way, or were lost"));
        }
        Ok(spent)
    }
}

/// What is printed of a stretch of frames: strategy, length, batch, what was read, frames; instructions
/// of driver, recipient and others; switches; and the events, by number, if they were counted.
struct Row {
    delivery: Delivery,
    size: usize,
    batch: usize,
    touched: Touched,
    frames: usize,
    spent: Spent,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (delivery, touched) = (self.delivery.name(), self.touched.name());
        let (size, batch, frames) = (self.size, self.batch, self.frames);
        write!(f, "{delivery} {size} {batch} {touched} {frames}")?;
        let spent = &self.spent;
        for number in [spent.driver, spent.recipient, spent.rest, spent.switches] {
            write!(f, " {number}")?;
        }
        for count in spent.events.iter().flatten() {
            write!(f, " {count}")?;
        }
        f.write_char('.')
    }
}
