//! Bringing a device up: features, MTU, queues.
//!
//! A frame at an MTU of up to [`SHORT_MTU`] fits into half a page, and is one buffer; then mergeable
//! buffers are not asked for, and nothing on the way of a frame knows of them. At a larger one they
//! are needed: a device that says such an MTU and can't spread a frame over buffers is not taken at
//! its word, and the driver keeps to what fits into one.

use dev::mac::Mac;
use sys::Mem;
use virtio::queue::{Area, Areas};
use virtio::transport::Stopped;
use virtio::{Features, Offer, Queue, Setup};

use super::device::{self, HEADER, LEAST_MTU, MOST_MTU, NetFeatures, SHORT_MTU};
use super::filter::{self, Filter};
use super::merge::{self, Merge};
use super::{Control, Error, Line, VirtioNet, pieces};
use crate::transport::Information;

/// Entries of the control queue, where there is room for more than one command.
const CONTROL_SIZE: u16 = 4;

/// The interrupt vectors (entries of the function's MSI-X table). Two may be the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vectors {
    /// For the receive queue.
    pub receive: Option<u16>,
    /// For the transmit queue.
    pub transmit: Option<u16>,
    /// For the control queue.
    pub control: Option<u16>,
    /// For changes of the link, and of the device's health.
    pub configuration: Option<u16>,
}

/// Agrees with the device on features and on an MTU. Who agrees to a device's MTU must have buffers
/// for it (5.1.4.2).
fn negotiate<R: Mem>(
    device: &virtio::Transport<R>,
    mut wait: impl FnMut() -> bool,
) -> Result<(Setup<'_, R, NetFeatures>, u16), Error> {
    let required = Offer {
        common: Features::empty(),
        device: NetFeatures::MAC,
    };
    let mut wanted = Offer {
        common: Features::EVENT_INDEX,
        device: NetFeatures::MTU
            | NetFeatures::STATUS
            | NetFeatures::CONTROL_QUEUE
            | NetFeatures::CONTROL_RECEIVE,
    };
    let setup = device.negotiate(required, wanted, &mut wait)?;
    if !setup.features().device.contains(NetFeatures::MTU) {
        return Ok((setup, SHORT_MTU));
    }
    let mtu = setup.configuration(device::read_mtu)?;
    if mtu < LEAST_MTU {
        setup.fail()?;
        return Err(Error::BadMtu(mtu));
    }
    if mtu <= SHORT_MTU {
        return Ok((setup, mtu));
    }
    if mtu <= MOST_MTU {
        wanted.device |= NetFeatures::MERGEABLE_BUFFERS;
        let setup = device.negotiate(required, wanted, &mut wait)?;
        let features = setup.features().device;
        if features.contains(NetFeatures::MTU | NetFeatures::MERGEABLE_BUFFERS) {
            return Ok((setup, mtu));
        }
    }
    wanted.device -= NetFeatures::MTU | NetFeatures::MERGEABLE_BUFFERS;
    let setup = device.negotiate(required, wanted, &mut wait)?;
    Ok((setup, SHORT_MTU))
}

impl<R: Mem, M: Mem> VirtioNet<R, M> {
    /// Resets a device and sets it to work. `master` makes it a bus master, which nobody who doesn't know
    /// what it still does should. `page` answers page *n* of [`PAGES`](super::PAGES): 4,096 bytes of the
    /// driver's own, pinned both ways. `wait` waits a little for a reset to end and says whether to go on
    /// waiting.
    ///
    /// # Errors
    /// See [`Error`]. The device has no queue that it may use then, unless it says that it needs a
    /// reset.
    pub fn begin(
        device: virtio::Transport<R>,
        master: impl FnOnce(&Stopped) -> Result<(), sys::Error>,
        mut page: impl FnMut(usize) -> Option<Area<M>>,
        vectors: Vectors,
        mut wait: impl FnMut() -> bool,
    ) -> Result<Self, Error> {
        master(&device.reset(&mut wait)?).map_err(Error::Master)?;
        let (setup, mtu) = negotiate(&device, wait)?;
        let mac = setup.configuration(device::read_mac)?;
        if Mac::new(mac).is_group() || mac == [0; 6] {
            setup.fail()?;
            return Err(Error::BadMac(Mac::new(mac)));
        }
        let frame_limit = device::frame_limit(mtu);
        let pieces = pieces(frame_limit);

        let features = setup.features();
        let event_index = features.common.contains(Features::EVENT_INDEX);
        let mut next_page = 0;
        let mut take_page = || {
            let number = next_page;
            next_page += 1;
            page(number).ok_or(Error::NoPage(number))
        };
        let mut areas = || {
            Ok::<_, Error>(Areas {
                descriptors: take_page()?,
                available: take_page()?,
                used: take_page()?,
            })
        };

        setup.configuration_vector(vectors.configuration)?;
        let size = setup.queue_limit(device::RECEIVE_QUEUE)?;
        let merge = features
            .device
            .contains(NetFeatures::MERGEABLE_BUFFERS)
            .then(|| Merge::new(frame_limit));
        if merge.is_some() && usize::from(size) < merge::MOST_BUFFERS {
            // It could never hold the longest frame.
            setup.fail()?;
            return Err(Error::TooSmall);
        }
        let queue = Queue::new(size, areas()?, event_index)?;
        let bell = setup.enable(device::RECEIVE_QUEUE, &queue, vectors.receive)?;
        let receive = Line { queue, bell };

        let size = setup.queue_limit(device::TRANSMIT_QUEUE)?;
        let queue = Queue::new(size, areas()?, event_index)?;
        let bell = setup.enable(device::TRANSMIT_QUEUE, &queue, vectors.transmit)?;
        let transmit = Line { queue, bell };
        let transmit_capacity = size / pieces;
        if transmit_capacity == 0 {
            setup.fail()?;
            return Err(Error::TooSmall);
        }

        let filters = NetFeatures::CONTROL_QUEUE | NetFeatures::CONTROL_RECEIVE;
        let control = if features.device.contains(filters) {
            let size = setup.queue_limit(device::CONTROL_QUEUE)?.min(CONTROL_SIZE);
            if size < filter::BUFFERS {
                setup.fail()?;
                return Err(Error::TooSmall);
            }
            let queue = Queue::new(size, areas()?, event_index)?;
            let bell = setup.enable(device::CONTROL_QUEUE, &queue, vectors.control)?;
            let filter = Filter::new(queue, take_page()?);
            Some(Control { filter, bell })
        } else {
            None
        };

        setup.finish()?;
        let information = Information {
            mac,
            frame_limit,
            receive_capacity: receive.queue.size(),
            transmit_capacity,
            pieces,
            receive_headroom: HEADER,
            transmit_headroom: HEADER,
        };
        Ok(Self {
            device,
            receive,
            transmit,
            control,
            merge,
            information,
            tells_link: features.device.contains(NetFeatures::STATUS),
            failure: None,
            told: false,
            unchecked: 0,
        })
    }
}
