//! The stack's view of its ethernet port.

use crate::packet::ETHERNET;

/// Frames of room that are kept for answers to what comes in: with no more than these the stack
/// neither takes frames nor lets connections send, and waits. A link should hold several times as many.
pub const RESERVE: usize = 4;

/// What a stack waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A frame to receive.
    Frame,
    /// Room for more than [`RESERVE`] frames. Frames that come meanwhile can't be taken anyway.
    Room,
}

/// An ethernet port: received frames to look at, buffers to send from.
///
/// In the process it is a session with the driver; in tests a wire in memory. Frames are whole
/// ethernet frames without check sequence, contiguous.
pub trait Link {
    /// Largest IP packet that can be sent, in bytes (frames are 14 longer). At least 68; below 1280
    /// no IPv6 is spoken.
    fn mtu(&self) -> usize;

    /// Longest frame that comes.
    fn frame_limit(&self) -> usize {
        ETHERNET + self.mtu()
    }

    /// How many frames of a length the link holds at least, if the stack takes none meanwhile: what is
    /// beyond it may be lost. `usize::MAX` where no bound is known.
    fn burst(&self, _length: usize) -> usize {
        usize::MAX
    }

    /// Copies the next received frame into a buffer, as much of it as fits, and is done with it.
    /// Returns its length. The memory that it lay in is another party's and may vanish: nothing is
    /// looked at there, only in the copy.
    fn receive(&mut self, into: &mut [u8]) -> Option<usize>;

    /// How many frames can be sent now.
    fn room(&mut self) -> usize;

    /// The buffer of the next frame to send: `length` bytes, contents undefined at first. Asked for
    /// again before [`Link::send`], it is the same buffer with what was written into it. `None` where
    /// there is no room, or frames of that length can't be sent.
    fn buffer(&mut self, length: usize) -> Option<&mut [u8]>;

    /// Sends the first `length` bytes of the buffer that [`Link::buffer`] gave out.
    fn send(&mut self, length: usize);

    /// Sends the first `length` bytes of the buffer that [`Link::buffer`] gave out, and `rest` behind
    /// them: what the stack has already need not be copied into the buffer first. Nothing is sent where
    /// they are too long together.
    fn send_with(&mut self, length: usize, rest: &[u8]) {
        let whole = length + rest.len();
        if let Some(behind) = self.buffer(whole).and_then(|frame| frame.get_mut(length..)) {
            behind.copy_from_slice(rest);
            self.send(whole);
        }
    }

    /// Everything that is to be sent for now was sent: the other end may be woken.
    fn flush(&mut self);

    /// Asks for frames to this group address to be received, or no longer.
    fn subscribe(&mut self, group: [u8; 6], wanted: bool);

    /// Asks to be notified of what the stack waits for. Returns whether it is there already: then there
    /// is nothing to wait for.
    fn arm(&mut self, need: Need) -> bool;

    /// What the other end counted, by name.
    fn counters(&self, visit: &mut dyn FnMut(&'static str, u64));
}
