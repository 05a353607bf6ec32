//! Translations that the CPU must forget before anybody runs again.
//!
//! Operations note what they took away; one invalidation at the end serves them all: a few pages one
//! by one, more by reloading the whole. Only the loaded address space matters, because loading
//! another forgets everything.

use core::cell::Cell;

use crate::machine::Machine;

/// Pages flushed one by one; more are cheaper to flush as a whole.
const SINGLE: usize = 8;

/// What was noted.
pub(crate) struct Flush {
    count: Cell<usize>,
    pages: [Cell<u64>; SINGLE],
}

impl Flush {
    pub const fn new() -> Flush {
        Flush {
            count: Cell::new(0),
            pages: [const { Cell::new(0) }; SINGLE],
        }
    }

    /// Notes an address; `whole` when more than its page goes.
    pub fn note(&self, address: u64, whole: bool) {
        let count = self.count.get();
        match self.pages.get(count) {
            Some(page) if !whole => {
                page.set(address);
                self.count.set(count + 1);
            }
            _ => self.count.set(SINGLE + 1),
        }
    }

    #[inline]
    pub fn is_pending(&self) -> bool {
        self.count.get() != 0
    }

    pub fn carry_out(&self, machine: &impl Machine) {
        let count = self.count.replace(0);
        if count == 1 {
            return machine.flush_page(self.pages[0].get());
        }
        match self.pages.get(..count) {
            Some(pages) => pages.iter().for_each(|page| machine.flush_page(page.get())),
            None => machine.flush_all(),
        }
    }
}
