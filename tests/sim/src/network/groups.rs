//! Groups: parties that stand for many. Everybody is in one without asking; the others are joined.

use std::collections::BTreeSet;

use super::stamp::Party;

/// Everybody: ethernet's broadcast.
pub const EVERYBODY: Party = 0xe8;
/// Groups that are joined.
pub const TEAMS: [Party; 2] = [0xe9, 0xea];
/// All of them.
pub const ALL: [Party; 3] = [EVERYBODY, TEAMS[0], TEAMS[1]];

/// Whether a party is a group.
pub const fn is_group(party: Party) -> bool {
    party >= EVERYBODY && party <= TEAMS[1]
}

/// The groups of a user's.
#[derive(Clone, Debug, Default)]
pub struct Memberships {
    /// Those that it has joined: it must get what is sent to them.
    joined: BTreeSet<Party>,
    /// Those that it joined or left in this session: it may get what is sent to them.
    heard: BTreeSet<Party>,
}

impl Memberships {
    /// It asks to join a group, or to leave it: from now on nobody knows.
    pub fn ask(&mut self, group: Party) {
        self.joined.remove(&group);
        self.heard.insert(group);
    }

    /// The driver says that it is in.
    pub fn join(&mut self, group: Party) {
        self.joined.insert(group);
    }

    /// Whether it must get what is sent to a group.
    pub fn is_in(&self, group: Party) -> bool {
        group == EVERYBODY || self.joined.contains(&group)
    }

    /// Whether it may get what is sent to a group.
    pub fn may_hear(&self, group: Party) -> bool {
        group == EVERYBODY || self.heard.contains(&group)
    }
}
