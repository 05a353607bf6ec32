//! Ports at which a session began or ended, until whoever watches has asked which: so that it looks at
//! those alone, however many ports there are.

use alloc::vec::Vec;

use crate::demux::PortNumber;

/// Which ports those are.
#[derive(Debug, Default)]
pub struct Changes {
    /// A bit for each port.
    marked: Vec<u64>,
}

impl Changes {
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

    /// Something changed at a port that room was made for.
    pub fn mark(&mut self, port: PortNumber) {
        if let Some(word) = self.marked.get_mut(usize::from(port) / 64) {
            *word |= 1 << (port % 64);
        }
    }

    /// A port at which something changed since it was last taken.
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
    fn each_port_is_told_once_however_often_it_changed() {
        let mut changes = Changes::default();
        changes.mark(3);
        assert_eq!(changes.take(), None);
        assert!(changes.reserve(1) && changes.reserve(200) && changes.reserve(2));
        for port in [199, 0, 63, 64, 63, 199] {
            changes.mark(port);
        }
        let told: Vec<_> = core::iter::from_fn(|| changes.take()).collect();
        assert_eq!(told, [0, 63, 64, 199]);
    }
}
