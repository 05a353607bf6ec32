//! Who gets a frame: by destination address, and by group.
//!
//! The look-up takes the same time however many ports there are.

use dev::Mac;
use hashbrown::HashMap;

use crate::members::Members;

/// Most groups that a session subscribes to.
pub const MOST_GROUPS: usize = 32;

/// Number of a port.
pub type PortNumber = u16;

/// Where a frame comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// From the device.
    Wire = 0,
    /// From a session.
    Sessions = 1,
}

/// Nobody's address, and nobody.
const NOBODY: (Mac, Option<PortNumber>) = (Mac::from_word(0), None);

/// Where frames go.
#[derive(Debug)]
pub struct Demux {
    stations: HashMap<Mac, PortNumber>,
    /// What was found last for either side: traffic comes in bursts.
    last: [(Mac, Option<PortNumber>); 2],
    /// Sessions that receive broadcast: all.
    everybody: Members,
    groups: HashMap<Mac, Members>,
    /// Stations or groups came or went.
    changed: bool,
}

impl Default for Demux {
    fn default() -> Demux {
        Demux {
            stations: HashMap::default(),
            last: [NOBODY; 2],
            everybody: Members::default(),
            groups: HashMap::default(),
            changed: false,
        }
    }
}

impl Demux {
    /// Makes room for so many ports. `false`: there is no memory.
    pub fn reserve(&mut self, ports: usize) -> bool {
        let missing = ports.saturating_sub(self.stations.len());
        self.stations.try_reserve(missing).is_ok() && self.everybody.reserve(ports)
    }

    /// Whether an address is a port's.
    pub fn is_taken(&self, mac: Mac) -> bool {
        self.stations.contains_key(&mac)
    }

    /// Gives a port its address.
    pub fn add(&mut self, mac: Mac, port: PortNumber) {
        self.stations.insert(mac, port);
        self.last = [NOBODY; 2];
        self.changed = true;
    }

    /// Takes a port's address away.
    pub fn remove(&mut self, mac: Mac) {
        self.stations.remove(&mac);
        self.last = [NOBODY; 2];
        self.changed = true;
    }

    /// Whose address it is.
    #[inline]
    pub fn station(&mut self, mac: Mac, side: Side) -> Option<PortNumber> {
        let last = &mut self.last[side as usize];
        if last.0 != mac {
            *last = (mac, self.stations.get(&mac).copied());
        }
        last.1
    }

    /// A session begins: it receives broadcast.
    pub fn open(&mut self, port: PortNumber) {
        self.everybody.insert(port);
    }

    /// A session ends.
    pub fn close(&mut self, port: PortNumber, groups: &[Mac]) {
        self.everybody.remove(port);
        for group in groups {
            self.unsubscribe(port, *group);
        }
    }

    /// A session wants a group's frames.
    ///
    /// `false`: there is no memory for one more group.
    pub fn subscribe(&mut self, port: PortNumber, group: Mac) -> bool {
        if self.groups.try_reserve(1).is_err() {
            return false;
        }
        let members = self.groups.entry(group).or_default();
        let first = members.is_empty();
        if members.reserve(members.len() + 1) {
            members.insert(port);
            self.changed |= first;
            return true;
        }
        if first {
            self.groups.remove(&group);
        }
        false
    }

    /// A session no longer wants a group's frames.
    pub fn unsubscribe(&mut self, port: PortNumber, group: Mac) {
        if let Some(members) = self.groups.get_mut(&group) {
            members.remove(port);
            if members.is_empty() {
                self.groups.remove(&group);
                self.changed = true;
            }
        }
    }

    /// Whether stations or groups came or went since this was last asked: the device is to be told.
    #[inline]
    pub fn take_change(&mut self) -> bool {
        core::mem::take(&mut self.changed)
    }

    /// All addresses that are ports'.
    pub fn stations(&self) -> impl Iterator<Item = Mac> {
        self.stations.keys().copied()
    }

    /// All groups that somebody subscribes to.
    pub fn groups(&self) -> impl Iterator<Item = Mac> {
        self.groups.keys().copied()
    }

    /// How many sessions receive a group's frames.
    pub fn members(&self, group: Mac) -> usize {
        self.set(group).map_or(0, Members::len)
    }

    /// The first session after `last` that receives a group's frames, or the first at all. Sessions
    /// that come and go meanwhile neither lose nor double anybody else's frame.
    pub fn next_member(&self, group: Mac, last: Option<PortNumber>) -> Option<PortNumber> {
        self.set(group)?.after(last)
    }

    fn set(&self, group: Mac) -> Option<&Members> {
        match group == Mac::BROADCAST {
            true => Some(&self.everybody),
            false => self.groups.get(&group),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Mac = Mac::new([2, 0, 0, 0, 0, 1]);
    const B: Mac = Mac::new([2, 0, 0, 0, 0, 2]);
    const GROUP: Mac = Mac::new([0x33, 0x33, 0, 0, 0, 1]);

    fn roomy() -> Demux {
        let mut demux = Demux::default();
        assert!(demux.reserve(10));
        demux
    }

    #[test]
    fn what_was_found_last_is_forgotten_when_it_changes() {
        for side in [Side::Wire, Side::Sessions] {
            let mut demux = roomy();
            assert_eq!(demux.station(Mac::from_word(0), side), None);
            assert_eq!(demux.station(A, side), None);
            demux.add(A, 3);
            demux.add(B, 4);
            assert_eq!(demux.station(A, side), Some(3));
            assert_eq!(demux.station(A, side), Some(3));
            demux.remove(A);
            assert_eq!(demux.station(A, side), None);
            assert_eq!(demux.station(B, side), Some(4));
            demux.add(A, 7);
            assert_eq!(demux.station(A, side), Some(7));
        }
    }

    #[test]
    fn members_come_once_each_while_others_come_and_go() {
        let mut demux = roomy();
        for port in [5, 1, 9] {
            demux.open(port);
            demux.subscribe(port, GROUP);
        }
        for group in [Mac::BROADCAST, GROUP] {
            assert_eq!(demux.members(group), 3);
            assert_eq!(demux.next_member(group, None), Some(1));
            assert_eq!(demux.next_member(group, Some(1)), Some(5));
        }
        demux.close(5, &[GROUP]);
        demux.open(2);
        for group in [Mac::BROADCAST, GROUP] {
            assert_eq!(demux.next_member(group, Some(5)), Some(9));
            assert_eq!(demux.next_member(group, Some(9)), None);
        }
        demux.close(1, &[GROUP]);
        demux.close(9, &[GROUP]);
        assert_eq!(demux.members(GROUP), 0);
        assert_eq!(demux.next_member(GROUP, None), None);
    }

    #[test]
    fn the_device_is_told_when_stations_or_groups_come_and_go_and_only_then() {
        let mut demux = roomy();
        assert!(!demux.take_change());
        demux.add(A, 3);
        assert!(demux.take_change());
        assert!(!demux.take_change());
        demux.open(3);
        demux.open(4);
        assert!(!demux.take_change(), "everybody receives broadcast anyway");
        demux.subscribe(3, GROUP);
        assert!(demux.take_change());
        demux.subscribe(4, GROUP);
        demux.unsubscribe(3, GROUP);
        assert!(!demux.take_change(), "one is left");
        assert!(demux.groups().eq([GROUP]));
        demux.close(4, &[GROUP]);
        assert!(demux.take_change());
        assert_eq!(demux.groups().count(), 0);
        assert!(demux.stations().eq([A]));
        demux.remove(A);
        assert!(demux.take_change());
        assert_eq!(demux.stations().count(), 0);
    }
}
