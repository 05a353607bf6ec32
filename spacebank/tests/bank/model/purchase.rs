//! Purchases, and what they must answer.

use abi::cap::{Kind, Rights};
use abi::error::{self, Status, status};
use abi::{CAP_TABLE_SLOTS, TABLE_ENTRIES};
use sys::bank::method;

use super::run::{Run, void};
use super::{OBJECTS, PRIME_ID};
use crate::fake::Capability;

impl Run {
    pub(super) fn buy(
        &mut self,
        (badge, id): (u64, u64),
        kind: Kind,
        count: u64,
        into: Capability,
        first: u64,
        rights: u8,
    ) {
        let expected = self.expected_purchase(id, kind, count, into, first, rights);
        let words = [method::BUY, kind as u64, count, first, rights.into()];
        let reply = self.call(badge, &words, Some(into));
        let level = if reply.status == status(error::EDQUOT) {
            reply.words[0]
        } else {
            0
        };
        assert_eq!((reply.status, level), expected);
        let minted = std::mem::take(&mut self.world.machine().minted);
        assert_eq!(
            minted.len() as u64,
            if reply.status == error::OK { count } else { 0 }
        );
        for oid in minted {
            assert_eq!(self.model.owner_of(oid), None);
            self.model.bank(id).objects.insert(oid, kind);
            if into.kind == Kind::CapTable as u8 {
                let capability = self.world.machine().full(oid);
                self.capabilities.push(capability);
            }
        }
    }

    /// Status, and for a quota which level refuses.
    fn expected_purchase(
        &self,
        id: u64,
        kind: Kind,
        count: u64,
        into: Capability,
        first: u64,
        rights: u8,
    ) -> (Status, u64) {
        let machine = self.world.machine();
        let refused = |errno| (status(errno), 0);
        if !self.model.serves(id) {
            return (void(), 0);
        }
        if first + count > TABLE_ENTRIES as u64 {
            return refused(error::EINVAL);
        }
        let table = Kind::from_u8(into.kind).expect("a kind");
        // What is void does not even arrive.
        if !machine.alive(into) {
            return refused(error::EBADF);
        }
        if self.model.banks[&id].opaque && table == Kind::CapTable {
            return refused(error::EACCES);
        }
        if let Some(level) = self.model.refusing_level(id, count) {
            return (status(error::EDQUOT), level);
        }
        let held = self.model.live(PRIME_ID) + self.model.limbo(PRIME_ID);
        assert!(
            held + count <= OBJECTS as u64,
            "the prime bank's limit is all there is"
        );
        // From here on the kernel refuses.
        let below = kind.table_level().map_or(1, |level| level + 1);
        let mapped = table.table_level() == Some(below)
            && (kind == Kind::Page || kind.table_level().is_some());
        if !(mapped || table == Kind::CapTable) {
            return refused(error::EBADF);
        }
        let executable = Rights::WRITE.bits() | Rights::EXEC.bits();
        if mapped && kind == Kind::Page && rights & executable == executable {
            return refused(error::EINVAL);
        }
        let object = &machine.objects[into.oid as usize];
        for n in first as usize..(first + count) as usize {
            let taken = match mapped {
                true => object.places[n].is_some(),
                false if n >= CAP_TABLE_SLOTS => return refused(error::EINVAL),
                false => object.slots[n].is_some_and(|found| machine.alive(found)),
            };
            if taken {
                return refused(error::EEXIST);
            }
        }
        (error::OK, 0)
    }
}
