//! Shared memory in the simulator: each access is a step, and goes through the MMU.

use std::sync::atomic::Ordering;

use abi::PAGE_SIZE;
use abi::fault::Access as FaultAccess;
use kernel::frame::Frame;
use sys::{Fault, Mem};

use crate::context::Context;
use crate::mmu::{Access, Reached};
use crate::trace::Event;

/// Most bytes that a copy moves between two steps.
const PIECE: u64 = 256;

/// Memory at an address of a program's.
#[derive(Clone)]
pub struct Region {
    context: Context,
    base: u64,
    length: usize,
    /// An access that isn't granted is an answer, not the program's end.
    revocable: bool,
}

impl Region {
    /// Memory at an address. If it isn't there when it is accessed, the program ends.
    pub fn own(context: &Context, base: u64, length: usize) -> Region {
        Region {
            context: context.clone(),
            base,
            length,
            revocable: false,
        }
    }

    /// Memory that its owner may take back.
    pub fn shared(context: &Context, base: u64, length: usize) -> Region {
        Region {
            revocable: true,
            ..Region::own(context, base, length)
        }
    }

    /// Its first address.
    pub fn base(&self) -> u64 {
        self.base
    }

    fn check(&self, offset: usize, bytes: usize, aligned: bool) -> Result<(), Fault> {
        let inside = offset
            .checked_add(bytes)
            .is_some_and(|end| end <= self.length);
        let fits = !aligned || (self.base + offset as u64).is_multiple_of(bytes as u64);
        if inside && fits {
            Ok(())
        } else {
            Err(Fault::OutOfRange)
        }
    }

    /// Where an access goes. It is a step.
    fn reach(&self, offset: usize, access: Access) -> Result<Reached, Fault> {
        let address = self.base + offset as u64;
        loop {
            if self.context.is_gone() {
                return Err(Fault::Revoked);
            }
            self.context.step();
            let world = self.context.world();
            world.note(
                self.context.oid(),
                match access {
                    Access::Write => Event::Store(address),
                    _ => Event::Load(address),
                },
            );
            let miss = match world.processor.reach(address, access) {
                Ok(reached) => return Ok(reached),
                Err(miss) => miss,
            };
            let mut how = FaultAccess::empty();
            how.set(FaultAccess::PRESENT, miss.present);
            how.set(FaultAccess::WRITE, access == Access::Write);
            if !self.revocable {
                self.context.give_up(address, how);
            } else if self.context.recover(address, how) {
                return Err(Fault::Revoked);
            }
        }
    }

    fn load(&self, offset: usize, bytes: usize) -> Result<u64, Fault> {
        self.check(offset, bytes, true)?;
        match self.reach(offset, Access::Read)? {
            Reached::Ram(frame, at) => {
                let word = self.word(frame, at);
                Ok((word >> (8 * (at % 8))) & (u64::MAX >> (64 - 8 * bytes)))
            }
            // Nothing answers there.
            Reached::Device(..) => Ok(u64::MAX >> (64 - 8 * bytes)),
        }
    }

    fn word(&self, frame: Frame, at: usize) -> u64 {
        let memory = self.context.world().processor.memory();
        memory.word(frame, at / 8).load(Ordering::Relaxed)
    }

    fn store(&self, offset: usize, bytes: usize, value: u64) -> Result<(), Fault> {
        self.check(offset, bytes, true)?;
        if let Reached::Ram(frame, at) = self.reach(offset, Access::Write)? {
            let memory = self.context.world().processor.memory();
            memory.write(frame, at, &value.to_le_bytes()[..bytes]);
        }
        Ok(())
    }

    /// The first bytes of a copy that go in one piece.
    fn piece(&self, offset: usize, left: usize) -> usize {
        let page = PAGE_SIZE - (self.base as usize + offset) % PAGE_SIZE;
        let chosen = 8 * self.context.world().dice.range(1, PIECE / 8) as usize;
        left.min(page).min(chosen)
    }
}

impl Mem for Region {
    fn len(&self) -> usize {
        self.length
    }

    fn load_u16(&self, offset: usize) -> Result<u16, Fault> {
        self.load(offset, 2).map(|value| value as u16)
    }

    fn load_u32(&self, offset: usize) -> Result<u32, Fault> {
        self.load(offset, 4).map(|value| value as u32)
    }

    fn load_u64(&self, offset: usize) -> Result<u64, Fault> {
        self.load(offset, 8)
    }

    fn store_u16(&self, offset: usize, value: u16) -> Result<(), Fault> {
        self.store(offset, 2, value.into())
    }

    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Fault> {
        self.store(offset, 4, value.into())
    }

    fn store_u64(&self, offset: usize, value: u64) -> Result<(), Fault> {
        self.store(offset, 8, value)
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

    fn fence(&self) {
        if !self.context.is_gone() {
            self.context.step();
        }
    }

    fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), Fault> {
        self.check(offset, into.len(), false)?;
        let mut done = 0;
        while done < into.len() {
            let count = self.piece(offset + done, into.len() - done);
            let piece = &mut into[done..done + count];
            match self.reach(offset + done, Access::Read)? {
                Reached::Ram(frame, at) => {
                    self.context
                        .world()
                        .processor
                        .memory()
                        .read(frame, at, piece);
                }
                Reached::Device(..) => piece.fill(0xff),
            }
            done += count;
        }
        Ok(())
    }

    fn write(&self, offset: usize, from: &[u8]) -> Result<(), Fault> {
        self.check(offset, from.len(), false)?;
        let mut done = 0;
        while done < from.len() {
            let count = self.piece(offset + done, from.len() - done);
            let piece = &from[done..done + count];
            if let Reached::Ram(frame, at) = self.reach(offset + done, Access::Write)? {
                self.context
                    .world()
                    .processor
                    .memory()
                    .write(frame, at, piece);
            }
            done += count;
        }
        Ok(())
    }
}
