//! What the driver and the card have between them.

use std::collections::VecDeque;

use ethdrv::transport::{Interest, Piece, Received};
use kernel::frame::Frame;

use crate::coverage::Held;

#[derive(Default)]
pub struct Queues {
    /// Posted, and not shown to the device yet.
    pub new_buffers: Vec<(Piece, u16)>,
    pub buffers: VecDeque<(Piece, u16)>,
    pub filled: VecDeque<Received>,
    /// Queued, and not shown to the device yet.
    pub new_frames: Vec<(Vec<Piece>, u16)>,
    pub frames: VecDeque<(Vec<Piece>, u16)>,
    /// Read, and not reported yet.
    pub left: Vec<u16>,
    pub reported: VecDeque<u16>,
    pub interest: Interest,
    /// What came over the wire and has no buffer yet.
    pub incoming: VecDeque<Vec<u8>>,
    pub lies: VecDeque<Lie>,
}

impl Queues {
    /// Whether the card holds this buffer, or has filled it.
    pub fn has_buffer(&self, token: u16) -> bool {
        let mut buffers = self.buffers.iter().chain(&self.new_buffers);
        buffers.any(|(_, other)| *other == token)
            || self.filled.iter().any(|entry| entry.token == token)
    }

    /// What the card does with a frame of memory, if it was lent it and has not said that it is done.
    pub fn held(&self, frame: Frame) -> Option<Held> {
        let lies_in = |piece: &Piece| Frame::holding(piece.address) == frame;
        let mut buffers = self.buffers.iter().chain(&self.new_buffers);
        if buffers.any(|(piece, _)| lies_in(piece)) {
            return Some(Held::Posted);
        }
        let mut frames = self.frames.iter().chain(&self.new_frames);
        let sending = frames.any(|(pieces, _)| pieces.iter().any(lies_in));
        sending.then_some(Held::Sending)
    }

    /// Whether the card has this frame, or has not said that it left.
    pub fn has_frame(&self, token: u16) -> bool {
        let mut frames = self.frames.iter().chain(&self.new_frames);
        frames.any(|(_, other)| *other == token)
            || self.left.contains(&token)
            || self.reported.contains(&token)
    }

    /// The next lie, if it is one: of what the card really holds it may say anything.
    pub fn next_lie(&mut self, receiving: bool) -> Option<Lie> {
        let lie = *self.lies.front()?;
        let (fits, true_enough) = match lie {
            Lie::Receive(token, _) => (receiving, self.has_buffer(token)),
            Lie::Transmit(token) => (!receiving, self.has_frame(token)),
            Lie::Fault => (true, false),
        };
        if fits || true_enough {
            self.lies.pop_front();
        }
        (fits && !true_enough).then_some(lie)
    }
}

/// What a device says that isn't so.
#[derive(Clone, Copy)]
pub enum Lie {
    Receive(u16, u32),
    Transmit(u16),
    Fault,
}
