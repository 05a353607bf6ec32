//! Stands in for `netstack`: checks each frame of a stream that the host numbers, and searches its
//! receive memory for what isn't its own. What it found it tells the host when that asks
//! (`guest::numbered`).
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod search;
mod storm;
mod tally;

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use abi::PAGE_SIZE;
use abi::boot::slot;
use dev::Program;
use dev::bare::This;
use dev::layout::{FIRST_RECEIVE_PAGE, FIRST_TRANSMIT_PAGE};
use dev::port::Port;
use dev::program::{BANK, PROCESS};
use dev::session::{Lost, Session, TransmitSegment};
use dev::statistics::Counter;
use guest::numbered::{self, PRIVATE, REPORT_BYTES, SHORTEST, block_start, kind};
use log::{info, warn};
use netstack::Config;
use rt::{Kernel, slots};
use sys::object::Notify;
use sys::{Cap, Mem, Sys};

use tally::{Asked, Tally};

rt::entry!(main);

const PORT: Port = Port::at(slot::GRANT);
/// Notification: the session has something.
const SESSION_BIT: u64 = 0;
/// Notification: the timer.
const TIMER_BIT: u64 = 1;
/// Transmit pages.
const TRANSMIT_PAGES: u16 = 8;
/// Longest sleep, in nanoseconds: a session that is taken away says nothing.
const LONGEST_SLEEP: u64 = 50_000_000;
/// The host is told of so many frames at once.
const TOLD_AT_ONCE: u32 = 8;

/// The checker.
struct Checker {
    program: &'static This,
    segment: TransmitSegment<This>,
    notify: Cap<Notify>,
    receive_pages: u16,
    tally: Tally,
    /// A frame that came.
    frame: Vec<u8>,
}

fn main() -> Result<(), String> {
    let config: Config = rt::arguments().map_err(|error| error.to_string())?;
    let program: &'static This = Box::leak(Box::new(This::new().map_err(|e| e.to_string())?));
    let notify = slots::take().map_err(|error| error.to_string())?;
    PROCESS
        .make_notify(&Kernel, SESSION_BIT, notify)
        .map_err(|error| error.to_string())?;
    let described = PORT.describe(&Kernel).map_err(|error| error.to_string())?;
    let segment = TransmitSegment::buy(program, TRANSMIT_PAGES).map_err(|e| e.to_string())?;
    let checker = Checker {
        program,
        segment,
        notify: Cap::at(notify),
        receive_pages: described.receive_pages,
        tally: Tally::new(config.mac[5]),
        frame: vec![0; described.frame_limit as usize],
    };
    checker.run()
}

impl Checker {
    /// Attaches again and again.
    fn run(mut self) -> ! {
        loop {
            let (port, pages) = (PORT, self.receive_pages);
            let attached =
                Session::attach(self.program, port, BANK, &self.segment, pages, self.notify);
            match attached {
                Ok(mut session) => {
                    self.tally.report.sessions += 1;
                    info!("attached");
                    plant(&session, self.tally.own);
                    let lost = match self.serve(&mut session) {
                        Err(lost) => lost,
                        Ok(never) => match never {},
                    };
                    warn!("session lost: {lost}");
                    session.detach(self.program);
                }
                Err(_) => {
                    let soon = self.program.now() + LONGEST_SLEEP;
                    let _ = self.program.arm(soon, TIMER_BIT);
                    Kernel.wait([0; 4]);
                }
            }
        }
    }

    /// Takes frames in until the session is lost.
    fn serve(&mut self, session: &mut Session<This>) -> Result<core::convert::Infallible, Lost> {
        loop {
            while let Some(frame) = session.receive()? {
                let length = frame.len().min(self.frame.len());
                let bytes = &mut self.frame[..length];
                frame.read(session.receive_memory(), bytes)?;
                session.give_back(frame);
                match self.tally.take(bytes) {
                    Asked::Nothing => {}
                    Asked::Report(number, searched) => self.report(session, number, searched)?,
                    Asked::Storm(milliseconds) => {
                        self.tally.report.kicks +=
                            storm::storm(self.program, session, milliseconds);
                    }
                }
                if self.tally.untold >= TOLD_AT_ONCE {
                    self.acknowledge(session)?;
                }
            }
            if self.tally.untold > 0 {
                self.acknowledge(session)?;
            }
            session.flush(self.program)?;
            if session.ask(self.program, false)? {
                continue;
            }
            let wake = self.program.now() + LONGEST_SLEEP;
            let _ = self.program.arm(wake, TIMER_BIT);
            Kernel.wait([0; 4]);
        }
    }

    /// Tells how many frames came, if that can be sent now.
    fn acknowledge(&mut self, session: &mut Session<This>) -> Result<(), Lost> {
        let received = self.tally.report.received;
        if send(
            session,
            self.program,
            kind::ACK,
            self.tally.own,
            received,
            &[],
        )? {
            self.tally.untold = 0;
        }
        Ok(())
    }

    /// Tells all that is known.
    fn report(
        &mut self,
        session: &mut Session<This>,
        number: u32,
        searched: bool,
    ) -> Result<(), Lost> {
        let counters = session.statistics(self.program)?;
        let report = &mut self.tally.report;
        let dropped = [
            Counter::NoPage,
            Counter::RingFull,
            Counter::OverBudget,
            Counter::NoSession,
        ];
        report.dropped = dropped.iter().map(|why| counters.get(*why) as u32).sum();
        report.copied = counters.get(Counter::Copied) as u32;
        report.in_place = counters.get(Counter::InPlace) as u32;
        report.exchanged = counters.get(Counter::Exchanged) as u32;
        if searched {
            self.search(session)?;
        }
        let fields = self.tally.report.fields();
        send(
            session,
            self.program,
            kind::REPORT,
            self.tally.own,
            number,
            &fields,
        )?;
        Ok(())
    }

    /// Searches all receive pages, whatever is in them.
    fn search(&mut self, session: &Session<This>) -> Result<(), Lost> {
        let report = &mut self.tally.report;
        (report.others, report.private) = (0, 0);
        (report.unexplained, report.searched) = (0, 0);
        let mut bytes = [0; PAGE_SIZE];
        for number in 0..session.receive_pages() {
            let page = (FIRST_RECEIVE_PAGE + number) as usize * PAGE_SIZE;
            session.receive_memory().read(page, &mut bytes)?;
            if let Some(at) = search::search(&bytes, self.tally.own, report) {
                let end = (at + 32).min(PAGE_SIZE);
                info!(
                    "unexplained: page {number}, byte {at}: {:02x?}",
                    &bytes[at..end]
                );
            }
        }
        Ok(())
    }
}

/// Sends a frame to the host. `false`: there is no room for it now.
fn send(
    session: &mut Session<This>,
    program: &This,
    kind: u8,
    own: u8,
    number: u32,
    fields: &[u32],
) -> Result<bool, Lost> {
    if session.room()? == 0 {
        return Ok(false);
    }
    let mut bytes = [0; REPORT_BYTES];
    let length = if fields.is_empty() {
        SHORTEST
    } else {
        REPORT_BYTES
    };
    numbered::write_answer(&mut bytes[..length], kind, own, number, fields);
    session
        .transmit_memory()
        .write(session.buffer(), &bytes[..length])?;
    let sent = session.send(length as u32)?;
    session.flush(program)?;
    Ok(sent)
}

/// Fills what is never sent of each transmit page (answers are short, and begin at multiples of half a
/// page) with what nobody else may ever see.
fn plant(session: &Session<This>, own: u8) {
    let block = block_start(PRIVATE, own);
    for page in 0..TRANSMIT_PAGES as usize {
        let start = (FIRST_TRANSMIT_PAGE as usize + page) * PAGE_SIZE;
        let (half, quarter) = (PAGE_SIZE / 2, PAGE_SIZE / 4);
        for at in (quarter..half).chain(half + quarter..PAGE_SIZE).step_by(8) {
            // Its own memory, which it wrote a moment ago.
            let _ = session.transmit_memory().write(start + at, &block);
        }
    }
}
