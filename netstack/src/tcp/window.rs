//! How much a peer may have under way to a connection.
//!
//! The driver is more urgent than the stack: a whole window may come before the stack takes any of it.
//! What the link can't hold is lost then, several segments at a time, and without selective
//! acknowledgements such a window is filled again at the pace of the peer's timer: the connection stands
//! still for a second. So a window is no wider than what the link holds. Connections that receive at the
//! same time share it; that several windows come at once is left to the peers' congestion control.

use super::HEADERS;
use crate::config::Limits;
use crate::link::Link;
use crate::packet::ETHERNET;

/// The MTU of most links. A peer on another link sends segments of its own, no longer than ours and hardly
/// shorter than these.
const USUAL_MTU: usize = 1500;

/// The widest window up to `wanted` bytes of which the link loses nothing. An eighth of what it holds is
/// left for what isn't the connection's.
pub fn widest<L: Link>(link: &L, wanted: u32) -> u32 {
    let longest = link.frame_limit().saturating_sub(ETHERNET);
    [longest, longest.min(USUAL_MTU)]
        .into_iter()
        .map(|mtu| {
            let frames = link.burst(ETHERNET + mtu);
            let bytes = (frames - frames / 8).saturating_mul(mtu.saturating_sub(HEADERS));
            u32::try_from(bytes).unwrap_or(u32::MAX)
        })
        .fold(wanted, u32::min)
        .max(Limits::MIN_BUFFER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Need;

    /// A link with this MTU and so many receive pages.
    struct Pages(usize, u16);

    impl Link for Pages {
        fn mtu(&self) -> usize {
            self.0
        }
        fn burst(&self, length: usize) -> usize {
            dev::burst::frames(self.1, length as u32) as usize
        }
        fn receive(&mut self, _: &mut [u8]) -> Option<usize> {
            None
        }
        fn room(&mut self) -> usize {
            0
        }
        fn buffer(&mut self, _: usize) -> Option<&mut [u8]> {
            None
        }
        fn send(&mut self, _: usize) {}
        fn flush(&mut self) {}
        fn subscribe(&mut self, _: [u8; 6], _: bool) {}
        fn arm(&mut self, _: Need) -> bool {
            false
        }
        fn counters(&self, _: &mut dyn FnMut(&'static str, u64)) {}
    }

    #[test]
    fn a_window_follows_the_pages_until_it_is_as_wide_as_wanted() {
        let wanted = Limits::default().receive_buffer;
        let windows = [8, 64, 240].map(|pages| widest(&Pages(1500, pages), wanted));
        assert_eq!(windows, [8 * 1460, 63 * 1460, wanted]);
        // The least that a connection can have.
        assert_eq!(widest(&Pages(1500, 2), wanted), Limits::MIN_BUFFER);
    }

    #[test]
    fn a_wide_link_also_brings_segments_of_usual_length() {
        let wanted = Limits::default().receive_buffer;
        let (wide, usual) = (
            widest(&Pages(9000, 64), wanted),
            widest(&Pages(1500, 64), wanted),
        );
        assert_eq!(wide, usual);
        assert!(widest(&Pages(9000, 8), wanted) < widest(&Pages(1500, 8), wanted));
    }
}
