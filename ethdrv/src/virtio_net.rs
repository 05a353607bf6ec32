//! A virtio-net device as the driver's transport (5.1).
//!
//! One pair of queues and, where the device has one, a control queue for the [`filter`]; each has its
//! interrupt vector. No offload is negotiated: the header before each frame is 12 zero bytes to the
//! device. From the device it is of no interest while a frame is one buffer; where frames are longer,
//! it says over how many buffers the device spread one ([`merge`]).
//!
//! The device is not believed (see [`virtio::queue`]). What it gives back wrongly is passed over and
//! told; what leaves nothing to go on from (an index that jumps, a device that is gone) becomes
//! the [`Failure`], and from then on the queues look empty and full. It takes a new driver then, after
//! a reset of the device.

mod begin;
pub mod device;
mod error;
pub mod filter;
mod merge;

use abi::PAGE_SIZE;
use dev::layout::COPIED;
use dev::mac::Mac;
use sys::Mem;
use virtio::queue::{Error as QueueError, Misbehaviour};
use virtio::transport::{Doorbell, Error as DeviceError};
use virtio::{Buffer, Queue};

use crate::transport::{
    DeviceFault, Full, Information, Interest, Piece, Received, Refused, Transport,
};
use device::{HEADER, MOST_MTU};
use filter::{Filter, Mode};
use merge::{Merge, Wrong};

pub use begin::Vectors;
pub use error::{Error, Failure};
pub use merge::MOST_BUFFERS;

/// Pages of the driver's own that the device's queues take: three for each of three queues, and one
/// for commands.
pub const PAGES: usize = 10;

/// Most pieces of a transmitted frame: the copy of its beginning, and the rest across as many pages as
/// it can touch.
const fn pieces(frame_limit: u32) -> u16 {
    let rest = (frame_limit as usize).saturating_sub(COPIED);
    // It may begin with the last byte of a page.
    let pages = (rest + PAGE_SIZE - 2) / PAGE_SIZE + 1;
    1 + pages as u16
}

/// The same of the longest frame there is.
const MOST_PIECES: usize = pieces(device::frame_limit(MOST_MTU)) as usize;

/// Every how many times that it is asked for interrupts the device's status is read: a device that is
/// gone is noticed while anybody has work for it, and the read costs next to nothing.
const CHECK_EVERY: u32 = 64;

/// A queue, and where the device is told of it.
struct Line<M, T> {
    queue: Queue<M, T>,
    bell: Doorbell,
}

/// The control queue's filter, and where the device is told of it.
struct Control<M> {
    filter: Filter<M>,
    bell: Doorbell,
}

/// A virtio-net device at work. `R` are its registers, `M` is the memory of its queues.
pub struct VirtioNet<R, M> {
    device: virtio::Transport<R>,
    receive: Line<M, u16>,
    transmit: Line<M, u16>,
    control: Option<Control<M>>,
    /// The frame being taken, where one can take several buffers.
    merge: Option<Merge>,
    information: Information,
    tells_link: bool,
    failure: Option<Failure>,
    /// The policy was told of the failure.
    told: bool,
    /// How often the policy asked for interrupts since the device was last checked.
    unchecked: u32,
}

impl<R: Mem, M: Mem> VirtioNet<R, M> {
    /// What the device receives, as far as it followed.
    pub fn filter_mode(&self) -> Mode {
        match &self.control {
            Some(control) => control.filter.mode(),
            None => Mode::Everything,
        }
    }

    /// What put an end to the device's work, if anything did.
    pub fn failure(&self) -> Option<Failure> {
        self.failure
    }

    /// Asks the device whether it is still there and at work. [`ask`](Transport::ask) does so now and
    /// then; worth doing when its configuration changed, and when it has been silent for long.
    ///
    /// # Errors
    /// The failure, this one or an earlier one.
    pub fn check(&mut self) -> Result<(), Failure> {
        if let Err(error) = self.device.check() {
            self.fail(Failure::Device(error));
        }
        self.failure.map_or(Ok(()), Err)
    }

    /// Keeps the first failure: the others follow from it.
    #[cold]
    fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
    }

    /// What the policy is told of a queue's error: a fault passed over, each time; a failure, once.
    #[cold]
    fn tell(&mut self, error: QueueError, failure: Failure) -> Option<DeviceFault> {
        if let QueueError::Misbehaved(Misbehaviour::NotPosted { .. }) = error {
            return Some(DeviceFault {
                what: "a buffer back that it doesn't have",
            });
        }
        self.fail(failure);
        (!core::mem::replace(&mut self.told, true)).then_some(DeviceFault {
            what: "what makes its queue useless",
        })
    }

    /// Why a frame was not queued.
    #[cold]
    fn refused(&mut self, error: QueueError) -> Refused {
        match error {
            QueueError::BadChain => Refused::Unfit,
            QueueError::Full => Refused::Full,
            error => {
                self.fail(Failure::Transmit(error));
                Refused::Full
            }
        }
    }

    /// Whether there is something to poll for: a failure too, until the policy was told of it.
    fn asked(
        &mut self,
        asked: Result<bool, QueueError>,
        failure: fn(QueueError) -> Failure,
    ) -> bool {
        asked.unwrap_or_else(|error| {
            self.fail(failure(error));
            !self.told
        })
    }

    /// Follows up the command in flight.
    fn follow_up(&mut self) {
        if let Some(control) = &mut self.control
            && control.filter.is_busy()
            && let Err(error) = control.filter.advance()
        {
            // A command that is lost is never answered, and no other is sent.
            self.fail(Failure::Control(error));
        }
    }
}

/// Tells the device of a queue, if it wants to be told.
#[inline]
fn notify<R: Mem, M: Mem, T: Copy>(
    device: &virtio::Transport<R>,
    queue: &mut Queue<M, T>,
    bell: Doorbell,
) -> Result<(), Failure> {
    let memory = |fault| Failure::Device(DeviceError::Memory(fault));
    match queue.should_notify() {
        Ok(true) => device.ring(bell).map_err(Failure::Device),
        Ok(false) => Ok(()),
        Err(QueueError::Memory(fault)) => Err(memory(fault)),
        Err(_) => Ok(()),
    }
}

/// Asks for interrupts of a queue, or for none.
fn ask<M: Mem, T: Copy>(queue: &mut Queue<M, T>, wanted: bool) -> Result<bool, QueueError> {
    if wanted {
        queue.listen()
    } else {
        queue.quiet().map(|()| false)
    }
}

impl<R: Mem, M: Mem> Transport for VirtioNet<R, M> {
    fn information(&self) -> Information {
        self.information
    }

    fn works(&self) -> bool {
        self.failure.is_none()
    }

    fn link(&mut self) -> bool {
        if self.failure.is_some() {
            return false;
        }
        if !self.tells_link {
            return true;
        }
        match self.device.configuration(device::read_link) {
            Ok(up) => up,
            Err(DeviceError::Unstable) => false,
            Err(error) => {
                self.fail(Failure::Device(error));
                false
            }
        }
    }

    #[inline]
    fn post(&mut self, buffer: Piece, token: u16) -> Result<(), Full> {
        let chain = [Buffer::from_device(buffer.address, buffer.length)];
        self.receive.queue.post(&chain, token).map_err(|_| Full)
    }

    #[inline]
    fn receive(
        &mut self,
        headroom: impl FnOnce(u16, u32) -> Option<u16>,
    ) -> Result<Option<Received>, DeviceFault> {
        let queue = &mut self.receive.queue;
        let taken = match &mut self.merge {
            None => queue
                .take()
                .map(|done| done.map(|done| merge::first(&done)))
                .map_err(Wrong::Queue),
            Some(merge) => merge.receive(queue, headroom),
        };
        match taken {
            Ok(received) => Ok(received),
            Err(Wrong::Frame(what)) => Err(DeviceFault { what }),
            Err(Wrong::Queue(error)) => match self.tell(error, Failure::Receive(error)) {
                Some(fault) => Err(fault),
                None => Ok(None),
            },
        }
    }

    #[inline]
    fn transmit(&mut self, pieces: &[Piece], token: u16) -> Result<(), Refused> {
        let piece = |piece: &Piece| Buffer::to_device(piece.address, piece.length);
        // The header lies before the first piece, so they are one buffer (2.7.4.1 leaves the driver
        // the choice).
        let first = |first: &Piece| {
            let address = first.address.wrapping_sub(HEADER.into());
            Buffer::to_device(address, first.length.saturating_add(HEADER))
        };
        if pieces.len() > self.information.pieces.into() {
            return Err(Refused::Unfit);
        }
        let queue = &mut self.transmit.queue;
        // Nearly every frame is one of the first three, whose lengths the queue is compiled for.
        let posted = match pieces {
            [a] => queue.post(&[first(a)], token),
            [a, b] => queue.post(&[first(a), piece(b)], token),
            [a, b, c] => queue.post(&[first(a), piece(b), piece(c)], token),
            [a, rest @ ..] if rest.len() < MOST_PIECES => {
                let mut chain = [first(a); MOST_PIECES];
                for (buffer, from) in chain[1..].iter_mut().zip(rest) {
                    *buffer = piece(from);
                }
                queue.post(&chain[..pieces.len()], token)
            }
            _ => return Err(Refused::Unfit),
        };
        posted.map_err(|error| self.refused(error))
    }

    #[inline]
    fn transmitted(&mut self) -> Result<Option<u16>, DeviceFault> {
        match self.transmit.queue.take() {
            // It has nothing to write to; what it says about that is of no use to anybody.
            Ok(done) => Ok(done.map(|done| done.token)),
            Err(error) => match self.tell(error, Failure::Transmit(error)) {
                Some(fault) => Err(fault),
                None => Ok(None),
            },
        }
    }

    /// Without a control queue, or with more than [`filter::MOST`] addresses, the device receives
    /// everything. The commands go out with `flush`, and are followed up there.
    fn set_filter(
        &mut self,
        stations: impl Iterator<Item = Mac>,
        groups: impl Iterator<Item = Mac>,
    ) {
        if let Some(control) = &mut self.control
            && let Err(error) = control.filter.set(stations, groups)
        {
            self.fail(Failure::Control(error));
        }
    }

    #[inline]
    fn flush(&mut self) {
        let Line { queue, bell } = &mut self.receive;
        let received = notify(&self.device, queue, *bell);
        let Line { queue, bell } = &mut self.transmit;
        let transmitted = notify(&self.device, queue, *bell);
        self.follow_up();
        let controlled = match &mut self.control {
            Some(Control { filter, bell }) if filter.is_busy() => {
                notify(&self.device, filter.queue(), *bell)
            }
            _ => Ok(()),
        };
        if let Err(failure) = received.and(transmitted).and(controlled) {
            self.fail(failure);
        }
    }

    fn ask(&mut self, interest: Interest) -> bool {
        self.unchecked += 1;
        if self.unchecked >= CHECK_EVERY {
            self.unchecked = 0;
            // What it finds is kept as the failure.
            let _ = self.check();
        }
        let received = ask(&mut self.receive.queue, interest.receive);
        let transmitted = ask(&mut self.transmit.queue, interest.transmit);
        let controlled = match &mut self.control {
            Some(Control { filter, .. }) => {
                let busy = filter.is_busy();
                ask(filter.queue(), busy)
            }
            None => Ok(false),
        };
        if let Err(error) = controlled {
            self.fail(Failure::Control(error));
        }
        let received = self.asked(received, Failure::Receive);
        let transmitted = self.asked(transmitted, Failure::Transmit);
        received | transmitted | controlled.unwrap_or(false)
    }

    fn quiet(&mut self) {
        let received = self.receive.queue.quiet().map_err(Failure::Receive);
        let transmitted = self.transmit.queue.quiet().map_err(Failure::Transmit);
        if let Err(failure) = received.and(transmitted) {
            self.fail(failure);
        }
    }
}
