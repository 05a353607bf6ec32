//! What the stack counts.

/// Why a received frame or packet went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drop {
    /// Shorter than its headers.
    Runt,
    /// Longer than the link's MTU allows.
    Giant,
    /// To another station.
    NotOurStation,
    /// To another host.
    NotOurAddress,
    /// From an address that can't send: a group's, nobody's, or our own.
    BadSource,
    /// Of an ethernet type, or with an IP protocol, that isn't spoken here.
    UnknownType,
    /// Its lengths or fields contradict each other.
    Malformed,
    /// A checksum was wrong.
    Checksum,
    /// Nobody listens there.
    NoService,
    /// A piece that doesn't fit, came too late, or for which there was no room.
    Fragment,
    /// A connection too many, or without memory for it.
    NoRoom,
    /// Would have had an answer, but there were too many of its kind lately.
    RateLimited,
}

impl Drop {
    /// All reasons.
    pub const ALL: [Drop; 12] = [
        Drop::Runt,
        Drop::Giant,
        Drop::NotOurStation,
        Drop::NotOurAddress,
        Drop::BadSource,
        Drop::UnknownType,
        Drop::Malformed,
        Drop::Checksum,
        Drop::NoService,
        Drop::Fragment,
        Drop::NoRoom,
        Drop::RateLimited,
    ];

    /// The reason in words.
    pub fn name(self) -> &'static str {
        match self {
            Drop::Runt => "runt",
            Drop::Giant => "giant",
            Drop::NotOurStation => "not our station",
            Drop::NotOurAddress => "not our address",
            Drop::BadSource => "bad source",
            Drop::UnknownType => "unknown type",
            Drop::Malformed => "malformed",
            Drop::Checksum => "checksum",
            Drop::NoService => "no service",
            Drop::Fragment => "fragment",
            Drop::NoRoom => "no room",
            Drop::RateLimited => "rate limited",
        }
    }
}

/// Totals since the stack started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames received.
    pub frames_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Frames sent.
    pub frames_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
    /// Packets that could not be sent: no room, no route, or no answer from the next hop.
    pub unsent: u64,
    /// What was dropped, by reason (in the order of [`Drop::ALL`]).
    pub dropped: [u64; Drop::ALL.len()],
    /// TCP connections accepted.
    pub accepted: u64,
    /// TCP connections refused or dropped for want of room.
    pub refused: u64,
    /// TCP connections dropped because their peer did not go on.
    pub expired: u64,
    /// HTTP requests answered.
    pub requests: u64,
    /// UDP datagrams answered.
    pub datagrams: u64,
    /// Echo requests (pings) answered.
    pub pings: u64,
}

impl Counters {
    /// Counts something dropped.
    pub fn drop(&mut self, reason: Drop) {
        self.dropped[reason as usize] += 1;
    }

    /// How often something was dropped for this reason.
    pub fn dropped(&self, reason: Drop) -> u64 {
        self.dropped[reason as usize]
    }
}
