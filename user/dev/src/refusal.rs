//! Why the driver refuses to attach.

use abi::error::{EACCES, EAGAIN, EBADF, EBUSY, EDQUOT, EINVAL, EIO, EMFILE, ENOENT, EPIPE};
use sys::Error;

/// Why attaching was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Refusal {
    /// No reason given.
    Unknown = 0,
    /// `c0` is not a bank of the one spacebank's, or is gone.
    NotABank = 1,
    /// The bank can't pay: its limit, or an ancestor's, or the machine's memory.
    BankTooSmall = 2,
    /// `c1` is not a segment, or is gone.
    NotASegment = 3,
    /// `c1` lacks a right: the driver must be able to read and pin it. The receive segment is refused
    /// for this reason.
    SegmentNotPinnable = 4,
    /// A page is missing in the transmit segment, or is pinned elsewhere.
    PageNotPinnable = 5,
    /// More or fewer pages than the port allows.
    PageCount = 6,
    /// `c2` can't be notified.
    NotANotify = 7,
    /// Attaching too often; try again later.
    TooOften = 8,
    /// The port is being attached or closed already.
    Busy = 9,
    /// The driver has no room left: places, slots or objects of its own.
    DriverFull = 10,
    /// The port was removed meanwhile.
    PortRemoved = 11,
}

impl Refusal {
    /// The refusal that a word stands for.
    pub const fn from_word(word: u64) -> Refusal {
        match word {
            1 => Refusal::NotABank,
            2 => Refusal::BankTooSmall,
            3 => Refusal::NotASegment,
            4 => Refusal::SegmentNotPinnable,
            5 => Refusal::PageNotPinnable,
            6 => Refusal::PageCount,
            7 => Refusal::NotANotify,
            8 => Refusal::TooOften,
            9 => Refusal::Busy,
            10 => Refusal::DriverFull,
            11 => Refusal::PortRemoved,
            _ => Refusal::Unknown,
        }
    }

    /// The status that goes with it.
    pub const fn error(self) -> Error {
        Error::new(match self {
            Refusal::Unknown => EIO,
            Refusal::NotABank | Refusal::NotASegment | Refusal::NotANotify => EBADF,
            Refusal::BankTooSmall => EDQUOT,
            Refusal::SegmentNotPinnable => EACCES,
            Refusal::PageNotPinnable => ENOENT,
            Refusal::PageCount => EINVAL,
            Refusal::TooOften => EAGAIN,
            Refusal::Busy => EBUSY,
            Refusal::DriverFull => EMFILE,
            Refusal::PortRemoved => EPIPE,
        })
    }

    /// One line, for people.
    pub const fn explain(self) -> &'static str {
        match self {
            Refusal::Unknown => "the driver gave no reason",
            Refusal::NotABank => "the bank offered is not a genuine space bank, or is gone",
            Refusal::BankTooSmall => "the bank can't pay for the receive pages",
            Refusal::NotASegment => "the transmit segment offered is not a segment, or is gone",
            Refusal::SegmentNotPinnable => "the transmit segment may not be read and pinned",
            Refusal::PageNotPinnable => "a page of the transmit segment is missing or pinned",
            Refusal::PageCount => "more or fewer pages than the port allows",
            Refusal::NotANotify => "the notification offered is none",
            Refusal::TooOften => "attached too often",
            Refusal::Busy => "the port is being attached or closed",
            Refusal::DriverFull => "the driver has no room left",
            Refusal::PortRemoved => "the port was removed",
        }
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.explain())
    }
}
