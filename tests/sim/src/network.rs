//! What travels over the simulated ethernet, and what must become of it.
//!
//! Every frame says who sent it to whom and as the how-manieth of that flow, and the rest of it is a
//! pattern made of that. So whoever receives one sees whether it was altered, came twice, came out of
//! order or was lost.
//!
//! Frames to *steady* receivers must all arrive, those to their groups too: a sender sends no more than
//! the receivers have room for. Others may lose frames, but may see none twice and none out of order.
//! What a sender who plays foul puts into its frames is its own affair; that they bear its own address
//! is not.

pub mod groups;
pub mod room;
pub mod stamp;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use groups::{Memberships, is_group};
pub use room::RECEIVE_PAGES;
use room::{Key, Room};
pub use stamp::{Party, SHORTEST, Stamp, WIRE, mac, pages};

/// What one receiver makes of a flow.
#[derive(Clone, Debug, Default)]
struct Arrivals {
    /// The next one that may arrive.
    next: u32,
    /// Those that must, in order.
    owed: VecDeque<u32>,
}

/// A user, as far as its traffic goes.
#[derive(Clone, Debug, Default)]
struct User {
    steady: bool,
    /// It has a session, so that frames can reach it.
    open: bool,
    /// It may have one, and be in its groups: it asked, and has no answer yet.
    attaching: bool,
    room: Room,
    groups: Memberships,
}

/// Who sent what to whom.
#[derive(Default)]
pub struct Network {
    epoch: Cell<u32>,
    /// Frames sent, by sender and recipient (a party, or a group).
    sent: RefCell<BTreeMap<(Party, Party), u32>>,
    /// By sender, recipient and receiver.
    arrivals: RefCell<BTreeMap<(Party, Party, Party), Arrivals>>,
    users: RefCell<BTreeMap<Party, User>>,
    fouls: RefCell<BTreeSet<Party>>,
    private: RefCell<BTreeSet<Party>>,
    /// Users whose sessions outlive the driver.
    interposed: RefCell<BTreeSet<Party>>,
    delivered: Cell<u64>,
    hushed: Cell<bool>,
    /// Counts the times at which somebody's session was over.
    moment: Cell<u64>,
}

impl Network {
    /// The life of the driver that this is.
    pub fn epoch(&self) -> u32 {
        self.epoch.get()
    }

    /// Frames that arrived somewhere.
    pub fn delivered(&self) -> u64 {
        self.delivered.get()
    }

    /// Nobody sends anything more.
    pub fn hush(&self) {
        self.hushed.set(true);
    }

    /// The driver is dead: what was on its way is lost.
    pub fn driver_died(&self) {
        self.epoch.set(self.epoch.get() + 1);
        self.sent.borrow_mut().clear();
        self.arrivals.borrow_mut().clear();
        let moment = self.next_moment();
        let interposed = self.interposed.borrow();
        for user in self.users.borrow_mut().values_mut() {
            user.open = false;
            user.room.doom(moment, |from| !interposed.contains(&from));
        }
    }

    fn next_moment(&self) -> u64 {
        self.moment.set(self.moment.get() + 1);
        self.moment.get()
    }

    /// There is a user, anew: nothing is owed of what an earlier one sent or was sent.
    pub fn set_user(&self, user: Party, steady: bool) {
        for ((from, _, at), flow) in self.arrivals.borrow_mut().iter_mut() {
            if *from == user || *at == user {
                flow.owed.clear();
            }
        }
        let state = User {
            steady,
            ..User::default()
        };
        self.users.borrow_mut().insert(user, state);
    }

    /// A user loses everything: from now on it need get nothing.
    pub fn loses(&self, user: Party) {
        self.change(user, |user| user.steady = false);
    }

    /// A user plays foul: it spoils frames that it sends, or sends them twice.
    pub fn set_foul(&self, user: Party) {
        self.fouls.borrow_mut().insert(user);
    }

    /// Something stands between the driver and a user, who keeps its session when the driver dies.
    pub fn set_interposed(&self, user: Party) {
        self.interposed.borrow_mut().insert(user);
    }

    /// Whether something stands between the driver and a user.
    pub fn is_interposed(&self, user: Party) -> bool {
        self.interposed.borrow().contains(&user)
    }

    /// A user may see nothing of what is another's; or any user may.
    pub fn set_private(&self, user: Party, private: bool) {
        let mut users = self.private.borrow_mut();
        match private {
            true => users.insert(user),
            false => users.remove(&user),
        };
    }

    /// Whether a user may see nothing of what is another's.
    pub fn is_private(&self, user: Party) -> bool {
        self.private.borrow().contains(&user)
    }

    /// Whether eight bytes of memory are out of a frame for somebody else. What is in frames of those
    /// who play foul nobody knows.
    pub fn is_foreign(&self, user: Party, bytes: u64) -> bool {
        let [tag, both, _, first, next_tag, next_both, _, next] = bytes.to_le_bytes();
        // Two words that follow each other in a frame: by chance there are none.
        let follow = (tag, both) == (next_tag, next_both) && next == first.wrapping_add(7);
        // No party has the number 0: what looks so is something else.
        if tag != stamp::TAG || !follow || both >> 4 == 0 || both & 0xf == 0 {
            return false;
        }
        let (from, to) = (both >> 4, both & 0xf);
        let is = |party: Party, half: u8| party as u8 & 0xf == half;
        let mut groups = groups::ALL.into_iter();
        let own = is(user, to)
            || groups.any(|group| is(group, to) && self.of(user, |it| it.groups.may_hear(group)));
        let fouls = self.fouls.borrow();
        !own && !fouls.iter().any(|foul| is(*foul, from))
    }

    /// Whether a frame bears the address of somebody who plays foul.
    fn is_foul(&self, frame: &[u8]) -> bool {
        let fouls = self.fouls.borrow();
        let source = frame.get(6..12);
        fouls.iter().any(|user| source == Some(&mac(*user).bytes()))
    }

    /// A user attaches. What is sent to groups meanwhile may reach it, and nobody would know.
    pub fn attaches(&self, user: Party) {
        self.change(user, |user| user.attaching = true);
    }

    /// A user has a new session: what it sent in the one before has come, or never will.
    pub fn began(&self, user: Party) {
        self.settled(user);
        self.change(user, |user| user.groups = Memberships::default());
    }

    /// Nothing that a user has sent is on its way any more.
    pub fn settled(&self, user: Party) {
        let moment = self.next_moment();
        for other in self.users.borrow_mut().values_mut() {
            other.room.doom(moment, |from| from == user);
        }
    }

    /// A user's session can be reached, or is over.
    pub fn set_open(&self, user: Party, open: bool) {
        self.change(user, |user| {
            user.open = open;
            user.attaching = false;
            if !open {
                user.room.close();
            }
        });
    }

    /// A user asks to join a group or to leave it.
    pub fn asks_for(&self, user: Party, group: Party) {
        self.change(user, |user| user.groups.ask(group));
    }

    /// A user has joined a group.
    pub fn joined(&self, user: Party, group: Party) {
        self.change(user, |user| user.groups.join(group));
    }

    /// Whether every frame to this party must arrive.
    pub fn is_steady(&self, party: Party) -> bool {
        party == WIRE || self.of(party, |user| user.steady)
    }

    /// Whether frames reach this party, and come from it.
    pub fn is_open(&self, party: Party) -> bool {
        party == WIRE || self.of(party, |user| user.open)
    }

    fn of(&self, party: Party, says: impl FnOnce(&User) -> bool) -> bool {
        self.users.borrow().get(&party).is_some_and(says)
    }

    fn change(&self, party: Party, how: impl FnOnce(&mut User)) {
        if let Some(user) = self.users.borrow_mut().get_mut(&party) {
            how(user);
        }
    }

    /// Users that frames can be sent to.
    pub fn open_users(&self) -> Vec<Party> {
        let users = self.users.borrow();
        let open = users.iter().filter(|(_, user)| user.open);
        open.map(|(party, _)| *party).collect()
    }

    /// Whether everything that must arrive has.
    pub fn is_quiet(&self) -> bool {
        let arrivals = self.arrivals.borrow();
        arrivals
            .iter()
            .all(|((from, _, at), flow)| !self.is_strict(*from, *at) || flow.owed.is_empty())
    }

    fn is_strict(&self, from: Party, at: Party) -> bool {
        self.is_steady(from) && self.is_steady(at)
    }

    /// Who gets a frame.
    fn receivers(&self, from: Party, to: Party) -> Vec<Party> {
        if !is_group(to) {
            return vec![to];
        }
        let users = self.open_users().into_iter();
        let members = users.filter(|user| self.of(*user, |user| user.groups.is_in(to)));
        let all = members.chain([WIRE]);
        all.filter(|party| *party != from).collect()
    }

    /// Whether a steady user attaches.
    fn is_any_attaching(&self) -> bool {
        let users = self.users.borrow();
        users.values().any(|user| user.steady && user.attaching)
    }

    /// A stamp for the next frame of a flow, if its receivers have room for so many more pages each.
    pub fn next(&self, from: Party, to: Party, pages: u32) -> Option<Stamp> {
        let receivers = self.receivers(from, to);
        if is_group(to) && self.is_any_attaching() {
            return None;
        }
        if self.hushed.get() || !receivers.iter().all(|party| self.is_open(*party)) {
            return None;
        }
        let steady = |party: &Party| *party != WIRE && self.is_steady(*party);
        let mut limited = receivers.iter().filter(|party| steady(party));
        if !limited.all(|party| self.of(*party, |user| user.room.has(to, pages))) {
            return None;
        }
        let mut sent = self.sent.borrow_mut();
        let count = sent.entry((from, to)).or_default();
        let (sequence, epoch) = (*count, self.epoch.get());
        *count += 1;
        let key = Key {
            from,
            to,
            epoch,
            sequence,
        };
        let mut arrivals = self.arrivals.borrow_mut();
        for at in receivers {
            if steady(&at) {
                self.change(at, |user| user.room.send(key, pages));
            }
            if self.is_strict(from, at) {
                let flow = arrivals.entry((from, to, at)).or_default();
                flow.owed.push_back(sequence);
            }
        }
        Some(Stamp {
            from,
            to,
            epoch,
            sequence,
        })
    }

    /// Whether a party may get frames with this destination.
    fn is_for(&self, at: Party, destination: &[u8]) -> bool {
        let is = |party: Party| mac(party).bytes() == *destination;
        let hears = |group: Party| at == WIRE || self.of(at, |user| user.groups.may_hear(group));
        is(at)
            || groups::ALL
                .into_iter()
                .any(|group| is(group) && hears(group))
    }

    /// A frame arrived.
    ///
    /// # Errors
    /// Why it should not have, or not so.
    pub fn arrived(&self, at: Party, frame: &[u8]) -> Result<(), String> {
        let read = Stamp::read(frame);
        let key = read.as_ref().ok().map(|stamp| stamp.key());
        self.change(at, |user| user.room.take_in(key, pages(frame.len())));
        if !frame.get(..6).is_some_and(|to| self.is_for(at, to)) {
            return Err(format!(
                "a frame for somebody else: {:02x?}",
                &frame[..frame.len().min(14)]
            ));
        }
        self.delivered.set(self.delivered.get() + 1);
        if self.is_foul(frame) {
            return Ok(());
        }
        let stamp = read?;
        let ends = [&mac(stamp.to).bytes()[..], &mac(stamp.from).bytes()].concat();
        if frame[..12] != ends {
            return Err(format!("a frame with others' addresses: {stamp:?}"));
        }
        if stamp.from == at {
            return Err(format!("a frame that came back to who sent it: {stamp:?}"));
        }
        if stamp.epoch != self.epoch.get() {
            // Read out of a session that is over.
            return Ok(());
        }
        self.advance(at, &stamp)
    }

    /// A flow goes on with this frame.
    fn advance(&self, at: Party, stamp: &Stamp) -> Result<(), String> {
        let mut arrivals = self.arrivals.borrow_mut();
        let flow = arrivals.entry((stamp.from, stamp.to, at)).or_default();
        if stamp.sequence < flow.next {
            return Err(format!(
                "{stamp:?} came twice, or late: {} was expected",
                flow.next
            ));
        }
        flow.next = stamp.sequence + 1;
        while let Some(first) = flow.owed.pop_front_if(|first| *first <= stamp.sequence) {
            if first < stamp.sequence && self.is_strict(stamp.from, at) {
                return Err(format!("frame {first} was lost: {stamp:?} came"));
            }
        }
        Ok(())
    }

    /// The moment until which senders are known to be through.
    pub fn moment(&self) -> u64 {
        self.moment.get()
    }

    /// A user found no more frames, and looked for them after a moment.
    pub fn drained(&self, user: Party, moment: u64) {
        self.change(user, |user| user.room.drain(moment));
    }

    /// A user gave so many pages of frames back.
    pub fn given_back(&self, user: Party, pages: u32) {
        self.change(user, |user| user.room.give_back(pages));
    }
}
