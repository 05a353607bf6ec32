//! When one side of a queue tells the other (2.7.7, 2.7.10).
//!
//! Each side publishes entries under a free-running 16-bit index, and the other names the entry for
//! which it wants to be told. Indices wrap, so nothing here compares two of them by size.

/// Whether an entry that the other side waits for was published (2.7.10.1).
///
/// `old` is the index when this was last asked, `new` the index now, `event` the entry waited for:
/// is it among `old`, …, `new` − 1? Counted from `new` backwards, modulo 2¹⁶, an entry among them lies
/// at most `new` − `old` back. True for no `event` when nothing was published.
#[inline]
pub const fn needed(event: u16, new: u16, old: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

#[cfg(test)]
mod tests {
    use super::needed;

    /// What the formula means, entry by entry.
    fn by_walking(event: u16, new: u16, old: u16) -> bool {
        let mut index = old;
        while index != new {
            if index == event {
                return true;
            }
            index = index.wrapping_add(1);
        }
        false
    }

    #[test]
    fn agrees_with_walking_the_entries_at_every_index() {
        for old in 0..=u16::MAX {
            for count in [0, 1, 2, 3, 8] {
                let new = old.wrapping_add(count);
                for back in 0..12 {
                    let event = new.wrapping_add(1).wrapping_sub(back);
                    assert_eq!(
                        needed(event, new, old),
                        by_walking(event, new, old),
                        "event {event}, new {new}, old {old}"
                    );
                }
            }
        }
    }

    #[test]
    fn agrees_with_walking_for_every_event() {
        for (old, count) in [(0, 256), (65_500, 256), (65_535, 1), (7, 65_535), (9, 0)] {
            let new = u16::wrapping_add(old, count);
            // One pass over the published entries instead of a walk for each event.
            let mut published = alloc::vec![false; 1 << 16];
            for n in 0..count {
                published[usize::from(old.wrapping_add(n))] = true;
            }
            for event in 0..=u16::MAX {
                assert_eq!(needed(event, new, old), published[usize::from(event)]);
            }
        }
    }
}
