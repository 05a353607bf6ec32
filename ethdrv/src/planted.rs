//! Faults planted on purpose, to see that the simulator finds them.
//!
//! With the feature `planted-faults`, which nothing but the simulator's own tests asks for, a driver can
//! be told to make one of these mistakes. Without it [`Driver::has`] is a constant, and no trace of them
//! is left in the code.

use dev::Program;

use crate::driver::Driver;
use crate::transport::Transport;

/// A mistake of the driver's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "planted-faults"), allow(dead_code))]
pub enum Fault {
    /// Frames are told to their recipients before their pages are exchanged.
    PublishEarly,
    /// What lies around a frame isn't zeroed for a sealed session.
    SkipClear,
    /// A page is lent to the device again while its client still reads the frame in it.
    PostDelivered,
    /// After an exchange the driver takes the one slot for its former owner's.
    ForgetOwner,
    /// What a session had slots for capabilities for stays taken when it is over.
    KeepSlots,
    /// The segment for a session's receive pages isn't sold back when it is over.
    KeepSegment,
}

impl<P: Program, T: Transport> Driver<P, T> {
    /// Whether it makes this mistake.
    #[cfg(not(feature = "planted-faults"))]
    #[inline(always)]
    pub(crate) const fn has(&self, _: Fault) -> bool {
        false
    }
}

#[cfg(feature = "planted-faults")]
impl Fault {
    /// All of them.
    pub const ALL: [Fault; 6] = [
        Fault::PublishEarly,
        Fault::SkipClear,
        Fault::PostDelivered,
        Fault::ForgetOwner,
        Fault::KeepSlots,
        Fault::KeepSegment,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Fault::PublishEarly => "publish-early",
            Fault::SkipClear => "skip-clear",
            Fault::PostDelivered => "post-delivered",
            Fault::ForgetOwner => "forget-owner",
            Fault::KeepSlots => "keep-slots",
            Fault::KeepSegment => "keep-segment",
        }
    }
}

#[cfg(feature = "planted-faults")]
impl<P: Program, T: Transport> Driver<P, T> {
    /// Makes it make a mistake from now on, or none.
    pub fn plant(&mut self, fault: Option<Fault>) {
        self.planted = fault;
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.planted == Some(fault)
    }
}
