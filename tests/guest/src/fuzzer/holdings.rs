//! What a process holds, looked at by whoever manages its root table.
//!
//! Kinds that were never granted, more rights to what was, and banks that it could not have made.

use abi::CAP_TABLE_SLOTS;
use abi::boot::slot;
use abi::cap::{CapAddr, Kind, Rights};
use rt::{Kernel, slots};
use sys::bank::Verifier;
use sys::object::{CapTable, Page};
use sys::{Cap, Error};

use crate::round::Found;

/// What is written into the pages that may only be read.
pub const MARK: u64 = 0x5ec4_e75e_c4e7_5ec4;

const VERIFIER: Cap<Verifier> = Cap::at(slot::INIT_VERIFIER);

/// Looks at what processes hold.
pub struct Holdings {
    /// Slots of the keeper's for what is looked at: of the root table, and of a table in it.
    hands: [CapAddr; 2],
    /// A table out of the root.
    inner: CapAddr,
    /// Banks that nobody else may have, by their ids.
    banks: [u64; 2],
}

impl Holdings {
    /// One that knows banks that nobody else may have.
    pub fn new(banks: [u64; 2]) -> Result<Holdings, Error> {
        Ok(Holdings {
            hands: [slots::take()?, slots::take()?],
            inner: slots::take()?,
            banks,
        })
    }

    /// Looks at everything in a root table, and in the tables in it. Answers how many capabilities
    /// there were.
    pub fn look(&self, root: Cap<CapTable>) -> Result<u64, Found> {
        let mut all = 0;
        for place in 0..CAP_TABLE_SLOTS as u16 {
            all += self.one(root, place, self.hands[0])?;
            let (kind, rights) = root.describe(&Kernel, place)?;
            let table = kind == Kind::CapTable as u8 && rights.contains(Rights::MANAGE);
            // The root may hold itself.
            if table && place != slot::ROOT && root.get(&Kernel, place, self.inner).is_ok() {
                for inside in 0..CAP_TABLE_SLOTS as u16 {
                    all += self.one(Cap::at(self.inner), inside, self.hands[1])?;
                }
            }
        }
        Ok(all)
    }

    fn one(&self, table: Cap<CapTable>, place: u16, hand: CapAddr) -> Result<u64, Found> {
        let (kind, rights) = table.describe(&Kernel, place)?;
        let Some(kind) = Kind::from_u8(kind).filter(|kind| *kind != Kind::Void) else {
            return Ok(0);
        };
        let more = |granted: Rights| !granted.contains(rights);
        let gained = match kind {
            Kind::Range | Kind::Irq | Kind::IoPort | Kind::DeviceMemory => true,
            Kind::Reset | Kind::Probe => true,
            Kind::DeviceDma => more(Rights::CONTROL),
            Kind::Log => more(Rights::READ | Rights::WRITE),
            // Looking takes it away, and its caller would never hear of it.
            Kind::Resume => false,
            Kind::Start | Kind::Page => {
                table.get(&Kernel, place, hand)?;
                match kind {
                    Kind::Page => rights.contains(Rights::READ | Rights::WRITE) && marked(hand),
                    _ => self.is_foreign(hand),
                }
            }
            _ => false,
        };
        match gained {
            true => Err(Found::held(kind, rights)),
            false => Ok(1),
        }
    }

    /// Whether it is a bank that nobody else may have.
    fn is_foreign(&self, hand: CapAddr) -> bool {
        let verdict = VERIFIER.verify(&Kernel, hand);
        verdict.is_ok_and(|verdict| verdict.genuine && self.banks.contains(&verdict.id))
    }
}

/// Whether it is a page that may only be read.
fn marked(hand: CapAddr) -> bool {
    let words = Cap::<Page>::at(hand).read(&Kernel, 0);
    words.is_ok_and(|words| words[0] == MARK)
}
