//! A fake network device: what is sent to it is remembered, what is injected is received. It reaches
//! memory only at DMA addresses, and only what is pinned for it.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use dev::Mac;
use ethdrv::transport::{
    DeviceFault, Full, Information, Interest, Piece, Received, Refused, Transport, fit,
};

use super::kernel::Shared;

pub const HEADROOM: u32 = 12;
pub const FRAME_LIMIT: u32 = 1514;

/// The device, as the test sees it.
pub struct Device {
    pub kernel: Shared,
    pub posted: VecDeque<(Piece, u16)>,
    /// What the wire brings.
    pub incoming: VecDeque<Vec<u8>>,
    /// Said in place of what is true.
    pub lies: VecDeque<Result<Received, DeviceFault>>,
    pub sent_lies: VecDeque<Result<u16, DeviceFault>>,
    /// Being sent: read only when it completes.
    pub sending: VecDeque<(Vec<Piece>, u16)>,
    /// What left.
    pub wire: Vec<Vec<u8>>,
    /// Frames complete when the driver looks; otherwise when the test says.
    pub prompt: bool,
    /// Why it takes no frame, if it takes none.
    pub refuses: Option<Refused>,
    completed: VecDeque<u16>,
    /// Buffers of a frame that were filled and not given back yet.
    filled: VecDeque<Received>,
    /// Buffers filled and posted again.
    pub dropped: usize,
    pub interest: Interest,
    pub flushes: usize,
    /// For whom the driver wants frames, as it said last, and how often it said so.
    pub filter: BTreeSet<Mac>,
    pub filters: usize,
    /// Nanoseconds that go by for each frame that the driver takes.
    pub cost: u64,
    information: Information,
}

impl Device {
    pub fn new(kernel: &Shared, capacity: u16, frame_limit: u32) -> Device {
        Device {
            kernel: kernel.clone(),
            posted: VecDeque::new(),
            incoming: VecDeque::new(),
            lies: VecDeque::new(),
            sent_lies: VecDeque::new(),
            sending: VecDeque::new(),
            wire: Vec::new(),
            prompt: true,
            refuses: None,
            completed: VecDeque::new(),
            filled: VecDeque::new(),
            dropped: 0,
            interest: Interest::default(),
            flushes: 0,
            filter: BTreeSet::new(),
            filters: 0,
            cost: 0,
            information: Information {
                mac: [0x52, 0x54, 0, 0, 0, 1],
                frame_limit,
                receive_capacity: capacity,
                transmit_capacity: capacity,
                pieces: if frame_limit > FRAME_LIMIT { 5 } else { 3 },
                receive_headroom: HEADROOM,
                transmit_headroom: HEADROOM,
            },
        }
    }

    /// A frame arrives: it goes into the next buffers posted, or is dropped if they are too few.
    fn fill(&mut self, frame: &[u8]) {
        let mut rest = frame;
        let mut used = Vec::new();
        let mut offset = HEADROOM;
        while !rest.is_empty() {
            let Some((buffer, token)) = self.posted.get(used.len()).copied() else {
                self.dropped += 1;
                return;
            };
            let (piece, others) = rest.split_at(rest.len().min((buffer.length - offset) as usize));
            used.push((buffer, token, offset, piece));
            (rest, offset) = (others, 0);
        }
        self.posted.drain(..used.len());
        let mut kernel = self.kernel.borrow_mut();
        let last = used.len() - 1;
        for (n, (buffer, token, offset, piece)) in used.into_iter().enumerate() {
            kernel.dma(buffer.address, offset as usize, true).fill(0xee);
            kernel
                .dma(buffer.address + offset as u64, piece.len(), true)
                .copy_from_slice(piece);
            self.filled.push_back(Received {
                token,
                offset,
                length: piece.len() as u32,
                more: n < last,
            });
        }
    }

    /// The frame being sent first leaves: now is when its bytes are read.
    pub fn complete(&mut self) -> bool {
        let Some((pieces, token)) = self.sending.pop_front() else {
            return false;
        };
        let mut frame = Vec::new();
        let mut kernel = self.kernel.borrow_mut();
        let first = &pieces[0];
        let header = kernel.dma(first.address - HEADROOM as u64, HEADROOM as usize, false);
        assert!(header.iter().all(|byte| *byte == 0), "the headroom is zero");
        for piece in &pieces {
            frame.extend_from_slice(kernel.dma(piece.address, piece.length as usize, false));
        }
        self.wire.push(frame);
        self.completed.push_back(token);
        true
    }
}

/// The device, as the driver sees it.
pub struct FakeDevice(pub Rc<RefCell<Device>>);

impl Transport for FakeDevice {
    fn information(&self) -> Information {
        self.0.borrow().information
    }

    fn link(&mut self) -> bool {
        true
    }

    fn post(&mut self, buffer: Piece, token: u16) -> Result<(), Full> {
        let mut device = self.0.borrow_mut();
        assert!(token < device.information.receive_capacity);
        assert!(device.posted.iter().all(|(_, other)| *other != token));
        assert_eq!(
            (buffer.address + HEADROOM as u64) % 8,
            0,
            "frames are aligned"
        );
        device.posted.push_back((buffer, token));
        Ok(())
    }

    fn receive(
        &mut self,
        _: impl FnOnce(u16, u32) -> Option<u16>,
    ) -> Result<Option<Received>, DeviceFault> {
        let mut device = self.0.borrow_mut();
        if let Some(lie) = device.lies.pop_front() {
            if let Ok(Received { token, .. }) = lie {
                device.posted.retain(|(_, other)| *other != token);
            }
            return lie.map(Some);
        }
        if let Some(received) = device.filled.pop_front() {
            return Ok(Some(received));
        }
        let Some(frame) = device.incoming.pop_front() else {
            return Ok(None);
        };
        let cost = device.cost;
        device.kernel.borrow_mut().now += cost;
        device.fill(&frame);
        Ok(device.filled.pop_front())
    }

    /// Like a virtio queue: what that takes never is refused, and told apart from what it takes later.
    fn transmit(&mut self, pieces: &[Piece], token: u16) -> Result<(), Refused> {
        let mut device = self.0.borrow_mut();
        assert!(token < device.information.transmit_capacity);
        assert!(device.sending.iter().all(|(_, other)| *other != token));
        if !fit(pieces, device.information.pieces.into()) {
            return Err(Refused::Unfit);
        }
        if let Some(refused) = device.refuses {
            return Err(refused);
        }
        device.sending.push_back((pieces.to_vec(), token));
        Ok(())
    }

    fn transmitted(&mut self) -> Result<Option<u16>, DeviceFault> {
        let mut device = self.0.borrow_mut();
        if let Some(lie) = device.sent_lies.pop_front() {
            return lie.map(Some);
        }
        Ok(device.completed.pop_front())
    }

    fn set_filter(
        &mut self,
        stations: impl Iterator<Item = Mac>,
        groups: impl Iterator<Item = Mac>,
    ) {
        let mut device = self.0.borrow_mut();
        device.filter = stations.chain(groups).collect();
        device.filters += 1;
    }

    fn flush(&mut self) {
        let mut device = self.0.borrow_mut();
        device.flushes += 1;
        while device.prompt && device.complete() {}
    }

    fn ask(&mut self, interest: Interest) -> bool {
        let mut device = self.0.borrow_mut();
        device.interest = interest;
        let received = !device.incoming.is_empty() && !device.posted.is_empty()
            || !device.lies.is_empty()
            || !device.filled.is_empty();
        let sent = !device.completed.is_empty() || !device.sent_lies.is_empty();
        interest.receive && received || interest.transmit && sent
    }

    fn quiet(&mut self) {}
}
