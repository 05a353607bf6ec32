//! What each session may receive while more comes than the driver can take.
//!
//! The device's queue is one for all: who comes first is served first. As long as the driver finds the
//! queue empty again and again, everybody gets what comes. When it doesn't any more, a *flood* has
//! begun: then each session gets a burst, and beyond it its share of each turn, among those that have
//! received anything since the flood began; so who is alone gets all. What exceeds that is dropped
//! before any work is done for it, and counted against its recipient. So one session's flood takes
//! neither the driver's time nor the device's buffers from the others for longer than it takes to drop
//! its frames.

/// Buffers taken from the device in a turn.
pub const TURN: u32 = 64;
/// Buffers that a session gets at once: as many as its ring has entries, so that nobody who receives what
/// a client can take is ever held back.
pub const BURST: u32 = ring::CAPACITY;

/// The driver's side of it.
#[derive(Debug)]
pub struct Flood {
    /// Which one it is. Each time that the device's queue is found empty, one is over.
    number: u64,
    /// Shares of the sessions that have received anything in it.
    shares: u64,
    /// Turns, ever.
    turns: u64,
}

/// A session's side of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Budget {
    /// The flood that it is about.
    flood: u64,
    /// Its share in it.
    share: u16,
    /// Buffers that it may still get.
    left: u32,
    /// The turn in which it earned some last.
    turn: u64,
}

impl Default for Flood {
    fn default() -> Flood {
        Flood {
            // No new session's.
            number: 1,
            shares: 0,
            turns: 0,
        }
    }
}

impl Flood {
    /// A turn begins.
    #[inline]
    pub fn turn(&mut self) {
        self.turns += 1;
    }

    /// The device's queue is empty.
    #[inline]
    pub fn over(&mut self) {
        self.number += 1;
        self.shares = 0;
    }

    /// A session ends.
    pub fn leave(&mut self, budget: &Budget) {
        if budget.flood == self.number {
            self.shares -= budget.share as u64;
        }
    }
}

impl Budget {
    /// Takes what a frame of so many buffers costs the session of this share. `false`: it has had what it
    /// may.
    #[inline]
    pub fn take(&mut self, flood: &mut Flood, share: u16, buffers: u32) -> bool {
        if self.flood != flood.number {
            *self = Budget {
                flood: flood.number,
                share,
                left: BURST,
                turn: flood.turns,
            };
            flood.shares += share as u64;
        }
        if self.left < buffers && !self.earn(flood, buffers) {
            return false;
        }
        self.left -= buffers;
        true
    }

    /// Earns what the turns since the last time brought, if it comes to so much.
    #[cold]
    fn earn(&mut self, flood: &Flood, wanted: u32) -> bool {
        let turns = flood.turns - self.turn;
        let all = turns.saturating_mul(TURN as u64 * self.share as u64);
        let earned = (all / flood.shares.max(1)).min((BURST - self.left) as u64) as u32;
        if self.left + earned < wanted {
            return false;
        }
        self.left += earned;
        self.turn = flood.turns;
        true
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
                drain(&mut one, &mut flood, 1)
            })
            .sum();
        assert!((TURN - 2..=TURN).contains(&got), "{got}");
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
