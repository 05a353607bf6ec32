//! Processes over the small kernel: `Sys`, `Mem` and `Program`.

use std::cell::RefCell;
use std::rc::Rc;

use abi::cap::{CapAddr, Kind, Rights};
use abi::error::{EMFILE, EPIPE, OK, Status, VOID, status};
use abi::{PAGE_SIZE, SEGMENT_SIZE};
use dev::Program;
use sys::object::{CapTable, Table};
use sys::{Cap, Error, Event, Fault, Mem, Message, Reply, Sys};

use super::kernel::{Capability, DRIVER, Oid, Pid, Shared, What};

/// What runs the driver while somebody waits for its answer. `false`: it has nothing to do.
pub type Pump = Rc<RefCell<Option<Box<dyn FnMut() -> bool>>>>;

/// The system calls of a process.
#[derive(Clone)]
pub struct FakeSys {
    pub kernel: Shared,
    pub pid: Pid,
    pub pump: Pump,
}

impl FakeSys {
    /// Calls the driver without waiting for the answer.
    pub fn begin(&self, capability: CapAddr, message: &Message) -> u64 {
        let mut kernel = self.kernel.borrow_mut();
        match kernel.get(self.pid, capability).map(|cap| cap.what) {
            Some(What::Start { pid, badge }) => kernel.begin_call(self.pid, pid, badge, message),
            other => panic!("not a start capability: {other:?}"),
        }
    }

    /// The answer to a call begun, if there is one.
    pub fn answer(&self, caller: u64) -> Option<Reply> {
        self.kernel.borrow_mut().take_reply(caller)
    }

    /// Lets the driver work until it has nothing to do.
    pub fn pump(&self) {
        let mut pump = self.pump.borrow_mut();
        let run = pump.as_mut().expect("the driver is there");
        let mut turns = 0;
        while run() {
            turns += 1;
            assert!(turns < 100_000, "the driver never rests");
        }
    }
}

impl Sys for FakeSys {
    fn call(&self, capability: CapAddr, message: &Message) -> Reply {
        let target = self.kernel.borrow().get(self.pid, capability);
        match target.map(|cap| cap.what) {
            Some(What::Start { .. }) => {
                let caller = self.begin(capability, message);
                self.pump();
                self.answer(caller).expect("the driver answers")
            }
            _ => self
                .kernel
                .borrow_mut()
                .invoke(self.pid, capability, message),
        }
    }

    fn send(&self, capability: CapAddr, message: &Message) -> Status {
        let mut kernel = self.kernel.borrow_mut();
        match kernel.get(self.pid, capability) {
            None => VOID,
            Some(Capability {
                what: What::Start { pid, badge },
                ..
            }) => {
                let entry = (*message, badge, None, self.pid);
                kernel.processes[pid].inbox.push_back(entry);
                OK
            }
            Some(_) => kernel.invoke(self.pid, capability, message).status,
        }
    }

    fn wait(&self, _: [CapAddr; 4]) -> Event {
        unreachable!("tests poll")
    }

    fn reply_and_wait(&self, _: Status, _: &Message) -> Event {
        unreachable!("tests poll")
    }

    fn resume(&self, resume: CapAddr, status: Status, message: &Message) -> Status {
        let mut kernel = self.kernel.borrow_mut();
        match kernel.get(self.pid, resume).map(|cap| cap.what) {
            Some(What::Resume(caller)) => {
                kernel.reply(self.pid, caller, status, message);
                OK
            }
            _ => VOID,
        }
    }

    fn poll(&self, receive: [CapAddr; 4]) -> Option<Event> {
        self.kernel.borrow_mut().poll(self.pid, receive)
    }

    fn save_caller(&self, slot: CapAddr) -> Status {
        let mut kernel = self.kernel.borrow_mut();
        match kernel.processes[self.pid].held.take() {
            Some(caller) => {
                let what = What::Resume(caller);
                let rights = Rights::all();
                kernel.put(self.pid, slot, Capability { what, rights });
                OK
            }
            None => status(EPIPE),
        }
    }
}

/// A mapped segment.
#[derive(Clone)]
pub struct FakeMem {
    kernel: Shared,
    segment: Oid,
    rights: Rights,
    revocable: bool,
    length: usize,
    start: usize,
}

impl FakeMem {
    fn reach<T>(
        &self,
        offset: usize,
        length: usize,
        write: bool,
        access: impl FnOnce(&mut [u8]) -> T,
    ) -> Result<T, Fault> {
        if offset
            .checked_add(length)
            .is_none_or(|end| end > self.length)
        {
            return Err(Fault::OutOfRange);
        }
        let mut kernel = self.kernel.borrow_mut();
        if self.revocable || kernel.is_window(self.segment) {
            kernel.before_access();
        }
        let offset = self.start + offset;
        let (index, start) = (offset / PAGE_SIZE, offset % PAGE_SIZE);
        assert!(start + length <= PAGE_SIZE, "an access crosses a page");
        let wanted = if write { Rights::WRITE } else { Rights::READ };
        match kernel.place(self.segment, index as u16) {
            Some((frame, rights)) => {
                let right = (rights & self.rights).contains(wanted);
                assert!(right, "an access without the right to it");
                Ok(access(
                    &mut kernel.frames[frame].bytes[start..start + length],
                ))
            }
            None => {
                assert!(self.revocable, "pitfall 27: a fault on memory of one's own");
                Err(Fault::Revoked)
            }
        }
    }

    fn word<const N: usize>(&self, offset: usize) -> Result<[u8; N], Fault> {
        assert_eq!(offset % N, 0, "unaligned");
        self.reach(offset, N, false, |bytes| (&*bytes).try_into().unwrap())
    }

    fn set<const N: usize>(&self, offset: usize, value: [u8; N]) -> Result<(), Fault> {
        assert_eq!(offset % N, 0, "unaligned");
        self.reach(offset, N, true, |bytes| bytes.copy_from_slice(&value))
    }
}

/// Bytes that a copy moves in one access: small, so that something can happen in the midst of it.
const STEP: usize = 16;
/// The same where it can't make a difference to the copy itself.
const OWN_STEP: usize = 512;

impl Mem for FakeMem {
    fn len(&self) -> usize {
        self.length
    }
    fn load_u16(&self, offset: usize) -> Result<u16, Fault> {
        self.word(offset).map(u16::from_le_bytes)
    }
    fn load_u32(&self, offset: usize) -> Result<u32, Fault> {
        self.word(offset).map(u32::from_le_bytes)
    }
    fn load_u64(&self, offset: usize) -> Result<u64, Fault> {
        self.word(offset).map(u64::from_le_bytes)
    }
    fn store_u16(&self, offset: usize, value: u16) -> Result<(), Fault> {
        self.set(offset, value.to_le_bytes())
    }
    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Fault> {
        self.set(offset, value.to_le_bytes())
    }
    fn store_u64(&self, offset: usize, value: u64) -> Result<(), Fault> {
        self.set(offset, value.to_le_bytes())
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
        for (n, piece) in into.chunks_mut(STEP).enumerate() {
            self.reach(offset + n * STEP, piece.len(), false, |bytes| {
                piece.copy_from_slice(bytes)
            })?;
        }
        Ok(())
    }
    fn write(&self, offset: usize, from: &[u8]) -> Result<(), Fault> {
        let step = if self.revocable { STEP } else { OWN_STEP };
        for (n, piece) in from.chunks(step).enumerate() {
            self.reach(offset + n * step, piece.len(), true, |bytes| {
                bytes.copy_from_slice(piece)
            })?;
        }
        Ok(())
    }
}

/// Where the capabilities to `CapTable`s but the first lie.
const TABLES: CapAddr = 0x3f00;

/// A process.
#[derive(Clone)]
pub struct FakeProgram {
    pub sys: FakeSys,
}

impl FakeProgram {
    pub fn new(kernel: &Shared, pid: Pid, pump: &Pump) -> FakeProgram {
        let mut inner = kernel.borrow_mut();
        let page = inner.make(0, Kind::Page);
        let capability = Capability {
            what: What::Object(page),
            rights: Rights::all(),
        };
        inner.put(pid, abi::boot::slot::MESSAGE, capability);
        drop(inner);
        FakeProgram {
            sys: FakeSys {
                kernel: kernel.clone(),
                pid,
                pump: pump.clone(),
            },
        }
    }

    fn mem(&self, place: &FakePlace, revocable: bool) -> FakeMem {
        FakeMem {
            kernel: self.sys.kernel.clone(),
            segment: place.segment,
            rights: place.rights,
            revocable,
            length: SEGMENT_SIZE,
            start: 0,
        }
    }
}

pub struct FakePlace {
    segment: Oid,
    rights: Rights,
}

impl Program for FakeProgram {
    type Sys = FakeSys;
    type Own = FakeMem;
    type Shared = FakeMem;
    type Place = FakePlace;

    fn sys(&self) -> &FakeSys {
        &self.sys
    }

    fn now(&self) -> u64 {
        self.sys.kernel.borrow().now
    }

    fn arm(&self, deadline: u64, bit: u64) -> Result<(), Error> {
        // Time passes for others only when a test says so.
        if self.sys.pid == DRIVER {
            self.sys.kernel.borrow_mut().timer = Some((deadline, bit));
        }
        Ok(())
    }

    fn map(&self, segment: Cap<Table>, rights: Rights) -> Result<FakePlace, Error> {
        let capability = self
            .sys
            .kernel
            .borrow()
            .get(self.sys.pid, segment.address())
            .ok_or(Error::VOID)?;
        match capability.what {
            What::Object(oid) => {
                self.sys.kernel.borrow_mut().processes[self.sys.pid].mapped += 1;
                Ok(FakePlace {
                    segment: oid,
                    rights: rights & capability.rights,
                })
            }
            _ => Err(Error::new(abi::error::EBADF)),
        }
    }

    fn own(&self, place: &FakePlace) -> FakeMem {
        self.mem(place, false)
    }

    fn shared(&self, place: &FakePlace) -> FakeMem {
        self.mem(place, true)
    }

    fn unmap(&self, _: FakePlace) {
        self.sys.kernel.borrow_mut().processes[self.sys.pid].mapped -= 1;
    }

    fn take_slot(&self) -> Result<CapAddr, Error> {
        let slot = self.sys.kernel.borrow_mut().take_slot(self.sys.pid);
        slot.ok_or(Error::new(EMFILE))
    }

    fn give_slot(&self, address: CapAddr) {
        self.sys
            .kernel
            .borrow_mut()
            .give_slot(self.sys.pid, address);
    }

    fn table_of(&self, address: CapAddr) -> (Cap<CapTable>, u16) {
        let (table, index) = (address / 128, address % 128);
        if table == 0 {
            return (Cap::at(abi::boot::slot::ROOT), index);
        }
        let at = TABLES + table;
        let what = What::CapTable(table);
        let rights = Rights::all();
        let mut kernel = self.sys.kernel.borrow_mut();
        kernel.put(self.sys.pid, at, Capability { what, rights });
        (Cap::at(at), index)
    }

    fn batch(&self) -> FakeMem {
        // A segment of its own would do; the kernel's batches lie in the message page, so show that.
        let mut kernel = self.sys.kernel.borrow_mut();
        let segment = match kernel.processes[self.sys.pid].caps.get(&15) {
            Some(Capability {
                what: What::Object(oid),
                ..
            }) => *oid,
            _ => {
                let segment = kernel.make(0, Kind::Table1);
                let message = kernel.processes[self.sys.pid].caps[&abi::boot::slot::MESSAGE];
                let What::Object(page) = message.what else {
                    unreachable!()
                };
                if let Some(super::kernel::Object::Segment { entries, .. }) =
                    &mut kernel.objects[segment]
                {
                    entries.insert(0, (page, Rights::all()));
                }
                let capability = Capability {
                    what: What::Object(segment),
                    rights: Rights::all(),
                };
                kernel.put(self.sys.pid, 15, capability);
                segment
            }
        };
        drop(kernel);
        FakeMem {
            kernel: self.sys.kernel.clone(),
            segment,
            rights: Rights::all(),
            revocable: false,
            length: dev::program::BATCH_BYTES,
            start: 0,
        }
    }
}
