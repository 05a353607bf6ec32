//! Tries to write to its receive memory, or to have it pinned, in every way that a stack has. Each is a
//! check with a name; what it may try, and more, is tried again when pages have been exchanged and when
//! the memory was taken back.

mod mapping;
mod objects;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};

use abi::PAGE_SIZE;
use abi::cap::Rights;
use dev::Program;
use dev::bare::This;
use dev::layout::FIRST_RECEIVE_PAGE;
use dev::port::{Offer, Port};
use dev::program::BANK;
use dev::session::{Session, TransmitSegment};
use dev::statistics::Counter;
use guest::children::weakened;
use guest::report::Tally;
use netstack::session::Terms;
use rt::shared::Place;
use rt::{Kernel, slots};
use sys::object::Table;
use sys::{Cap, Error, Mem};

use crate::{PAGES, PATIENCE, hostile};

/// What is written where it can be.
const MAGIC: u64 = 0x5eed_5eed_5eed_5eed;
/// How many exchanged frames there must have been.
const EXCHANGED: u64 = 200;
/// Of how many that came at most. Two in three land in pages of others, once all that the device has are
/// pages.
const CAME: u64 = 10 * EXCHANGED;

/// A way to try.
type Check = (&'static str, fn(&Bed<'_>) -> Result<(), String>);

/// What is tried on.
struct Bed<'a> {
    program: &'static This,
    session: &'a Session<This>,
    transmit: &'a TransmitSegment<This>,
}

/// Says what should not have worked.
fn worked(what: &str) -> Result<(), String> {
    Err(format!("{what} worked"))
}

/// An invocation that must be refused.
fn refused<T>(what: &str, result: Result<T, Error>) -> Result<(), String> {
    match result {
        Ok(_) => worked(what),
        Err(_) => Ok(()),
    }
}

impl<'a> Bed<'a> {
    fn new(
        program: &'static This,
        session: &'a Session<This>,
        transmit: &'a TransmitSegment<This>,
    ) -> Bed<'a> {
        Bed {
            program,
            session,
            transmit,
        }
    }

    /// The receive segment.
    fn segment(&self) -> Cap<Table> {
        self.session.caps().segment
    }

    /// Bytes in the segment to try: the control page, the ring, and the pages received into.
    fn offsets(&self) -> impl Iterator<Item = usize> {
        let end = FIRST_RECEIVE_PAGE + self.session.receive_pages();
        (0..end as usize).map(|page| page * PAGE_SIZE + 8)
    }

    /// No word of the segment is the one that was written.
    fn is_untouched(&self) -> Result<(), String> {
        for offset in self.offsets() {
            let word = self.session.receive_memory().load_u64(offset);
            if word == Ok(MAGIC) {
                return Err(format!("byte {offset:#x} was written"));
            }
        }
        Ok(())
    }

    /// Writes to each page through a mapping of the segment, which must fail.
    fn write_through(&self, place: &Place) -> Result<(), String> {
        for offset in self.offsets() {
            if place.revocable().store_u64(offset, MAGIC).is_ok() {
                return Err(format!("byte {offset:#x} could be written"));
            }
        }
        self.is_untouched()
    }

    /// Maps the segment with these rights and writes to it. That the mapping is refused is as good.
    fn map_and_write(&self, segment: Cap<Table>, rights: Rights) -> Result<(), String> {
        let Ok(place) = rt::shared::map(segment, rights) else {
            return Ok(());
        };
        let written = self.write_through(&place);
        place.unmap().map_err(|error| error.to_string())?;
        written
    }
}

fn try_all(tally: &mut Tally, when: &str, checks: &[Check], bed: &Bed<'_>) {
    for (what, check) in checks {
        let result = check(bed).and_then(|()| bed.is_untouched());
        tally.note(&format!("{what}{when}"), result);
    }
}

/// Tries everything.
///
/// # Errors
/// What kept it from trying.
pub fn probe(program: &'static This, terms: &Terms) -> Result<(), String> {
    let mut tally = Tally::default();
    let show = |error: &dyn core::fmt::Display| error.to_string();
    let transmit = TransmitSegment::buy(program, PAGES).map_err(|error| show(&error))?;
    let attach = || {
        let (port, bank, notify) = (terms.port, terms.bank, terms.notify);
        Session::attach(program, port, bank, &transmit, PAGES, notify)
    };
    let mut session = attach().map_err(|error| show(&error))?;
    let checks = || mapping::CHECKS.iter().chain(objects::CHECKS).copied();
    let all: alloc::vec::Vec<Check> = checks().collect();
    try_all(
        &mut tally,
        "",
        &all,
        &Bed::new(program, &session, &transmit),
    );

    let exchanged = receive_exchanged(&mut session, program);
    tally.note("frames are exchanged meanwhile", exchanged);
    try_all(
        &mut tally,
        ", after exchanges",
        &all,
        &Bed::new(program, &session, &transmit),
    );

    let copy = weakened(session.caps().segment.address(), Rights::FULL);
    let copy = copy.map_err(|error| show(&error))?;
    rescinded(&mut tally, program, session, Cap::at(copy));

    // The frames, and perhaps the objects, are the same ones again.
    let session = attach().map_err(|error| show(&error))?;
    let bed = Bed::new(program, &session, &transmit);
    let stale = bed.map_and_write(Cap::at(copy), Rights::READ | Rights::WRITE);
    let refused = refused("mapping it", rt::shared::map(Cap::at(copy), Rights::READ));
    tally.note(
        "a stale capability, after attaching again",
        stale.and(refused),
    );
    try_all(&mut tally, ", after attaching again", &all, &bed);
    slots::give(copy);
    tally.note(
        "receive memory to transmit from",
        pass_as_transmit(terms, &session),
    );
    session.detach(program);
    transmit.release(program);
    tally.tell("prober");
    Ok(())
}

/// Takes frames in until enough of them were exchanged. How fast they come is the host's affair, and that
/// of whatever else it runs; but they must not cease.
fn receive_exchanged(session: &mut Session<This>, program: &This) -> Result<(), String> {
    let mut deadline = program.now() + 2 * PATIENCE;
    let mut came = 0;
    let lost = |lost: dev::session::Lost| lost.to_string();
    loop {
        while let Some(frame) = session.receive().map_err(lost)? {
            session.give_back(frame);
            came += 1;
            deadline = program.now() + 2 * PATIENCE;
        }
        session.flush(program).map_err(lost)?;
        let counters = session.statistics(program).map_err(lost)?;
        if counters.get(Counter::Exchanged) >= EXCHANGED {
            return Ok(());
        }
        if came >= CAME || program.now() > deadline {
            let ways = [
                Counter::Copied,
                Counter::InPlace,
                Counter::Exchanged,
                Counter::NoPage,
            ];
            let counts = ways.map(|way| (way.name(), counters.get(way)));
            return Err(format!("of {came} there were too few: {counts:?}"));
        }
        hostile::pause();
    }
}

/// Takes the session's memory back, and tries what is left of it.
fn rescinded(tally: &mut Tally, program: &'static This, session: Session<This>, copy: Cap<Table>) {
    let place = rt::shared::map(copy, Rights::READ);
    let destroyed = session.caps().bank.destroy(&Kernel);
    tally.note("the session's bank can be destroyed", destroyed);
    let read = session.receive_memory().load_u64(8);
    let wrote = session.receive_memory().store_u64(8, MAGIC);
    let gone = match (read, wrote) {
        (Err(_), Err(_)) => Ok(()),
        other => Err(format!("{other:?}")),
    };
    tally.note("the memory is gone when it was taken back", gone);
    if let Ok(place) = place {
        let gone = match place.revocable().load_u64(8) {
            Err(_) => Ok(()),
            Ok(_) => worked("reading"),
        };
        tally.note("so is another mapping of it", gone);
        let _ = place.unmap();
    }
    let mapped = refused("mapping it", rt::shared::map(copy, Rights::READ));
    tally.note("a stale capability, after rescinding", mapped);
    session.detach(program);
}

/// Offers the receive segment as what it transmits from, as it is and in a stronger guise.
fn pass_as_transmit(terms: &Terms, session: &Session<This>) -> Result<(), String> {
    let segment = session.caps().segment.address();
    let pinnable = weakened(segment, Rights::READ | Rights::PIN);
    let pinnable = pinnable.map_err(|error| error.to_string())?;
    let into = alloc::vec![slots::take(), slots::take(), slots::take(), slots::take()];
    let into: Result<alloc::vec::Vec<_>, Error> = into.into_iter().collect();
    let into = Box::new(into.map_err(|error| error.to_string())?);
    for address in [segment, pinnable] {
        let port: Port = terms.port;
        let offer = Offer {
            bank: BANK,
            segment: Cap::at(address),
            notify: terms.notify,
            transmit_pages: 2,
            receive_pages: 2,
        };
        let answers = dev::port::Into {
            segment: Cap::at(into[0]),
            link: dev::port::Link::at(into[1]),
            kick: Cap::at(into[2]),
            bank: Cap::at(into[3]),
        };
        if port.attach(&Kernel, &offer, &answers).is_ok() {
            return worked("attaching with it");
        }
    }
    Ok(())
}
