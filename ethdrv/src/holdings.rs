//! What a driver holds for its clients, in counts: when they are gone it holds what it held before.
//!
//! For those who check that nothing leaks. It says how much there is of each thing, not whether it is
//! in order.

use dev::Program;

use crate::driver::Driver;
use crate::port::State;
use crate::transport::Transport;

/// How much of what a driver holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Ports.
    pub ports: usize,
    /// Ports that somebody is attached to, attaches to or leaves.
    pub sessions: usize,
    /// Attachments and closings that have steps left.
    pub jobs: usize,
    /// Frames that the device has, to send.
    pub in_flight: usize,
    /// Frames that wait for an exchange.
    pub exchanges: usize,
    /// Frames on their way to groups.
    pub fanouts: usize,
    /// Slots of apertures for receive pages that pin something: frames of sessions', and of the reserve's
    /// that are buffers, or that the device still has.
    pub slots: usize,
    /// Pages of the driver's own that are buffers where somebody flips, or take the place of those that the
    /// device still has, and segments for them: bought when they are first needed, and kept.
    pub reserve: (usize, usize),
    /// Addresses that lead to ports.
    pub stations: usize,
    /// Sessions and ports that wait for frames to leave, or whose pages are pinned per frame.
    pub waiting: u32,
}

impl<P: Program, T: Transport> Driver<P, T> {
    /// What it holds.
    pub fn holdings(&self) -> Holdings {
        let ports = || self.ports.iter().flatten();
        Holdings {
            ports: ports().count(),
            sessions: ports()
                .filter(|port| !matches!(port.state, State::Idle))
                .count(),
            jobs: self.jobs.len(),
            in_flight: self.flights.count(),
            exchanges: self.deliveries.exchanges(),
            fanouts: self.fanout.len(),
            slots: self.slots.used(),
            reserve: self.slots.reserve(),
            stations: self.demux.stations().count(),
            waiting: self.awaiting_room + self.awaiting_flights + self.pinning_per_frame,
        }
    }
}
