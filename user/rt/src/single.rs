//! Statics of a single-threaded program.

use core::cell::{RefCell, RefMut};

/// A value that only the program's one thread touches, and never its fault entry.
pub(crate) struct Single<T>(RefCell<T>);

// SAFETY:
// - a process has one thread, so no two threads ever share the value;
// - the fault entry, which interrupts that thread anywhere, never uses a `Single`.
unsafe impl<T> Sync for Single<T> {}

impl<T> Single<T> {
    pub(crate) const fn new(value: T) -> Single<T> {
        Single(RefCell::new(value))
    }

    /// The value; `None` while it is in use further up the stack.
    pub(crate) fn get(&self) -> Option<RefMut<'_, T>> {
        self.0.try_borrow_mut().ok()
    }
}
