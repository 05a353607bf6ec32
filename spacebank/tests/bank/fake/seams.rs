//! The fake kernel behind the traits that the server is written against.

use std::collections::HashMap;

use abi::cap::{CapAddr, Kind};
use abi::error::{self, Status};
use abi::method::notify;
use spacebank::{Record, Records};
use sys::{Event, Fault, Mem, Message, Reply, Sys};

use super::{BatchPage, Capability, Fake, RECORD_SEGMENTS, State};

impl Sys for Fake {
    fn call(&self, capability: CapAddr, message: &Message) -> Reply {
        self.machine
            .borrow_mut()
            .invoke(&self.batch, capability, message)
    }

    fn send(&self, capability: CapAddr, message: &Message) -> Status {
        let mut machine = self.machine.borrow_mut();
        assert_eq!(message.words[0], notify::SIGNAL);
        assert_eq!(message.caps, [0; 4]);
        let Some(notify) = machine.get(capability) else {
            return error::VOID;
        };
        machine.told.push(notify);
        error::OK
    }

    fn wait(&self, receive: [CapAddr; 4]) -> Event {
        let mut machine = self.machine.borrow_mut();
        assert!(
            !std::mem::take(&mut machine.caller),
            "a caller gets no answer"
        );
        if let Some(event) = machine.next(receive) {
            return event;
        }
        let (time, bit) = machine.alarm.take().expect("spacebank waits for ever");
        machine.now = time;
        Event::Notified {
            group: 0,
            bits: 1 << bit,
        }
    }

    fn reply_and_wait(&self, status: Status, message: &Message) -> Event {
        {
            let mut machine = self.machine.borrow_mut();
            assert!(std::mem::take(&mut machine.caller), "nobody to answer");
            machine.answers.push((status, *message));
        }
        self.wait(message.receive)
    }

    fn resume(&self, resume: CapAddr, status: Status, message: &Message) -> Status {
        let mut machine = self.machine.borrow_mut();
        assert!(
            machine
                .get(resume)
                .is_some_and(|found| found.kind == Kind::Resume as u8)
        );
        machine.set(resume, None);
        machine.answers.push((status, *message));
        error::OK
    }

    fn poll(&self, receive: [CapAddr; 4]) -> Option<Event> {
        let mut machine = self.machine.borrow_mut();
        assert!(!machine.caller, "a caller gets no answer");
        machine.next(receive)
    }

    fn save_caller(&self, slot: CapAddr) -> Status {
        let mut machine = self.machine.borrow_mut();
        assert!(std::mem::take(&mut machine.caller), "nobody to save");
        let resume = Capability {
            kind: Kind::Resume as u8,
            ..machine.full(0)
        };
        machine.set(slot, Some(resume));
        error::OK
    }
}

/// Records that may be touched only while their pages are mapped where spacebank expects them.
pub struct FakeRecords {
    pub fake: Fake,
    pub records: HashMap<u32, Record>,
}

impl FakeRecords {
    fn check(&self, oid: u32) {
        let machine = self.fake.machine.borrow();
        let object = &machine.objects[oid as usize];
        let home = (RECORD_SEGMENTS + oid / 512, (oid % 512) as u16);
        assert_eq!(
            (object.state, object.home),
            (State::Live, Some(home)),
            "record of {oid}"
        );
    }
}

impl Records for FakeRecords {
    fn get(&self, oid: u32) -> &Record {
        self.check(oid);
        &self.records[&oid]
    }

    fn get_mut(&mut self, oid: u32) -> &mut Record {
        self.check(oid);
        self.records
            .get_mut(&oid)
            .expect("a mapped record was created")
    }

    fn create(&mut self, oid: u32, record: Record) {
        self.check(oid);
        assert!(self.records.insert(oid, record).is_none());
    }

    fn discard(&mut self, oid: u32) {
        assert!(self.records.remove(&oid).is_some());
    }
}

impl Mem for BatchPage {
    fn len(&self) -> usize {
        self.0.borrow().len()
    }

    fn load_u16(&self, offset: usize) -> Result<u16, Fault> {
        let mut bytes = [0; 2];
        self.read(offset, &mut bytes)
            .map(|()| u16::from_le_bytes(bytes))
    }

    fn load_u32(&self, offset: usize) -> Result<u32, Fault> {
        let mut bytes = [0; 4];
        self.read(offset, &mut bytes)
            .map(|()| u32::from_le_bytes(bytes))
    }

    fn load_u64(&self, offset: usize) -> Result<u64, Fault> {
        let mut bytes = [0; 8];
        self.read(offset, &mut bytes)
            .map(|()| u64::from_le_bytes(bytes))
    }

    fn store_u16(&self, offset: usize, value: u16) -> Result<(), Fault> {
        self.write(offset, &value.to_le_bytes())
    }

    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Fault> {
        self.write(offset, &value.to_le_bytes())
    }

    fn store_u64(&self, offset: usize, value: u64) -> Result<(), Fault> {
        self.write(offset, &value.to_le_bytes())
    }

    fn acquire_u16(&self, offset: usize) -> Result<u16, Fault> {
        self.load_u16(offset)
    }

    fn acquire_u32(&self, offset: usize) -> Result<u32, Fault> {
        self.load_u32(offset)
    }

    fn release_u16(&self, offset: usize, value: u16) -> Result<(), Fault> {
        self.store_u16(offset, value)
    }

    fn release_u32(&self, offset: usize, value: u32) -> Result<(), Fault> {
        self.store_u32(offset, value)
    }

    fn fence(&self) {}

    fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), Fault> {
        let end = offset.checked_add(into.len()).ok_or(Fault::OutOfRange)?;
        into.copy_from_slice(self.0.borrow().get(offset..end).ok_or(Fault::OutOfRange)?);
        Ok(())
    }

    fn write(&self, offset: usize, from: &[u8]) -> Result<(), Fault> {
        let end = offset.checked_add(from.len()).ok_or(Fault::OutOfRange)?;
        let mut bytes = self.0.borrow_mut();
        bytes
            .get_mut(offset..end)
            .ok_or(Fault::OutOfRange)?
            .copy_from_slice(from);
        Ok(())
    }
}
