//! Clients that wait, by notification, for the end of a bank.

use abi::cap::CapAddr;

use crate::kernel::{WAITER_SLOTS, WAITERS};
use crate::owner::Serial;

/// Who waits for which bank: one entry for each slot from [`WAITERS`] on.
///
/// There are few slots, because nothing pays for them. Each is held for as long as its bank takes to
/// die, which spacebank sees to itself. Who finds none free can still call `DESTROY` without a
/// notification: the bank dies all the same.
#[derive(Default)]
pub(crate) struct Waiters([Option<Serial>; WAITER_SLOTS]);

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

    pub fn count(&self) -> usize {
        self.0.iter().flatten().count()
    }
}
