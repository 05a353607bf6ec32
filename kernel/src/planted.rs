//! Faults planted on purpose, to see that the checks find them.
//!
//! With the feature `planted-faults`, which nothing but the simulator's own tests asks for, a kernel
//! can be told to make one of these mistakes. Without it [`Kernel::has`] is a constant, and no trace
//! of them is left in the code.

use crate::Kernel;

/// A mistake of the kernel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "planted-faults"), allow(dead_code))]
pub enum Fault {
    /// Entries are taken back, and the CPU isn't made to forget them.
    SkipFlush,
    /// A rescinded page's frame is free though it is pinned.
    FreePinned,
    /// A rescinded page's frame is zeroed before the last pin goes.
    ZeroPinned,
    /// A frame whose last pin went isn't zeroed.
    KeepContents,
    /// A rescinded object keeps its version.
    KeepVersion,
    /// A rescinded page stays mapped.
    KeepHome,
    /// A window goes on showing what was unpinned.
    KeepWindow,
    /// A slot whose owner went isn't listed.
    LoseOrphan,
    /// Frames are exchanged, and the CPU isn't made to forget where they were.
    ExchangeUnflushed,
    /// Frames are exchanged though another function pins them.
    ExchangeForeign,
    /// Frames are exchanged out of segments whose holder may not write.
    ExchangeUnwritable,
    /// Pins go with the pages that are exchanged, not with the frames.
    ExchangePins,
    /// An entry grants what is asked for, whatever the capability grants.
    MapAnyhow,
    /// A capability that is put into a slot gets all rights.
    PutAllRights,
    /// Slots of a table within the root are reached without the right to manage it.
    ReachUnmanaged,
    /// A `Start` that is made names spacebank.
    StartOther,
}

impl<M> Kernel<'_, M> {
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
    pub const ALL: [Fault; 16] = [
        Fault::SkipFlush,
        Fault::FreePinned,
        Fault::ZeroPinned,
        Fault::KeepContents,
        Fault::KeepVersion,
        Fault::KeepHome,
        Fault::KeepWindow,
        Fault::LoseOrphan,
        Fault::ExchangeUnflushed,
        Fault::ExchangeForeign,
        Fault::ExchangeUnwritable,
        Fault::ExchangePins,
        Fault::MapAnyhow,
        Fault::PutAllRights,
        Fault::ReachUnmanaged,
        Fault::StartOther,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Fault::SkipFlush => "skip-flush",
            Fault::FreePinned => "free-pinned",
            Fault::ZeroPinned => "zero-pinned",
            Fault::KeepContents => "keep-contents",
            Fault::KeepVersion => "keep-version",
            Fault::KeepHome => "keep-home",
            Fault::KeepWindow => "keep-window",
            Fault::LoseOrphan => "lose-orphan",
            Fault::ExchangeUnflushed => "exchange-unflushed",
            Fault::ExchangeForeign => "exchange-foreign",
            Fault::ExchangeUnwritable => "exchange-unwritable",
            Fault::ExchangePins => "exchange-pins",
            Fault::MapAnyhow => "map-anyhow",
            Fault::PutAllRights => "put-all-rights",
            Fault::ReachUnmanaged => "reach-unmanaged",
            Fault::StartOther => "start-other",
        }
    }
}

#[cfg(feature = "planted-faults")]
impl<M> Kernel<'_, M> {
    /// Makes it make a mistake from now on, or none.
    pub fn plant(&self, fault: Option<Fault>) {
        self.planted.set(fault);
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.planted.get() == Some(fault)
    }
}
