//! Some ports, each once: those at which a session began or ended, until whoever watches has asked which;
//! and those whose sessions lost pages. Marking one costs no memory, however often it is marked, and
//! however many ports there are.

use alloc::vec::Vec;

use crate::demux::PortNumber;

/// Some ports.
#[derive(Debug, Default)]
pub struct PortSet {
    /// A bit for each port.
    marked: Vec<u64>,
}

impl PortSet {
    /// Makes room for so many ports. `false`: there is no memory.
    pub fn reserve(&mut self, ports: usize) -> bool {
        let words = ports.div_ceil(64);
        let more = words.saturating_sub(self.marked.len());
        if self.marked.try_reserve(more).is_err() {
            return false;
        }
        self.marked.resize(words.max(self.marked.len()), 0);
        true
    }

    /// Marks a port that room was made for.
    pub fn mark(&mut self, port: PortNumber) {
        if let Some(word) = self.marked.get_mut(usize::from(port) / 64) {
            *word |= 1 << (port % 64);
        }
    }

    /// Takes a port that was marked.
    pub fn take(&mut self) -> Option<PortNumber> {
        let (n, word) = (0..).zip(&mut self.marked).find(|(_, word)| **word != 0)?;
        let bit = word.trailing_zeros() as PortNumber;
        *word &= *word - 1;
        Some(64 * n + bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_port_is_taken_once_however_often_it_was_marked() {
        let mut set = PortSet::default();
        set.mark(3);
        assert_eq!(set.take(), None);
        assert!(set.reserve(1) && set.reserve(200) && set.reserve(2));
        for port in [199, 0, 63, 64, 63, 199] {
            set.mark(port);
        }
        let taken: Vec<_> = core::iter::from_fn(|| set.take()).collect();
        assert_eq!(taken, [0, 63, 64, 199]);
    }
}
