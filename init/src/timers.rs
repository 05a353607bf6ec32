//! Several deadlines over a process's one timer.

use alloc::vec::Vec;

/// Things that are due at a time.
#[derive(Clone, Debug)]
pub struct Timers<T> {
    /// In no order: there are few.
    waiting: Vec<(u64, T)>,
}

impl<T: PartialEq> Timers<T> {
    /// None.
    pub const fn new() -> Timers<T> {
        Timers {
            waiting: Vec::new(),
        }
    }

    /// Makes something due at a time (nanoseconds since boot). What is the same and was due at
    /// another time no longer is.
    pub fn set(&mut self, at: u64, what: T) {
        self.cancel(&what);
        self.waiting.push((at, what));
    }

    /// Makes something not due.
    pub fn cancel(&mut self, what: &T) {
        self.waiting.retain(|(_, other)| other != what);
    }

    /// When something is due, if it is waiting.
    pub fn when(&self, what: &T) -> Option<u64> {
        let found = self.waiting.iter().find(|(_, other)| other == what);
        found.map(|(at, _)| *at)
    }

    /// When the first thing is due.
    pub fn next(&self) -> Option<u64> {
        self.waiting.iter().map(|(at, _)| *at).min()
    }

    /// Takes what has been due longest.
    pub fn take(&mut self, now: u64) -> Option<T> {
        let due = self
            .waiting
            .iter()
            .enumerate()
            .filter(|(_, (at, _))| *at <= now);
        let (first, _) = due.min_by_key(|(_, (at, _))| *at)?;
        Some(self.waiting.remove(first).1)
    }
}

impl<T: PartialEq> Default for Timers<T> {
    fn default() -> Timers<T> {
        Timers::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_order() {
        let mut timers = Timers::new();
        timers.set(30, 'c');
        timers.set(10, 'a');
        timers.set(20, 'b');
        timers.set(40, 'a');
        timers.set(5, 'x');
        timers.cancel(&'x');
        assert_eq!(timers.next(), Some(20));
        assert_eq!(timers.when(&'a'), Some(40));
        assert_eq!(timers.take(19), None);
        assert_eq!(timers.take(100), Some('b'));
        assert_eq!(timers.take(100), Some('c'));
        assert_eq!(timers.take(100), Some('a'));
        assert_eq!((timers.take(100), timers.next()), (None, None));
    }
}
