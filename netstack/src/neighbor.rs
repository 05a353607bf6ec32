//! Neighbours: which station has which address (ARP's and neighbour discovery's memory).
//!
//! One table for both families, of a bounded size. An entry is *unknown* while it is asked for (and a
//! few packets wait for it), then *known*; known ones are confirmed from time to time while they are
//! used, and forgotten if they stop answering (RFC 4861 section 7.3, applied to ARP as well).

use alloc::vec::Vec;
use core::net::IpAddr;

use hashbrown::HashTable;
use smoltcp::time::{Duration, Instant};

use crate::hash::Seed;
use crate::packet::Mac;

/// Most entries. The least recently used one gives way.
pub const MAX_NEIGHBORS: usize = 128;
/// Most packets that wait for one neighbour.
pub const MAX_WAITING: usize = 4;
/// Most bytes that wait for all neighbours.
pub const MAX_WAITING_BYTES: usize = 64 * 1024;
/// Questions before a neighbour is given up (RFC 4861 section 10).
pub const MAX_QUESTIONS: u8 = 3;
/// How long a doubtful neighbour is sent to before it is asked (RFC 4861's DELAY).
const DELAY: Duration = Duration::from_secs(5);
/// Time between questions.
const QUESTION_INTERVAL: Duration = Duration::from_secs(1);
/// How long an answer is believed without a doubt.
const REACHABLE: Duration = Duration::from_secs(30);
/// How long the failure to find a neighbour is remembered.
const UNREACHABLE: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Entry {
    address: IpAddr,
    mac: Option<Mac>,
    /// Until when the MAC address is believed.
    fresh: Instant,
    /// When it was last used or asked for. Entries that others made us learn start as the oldest.
    used: Instant,
    /// When the next question is due, if any was asked.
    question: Option<Instant>,
    asked: u8,
    waiting: Vec<Vec<u8>>,
}

/// What is known of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Its MAC address. If that is in doubt, a question will be due.
    Known(Mac),
    /// Nothing; ask everybody.
    Unknown,
    /// Nothing; somebody has been asked.
    Asked,
}

/// A question to put on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// About whom.
    pub address: IpAddr,
    /// Whom to ask: the station that had the address, or all.
    pub station: Option<Mac>,
}

/// The table.
#[derive(Debug)]
pub struct Neighbors {
    entries: HashTable<Entry>,
    seed: Seed,
    waiting_bytes: usize,
    /// No question is due before.
    due: Option<Instant>,
}

impl Neighbors {
    /// An empty table. It never grows beyond what is allocated here.
    pub fn new(seed: Seed) -> Neighbors {
        Neighbors {
            // Twice as much: then removed ones make way in place, and nothing is ever allocated again.
            entries: HashTable::with_capacity(MAX_NEIGHBORS * 2),
            seed,
            waiting_bytes: 0,
            due: None,
        }
    }

    fn find(&self, address: IpAddr) -> Option<&Entry> {
        let hash = self.seed.address(address);
        self.entries.find(hash, |entry| entry.address == address)
    }

    fn find_mut(&mut self, address: IpAddr) -> Option<&mut Entry> {
        let hash = self.seed.address(address);
        self.entries
            .find_mut(hash, |entry| entry.address == address)
    }

    /// Whether a neighbour is known.
    pub fn is_known(&self, address: IpAddr) -> bool {
        self.find(address).is_some_and(|entry| entry.mac.is_some())
    }

    /// The station to send to.
    #[inline]
    pub fn resolve(&mut self, address: IpAddr, now: Instant) -> Answer {
        let Some(entry) = self.find_mut(address) else {
            let entry = self.insert(address, now);
            entry.used = now;
            return self.begin(address, now);
        };
        entry.used = now;
        let settled = now < entry.fresh || entry.question.is_some();
        match entry.mac {
            Some(mac) if settled => Answer::Known(mac),
            Some(mac) => {
                entry.question = Some(now + DELAY);
                entry.asked = 0;
                self.due_at(now + DELAY);
                Answer::Known(mac)
            }
            None if settled => Answer::Asked,
            None => self.begin(address, now),
        }
    }

    /// The first question about an unknown neighbour, which the caller puts on the wire.
    fn begin(&mut self, address: IpAddr, now: Instant) -> Answer {
        if let Some(entry) = self.find_mut(address) {
            entry.question = Some(now + QUESTION_INTERVAL);
            entry.asked = 1;
        }
        self.due_at(now + QUESTION_INTERVAL);
        Answer::Unknown
    }

    /// Keeps a packet (with room for its ethernet header) until its neighbour answers. Returns
    /// whether it was kept.
    pub fn wait(&mut self, address: IpAddr, frame: &[u8]) -> bool {
        if self.waiting_bytes + frame.len() > MAX_WAITING_BYTES {
            return false;
        }
        let Some(entry) = self.find_mut(address) else {
            return false;
        };
        if entry.mac.is_some() || entry.question.is_none() || entry.waiting.len() >= MAX_WAITING {
            return false;
        }
        let mut copy = Vec::new();
        if copy.try_reserve_exact(frame.len()).is_err() || entry.waiting.try_reserve(1).is_err() {
            return false;
        }
        copy.extend_from_slice(frame);
        entry.waiting.push(copy);
        self.waiting_bytes += frame.len();
        true
    }

    /// A station says that it has an address. `solicited`: in answer to a question, so it is there
    /// now. `create`: learn it even if nobody asked (it is about to talk to us). `replace`: even if
    /// another station was known. Returns the packets that waited for it.
    pub fn learn(
        &mut self,
        address: IpAddr,
        mac: Mac,
        now: Instant,
        (solicited, create, replace): (bool, bool, bool),
    ) -> Vec<Vec<u8>> {
        let entry = match self.find_mut(address) {
            Some(entry) => entry,
            None if create => self.insert(address, now),
            None => return Vec::new(),
        };
        match entry.mac {
            // RFC 4861 section 7.2.5: not to be replaced, but in doubt.
            Some(known) if known != mac && !replace => {
                entry.fresh = entry.fresh.min(now);
                return Vec::new();
            }
            Some(known) if known == mac && !solicited => {}
            _ => {
                entry.mac = Some(mac);
                entry.fresh = now;
            }
        }
        if solicited {
            entry.fresh = now + REACHABLE;
            entry.question = None;
        } else if entry.mac == Some(mac) && !entry.waiting.is_empty() {
            entry.question = None;
        }
        let waiting = core::mem::take(&mut entry.waiting);
        self.waiting_bytes -= waiting.iter().map(Vec::len).sum::<usize>();
        waiting
    }

    /// A neighbour proved that it is there and hears us.
    pub fn confirm(&mut self, address: IpAddr, now: Instant) {
        if let Some(entry) = self.find_mut(address)
            && entry.mac.is_some()
        {
            entry.fresh = now + REACHABLE;
            entry.question = None;
        }
    }

    /// When [`Neighbors::question`] has something to say.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    fn due_at(&mut self, instant: Instant) {
        self.due = Some(self.due.map_or(instant, |due| due.min(instant)));
    }

    /// One question that is due now. Call it until there is none. The second value counts packets that
    /// waited in vain.
    pub fn question(&mut self, now: Instant) -> (Option<Question>, u64) {
        let mut lost = 0;
        if self.due.is_none_or(|due| due > now) {
            return (None, lost);
        }
        let mut next: Option<Instant> = None;
        let mut found = None;
        for entry in self.entries.iter_mut() {
            let Some(due) = entry.question else {
                continue;
            };
            if due <= now && found.is_none() {
                if entry.asked < MAX_QUESTIONS {
                    entry.asked += 1;
                    entry.question = Some(now + QUESTION_INTERVAL);
                    // One that was known is asked itself; the last time, all are.
                    let station = entry.mac.filter(|_| entry.asked < MAX_QUESTIONS);
                    found = Some(Question {
                        address: entry.address,
                        station,
                    });
                } else {
                    lost += entry.waiting.len() as u64;
                    self.waiting_bytes -= entry.waiting.iter().map(Vec::len).sum::<usize>();
                    entry.waiting = Vec::new();
                    entry.mac = None;
                    entry.question = None;
                    entry.fresh = now + UNREACHABLE;
                }
            }
            if let Some(due) = entry.question {
                next = Some(next.map_or(due, |next| next.min(due)));
            }
        }
        self.due = next;
        (found, lost)
    }

    /// Makes an entry, in the place of the one unused longest if the table is full.
    fn insert(&mut self, address: IpAddr, now: Instant) -> &mut Entry {
        if self.entries.len() >= MAX_NEIGHBORS {
            let oldest = self.entries.iter().min_by_key(|entry| entry.used);
            if let Some(oldest) = oldest.map(|entry| entry.address) {
                let hash = self.seed.address(oldest);
                let found = self
                    .entries
                    .find_entry(hash, |entry| entry.address == oldest);
                if let Ok(found) = found {
                    let (gone, _) = found.remove();
                    self.waiting_bytes -= gone.waiting.iter().map(Vec::len).sum::<usize>();
                }
            }
        }
        let seed = self.seed;
        let entry = Entry {
            address,
            mac: None,
            fresh: now,
            used: Instant::ZERO,
            question: None,
            asked: 0,
            waiting: Vec::new(),
        };
        self.entries
            .insert_unique(seed.address(address), entry, |entry| {
                seed.address(entry.address)
            })
            .into_mut()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Mac = [2, 0, 0, 0, 0, 0xa];
    const B: Mac = [2, 0, 0, 0, 0, 0xb];
    const SOLICITED: (bool, bool, bool) = (true, false, true);
    const REQUEST: (bool, bool, bool) = (false, true, true);

    fn address(n: u32) -> IpAddr {
        IpAddr::V4((0x0a00_0000 + n).into())
    }

    fn seconds(n: i64) -> Instant {
        Instant::from_secs(n)
    }

    #[test]
    fn packets_wait_for_the_answer() {
        let mut table = Neighbors::new(Seed::from(1));
        assert_eq!(table.resolve(address(1), seconds(0)), Answer::Unknown);
        assert!(table.wait(address(1), b"one"));
        assert_eq!(table.resolve(address(1), seconds(0)), Answer::Asked);
        assert!(table.wait(address(1), b"two"));
        let packets = table.learn(address(1), A, seconds(0), SOLICITED);
        assert_eq!(packets, [b"one".to_vec(), b"two".to_vec()]);
        assert_eq!(table.resolve(address(1), seconds(1)), Answer::Known(A));
        assert_eq!(table.question(seconds(5)), (None, 0));
        assert_eq!(table.waiting_bytes, 0);
    }

    #[test]
    fn a_neighbour_that_stays_silent_is_given_up() {
        let mut table = Neighbors::new(Seed::from(1));
        table.resolve(address(1), seconds(0));
        table.wait(address(1), b"one");
        for second in 1..MAX_QUESTIONS.into() {
            let question = table.question(seconds(second)).0.unwrap();
            assert_eq!(question.station, None);
            assert_eq!(table.question(seconds(second)).0, None, "once a second");
        }
        assert_eq!(table.question(seconds(3)), (None, 1));
        assert_eq!(table.due(), None);
        assert_eq!(
            table.resolve(address(1), seconds(3)),
            Answer::Asked,
            "not at once"
        );
        assert!(!table.wait(address(1), b"two"), "nobody was asked");
        assert_eq!(table.resolve(address(1), seconds(5)), Answer::Unknown);
    }

    #[test]
    fn doubts_are_asked_about_while_packets_flow() {
        let mut table = Neighbors::new(Seed::from(1));
        table.learn(address(1), A, seconds(0), REQUEST);
        assert_eq!(table.due(), None, "nobody sends");
        assert_eq!(table.resolve(address(1), seconds(1)), Answer::Known(A));
        assert_eq!(table.resolve(address(1), seconds(2)), Answer::Known(A));
        assert_eq!(table.question(seconds(5)).0, None);
        let question = table.question(seconds(6)).0.unwrap();
        assert_eq!(question.station, Some(A));
        table.learn(address(1), A, seconds(6), SOLICITED);
        assert_eq!(table.resolve(address(1), seconds(35)), Answer::Known(A));
        assert_eq!(
            table.question(seconds(60)).0,
            None,
            "it was sure, and is not used"
        );
        assert_eq!(table.resolve(address(1), seconds(60)), Answer::Known(A));
        let asked: Vec<_> = (65..68)
            .map(|s| table.question(seconds(s)).0.unwrap())
            .collect();
        let stations: Vec<_> = asked.iter().map(|question| question.station).collect();
        assert_eq!(
            stations,
            [Some(A), Some(A), None],
            "the last time, all are asked"
        );
        assert_eq!(table.question(seconds(68)), (None, 0));
        assert_eq!(table.resolve(address(1), seconds(70)), Answer::Unknown);
    }

    #[test]
    fn a_word_without_override_only_raises_a_doubt() {
        let mut table = Neighbors::new(Seed::from(1));
        table.learn(address(1), A, seconds(0), (true, true, true));
        table.learn(address(1), B, seconds(1), (true, false, false));
        assert_eq!(table.resolve(address(1), seconds(1)), Answer::Known(A));
        assert_eq!(table.due(), Some(seconds(6)));
        table.learn(address(1), B, seconds(1), (true, false, true));
        assert_eq!(table.resolve(address(1), seconds(1)), Answer::Known(B));
    }

    #[test]
    fn strangers_do_not_push_out_neighbours_in_use() {
        let mut table = Neighbors::new(Seed::from(1));
        table.learn(address(0), A, seconds(1), REQUEST);
        table.resolve(address(0), seconds(1));
        let size = table.entries.allocation_size();
        for n in 1..10_000 {
            table.learn(address(n), B, seconds(2), REQUEST);
        }
        assert_eq!(table.len(), MAX_NEIGHBORS);
        assert_eq!(table.entries.allocation_size(), size);
        assert_eq!(table.resolve(address(0), seconds(2)), Answer::Known(A));
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut table = Neighbors::new(Seed::from(1));
        let frame = [0; 1514];
        let mut kept = 0;
        for n in 0..1000 {
            table.resolve(address(n), seconds(0));
            for _ in 0..10 {
                kept += usize::from(table.wait(address(n), &frame));
            }
        }
        assert!(kept * frame.len() >= MAX_WAITING_BYTES - frame.len());
        assert!(table.waiting_bytes <= MAX_WAITING_BYTES);
        for second in 1..10 {
            while table.question(seconds(second)).0.is_some() {}
        }
        assert_eq!(table.waiting_bytes, 0);
    }
}
