//! Receiving: from the device to sessions.

use alloc::boxed::Box;
use alloc::vec::Vec;

use abi::PAGE_SIZE;
use dev::statistics::{Counter, Counters};
use dev::{Activity, Program};
use ring::Descriptor;
use sys::Mem;

use crate::assembly::{MOST, Next, USUAL};
use crate::buffers::{Buffer, Fragment};
use crate::deliveries::{Deliveries, Delivery, count};
use crate::demux::{PortNumber, Side};
use crate::driver::{Driver, session};
use crate::flood::TURN;
use crate::frame::{Header, Part, Source, Stretch};
use crate::misbehaviour::End;
use crate::port::{Port, State};
use crate::receiving::Phase;
use crate::session::Session;
use crate::slots::Slots;
use crate::strategy::{Undelivered, Way, copy};
use crate::transport::{Received, Transport};

/// What comes with a frame beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The wire sent it to this station; `true` if it was recovered from a page that nobody owns.
    Wire(bool),
    /// Another session did.
    Session,
    /// It is a group's.
    Group,
}

impl<P: Program, T: Transport> Driver<P, T> {
    /// Takes frames from the device. `true`: there may be more.
    pub(crate) fn receive(&mut self) -> bool {
        if self.respite.is_alert() && !self.respite.begin(self.program.now()) {
            return false;
        }
        let (mut more, mut left) = (true, TURN);
        self.flood.turn();
        while left > 0 {
            let (pool, slots, buffers) = (&self.pool, &self.slots, &self.buffers);
            let headroom = |token, offset| {
                let (buffer, offset) = buffers.headroom(token, offset)?;
                let page = match buffer {
                    Buffer::Pool => 0,
                    Buffer::Page(slot) => Slots::<P>::offset(slot),
                };
                memory(pool, slots, buffer).load_u16(page + offset).ok()
            };
            match self.transport.receive(headroom) {
                Ok(None) => {
                    self.flood.over();
                    more = false;
                    break;
                }
                Ok(Some(received)) => self.received(&received),
                Err(_) => {
                    self.deliveries.dropped += 1;
                    self.counters.count(Counter::DeviceFault);
                }
            }
            left -= 1;
        }
        self.commit();
        self.refill();
        if self.deliveries.dropped > 0 || self.respite.is_alert() {
            let dropped = core::mem::take(&mut self.deliveries.dropped);
            self.respite.end(TURN - left, dropped, self.program.now());
            more &= self.respite.until().is_none();
        }
        more
    }

    #[inline]
    fn received(&mut self, received: &Received) {
        let Some(buffer) = self.buffers.take(received.token) else {
            self.deliveries.dropped += 1;
            self.counters.count(Counter::DeviceLie);
            return;
        };
        let (start, room) = match buffer {
            Buffer::Pool => self.buffers.pool_extent(received.token),
            Buffer::Page(slot) => {
                let (start, room) = self.buffers.page_extent();
                (Slots::<P>::offset(slot) + start, room)
            }
        };
        let fits = received
            .offset
            .checked_add(received.length)
            .is_some_and(|end| end <= room);
        let fragment = Fragment {
            token: received.token,
            buffer,
            part: Part {
                offset: start + received.offset as usize,
                length: if fits { received.length } else { 0 },
            },
        };
        let limit = self.information.frame_limit;
        match self.assembly.take(fragment, fits, received.more, limit) {
            Next::Whole => self.arrived(&[fragment]),
            Next::Part => {}
            Next::Complete => self.completed(),
            Next::Drop(counter) => self.pass_over(fragment, counter),
        }
    }

    /// A frame of several buffers has arrived.
    #[inline(never)]
    fn completed(&mut self) {
        let fragments = self.assembly.complete();
        let before = self.deliveries.dropped;
        self.arrived(&fragments);
        if self.deliveries.dropped > before {
            // A turn is so many buffers, and all of these came to nothing.
            self.deliveries.dropped = before + fragments.len() as u32;
        }
        self.assembly.put_back(fragments);
    }

    /// A buffer, and what was kept before it, is of no use.
    #[cold]
    fn pass_over(&mut self, fragment: Fragment, counter: Option<Counter>) {
        if let Some(counter) = counter {
            self.counters.count(counter);
        }
        let fragments = self.assembly.complete();
        self.deliveries.dropped += 1 + fragments.len() as u32;
        // Nobody looks whose it would have been.
        mark_private(&mut self.slots, &fragments);
        mark_private(&mut self.slots, &[fragment]);
        self.release_all(&fragments);
        self.assembly.put_back(fragments);
        self.release(fragment.token, fragment.buffer);
    }

    /// A whole frame has arrived. Inlined down to the copy, so that a frame of one buffer, as nearly
    /// all are, costs no loops.
    #[inline(always)]
    fn arrived(&mut self, fragments: &[Fragment]) {
        let Some(first) = fragments.first() else {
            return;
        };
        let memory = memory(&self.pool, &self.slots, first.buffer);
        let destination = Header::destination(memory, first.part.offset);
        if destination.is_group() {
            self.fan_out_received(destination, fragments);
            return;
        }
        let Some(number) = self.demux.station(destination, Side::Wire) else {
            self.deliveries.dropped += 1;
            self.counters.count(Counter::Nobody);
            return self.release_all(fragments);
        };
        if let Err(end) = self.deliver_received(number, fragments) {
            self.end(number, end);
        }
    }

    /// Delivers a frame from the wire to a port by its strategy, or drops and counts it.
    #[inline(always)]
    fn deliver_received(&mut self, number: PortNumber, fragments: &[Fragment]) -> Result<(), End> {
        let length = fragments.iter().map(|one| one.part.length).sum();
        let port = self.ports.get_mut(number as usize).and_then(Option::as_mut);
        if port
            .as_ref()
            .is_some_and(|port| port.settings.receive.sealed)
        {
            mark_private(&mut self.slots, fragments);
        }
        let (flips, flipping) = match port.map(Box::as_mut) {
            Some(Port {
                state: State::Open(session),
                settings,
                counters,
                ..
            }) => {
                let (share, buffers) = (settings.rate.share, fragments.len() as u32);
                if !session.budget.take(&mut self.flood, share, buffers) {
                    drop_one(
                        counters,
                        &mut self.deliveries,
                        Counter::OverBudget,
                        Origin::Wire(false),
                    );
                    self.release_all(fragments);
                    return Ok(());
                }
                let receiving = &session.receiving;
                let chosen = receiving.flips(&settings.receive, length);
                if let Err(Some(why)) = chosen {
                    counters.count(why);
                }
                (chosen.is_ok(), receiving.phase == Phase::Flipping)
            }
            _ => (false, false),
        };
        if flips {
            match self.flip(number, fragments) {
                Ok(None) => return Ok(()),
                Ok(Some(why)) => {
                    if let Some(port) = self.port(number) {
                        port.counters.count(why);
                    }
                }
                Err(undelivered) => {
                    self.release_all(fragments);
                    return self.not_delivered(number, undelivered);
                }
            }
        }
        self.program.doing(Activity::Copying);
        let copied = self.copy_received(number, fragments);
        self.program.doing(Activity::Receiving);
        self.release_all(fragments);
        if flipping && let Some(session) = session(&mut self.ports, number) {
            // Perhaps it was copied because the device has no page of the recipient's any more, and the
            // client has given some back only now.
            self.posting.want(number, session);
        }
        copied
    }

    fn not_delivered(&mut self, number: PortNumber, undelivered: Undelivered) -> Result<(), End> {
        match undelivered {
            Undelivered::Dropped(counter) => {
                self.deliveries.dropped += 1;
                if let Some(port) = self.port(number) {
                    port.counters.count(counter);
                }
                Ok(())
            }
            Undelivered::End(end) => Err(end),
        }
    }

    #[inline(always)]
    fn copy_received(&mut self, number: PortNumber, fragments: &[Fragment]) -> Result<(), End> {
        let origin = Origin::Wire(fragments.iter().any(|fragment| match fragment.buffer {
            Buffer::Pool => false,
            Buffer::Page(slot) => self.slots.is_revoked(slot),
        }));
        let stretch = |fragment: &Fragment| Stretch {
            memory: memory(&self.pool, &self.slots, fragment.buffer),
            part: fragment.part,
        };
        let (ports, dirty, deliveries) = (&mut self.ports, &mut self.dirty, &mut self.deliveries);
        match fragments {
            [fragment] => {
                let stretches = [stretch(fragment)];
                let source = Source::new(&stretches);
                hand_over(ports, dirty, deliveries, number, &source, origin)
            }
            fragments => {
                let mut deliver = |source: &Source<'_, P::Own>| {
                    deliver(ports, dirty, deliveries, number, source, origin)
                };
                match fragments.len() {
                    ..=USUAL => gathered::<USUAL, _>(fragments, stretch, &mut deliver),
                    _ => gathered::<MOST, _>(fragments, stretch, &mut deliver),
                }
            }
        }
    }

    /// Buffers have been used.
    #[inline]
    pub(crate) fn release_all(&mut self, fragments: &[Fragment]) {
        for fragment in fragments {
            self.release(fragment.token, fragment.buffer);
        }
    }
}

/// Has a frame of up to `N` buffers delivered.
#[inline(never)]
fn gathered<'a, const N: usize, M: Mem + 'a>(
    fragments: &[Fragment],
    stretch: impl Fn(&Fragment) -> Stretch<'a, M>,
    deliver: &mut impl FnMut(&Source<'_, M>) -> Result<(), End>,
) -> Result<(), End> {
    let Some(first) = fragments.first().map(&stretch) else {
        return Ok(());
    };
    let mut stretches = [first; N];
    for (to, fragment) in stretches.iter_mut().zip(fragments) {
        *to = stretch(fragment);
    }
    deliver(&Source::new(&stretches[..fragments.len().min(N)]))
}

/// What comes for a sealed port is in these pages from now on, however it is delivered, or dropped.
pub(crate) fn mark_private<P: Program>(slots: &mut Slots<P>, fragments: &[Fragment]) {
    for fragment in fragments {
        if let Buffer::Page(slot) = fragment.buffer {
            slots.mark_private(slot);
        }
    }
}

/// The window that a buffer lies in.
#[inline]
pub(crate) fn memory<'a, P: Program>(
    pool: &'a dev::pool::Pool<P>,
    slots: &'a Slots<P>,
    buffer: Buffer,
) -> &'a P::Own {
    match buffer {
        Buffer::Pool => pool.memory(),
        // There is a window to every slot.
        Buffer::Page(slot) => slots.memory(slot).unwrap_or(pool.memory()),
    }
}

/// Copies a frame to a port, or drops and counts it.
///
/// # Errors
/// The recipient's session must end.
#[inline(never)]
pub(crate) fn deliver<P: Program>(
    ports: &mut [Option<Box<Port<P>>>],
    dirty: &mut Vec<PortNumber>,
    deliveries: &mut Deliveries,
    number: PortNumber,
    frame: &Source<'_, P::Own>,
    origin: Origin,
) -> Result<(), End> {
    hand_over(ports, dirty, deliveries, number, frame, origin)
}

/// The same, inlined.
#[inline(always)]
fn hand_over<P: Program>(
    ports: &mut [Option<Box<Port<P>>>],
    dirty: &mut Vec<PortNumber>,
    deliveries: &mut Deliveries,
    number: PortNumber,
    frame: &Source<'_, P::Own>,
    origin: Origin,
) -> Result<(), End> {
    let Some(port) = ports.get_mut(number as usize).and_then(Option::as_mut) else {
        return Ok(());
    };
    let State::Open(session) = &mut port.state else {
        drop_one(&mut port.counters, deliveries, Counter::NoSession, origin);
        return Ok(());
    };
    let recovered = origin == Origin::Wire(true);
    let told = match frame.length() > PAGE_SIZE as u32 {
        false => copy::place_one(session, frame)
            .and_then(|piece| tell(session, deliveries, number, &[piece], recovered)),
        true => tell_pages(session, deliveries, number, frame, recovered),
    };
    match told {
        Ok(true) => {}
        Ok(false) => return Ok(()),
        Err(Undelivered::Dropped(counter)) => {
            drop_one(&mut port.counters, deliveries, counter, origin);
            return Ok(());
        }
        Err(Undelivered::End(end)) => return Err(end),
    }
    count(&mut port.counters, frame.length(), Way::Copied, recovered);
    match origin {
        Origin::Wire(_) => {}
        Origin::Session => port.counters.count(Counter::ReceivedSwitched),
        Origin::Group => port.counters.count(Counter::ReceivedMulticast),
    }
    if !session.dirty {
        session.dirty = true;
        dirty.push(number);
    }
    Ok(())
}

/// A frame comes to nothing.
#[cold]
#[inline(never)]
fn drop_one(counters: &mut Counters, deliveries: &mut Deliveries, why: Counter, origin: Origin) {
    counters.count(why);
    deliveries.dropped += matches!(origin, Origin::Wire(_)) as u32;
}

/// Copies a frame of more than a page, and tells its pieces.
#[inline(never)]
fn tell_pages<P: Program>(
    session: &mut Session<P>,
    deliveries: &mut Deliveries,
    number: PortNumber,
    frame: &Source<'_, P::Own>,
    recovered: bool,
) -> Result<bool, Undelivered> {
    let placed = copy::place_pages(session, frame)?;
    tell(session, deliveries, number, placed.pieces(), recovered)
}

/// Tells the pieces of a copied frame to its recipient. `false`: they wait to be told.
#[inline(always)]
fn tell<P: Program>(
    session: &mut Session<P>,
    deliveries: &mut Deliveries,
    number: PortNumber,
    pieces: &[Descriptor],
    recovered: bool,
) -> Result<bool, Undelivered> {
    if session.receiving.deferred > 0 {
        // It must not overtake what waits for an exchange.
        for piece in pieces {
            session.receiving.deferred += 1;
            deliveries.add(Delivery {
                port: number,
                serial: session.serial,
                descriptor: *piece,
                way: Way::Copied,
                recovered,
                swap: None,
            });
        }
        return Ok(false);
    }
    for piece in pieces {
        session.filled.push(&session.receive, *piece)?;
    }
    Ok(true)
}
