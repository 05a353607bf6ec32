//! What spacebank invokes: `Range`, its own process and root table, the clock.

use abi::batch::{LIMIT, RESCIND_FREED, RESCIND_LIMBO};
use abi::boot::slot;
use abi::cap::{CapAddr, Kind, Rights};
use abi::error::{self, status};
use abi::method::{cap_table, clock, process, range};
use sys::{Mem, Message, Reply};

use super::{BATCH, BatchPage, Capability, Machine, SPACEBANK, State};

fn refuse(errno: i32) -> Reply {
    Reply {
        status: status(errno),
        ..Reply::default()
    }
}

fn void() -> Reply {
    Reply {
        status: error::VOID,
        ..Reply::default()
    }
}

fn reply(words: &[u64]) -> Reply {
    let mut reply = Reply::default();
    for (to, from) in reply.words.iter_mut().zip(words) {
        *to = *from;
    }
    reply
}

impl Machine {
    fn mint_into(&mut self, batch: &BatchPage, message: &Message) -> Reply {
        let [_, offset, count, ..] = message.words;
        assert_eq!(self.get(message.caps[0]), Some(self.full(BATCH)));
        assert!((1..=LIMIT as u64).contains(&count));
        let Some(table) = self.get(message.caps[1]) else {
            return void();
        };
        let kind = Kind::from_u8(table.kind).unwrap();
        let level = match (kind, kind.table_level()) {
            (Kind::CapTable, _) => 0,
            (_, Some(level)) => level,
            _ => return refuse(error::EBADF),
        };
        if table.rights & Rights::MANAGE.bits() == 0 {
            return refuse(error::EPERM);
        }
        let mut entries: Vec<(u32, Kind, u8, usize)> = Vec::new();
        for n in 0..count as usize {
            let at = offset as usize + n * 16;
            let word = batch.load_u64(at).unwrap();
            assert_eq!(batch.load_u64(at + 8), Ok(0));
            let (oid, index) = (word as u32, (word >> 48) as usize);
            let (new, rights) = (
                Kind::from_u8((word >> 32) as u8).unwrap(),
                (word >> 40) as u8,
            );
            assert!(new.is_storage());
            let object = &self.objects[oid as usize];
            assert_eq!(object.state, State::Free, "object {oid} sold twice");
            assert_eq!(
                object.pins, 0,
                "object {oid} sold while its frame is pinned"
            );
            assert!(!entries.iter().any(|(other, ..)| *other == oid));
            let destination = &self.objects[table.oid as usize];
            if level == 0 {
                let Some(slot) = destination.slots.get(index) else {
                    return refuse(error::EINVAL);
                };
                if slot.is_some_and(|capability| self.alive(capability)) {
                    return refuse(error::EEXIST);
                }
            } else {
                let below = new.table_level().unwrap_or(0);
                if below + 1 != level || below == 0 && new != Kind::Page {
                    return refuse(error::EBADF);
                }
                let Some(place) = destination.places.get(index) else {
                    return refuse(error::EINVAL);
                };
                let executable = Rights::WRITE.bits() | Rights::EXEC.bits();
                if new == Kind::Page && rights & executable == executable {
                    return refuse(error::EINVAL);
                }
                if place.is_some() {
                    return refuse(error::EEXIST);
                }
            }
            entries.push((oid, new, rights, index));
        }
        for (oid, new, rights, index) in entries {
            self.make(oid, new);
            self.minted.push(oid);
            if level == 0 {
                let capability = self.full(oid);
                self.objects[table.oid as usize].slots[index] = Some(capability);
            } else {
                self.objects[table.oid as usize].places[index] = Some((oid, rights));
                self.objects[oid as usize].home = Some((table.oid, index as u16));
            }
        }
        reply(&[count])
    }

    /// Rescinds an object, or goes on with it; `None` when the pieces of this call are used up. A page
    /// is always done in one.
    fn rescind_one(&mut self, oid: u32, pieces: &mut usize) -> Option<u32> {
        *pieces = pieces.checked_sub(1)?;
        let object = &mut self.objects[oid as usize];
        if object.state == State::Live {
            object.version += 1;
            object.state = State::Rescinding;
            if let Some((table, index)) = object.home.take() {
                self.objects[table as usize].places[index as usize] = None;
            }
        }
        let object = &mut self.objects[oid as usize];
        assert_eq!(
            object.state,
            State::Rescinding,
            "object {oid} rescinded, but not live"
        );
        while object.work > 0 {
            object.work -= 1;
            *pieces = pieces.checked_sub(1)?;
        }
        for index in 0..object.places.len() {
            if let Some((child, _)) = self.objects[oid as usize].places[index].take() {
                self.objects[child as usize].home = None;
                *pieces = pieces.checked_sub(1)?;
            }
        }
        let object = &mut self.objects[oid as usize];
        let limbo = object.pins > 0;
        object.state = if limbo { State::Limbo } else { State::Free };
        let kind = object.kind;
        self.rescinded.push((oid, kind, limbo));
        Some(if limbo { RESCIND_LIMBO } else { RESCIND_FREED })
    }

    fn rescind(&mut self, batch: &BatchPage, message: &Message) -> Reply {
        let [_, offset, count, ..] = message.words;
        assert_eq!(self.get(message.caps[0]), Some(self.full(BATCH)));
        assert!((1..=LIMIT as u64).contains(&count));
        if self.failures > 0 {
            self.failures -= 1;
            return refuse(error::EFAULT);
        }
        let mut pieces = self.pieces;
        for n in 0..count {
            let at = (offset + n * 8) as usize;
            let oid = batch.load_u32(at).unwrap();
            match self.rescind_one(oid, &mut pieces) {
                Some(result) => batch.store_u32(at + 4, result).unwrap(),
                None => {
                    return Reply {
                        status: error::MORE,
                        ..reply(&[n])
                    };
                }
            }
        }
        reply(&[count])
    }

    fn reap(&mut self) -> Reply {
        let mut words = [0; 6];
        for n in 0..10 {
            let Some(oid) = self.reapable.pop_front() else {
                break;
            };
            words[0] += 1;
            words[1 + n / 2] |= u64::from(oid) << (32 * (n % 2));
        }
        reply(&words)
    }

    fn mint(&mut self, message: &Message) -> Reply {
        let (oid, kind) = (message.words[1] as u32, message.words[2]);
        let object = &self.objects[oid as usize];
        if object.state != State::Live || object.kind as u64 != kind {
            return refuse(error::EBUSY);
        }
        let capability = self.full(oid);
        self.set(message.receive[0], Some(capability));
        reply(&[])
    }

    pub fn invoke(&mut self, batch: &BatchPage, address: CapAddr, message: &Message) -> Reply {
        let mut own = vec![slot::BANK_RANGE, slot::PROCESS, slot::ROOT, slot::CLOCK];
        own.retain(|slot| *slot == address);
        assert!(
            !own.is_empty(),
            "spacebank calls {address}, which is not the kernel's"
        );
        self.invocations += 1;
        let capability = self
            .get(address)
            .expect("the kernel's own capabilities stay");
        let [method, w1, w2, ..] = message.words;
        match (Kind::from_u8(capability.kind).unwrap(), method) {
            (Kind::Range, range::MINT) => self.mint(message),
            (Kind::Range, range::MINT_INTO) => self.mint_into(batch, message),
            (Kind::Range, range::RESCIND) => self.rescind(batch, message),
            (Kind::Range, range::REAP) => self.reap(),
            (Kind::Range, range::IDENTIFY) => match self.get(message.caps[0]) {
                None => void(),
                Some(found) if found.kind >= 16 => refuse(error::EBADF),
                Some(found) => reply(&[found.oid.into(), found.kind.into(), found.rights.into()]),
            },
            (Kind::Range, range::SET_NOTIFY) => {
                self.limbo_notify = self.get(message.caps[0]);
                assert!(
                    self.limbo_notify
                        .is_some_and(|found| found.kind == Kind::Notify as u8)
                );
                reply(&[])
            }
            (Kind::Range, range::QUERY) => {
                let object = &self.objects[w1 as usize];
                let state = match object.state {
                    State::Free => 0,
                    State::Live | State::Rescinding => 1,
                    State::Limbo => 2,
                };
                reply(&[object.kind as u64, state, object.pins.into()])
            }
            (Kind::Process, process::MAKE_START) => {
                let start = Capability {
                    kind: Kind::Start as u8,
                    badge: w1,
                    ..self.full(SPACEBANK)
                };
                self.set(message.receive[0], Some(start));
                reply(&[])
            }
            (Kind::Process, process::MAKE_NOTIFY) => {
                let notify = Capability {
                    kind: Kind::Notify as u8,
                    badge: w1,
                    ..self.full(SPACEBANK)
                };
                self.set(message.receive[0], Some(notify));
                reply(&[])
            }
            (Kind::CapTable, cap_table::MOVE) => {
                let Some(moved) = self.get(w1 as CapAddr) else {
                    return refuse(error::ENOENT);
                };
                assert_eq!(self.get(w2 as CapAddr), None, "slot {w2} is in use");
                self.set(w1 as CapAddr, None);
                self.set(w2 as CapAddr, Some(moved));
                reply(&[])
            }
            (Kind::CapTable, cap_table::CLEAR) => {
                assert_eq!(w2, 1);
                self.set(w1 as CapAddr, None);
                reply(&[])
            }
            (Kind::Clock, _) if !self.has_clock => void(),
            (Kind::Clock, clock::NOW) => reply(&[self.now, self.now, 1_000_000_000]),
            (Kind::Clock, clock::ARM) => {
                self.alarm = Some((w1, w2));
                reply(&[])
            }
            other => panic!("spacebank has no business with {other:?}"),
        }
    }
}
