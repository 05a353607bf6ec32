//! What the driver's policy asks of a network device.
//!
//! A transport moves buffers to and from one device function (virtio-net), from a process that stands
//! in for a wire (the bench), or from a fake in tests. It knows queues and registers; it knows no
//! port, no session and no frame format. It holds no memory but its own queues: every buffer lies in
//! a window of the driver's, pinned by who posts it.
//!
//! A device is not believed. Whatever it reports, a transport hands on ([`Received`], tokens): *the
//! policy* checks token and length, once, against what it posted. What a transport must check for its
//! own sake (a queue entry that names no chain of its own, for instance) it reports as
//! [`DeviceFault`], and goes on.

use dev::Mac;

/// Bytes that the device reads or writes in one stretch. They never cross a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// Where the device reaches them: the address that a pin answered, plus the offset in the page.
    pub address: u64,
    /// Where the driver sees them: number of the window in bits 21 and up (0: the driver's pool; *n* + 1:
    /// port *n*), byte offset in it below. Devices that do DMA have no use for it; a wire without DMA
    /// finds the bytes by it.
    pub view: u64,
    /// How many.
    pub length: u32,
}

/// What a device is and can do. Constant once the device works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Information {
    /// The device's own MAC address, in the order of the wire.
    pub mac: [u8; 6],
    /// Longest frame that it sends and receives: header and payload, without check sequence. 1,514
    /// for an MTU of 1,500.
    pub frame_limit: u32,
    /// Receive buffers that can be posted at once.
    pub receive_capacity: u16,
    /// Frames that can be in transmission at once, each of up to `pieces` pieces.
    pub transmit_capacity: u16,
    /// Most pieces of one transmitted frame; at least 2.
    pub pieces: u16,
    /// Bytes at the start of a frame's first buffer that the device fills with what isn't frame; at
    /// most 16. Which buffer will be one isn't known before, so each has that much more room. A buffer
    /// that a frame goes on in has frame from its first byte.
    pub receive_headroom: u32,
    /// Bytes before the first piece of each transmitted frame that belong to the transport; at most
    /// 16. They lie in the same page, in memory of the driver's own, and are zero.
    pub transmit_headroom: u32,
}

/// A buffer that the device has filled: its word, to be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// The token that the buffer was posted with.
    pub token: u16,
    /// Where the frame's bytes start in the buffer: the headroom in a frame's first buffer, 0 in those
    /// that continue it. The transport's own word, not the device's.
    pub offset: u32,
    /// Bytes of the frame in this buffer, without headroom. 0 when the device claims to have written
    /// less than the headroom.
    pub length: u32,
    /// The frame goes on in the next buffer received.
    pub more: bool,
}

/// The queue takes no more for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl core::fmt::Display for Full {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the device's queue is full")
    }
}

impl core::error::Error for Full {}

/// Why a frame was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The queue takes no more for now.
    Full,
    /// The queue never takes this one: it has no pieces, or too many, or one of them has no bytes.
    Unfit,
}

impl core::fmt::Display for Refused {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Refused::Full => Full.fmt(f),
            Refused::Unfit => f.write_str("the device's queue never takes such a frame"),
        }
    }
}

impl core::error::Error for Refused {}

/// Whether the pieces of a frame are such as a queue takes, `most` at most. For transports that don't
/// leave it to theirs.
#[inline]
pub fn fit(pieces: &[Piece], most: usize) -> bool {
    (1..=most).contains(&pieces.len()) && pieces.iter().all(|piece| piece.length > 0)
}

/// The device said something that its own queue disproves. It was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceFault {
    /// What it said, for people.
    pub what: &'static str,
}

impl core::fmt::Display for DeviceFault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "the device reports {}", self.what)
    }
}

impl core::error::Error for DeviceFault {}

/// What the driver wants to be interrupted for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// A buffer was filled.
    pub receive: bool,
    /// A frame left.
    pub transmit: bool,
}

/// A network device.
///
/// Nothing here waits, and nothing allocates after the device was set up. `post` and `transmit` only
/// queue; `flush` tells the device, once for the batch.
pub trait Transport {
    /// What the device is and can do.
    fn information(&self) -> Information;

    /// Whether the device can still be worked with. Once it can't, it never can again: it must be
    /// reset, by a driver that begins anew.
    fn works(&self) -> bool {
        true
    }

    /// Whether the link is up.
    fn link(&mut self) -> bool;

    /// Lends the device a buffer to fill. `token` comes back with it; the caller uses no token twice
    /// at a time, and only tokens below `receive_capacity`. Where a frame of `frame_limit` bytes with
    /// its headroom is longer than half a page, it may be spread over several buffers, of at least
    /// 1,024 bytes each; otherwise a buffer holds all of it.
    ///
    /// # Errors
    /// [`Full`]: `receive_capacity` buffers are posted already.
    fn post(&mut self, buffer: Piece, token: u16) -> Result<(), Full>;

    /// Takes the next filled buffer, in the order in which the device filled them. The buffers of one
    /// frame follow upon each other.
    ///
    /// `headroom` reads, once, the 16-bit word that lies this many bytes into the buffer with this
    /// token, as the device wrote it: a transport that keeps something in the headroom asks for it.
    /// `None`: there is no such buffer, or no such place in its headroom.
    ///
    /// # Errors
    /// [`DeviceFault`]: an entry of the queue was passed over, or a frame, whose buffers follow
    /// without bytes; ask again.
    fn receive(
        &mut self,
        headroom: impl FnOnce(u16, u32) -> Option<u16>,
    ) -> Result<Option<Received>, DeviceFault>;

    /// Queues a frame: its pieces in order, 1 to `pieces` of them, none of them empty. `transmit_headroom` bytes before
    /// the first piece are the transport's to send along. The memory stays as it is until the token
    /// comes back. The caller uses no token twice at a time, and only tokens below
    /// `transmit_capacity`.
    ///
    /// # Errors
    /// [`Refused`]: nothing was queued. A caller that waits for room asks again when frames of its own
    /// have left: for what is [unfit](Refused::Unfit) it would wait for ever.
    fn transmit(&mut self, pieces: &[Piece], token: u16) -> Result<(), Refused>;

    /// Takes the token of a frame that the device is done with, in whatever order.
    ///
    /// # Errors
    /// [`DeviceFault`]: an entry of the queue was passed over; ask again.
    fn transmitted(&mut self) -> Result<Option<u16>, DeviceFault>;

    /// Says for whom frames are wanted, from now on: these stations and groups, and broadcast. Until
    /// this is said first, and while the device can't choose, it hands on everything. Takes effect
    /// some time after [`flush`](Self::flush).
    fn set_filter(
        &mut self,
        stations: impl Iterator<Item = Mac>,
        groups: impl Iterator<Item = Mac>,
    ) {
        let _ = (stations, groups);
    }

    /// Makes what was posted and queued since the last time known to the device.
    fn flush(&mut self);

    /// Asks for interrupts before the driver waits. `true`: what it waits for is there already
    /// (looked at after asking, so that nothing is missed); poll instead of waiting.
    fn ask(&mut self, interest: Interest) -> bool;

    /// Wants no interrupts until the next `ask`; some may come all the same.
    fn quiet(&mut self);
}
