//! What each session may receive while more comes than the driver can take.
//!
//! The device's queue is one for all: who comes first is served first. As long as the driver finds the
//! queue empty again and again, everybody gets what comes. When it doesn't any more, a *flood* has
//! begun: then each session gets a burst, and beyond it its share of each turn, among those that have
//! received anything lately; so who is alone gets all. Lately is in this *window* of turns or in the one
//! before: a frame to each of many idle sessions holds nobody back for longer. What exceeds a share is
//! dropped before any work is done for it, and counted against its recipient. So one session's flood
//! takes neither the driver's time nor the device's buffers from the others for longer than it takes to
//! drop its frames.

/// Buffers taken from the device in a turn.
pub const TURN: u32 = 64;
/// Buffers that a session gets at once: as many as its ring has entries, so that nobody who receives what
/// a client can take is ever held back.
pub const BURST: u32 = ring::CAPACITY;
/// Turns of a window.
const WINDOW: u64 = 32;
/// Parts of a buffer, in which is counted what a session may get: a share of a turn is seldom a whole
/// number of buffers.
const BUFFER: u64 = 1 << 20;
/// Turns for which a session earns at most: nothing overflows, and anybody who has a thousandth of a turn
/// earns a burst in them.
const LONGEST: u64 = 1 << 20;

/// The driver's side of it.
#[derive(Debug)]
pub struct Flood {
    /// The window in which it began. Each time that the device's queue is found empty, one is over.
    began: u64,
    /// The window that it is in.
    window: u64,
    /// Shares of the sessions that have received anything in this window.
    shares: u64,
    /// Those of the window before.
    before: u64,
    /// Turns, ever.
    turns: u64,
}

/// A session's side of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Budget {
    /// The window in which it received something last.
    window: u64,
    /// Its share then.
    share: u16,
    /// Its share in the window before that one; 0 if it received nothing then.
    before: u16,
    /// What it may still get, in parts of a buffer.
    left: u64,
    /// The turn in which it earned some last.
    turn: u64,
}

impl Default for Flood {
    fn default() -> Flood {
        Flood {
            // No new session's.
            began: 1,
            window: 1,
            shares: 0,
            before: 0,
            turns: 0,
        }
    }
}

impl Flood {
    /// A turn begins.
    #[inline]
    pub fn turn(&mut self) {
        self.turns += 1;
        if self.turns.is_multiple_of(WINDOW) {
            self.window += 1;
            self.before = core::mem::take(&mut self.shares);
        }
    }

    /// The device's queue is empty.
    #[inline]
    pub fn over(&mut self) {
        // Not the next one: there is none before it.
        self.window += 2;
        self.began = self.window;
        (self.shares, self.before) = (0, 0);
    }

    /// A session ends.
    pub fn leave(&mut self, budget: &Budget) {
        if budget.window == self.window {
            self.shares -= budget.share as u64;
            self.before -= budget.before as u64;
        } else if self.was_before(budget) {
            self.before -= budget.share as u64;
        }
    }

    /// Did the session receive something in the window before this one, and nothing since?
    fn was_before(&self, budget: &Budget) -> bool {
        budget.window >= self.began && budget.window + 1 == self.window
    }
}

impl Budget {
    /// Takes what a frame of so many buffers costs the session of this share. `false`: it has had what it
    /// may.
    #[inline]
    pub fn take(&mut self, flood: &mut Flood, share: u16, buffers: u32) -> bool {
        if self.window != flood.window {
            self.join(flood, share);
        }
        let wanted = buffers as u64 * BUFFER;
        if self.left < wanted && !self.earn(flood, wanted) {
            return false;
        }
        self.left -= wanted;
        true
    }

    /// It receives something in this window.
    #[inline]
    fn join(&mut self, flood: &mut Flood, share: u16) {
        self.before = if flood.was_before(self) {
            self.share
        } else {
            0
        };
        if self.window < flood.began {
            self.left = BURST as u64 * BUFFER;
            self.turn = flood.turns;
        }
        (self.window, self.share) = (flood.window, share);
        flood.shares += share as u64;
    }

    /// Earns what the turns since the last time brought. Does it come to so much?
    #[cold]
    fn earn(&mut self, flood: &Flood, wanted: u64) -> bool {
        let turns = (flood.turns - self.turn).min(LONGEST);
        let earned = turns * TURN as u64 * BUFFER * self.share as u64
            / flood.shares.max(flood.before).max(1);
        // What is too little to be counted is earned later.
        if earned > 0 {
            self.left = (self.left + earned).min(BURST as u64 * BUFFER);
            self.turn = flood.turns;
        }
        self.left >= wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes as often as it can.
    fn drain(budget: &mut Budget, flood: &mut Flood, share: u16) -> u32 {
        (0..10_000)
            .take_while(|_| budget.take(flood, share, 1))
            .count() as u32
    }

    #[test]
    fn who_is_alone_gets_every_turn() {
        let (mut flood, mut budget) = (Flood::default(), Budget::default());
        flood.turn();
        assert_eq!(drain(&mut budget, &mut flood, 1), BURST);
        for _ in 0..100 {
            flood.turn();
            assert_eq!(drain(&mut budget, &mut flood, 1), TURN);
        }
    }

    #[test]
    fn turns_are_shared_among_those_who_receive() {
        let mut flood = Flood::default();
        let (mut one, mut other) = (Budget::default(), Budget::default());
        flood.turn();
        assert!(other.take(&mut flood, 3, 1));
        assert_eq!(drain(&mut one, &mut flood, 1), BURST);
        for _ in 0..10 {
            flood.turn();
            assert_eq!(drain(&mut one, &mut flood, 1), TURN / 4);
        }
        // It may have what it has not taken, but no more than a burst of it.
        assert_eq!(drain(&mut other, &mut flood, 3), BURST - 1 + BURST);
        flood.leave(&other);
        flood.turn();
        assert_eq!(drain(&mut one, &mut flood, 1), TURN);
    }

    #[test]
    fn the_least_share_of_many_earns_something_all_the_same() {
        let mut flood = Flood::default();
        let (mut one, mut other) = (Budget::default(), Budget::default());
        assert!(other.take(&mut flood, u16::MAX, 1));
        drain(&mut one, &mut flood, 1);
        let got: u32 = (0..u16::MAX)
            .map(|_| {
                flood.turn();
                assert!(other.take(&mut flood, u16::MAX, 1));
                drain(&mut one, &mut flood, 1)
            })
            .sum();
        assert!((TURN - 3..=TURN).contains(&got), "{got}");
    }

    #[test]
    fn no_part_of_a_share_is_lost() {
        let mut flood = Flood::default();
        let mut budgets = [Budget::default(); 33];
        let mut got = [0; 33];
        for _ in 0..1000 {
            flood.turn();
            for (budget, got) in budgets.iter_mut().zip(&mut got) {
                *got += drain(budget, &mut flood, 7);
            }
        }
        let fair = BURST + 999 * TURN / 33;
        assert!(got.iter().all(|got| got.abs_diff(fair) <= 1), "{got:?}");
    }

    #[test]
    fn who_received_something_long_ago_holds_nobody_back() {
        let mut flood = Flood::default();
        let mut idle = [Budget::default(); 99];
        let mut budget = Budget::default();
        flood.turn();
        for idle in &mut idle {
            assert!(idle.take(&mut flood, 1, 1));
        }
        drain(&mut budget, &mut flood, 1);
        for _ in 0..2 * WINDOW {
            flood.turn();
            drain(&mut budget, &mut flood, 1);
        }
        for _ in 0..10 {
            flood.turn();
            assert_eq!(drain(&mut budget, &mut flood, 1), TURN);
        }
        idle.iter().for_each(|idle| flood.leave(idle));
        flood.turn();
        assert_eq!(drain(&mut budget, &mut flood, 1), TURN);
    }

    #[test]
    fn a_new_share_counts_from_the_next_window_on() {
        let mut flood = Flood::default();
        let (mut one, mut other) = (Budget::default(), Budget::default());
        let mut last = 0;
        for turn in 0..4 * WINDOW {
            flood.turn();
            let share = if turn < 2 * WINDOW { 1 } else { 3 };
            last = drain(&mut one, &mut flood, share);
            drain(&mut other, &mut flood, 1);
        }
        assert_eq!(last, TURN * 3 / 4);
        flood.leave(&one);
        flood.leave(&other);
    }

    #[test]
    fn when_the_queue_is_empty_all_is_forgotten() {
        let mut flood = Flood::default();
        let mut budget = Budget::default();
        for _ in 0..10 {
            assert_eq!(drain(&mut budget, &mut flood, 1), BURST);
            flood.over();
        }
        flood.leave(&budget);
    }
}
