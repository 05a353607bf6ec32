//! When the driver lets others run while the wire brings more than anybody takes.
//!
//! The driver is more urgent than the stacks: as long as it has frames to take, none of them runs, and
//! what they would take is dropped. To drop is work for nothing, so it may only have a share of the time:
//! when it has had more, the driver takes nothing from the device, and is not interrupted for it, until
//! that is made up for. What comes meanwhile waits in the device's queue, and is lost where that is full,
//! whoever it is for: a wire that brings so much costs everybody frames, but stops nobody.
//!
//! Time is only looked at while frames are dropped. Of a turn counts that part of its buffers which came
//! to nothing, as if each had cost the same.

/// The part of all time that goes into dropping: one of so many.
const PART: u64 = 3;
/// So much of it may come at once, in nanoseconds.
const BURST: u64 = 1_000_000;
/// No turn counts for more: it was interrupted by somebody more urgent.
const LONGEST_TURN: u64 = 1_000_000;

/// The driver's account of it.
#[derive(Debug, Default)]
pub struct Respite {
    /// Until when what was dropped so far is made up for.
    settled: u64,
    /// Until when nothing is taken.
    until: Option<u64>,
    /// When the turn began, if something was dropped in the one before.
    began: Option<u64>,
    /// In the last turn something was dropped.
    alert: bool,
}

impl Respite {
    /// Whether there is anything to it now: otherwise a turn is a turn.
    #[inline]
    pub const fn is_alert(&self) -> bool {
        self.alert
    }

    /// Until when nothing is taken.
    #[inline]
    pub const fn until(&self) -> Option<u64> {
        self.until
    }

    /// A turn begins: `false` if nothing is to be taken in it.
    #[cold]
    pub fn begin(&mut self, now: u64) -> bool {
        if self.until.is_some_and(|until| now < until) {
            return false;
        }
        (self.until, self.began) = (None, Some(now));
        true
    }

    /// A turn ends: so much was taken, and so much of that dropped.
    #[cold]
    pub fn end(&mut self, taken: u32, dropped: u32, now: u64) {
        self.alert = dropped > 0;
        if let (true, Some(began)) = (self.alert, self.began.take()) {
            let turn = now.saturating_sub(began).min(LONGEST_TURN);
            let wasted = turn * u64::from(dropped.min(taken)) / u64::from(taken.max(1));
            self.settled = self.settled.max(now).saturating_add(wasted * PART);
            let until = self.settled.saturating_sub(BURST * PART);
            self.until = (until > now).then_some(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns of so many nanoseconds, of 64 buffers of which so many are dropped, one after the other for a
    /// second; how long they took together.
    fn flood(turn: u64, dropped: u32) -> u64 {
        let (mut respite, mut now, mut busy) = (Respite::default(), 1_000_000_000, 0);
        while now < 2_000_000_000 {
            if respite.is_alert() && !respite.begin(now) {
                now = respite.until().expect("it waits");
                continue;
            }
            now += turn;
            busy += turn;
            respite.end(64, dropped, now);
        }
        busy
    }

    #[test]
    fn dropping_takes_its_part_of_the_time_and_no_more() {
        for turn in [10_000, 50_000, 400_000] {
            let busy = flood(turn, 64);
            let most = 1_000_000_000 / PART + BURST + 2 * turn;
            assert!((most - most / 20..=most).contains(&busy), "{turn}: {busy}");
        }
    }

    #[test]
    fn what_is_of_use_is_not_held_up_for_its_own_sake() {
        assert!(flood(50_000, 0) >= 1_000_000_000);
        // A quarter of each turn is dropped: that is less than its part.
        assert!(flood(50_000, 16) >= 990_000_000);
        // Half of each turn: so two thirds of the time go into turns.
        assert!((655_000_000..680_000_000).contains(&flood(50_000, 32)));
    }

    #[test]
    fn a_turn_that_was_interrupted_does_not_hold_anything_up_for_long() {
        let mut respite = Respite::default();
        let (now, later) = (1_000, u64::MAX / 2);
        respite.end(64, 64, now);
        assert!(respite.begin(now));
        respite.end(64, 64, later);
        assert_eq!(respite.until(), None, "a burst of it");
        let soon = later + 2 * LONGEST_TURN * PART;
        assert!(respite.begin(now));
        respite.end(64, 64, later);
        assert!(respite.until().is_some_and(|until| until <= soon));
        assert!(!respite.begin(later));
        assert!(respite.begin(soon));
        assert_eq!(respite.until(), None);
    }
}
