//! What a driver is doing: for whoever watches it from outside.
//!
//! A real program ignores it, and nothing is left of it in the code. The simulator uses it to say in
//! which of a driver's states a revocation came.

/// What a driver is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Activity {
    /// There is none, or it ends.
    Absent,
    /// It begins.
    Beginning,
    /// It waits: there is nothing to do.
    Waiting,
    /// It serves a request, or takes in a notification.
    Serving,
    /// Attaching: it looks at what a client offers.
    Verifying,
    /// Attaching: it makes the session's bank.
    MakingBank,
    /// Attaching: it buys the receive segment.
    MakingSegment,
    /// Attaching: it buys receive pages.
    BuyingPages,
    /// Attaching: it maps the receive segment.
    Mapping,
    /// Attaching: it pins rings and transmit pages.
    PinningTransmit,
    /// Attaching: the session begins.
    Opening,
    /// It takes back what was sent.
    Reclaiming,
    /// It takes frames from the device.
    Receiving,
    /// It copies a frame to its recipient.
    Copying,
    /// It zeroes what lies around a frame.
    Clearing,
    /// It exchanges pages.
    Exchanging,
    /// It tells recipients of their frames, or copies those that could not be exchanged.
    Settling,
    /// It sends for its clients.
    Sending,
    /// It hands multicast frames to members.
    HandingOut,
    /// It buys and pins receive pages, to flip.
    PinningReceive,
    /// It has a session's pages go on as they are until the device has given them back.
    DrainingReceive,
    /// It zeroes a session's receive pages.
    Scrubbing,
    /// It unpins a session's receive pages, to copy.
    UnpinningReceive,
    /// It unpins pages whose owner is gone.
    UnpinningDead,
    /// It lends pages to the device.
    Posting,
    /// It shows clients what was done for them.
    Publishing,
    /// Closing: it destroys the session's bank and unmaps its segment.
    Undoing,
    /// Closing: it unpins receive pages.
    ClosingReceive,
    /// Closing: frames are under way still.
    AwaitingFlights,
    /// Closing: it unpins rings and transmit pages.
    ClosingTransmit,
    /// Closing: it tells who waits for the end.
    Closing,
}

impl Activity {
    /// All of them, in order.
    pub const ALL: [Activity; 31] = [
        Activity::Absent,
        Activity::Beginning,
        Activity::Waiting,
        Activity::Serving,
        Activity::Verifying,
        Activity::MakingBank,
        Activity::MakingSegment,
        Activity::BuyingPages,
        Activity::Mapping,
        Activity::PinningTransmit,
        Activity::Opening,
        Activity::Reclaiming,
        Activity::Receiving,
        Activity::Copying,
        Activity::Clearing,
        Activity::Exchanging,
        Activity::Settling,
        Activity::Sending,
        Activity::HandingOut,
        Activity::PinningReceive,
        Activity::DrainingReceive,
        Activity::Scrubbing,
        Activity::UnpinningReceive,
        Activity::UnpinningDead,
        Activity::Posting,
        Activity::Publishing,
        Activity::Undoing,
        Activity::ClosingReceive,
        Activity::AwaitingFlights,
        Activity::ClosingTransmit,
        Activity::Closing,
    ];

    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Activity::Absent => "no driver, or it ends",
            Activity::Beginning => "beginning",
            Activity::Waiting => "idle",
            Activity::Serving => "serving a request",
            Activity::Verifying => "attaching: verifying",
            Activity::MakingBank => "attaching: session bank",
            Activity::MakingSegment => "attaching: segment",
            Activity::BuyingPages => "attaching: buying pages",
            Activity::Mapping => "attaching: mapping",
            Activity::PinningTransmit => "attaching: pinning",
            Activity::Opening => "attaching: opening",
            Activity::Reclaiming => "taking back sent frames",
            Activity::Receiving => "receiving",
            Activity::Copying => "copying",
            Activity::Clearing => "zeroing around a frame",
            Activity::Exchanging => "flipping",
            Activity::Settling => "telling recipients",
            Activity::Sending => "sending",
            Activity::HandingOut => "handing out multicast",
            Activity::PinningReceive => "pinning receive pages",
            Activity::DrainingReceive => "draining",
            Activity::Scrubbing => "scrubbing",
            Activity::UnpinningReceive => "unpinning pages",
            Activity::UnpinningDead => "unpinning limbo",
            Activity::Posting => "posting pages",
            Activity::Publishing => "publishing rings",
            Activity::Undoing => "closing: destroying, unmapping",
            Activity::ClosingReceive => "closing: receive pins",
            Activity::AwaitingFlights => "closing: frames in flight",
            Activity::ClosingTransmit => "closing: transmit pins",
            Activity::Closing => "closing: telling",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activities_are_numbered_in_order() {
        for (n, activity) in Activity::ALL.into_iter().enumerate() {
            assert_eq!(activity as usize, n);
        }
    }
}
