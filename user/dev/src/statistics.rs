//! What the ethernet driver counts.

/// Declares the counters with their names.
macro_rules! counters {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A count of frames or bytes. Each way in which a frame doesn't arrive has its own.
        ///
        /// Those of a port go on over its sessions; those that name the device are the driver's.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Counter { $($(#[$doc])* $variant,)* }

        impl Counter {
            /// All counters, in the order in which they lie in memory and in answers.
            pub const ALL: &'static [Counter] = &[$(Counter::$variant,)*];

            /// The name, for people.
            pub const fn name(self) -> &'static str {
                match self { $(Counter::$variant => $name,)* }
            }
        }
    };
}

counters! {
    /// Frames delivered.
    ReceivedFrames = "frames received",
    /// Bytes delivered.
    ReceivedBytes = "bytes received",
    /// Of the frames delivered, those copied.
    Copied = "copied",
    /// Of the frames delivered, those that the device put into a page of the recipient's.
    InPlace = "delivered in place",
    /// Of the frames delivered, those whose page was exchanged for one of the recipient's.
    Exchanged = "exchanged",
    /// Of the frames copied, those that lay in a page that its owner had taken back.
    Recovered = "recovered",
    /// Of the frames delivered, multicast and broadcast ones.
    ReceivedMulticast = "multicast received",
    /// Of the frames delivered, those that came from another session of this driver.
    ReceivedSwitched = "switched in",
    /// Frames taken from the client and sent, to the wire or to other sessions.
    SentFrames = "frames sent",
    /// Bytes sent.
    SentBytes = "bytes sent",
    /// Of the frames sent, those for another session of this driver.
    SentSwitched = "switched out",
    /// Of the frames sent, multicast and broadcast ones.
    SentMulticast = "multicast sent",
    /// Not delivered: the client had no page to spare.
    NoPage = "no spare page",
    /// Not delivered: the client left the `filled` ring full.
    RingFull = "ring full",
    /// Not delivered: multicast, and the client's spare pages are kept for unicast.
    MulticastQuota = "multicast quota",
    /// Not delivered: more came than the driver could take, and the client had its share of it.
    OverBudget = "over its share of a flood",
    /// Not delivered: nobody is attached to the port.
    NoSession = "nobody attached",
    /// Not sent: shorter than an ethernet header.
    Runt = "runt",
    /// Not sent: longer than the link carries.
    TooLong = "too long",
    /// Not sent: it lies in more pieces than the device takes.
    Scattered = "in too many pieces",
    /// Not sent: the device takes no such frame, ever.
    Untaken = "never taken by the device",
    /// Not sent: the source MAC address isn't the port's.
    SpoofedMac = "source MAC not the port's",
    /// Not sent: a frame that controls the link, which is not the port's alone.
    LinkControl = "link control",
    /// Not sent: the type is neither a protocol nor a length that fits the frame.
    BadType = "malformed type",
    /// Not sent: the port binds IP addresses, and this protocol can't be checked for them.
    UncheckedType = "type not allowed on a bound port",
    /// Not sent: an IPv4, IPv6 or ARP header that is cut off or contradicts itself.
    Malformed = "malformed header",
    /// Not sent: the IPv4 source isn't bound.
    SpoofedIpv4 = "IPv4 source not bound",
    /// Not sent: the ARP sender isn't the port.
    SpoofedArp = "ARP sender not bound",
    /// Not sent: the IPv6 source isn't bound.
    SpoofedIpv6 = "IPv6 source not bound",
    /// Not sent: a neighbour advertisement for an address that isn't bound, or a link-layer address
    /// that isn't the port's.
    SpoofedNeighbour = "neighbour discovery not bound",
    /// Not sent: a router advertisement or a redirect, which a bound port has no business with.
    RouterMessage = "router message",
    /// Not sent: IPv6 headers that go on beyond what the driver copies, or fragments of messages that
    /// must be checked.
    UncheckedHeader = "headers too long to check",
    /// Not sent: a page of it could not be pinned.
    NotPinned = "page not pinnable",
    /// Times that the port's rate stopped it.
    Throttled = "throttled",
    /// Times that it had the driver look for nothing too often, and was looked at later.
    HeldBack = "notifications held back",
    /// Requests refused because they were too many.
    TooManyRequests = "requests refused",
    /// Sessions that began.
    Sessions = "sessions",
    /// Sessions that ended because the client broke the protocol.
    Misbehaved = "sessions ended for misbehaviour",
    /// Sessions that ended because their memory was revoked.
    Revoked = "sessions ended by revocation",
    /// Frames that were to be copied, though the port flips: shorter than its threshold.
    ChoseShort = "copied: shorter than the threshold",
    /// The same: they didn't arrive in a page that can be exchanged.
    ChosePool = "copied: not in a page that could be exchanged",
    /// The same: they were sealed, and the page that they arrived in is one that a client sees.
    ChoseSealed = "copied: sealed, in a page that a client sees",
    /// The same: so few pages were left to spare that frames have to share them.
    ChoseScarce = "copied: pages are scarce",
    /// The same: the session was only going over to flipping, or back.
    ChoseGoing = "copied: going over",
    /// The same: the kernel refused the exchange, for one of the two pages had been taken back.
    ChoseRefused = "copied: the exchange was refused",
    /// Device: frames for no session.
    Nobody = "for nobody",
    /// Device: frames shorter than an ethernet header, or with an impossible length.
    DeviceRunt = "runts from the wire",
    /// Device: frames that didn't fit into one buffer.
    DeviceGiant = "giants from the wire",
    /// Device: multicast frames beyond the wire's budget.
    DeviceMulticast = "multicast over budget",
    /// Device: it named a buffer that wasn't posted, or a frame that wasn't sent.
    DeviceLie = "device named what it does not hold",
    /// Device: it contradicted its own queue.
    DeviceFault = "device faults",
}

/// How many counters there are.
pub const COUNTERS: usize = Counter::ALL.len();

/// One value for each counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters([u64; COUNTERS]);

impl Counters {
    /// All zero.
    pub const fn new() -> Counters {
        Counters([0; COUNTERS])
    }

    /// Adds to a counter.
    #[inline]
    pub fn add(&mut self, counter: Counter, count: u64) {
        let value = &mut self.0[counter as usize];
        *value = value.wrapping_add(count);
    }

    /// Adds one to a counter.
    #[inline]
    pub fn count(&mut self, counter: Counter) {
        self.add(counter, 1);
    }

    /// A counter's value.
    pub const fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize]
    }

    /// Sets a counter: for who reads them from elsewhere.
    pub fn set(&mut self, counter: Counter, value: u64) {
        self.0[counter as usize] = value;
    }

    /// All values, in order.
    pub const fn values(&self) -> &[u64; COUNTERS] {
        &self.0
    }
}

impl Default for Counters {
    fn default() -> Counters {
        Counters::new()
    }
}
