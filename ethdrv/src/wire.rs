//! The simulated wire: a transport without a device, for benches.
//!
//! A QEMU network back-end makes a guest's clock leap, so nothing over it counts the same twice. The
//! simulated wire stays inside the guest: a *wire process* stands where device, cable and the hosts
//! beyond would be. The driver knows no difference but this transport.
//!
//! What is real: the driver's policy, its sessions, the pins of its pool and of its clients' pages (the
//! apertures are bound to a function that does nothing), notifications both ways. What is simulated:
//! the device. Its queues are three of the project's own rings ([`layout`]) in two segments, each
//! written by one side; its DMA is the wire process, which has the driver's windows mapped too and
//! finds bytes by [`Piece::view`](crate::transport::Piece): buffers are named by place, and the driver
//! copies nothing for the wire's sake. Its interrupt is a notification, its doorbell another. So figures
//! over it hold no register access, no interrupt entry and no DMA.
//!
//! The driver trusts the wire process as little as a device: indices that it can't have are a failure
//! that ends the transport, tokens and lengths are handed on and checked by the policy.

mod end;

use ring::{Consumer, Descriptor, Error, MORE, Producer};
use sys::Mem;

use crate::transport::{
    DeviceFault, Full, Information, Interest, Piece, Received, Refused, Transport, fit,
};

pub use end::{Buffer, End, Span};

/// Where the rings lie. The driver's segment holds the entries of [`POSTED`](layout::POSTED) and
/// [`SENT`](layout::SENT), the wire's those of [`RECEIVED`](layout::RECEIVED); page 0 of each holds its
/// owner's lines.
///
/// | ring | from, to | an entry says | releasing it says |
/// | --- | --- | --- | --- |
/// | posted | driver, wire | a buffer: page of a view, offset in it, length; its token in the flags | it was taken |
/// | sent | driver, wire | a piece of a frame: page, offset, length; flags *more* | the wire is done with it |
/// | received | wire, driver | a frame: the buffer's token as page, its length | it was read |
pub mod layout {
    use abi::PAGE_SIZE;
    use ring::{LINE_BYTES, Ring};

    /// Buffers to be filled.
    pub const POSTED: Ring = Ring {
        entries: PAGE_SIZE,
        producer: 0,
        consumer: 0,
    };
    /// Frames to be carried.
    pub const SENT: Ring = Ring {
        entries: 2 * PAGE_SIZE,
        producer: LINE_BYTES,
        consumer: LINE_BYTES,
    };
    /// Buffers filled.
    pub const RECEIVED: Ring = Ring {
        entries: PAGE_SIZE,
        producer: 2 * LINE_BYTES,
        consumer: 2 * LINE_BYTES,
    };
    /// Pages of the driver's segment.
    pub const DRIVER_PAGES: usize = 3;
    /// Pages of the wire's segment.
    pub const WIRE_PAGES: usize = 2;
}

/// Most pieces of a frame, as for virtio-net.
pub const PIECES: usize = 3;
/// Frames in transmission: all pieces of all of them fit the ring.
const TRANSMIT_CAPACITY: u16 = (ring::CAPACITY / PIECES as u32) as u16;
/// Stands for the pieces of a frame that others follow.
const GOES_ON: u16 = u16::MAX;

/// The driver's end of the simulated wire. `M` is the memory of the segments; `K` notifies the wire
/// process.
pub struct Wire<M, K> {
    /// The driver's segment.
    own: M,
    /// The wire's.
    peer: M,
    kick: K,
    mac: [u8; 6],
    frame_limit: u32,
    posted: Producer,
    sent: Producer,
    received: Consumer,
    /// By entry of the ring of sent pieces: the token of the frame that ends there.
    tokens: [u16; ring::CAPACITY as usize],
    /// Entries of that ring whose end was reported.
    reported: u32,
    failure: Option<Error>,
    /// The policy was told of the failure.
    told: bool,
}

impl<M: Mem, K: FnMut()> Wire<M, K> {
    /// The driver's end, in fresh memory that the wire process doesn't look at yet. Frames may be as long
    /// as `frame_limit` says.
    ///
    /// # Errors
    /// The segments lack their pages.
    pub fn begin(own: M, peer: M, mac: [u8; 6], frame_limit: u32, kick: K) -> Result<Self, Error> {
        let wire = Wire {
            posted: Producer::new(layout::POSTED, 0),
            sent: Producer::new(layout::SENT, 0),
            received: Consumer::new(layout::RECEIVED, 0),
            own,
            peer,
            kick,
            mac,
            frame_limit,
            tokens: [GOES_ON; ring::CAPACITY as usize],
            reported: 0,
            failure: None,
            told: false,
        };
        wire.posted.begin(&wire.own)?;
        wire.sent.begin(&wire.own)?;
        wire.received.begin(&wire.own)?;
        Ok(wire)
    }

    /// What put an end to the wire, if anything did.
    pub fn failure(&self) -> Option<Error> {
        self.failure
    }

    /// Keeps the first failure: the others follow from it.
    #[cold]
    fn fail(&mut self, error: Error) {
        self.failure.get_or_insert(error);
    }

    /// The same; the policy is told, once.
    #[cold]
    fn fault<T>(&mut self, error: Error) -> Result<Option<T>, DeviceFault> {
        self.fail(error);
        match core::mem::replace(&mut self.told, true) {
            true => Ok(None),
            false => Err(DeviceFault {
                what: "a ring index that it can't have",
            }),
        }
    }

    fn next_received(&mut self) -> Result<Option<Received>, Error> {
        if self.received.available() == 0 && self.received.refresh(&self.peer)? == 0 {
            return Ok(None);
        }
        let Some(entry) = self.received.pop(&self.peer)? else {
            return Ok(None);
        };
        self.received.release(1);
        Ok(Some(Received {
            // A token that is none becomes one that the policy never gives.
            token: u16::try_from(entry.page).unwrap_or(u16::MAX),
            offset: 0,
            length: entry.length,
            more: entry.flags & MORE != 0,
        }))
    }

    fn next_transmitted(&mut self) -> Result<Option<u16>, Error> {
        loop {
            if self.reported == self.sent.released() {
                self.sent.refresh(&self.peer)?;
                if self.reported == self.sent.released() {
                    return Ok(None);
                }
            }
            let token = self.tokens[self.reported as usize % self.tokens.len()];
            self.reported = self.reported.wrapping_add(1);
            if token != GOES_ON {
                return Ok(Some(token));
            }
        }
    }

    fn tell(&mut self) -> Result<(), Error> {
        let mut kick = false;
        if self.received.unpublished() {
            self.received.publish(&self.own)?;
        }
        for ring in [&mut self.posted, &mut self.sent] {
            if ring.unpublished() {
                ring.publish(&self.own)?;
                kick |= ring.must_notify(&self.own, &self.peer)?;
            }
        }
        if kick {
            (self.kick)();
        }
        Ok(())
    }

    fn asked(&mut self, interest: Interest) -> Result<bool, Error> {
        let mut there = false;
        if interest.receive {
            there |= self.received.ask(&self.own, &self.peer)?;
        }
        if interest.transmit {
            // At half, so that whoever waits for room gets much of it at once.
            let held = self.sent.tail().wrapping_sub(self.sent.released());
            there |= self.sent.ask(&self.own, &self.peer, held / 2)?;
        }
        Ok(there)
    }
}

/// What an entry says of a piece.
#[inline]
const fn descriptor(piece: &Piece, flags: u32) -> Descriptor {
    Descriptor {
        page: (piece.view / abi::PAGE_SIZE as u64) as u32,
        offset: (piece.view % abi::PAGE_SIZE as u64) as u32,
        length: piece.length,
        flags,
    }
}

impl<M: Mem, K: FnMut()> Transport for Wire<M, K> {
    fn information(&self) -> Information {
        Information {
            mac: self.mac,
            frame_limit: self.frame_limit,
            receive_capacity: ring::CAPACITY as u16,
            transmit_capacity: TRANSMIT_CAPACITY,
            pieces: PIECES as u16,
            receive_headroom: 0,
            transmit_headroom: 0,
        }
    }

    fn works(&self) -> bool {
        self.failure.is_none()
    }

    fn link(&mut self) -> bool {
        self.works()
    }

    #[inline]
    fn post(&mut self, buffer: Piece, token: u16) -> Result<(), Full> {
        if self.posted.room() == 0
            && let Err(error) = self.posted.refresh(&self.peer)
        {
            self.fail(error);
        }
        let entry = descriptor(&buffer, token.into());
        self.posted.push(&self.own, entry).map_err(|_| Full)
    }

    #[inline]
    fn receive(
        &mut self,
        _: impl FnOnce(u16, u32) -> Option<u16>,
    ) -> Result<Option<Received>, DeviceFault> {
        match self.next_received() {
            Ok(received) => Ok(received),
            Err(error) => self.fault(error),
        }
    }

    #[inline]
    fn transmit(&mut self, pieces: &[Piece], token: u16) -> Result<(), Refused> {
        if !fit(pieces, PIECES) {
            return Err(Refused::Unfit);
        }
        let wanted = pieces.len() as u32;
        if self.sent.room() < wanted {
            match self.sent.refresh(&self.peer) {
                Ok(room) if room >= wanted => {}
                Ok(_) => return Err(Refused::Full),
                Err(error) => {
                    self.fail(error);
                    return Err(Refused::Full);
                }
            }
        }
        let Some((last, others)) = pieces.split_last() else {
            return Err(Refused::Unfit);
        };
        // There is room for all of them, so either all are queued or the memory is gone.
        for piece in others {
            self.tokens[self.sent.tail() as usize % self.tokens.len()] = GOES_ON;
            let entry = descriptor(piece, MORE);
            let pushed = self.sent.push(&self.own, entry);
            pushed.map_err(|_| Refused::Full)?;
        }
        self.tokens[self.sent.tail() as usize % self.tokens.len()] = token;
        self.sent
            .push(&self.own, descriptor(last, 0))
            .map_err(|_| Refused::Full)
    }

    #[inline]
    fn transmitted(&mut self) -> Result<Option<u16>, DeviceFault> {
        match self.next_transmitted() {
            Ok(token) => Ok(token),
            Err(error) => self.fault(error),
        }
    }

    #[inline]
    fn flush(&mut self) {
        if let Err(error) = self.tell() {
            self.fail(error);
        }
    }

    fn ask(&mut self, interest: Interest) -> bool {
        self.asked(interest).unwrap_or_else(|error| {
            self.fail(error);
            true
        })
    }

    /// Each wish is answered once, so there is nothing to take back.
    fn quiet(&mut self) {}
}
