//! A client: honest by `dev`'s library, hostile by writing its own memory.

use abi::PAGE_SIZE;
use abi::cap::Rights;
use dev::Program;
use dev::layout::{FIRST_TRANSMIT_PAGE, RETURNED, TRANSMIT};
use dev::port::{AttachError, Port};
use dev::session::{Lost, Session, TransmitSegment};
use ring::Descriptor;
use sys::{Cap, Mem};

use super::TestPort;
use super::kernel::{Capability, Pid, What};
use super::program::FakeProgram;

/// The bit that a client is notified by.
pub const BIT: u64 = 7;

pub struct Client {
    pub program: FakeProgram,
    pub pid: Pid,
    pub bank: usize,
    pub port: TestPort,
    /// In the client's slots.
    pub capability: Port,
    pub notify: u16,
    pub segment: TransmitSegment<FakeProgram>,
    pub session: Option<Session<FakeProgram>>,
    pub transmit_tail: u32,
    pub returned_tail: u32,
    pub receive_pages: u16,
}

impl Client {
    pub fn new(
        program: FakeProgram,
        pid: Pid,
        bank: usize,
        port: TestPort,
        granted: Capability,
    ) -> Client {
        let [capability, notify] = [(); 2].map(|()| program.take_slot().unwrap());
        let mut kernel = program.sys.kernel.borrow_mut();
        kernel.put(pid, capability, granted);
        let what = What::Notify { pid, bit: BIT };
        let rights = Rights::all();
        kernel.put(pid, notify, Capability { what, rights });
        drop(kernel);
        let segment = TransmitSegment::buy(&program, 8).unwrap();
        Client {
            program,
            pid,
            bank,
            port,
            capability: Port::at(capability),
            notify,
            segment,
            session: None,
            transmit_tail: 0,
            returned_tail: 0,
            receive_pages: 16,
        }
    }

    pub fn attach(&mut self) -> Result<(), AttachError> {
        let session = Session::attach(
            &self.program,
            self.capability,
            dev::program::BANK,
            &self.segment,
            self.receive_pages,
            Cap::at(self.notify),
        )?;
        self.session = Some(session);
        self.transmit_tail = 0;
        self.returned_tail = 0;
        Ok(())
    }

    pub fn session(&mut self) -> &mut Session<FakeProgram> {
        self.session.as_mut().unwrap()
    }

    /// Sends frames honestly; answers how many there was room for.
    pub fn send(&mut self, frames: &[Vec<u8>]) -> usize {
        let mut sent = 0;
        for frame in frames {
            let session = self.session.as_mut().unwrap();
            if session.room().unwrap() == 0 {
                break;
            }
            let at = session.buffer();
            session.transmit_memory().write(at, frame).unwrap();
            if session.send(frame.len() as u32).unwrap() {
                sent += 1;
            }
        }
        let program = self.program.clone();
        self.session().flush(&program).unwrap();
        sent
    }

    /// Takes all frames there are and gives them back.
    pub fn receive(&mut self) -> Vec<Vec<u8>> {
        self.try_receive().unwrap()
    }

    pub fn try_receive(&mut self) -> Result<Vec<Vec<u8>>, Lost> {
        let program = self.program.clone();
        let session = self.session.as_mut().unwrap();
        let mut frames = Vec::new();
        while let Some(frame) = session.receive()? {
            let mut bytes = vec![0; frame.len()];
            frame
                .read(session.receive_memory(), &mut bytes)
                .map_err(|_| Lost::Revoked)?;
            frames.push(bytes);
            session.give_back(frame);
        }
        session.flush(&program)?;
        Ok(frames)
    }

    /// All bytes that the client sees of its receive pages.
    pub fn receive_pages(&mut self) -> Vec<u8> {
        let pages = self.receive_pages as usize;
        let mut bytes = vec![0; pages * PAGE_SIZE];
        let memory = self.session().receive_memory().clone();
        for (n, page) in bytes.chunks_mut(PAGE_SIZE).enumerate() {
            let place = dev::layout::FIRST_RECEIVE_PAGE as usize + n;
            memory.read(place * PAGE_SIZE, page).unwrap();
        }
        bytes
    }

    /// Writes a raw entry into the `transmit` ring, and publishes it.
    pub fn transmit_raw(&mut self, descriptor: Descriptor) {
        self.transmit_raw_all(&[descriptor]);
    }

    /// The same for several that are published at once.
    pub fn transmit_raw_all(&mut self, descriptors: &[Descriptor]) {
        let memory = self.session().transmit_memory().clone();
        for descriptor in descriptors {
            write_entry(&memory, TRANSMIT.entries, self.transmit_tail, *descriptor);
            self.transmit_tail = self.transmit_tail.wrapping_add(1);
        }
        memory
            .release_u32(TRANSMIT.producer, self.transmit_tail)
            .unwrap();
        self.kick();
    }

    /// Writes a raw entry into the `returned` ring, and publishes it.
    pub fn return_raw(&mut self, descriptor: Descriptor) {
        let memory = self.session().transmit_memory().clone();
        write_entry(&memory, RETURNED.entries, self.returned_tail, descriptor);
        self.returned_tail = self.returned_tail.wrapping_add(1);
        memory
            .release_u32(RETURNED.producer, self.returned_tail)
            .unwrap();
    }

    pub fn kick(&mut self) {
        let kick = self.session().caps().kick;
        let _ = kick.signal(&self.program.sys);
    }

    /// Puts bytes into a transmit page, counted from 0.
    pub fn fill(&mut self, page: u32, offset: usize, bytes: &[u8]) -> Descriptor {
        let place = FIRST_TRANSMIT_PAGE + page;
        self.session()
            .transmit_memory()
            .write(place as usize * PAGE_SIZE + offset, bytes)
            .unwrap();
        Descriptor {
            page: place,
            offset: offset as u32,
            length: bytes.len() as u32,
            flags: 0,
        }
    }
}

fn write_entry(memory: &impl Mem, entries: usize, index: u32, descriptor: Descriptor) {
    let at = entries + (index % 256) as usize * 16;
    let words = [
        descriptor.page,
        descriptor.offset,
        descriptor.length,
        descriptor.flags,
    ];
    for (n, word) in words.into_iter().enumerate() {
        memory.store_u32(at + n * 4, word).unwrap();
    }
}
