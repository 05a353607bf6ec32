//! Frames in transmission.
//!
//! Each has a token, which the device gives back when it is done, and with it a place in the driver's
//! pool for the copy of its first bytes. A frame that goes to several sessions too is done when the
//! last of them has it and the device gave the token back.

use alloc::vec::Vec;

use crate::demux::PortNumber;
use crate::frame::MOST_PARTS;

/// Client memory that a frame in transmission still needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Borrowed {
    /// Whose.
    pub port: PortNumber,
    /// Index in the `transmit` ring of the entry that it begins with.
    pub sequence: u32,
    /// Entries that it takes there.
    pub entries: u8,
    /// Transmit page of each entry, counted from 0, and pieces of 256 bytes in it, one bit each.
    pub pieces: [(u16, u16); MOST_PARTS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Flight {
    /// The device has it.
    device: bool,
    /// It is being handed to sessions.
    fanout: bool,
    borrowed: Option<Borrowed>,
}

/// All frames in transmission.
#[derive(Debug)]
pub struct Flights {
    flights: Vec<Flight>,
    free: Vec<u16>,
    /// How many frames are done, ever.
    done: u64,
}

/// The device named a token that it doesn't have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotInFlight;

impl Flights {
    /// Room for so many.
    pub fn new(capacity: u16) -> Flights {
        Flights {
            flights: (0..capacity).map(|_| Flight::default()).collect(),
            free: (0..capacity).rev().collect(),
            done: 0,
        }
    }

    /// The next free token, if there is one. It stays free until it is [used](Flights::begin).
    #[inline]
    pub fn next(&self) -> Option<u16> {
        self.free.last().copied()
    }

    /// Frames in transmission.
    pub fn count(&self) -> usize {
        self.flights.len() - self.free.len()
    }

    /// Whether the device has any of them: sessions may have the others.
    #[cold]
    pub fn device_has_any(&self) -> bool {
        self.flights.iter().any(|flight| flight.device)
    }

    /// Frames that are done, ever.
    pub const fn left_ever(&self) -> u64 {
        self.done
    }

    /// Uses the next free token, for the device, for sessions, or both.
    #[inline]
    pub fn begin(&mut self, device: bool, fanout: bool, borrowed: Option<Borrowed>) {
        if let Some(token) = self.free.pop()
            && let Some(flight) = self.flights.get_mut(token as usize)
        {
            *flight = Flight {
                device,
                fanout,
                borrowed,
            };
        }
    }

    /// The device is done with a token, it says.
    ///
    /// # Errors
    /// It doesn't have that token.
    #[inline]
    pub fn left(&mut self, token: u16) -> Result<Option<Borrowed>, NotInFlight> {
        let flight = self.flights.get_mut(token as usize).ok_or(NotInFlight)?;
        if !core::mem::take(&mut flight.device) {
            return Err(NotInFlight);
        }
        Ok(self.settle(token))
    }

    /// All sessions that get the frame have it.
    #[inline]
    pub fn handed_out(&mut self, token: u16) -> Option<Borrowed> {
        let flight = self.flights.get_mut(token as usize)?;
        flight.fanout = false;
        self.settle(token)
    }

    /// Frees the token if nobody needs the frame any more; answers what it borrowed.
    #[inline]
    fn settle(&mut self, token: u16) -> Option<Borrowed> {
        let flight = self.flights.get_mut(token as usize)?;
        if flight.device || flight.fanout {
            return None;
        }
        self.free.push(token);
        self.done += 1;
        flight.borrowed.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BORROWED: Borrowed = Borrowed {
        port: 1,
        sequence: 2,
        entries: 1,
        pieces: [(3, 4); MOST_PARTS],
    };

    #[test]
    fn pitfall_25_a_token_comes_back_once_and_only_if_it_was_given() {
        let mut flights = Flights::new(2);
        assert_eq!(flights.left(0), Err(NotInFlight));
        let token = flights.next().unwrap();
        flights.begin(true, false, Some(BORROWED));
        for lie in [1 - token, 2, u16::MAX] {
            assert_eq!(flights.left(lie), Err(NotInFlight));
        }
        assert_eq!(flights.left(token), Ok(Some(BORROWED)));
        assert_eq!(flights.left(token), Err(NotInFlight));
        assert_eq!(flights.count(), 0);
    }

    #[test]
    fn a_frame_for_many_is_done_with_the_last_of_them() {
        for device_first in [true, false] {
            let mut flights = Flights::new(1);
            flights.begin(true, true, Some(BORROWED));
            assert_eq!(flights.next(), None);
            if device_first {
                assert_eq!(flights.left(0), Ok(None));
                assert_eq!(flights.next(), None);
                assert_eq!(flights.handed_out(0), Some(BORROWED));
            } else {
                assert_eq!(flights.handed_out(0), None);
                assert_eq!(flights.left(0), Ok(Some(BORROWED)));
            }
            assert_eq!(flights.next(), Some(0));
        }
    }
}
