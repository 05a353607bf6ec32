//! What a simulation can find.

use invocations::reach::Gained;
use kernel::audit::Violation;
use kernel::frame::Frame;
use spacebank::Unsound;

use crate::mmu::Stale;

/// Why a run failed: an invariant that doesn't hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// The kernel's tables don't agree.
    Kernel(Violation),
    /// spacebank's books don't balance.
    Bank(Unsound),
    /// Kernel and spacebank disagree about an object.
    Storage {
        /// The object.
        oid: u32,
        /// What spacebank says.
        bank: &'static str,
        /// What the kernel says.
        kernel: &'static str,
    },
    /// A translation was used, or is remembered, that the tables had taken back.
    Stale(Stale),
    /// A frame was zeroed while somebody could still write it.
    ZeroedEarly(Frame),
    /// A device reached memory that nobody pinned for it.
    Dma {
        /// The physical address.
        address: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The frames of two pages were exchanged otherwise than they should have been.
    Exchange(String),
    /// A hostile process came by what isn't its.
    Gained {
        /// Who.
        actor: String,
        /// By what.
        gained: Gained,
    },
    /// Somebody panicked.
    Panic {
        /// Who.
        actor: String,
        /// What it said.
        message: String,
    },
    /// A process's registers changed while it did not run.
    Registers {
        /// Whose.
        actor: String,
    },
    /// An actor saw what can't be.
    Claim {
        /// Who.
        actor: String,
        /// What it saw.
        claim: String,
    },
    /// Everybody waits for ever, and not everything is done.
    Stuck {
        /// Who has not finished.
        waiting: String,
    },
}

impl core::fmt::Display for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Failure::Kernel(violation) => write!(f, "kernel: {violation}"),
            Failure::Bank(unsound) => write!(f, "spacebank: {unsound}"),
            Failure::Storage { oid, bank, kernel } => write!(
                f,
                "object {oid} is {bank} to spacebank and {kernel} to the kernel"
            ),
            Failure::Stale(stale) => write!(
                f,
                "address {:#x} still reaches frame {:#x}, which the tables took back",
                stale.address, stale.frame.0
            ),
            Failure::ZeroedEarly(frame) => write!(
                f,
                "frame {:#x} was zeroed while it could still be written",
                frame.0
            ),
            Failure::Dma { address, what } => write!(f, "DMA at {address:#x}: {what}"),
            Failure::Exchange(what) => write!(f, "exchange: {what}"),
            Failure::Gained { actor, gained } => write!(f, "{actor}: {gained}"),
            Failure::Panic { actor, message } => write!(f, "{actor} panicked: {message}"),
            Failure::Registers { actor } => {
                write!(f, "the registers of {actor} changed while it did not run")
            }
            Failure::Claim { actor, claim } => write!(f, "{actor}: {claim}"),
            Failure::Stuck { waiting } => write!(f, "nobody goes on; {waiting}"),
        }
    }
}

impl std::error::Error for Failure {}
