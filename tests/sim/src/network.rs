//! What travels over the simulated ethernet, and what must become of it.
//!
//! Every frame says who sent it to whom and as the how-manieth of that flow, and the rest of it is a
//! pattern made of that. So whoever receives one sees whether it was altered, came twice, came out of
//! order or was lost.
//!
//! Frames to *steady* receivers must all arrive: a sender sends no more than the receiver has room
//! for. Others may lose frames, but may see none twice and none out of order.
//! What a sender who plays foul puts into its frames is its own affair; that they bear its own address
//! is not.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use abi::PAGE_SIZE;
use dev::Mac;

/// A party: a user by number, or the wire.
pub type Party = u16;
/// The other end of the wire.
pub const WIRE: Party = 0xff;

/// Bytes before the stamp.
const HEADER: usize = 14;
/// Shortest frame with a stamp.
pub const SHORTEST: usize = HEADER + 20;
/// An ethernet type that the standard sets aside for experiments (IEEE 802, 0x88b5).
const EXPERIMENT: [u8; 2] = [0x88, 0xb5];
const MAGIC: u32 = 0x7573_7566;

/// First byte of each word of a frame behind its stamp.
const TAG: u8 = 0xc5;

/// Receive pages of a session.
pub const RECEIVE_PAGES: u16 = 16;
/// Pages of frames that a steady receiver has room for: half of what it has, because the others may be
/// the device's, without the one that small frames are packed into.
const ROOM: u32 = RECEIVE_PAGES as u32 / 2 - 1;

/// Most pages that a frame takes, however it is received.
pub const fn pages(length: usize) -> u32 {
    // A little of each page is headroom.
    length.div_ceil(PAGE_SIZE - 64) as u32
}

/// Two parties in a byte.
const fn ends(from: Party, to: Party) -> u8 {
    (from as u8 & 0xf) << 4 | to as u8 & 0xf
}

/// The address of a party.
pub fn mac(party: Party) -> Mac {
    Mac::new([2, 0, 0, 0, 1, party as u8])
}

/// What a frame says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Who sent it.
    pub from: Party,
    /// To whom.
    pub to: Party,
    /// In which life of the driver.
    pub epoch: u32,
    /// As the how-manieth of its flow.
    pub sequence: u32,
}

impl Stamp {
    fn words(self) -> [u32; 4] {
        let ends = u32::from(self.from) << 16 | u32::from(self.to);
        [MAGIC, ends, self.epoch, self.sequence]
    }

    /// A byte of the frame behind the stamp. Each word of it says whose it is, and each stands only
    /// where it does.
    fn pattern(self, n: usize) -> u8 {
        let (sequence, word) = (self.sequence as usize, n / 4);
        match n % 4 {
            0 => TAG,
            1 => ends(self.from, self.to),
            2 => sequence.wrapping_mul(31).wrapping_add(n >> 10) as u8,
            _ => sequence.wrapping_add(word.wrapping_mul(7)) as u8,
        }
    }

    /// The frame, of this many bytes.
    pub fn frame(self, length: usize) -> Vec<u8> {
        let mut frame = vec![0; length.max(SHORTEST)];
        frame[..6].copy_from_slice(&mac(self.to).bytes());
        frame[6..12].copy_from_slice(&mac(self.from).bytes());
        frame[12..14].copy_from_slice(&EXPERIMENT);
        for (n, word) in self.words().into_iter().enumerate() {
            frame[HEADER + 4 * n..][..4].copy_from_slice(&word.to_le_bytes());
        }
        let length = frame.len() as u32;
        frame[HEADER + 16..][..4].copy_from_slice(&length.to_le_bytes());
        for (n, byte) in frame.iter_mut().enumerate().skip(SHORTEST) {
            *byte = self.pattern(n);
        }
        frame
    }

    /// What a frame says of itself, if it is one of these and whole.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(frame: &[u8]) -> Result<Stamp, String> {
        if frame.len() < SHORTEST || frame[12..14] != EXPERIMENT {
            return Err(format!(
                "no frame of ours: {:02x?}",
                &frame[..frame.len().min(40)]
            ));
        }
        let word = |n: usize| {
            let bytes: [u8; 4] = std::array::from_fn(|m| frame[HEADER + 4 * n + m]);
            u32::from_le_bytes(bytes)
        };
        let stamp = Stamp {
            from: (word(1) >> 16) as Party,
            to: word(1) as Party,
            epoch: word(2),
            sequence: word(3),
        };
        if word(0) != MAGIC || word(4) as usize != frame.len() {
            return Err(format!("a frame cut off or altered at its head: {stamp:?}"));
        }
        let altered = (SHORTEST..frame.len()).find(|n| frame[*n] != stamp.pattern(*n));
        match altered {
            None => Ok(stamp),
            Some(n) => Err(format!("a frame altered at byte {n}: {stamp:?}")),
        }
    }
}

/// From one party to another.
#[derive(Clone, Copy, Debug, Default)]
struct Flow {
    sent: u32,
    /// The next one that may arrive.
    expected: u32,
}

/// A user, as far as its traffic goes.
#[derive(Clone, Copy, Debug, Default)]
struct User {
    steady: bool,
    /// It has a session, so that frames can reach it.
    open: bool,
    /// Pages of frames on their way to it, or not given back.
    outstanding: u32,
}

/// Who sent what to whom.
#[derive(Default)]
pub struct Network {
    epoch: Cell<u32>,
    flows: RefCell<BTreeMap<(Party, Party), Flow>>,
    users: RefCell<BTreeMap<Party, User>>,
    fouls: RefCell<BTreeSet<Party>>,
    private: RefCell<BTreeSet<Party>>,
    delivered: Cell<u64>,
    hushed: Cell<bool>,
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
        self.flows.borrow_mut().clear();
        for user in self.users.borrow_mut().values_mut() {
            user.outstanding = 0;
            user.open = false;
        }
    }

    /// There is a user.
    pub fn set_user(&self, user: Party, steady: bool) {
        let state = User {
            steady,
            ..User::default()
        };
        self.users.borrow_mut().insert(user, state);
    }

    /// A user plays foul: it spoils frames that it sends, or sends them twice.
    pub fn set_foul(&self, user: Party) {
        self.fouls.borrow_mut().insert(user);
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
        let fouls = self.fouls.borrow();
        let foul = || fouls.iter().any(|from| *from as u8 & 0xf == both >> 4);
        tag == TAG && follow && both & 0xf != user as u8 & 0xf && !foul()
    }

    /// Whether a frame bears the address of somebody who plays foul.
    fn is_foul(&self, frame: &[u8]) -> bool {
        let fouls = self.fouls.borrow();
        let source = frame.get(6..12);
        fouls.iter().any(|user| source == Some(&mac(*user).bytes()))
    }

    /// A user's session began, or ended.
    pub fn set_open(&self, user: Party, open: bool) {
        if let Some(user) = self.users.borrow_mut().get_mut(&user) {
            user.open = open;
        }
    }

    /// Whether every frame to this user must arrive.
    pub fn is_steady(&self, user: Party) -> bool {
        self.user(user).steady
    }

    fn user(&self, party: Party) -> User {
        match party {
            WIRE => User {
                steady: true,
                open: true,
                outstanding: 0,
            },
            party => self.users.borrow().get(&party).copied().unwrap_or_default(),
        }
    }

    /// Users that frames can be sent to.
    pub fn open_users(&self) -> Vec<Party> {
        let users = self.users.borrow();
        users
            .iter()
            .filter(|(_, user)| user.open)
            .map(|(party, _)| *party)
            .collect()
    }

    /// Whether everything that must arrive has.
    pub fn is_quiet(&self) -> bool {
        let flows = self.flows.borrow();
        flows
            .iter()
            .all(|((from, to), flow)| !self.is_strict(*from, *to) || flow.sent == flow.expected)
    }

    fn is_strict(&self, from: Party, to: Party) -> bool {
        let (from, to) = (self.user(from), self.user(to));
        from.steady && to.steady
    }

    /// A stamp for the next frame of a flow, if the receiver has room for so many more pages.
    pub fn next(&self, from: Party, to: Party, pages: u32) -> Option<Stamp> {
        let receiver = self.user(to);
        let limited = receiver.steady && to != WIRE;
        if self.hushed.get() || !receiver.open || (limited && receiver.outstanding + pages > ROOM) {
            return None;
        }
        if let Some(user) = self.users.borrow_mut().get_mut(&to) {
            user.outstanding += pages;
        }
        let mut flows = self.flows.borrow_mut();
        let flow = flows.entry((from, to)).or_default();
        flow.sent += 1;
        Some(Stamp {
            from,
            to,
            epoch: self.epoch.get(),
            sequence: flow.sent - 1,
        })
    }

    /// A frame arrived.
    ///
    /// # Errors
    /// Why it should not have, or not so.
    pub fn arrived(&self, at: Party, frame: &[u8]) -> Result<(), String> {
        if at != WIRE && frame.get(..6) != Some(&mac(at).bytes()[..]) {
            return Err(format!(
                "a frame for somebody else: {:02x?}",
                &frame[..frame.len().min(14)]
            ));
        }
        if self.is_foul(frame) {
            self.delivered.set(self.delivered.get() + 1);
            return Ok(());
        }
        let stamp = Stamp::read(frame)?;
        if frame[6..12] != mac(stamp.from).bytes() {
            return Err(format!("a frame with another's source address: {stamp:?}"));
        }
        if stamp.to != at {
            return Err(format!("a frame that was for {}: {stamp:?}", stamp.to));
        }
        self.delivered.set(self.delivered.get() + 1);
        if stamp.epoch != self.epoch.get() {
            // Read out of a session that is over.
            return Ok(());
        }
        let strict = self.is_strict(stamp.from, at);
        let mut flows = self.flows.borrow_mut();
        let flow = flows.entry((stamp.from, at)).or_default();
        if stamp.sequence < flow.expected {
            return Err(format!(
                "{stamp:?} came twice, or late: {} was expected",
                flow.expected
            ));
        }
        if strict && stamp.sequence != flow.expected {
            return Err(format!("frame {} was lost: {stamp:?} came", flow.expected));
        }
        flow.expected = stamp.sequence + 1;
        Ok(())
    }

    /// A user gave so many pages of frames back, of this life of the driver.
    pub fn given_back(&self, user: Party, epoch: u32, pages: u32) {
        if epoch != self.epoch.get() {
            return;
        }
        if let Some(user) = self.users.borrow_mut().get_mut(&user) {
            user.outstanding = user.outstanding.saturating_sub(pages);
        }
    }
}
