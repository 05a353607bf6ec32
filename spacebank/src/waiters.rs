//! Clients that wait, by notification, for the end of a bank.

use abi::cap::CapAddr;

use crate::kernel::{BRANCH_WAITERS, WAITER_SLOTS, WAITERS};
use crate::owner::Serial;

/// Who waits for which bank: one entry for each slot from [`WAITERS`] on.
///
/// There are few slots, because nothing pays for them. Each is held for as long as its bank takes to
/// die, which spacebank sees to itself. So that nobody can keep the others from waiting by destroying
/// many banks at once, the banks of one branch of the tree have no more than a [`share`] of them. Who
/// finds none free can still call `DESTROY` without a notification: the bank dies all the same.
#[derive(Default)]
pub(crate) struct Waiters([Option<Serial>; WAITER_SLOTS]);

/// Most slots that a bank at this depth and all its descendants may have together. The prime bank, at
/// depth 1, may have all there are. A child of its is a user, say, and may have a few; a child of that one must
/// not be able to use all of these up.
pub(crate) const fn share(depth: usize) -> usize {
    match depth {
        // Only the slots bound all together.
        0 | 1 => usize::MAX,
        2 => BRANCH_WAITERS,
        _ => BRANCH_WAITERS - 1,
    }
}

const _: () = assert!(BRANCH_WAITERS > 1 && BRANCH_WAITERS < WAITER_SLOTS);

impl Waiters {
    /// A free slot.
    pub fn vacancy(&self) -> Option<CapAddr> {
        let n = self.0.iter().position(Option::is_none)?;
        Some(WAITERS + n as CapAddr)
    }

    /// The capability in this slot waits for the end of this bank.
    pub fn enter(&mut self, slot: CapAddr, serial: Serial) {
        if let Some(waiter) = self.0.get_mut(usize::from(slot.wrapping_sub(WAITERS))) {
            *waiter = Some(serial);
        }
    }

    /// Takes out one that waits for this bank.
    pub fn leave(&mut self, serial: Serial) -> Option<CapAddr> {
        let n = self.0.iter().position(|waiter| *waiter == Some(serial))?;
        self.0[n] = None;
        Some(WAITERS + n as CapAddr)
    }

    /// How many wait for this bank.
    pub fn of(&self, serial: Serial) -> usize {
        let these = |waiter: &&Serial| **waiter == serial;
        self.0.iter().flatten().filter(these).count()
    }

    pub fn count(&self) -> usize {
        self.0.iter().flatten().count()
    }
}
