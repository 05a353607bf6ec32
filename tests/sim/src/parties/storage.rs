//! Taking objects back, and memory as devices and programs see it.

use abi::TABLE_ENTRIES;
use abi::batch::RESCIND_LIMBO;
use abi::boot::{layout, slot};
use abi::error::OK;
use kernel::frame::Frame;
use kernel::object::Oid;
use sys::Cap;

use super::{Parties, Party, RANGE};

impl Parties {
    /// Rescinds objects, in as many pieces as the kernel wants. Answers which are in limbo.
    ///
    /// # Panics
    /// The kernel refuses.
    pub fn rescind(&self, oids: &[Oid]) -> Vec<bool> {
        oids.iter()
            .map(|oid| {
                loop {
                    if let Some(limbo) = self.rescind_piece(*oid) {
                        return limbo;
                    }
                }
            })
            .collect()
    }

    /// One piece of a rescind; answers, at its end, whether the object is in limbo.
    ///
    /// # Panics
    /// The kernel refuses.
    pub fn rescind_piece(&self, oid: Oid) -> Option<bool> {
        let sys = self.sys(self.bank);
        self.write_batch(self.bank, 0, &[oid.0.into()]);
        let (_, more) = RANGE
            .rescind(&sys, Cap::at(slot::MESSAGE), 0, 1)
            .unwrap_or_else(|error| panic!("rescinding: {error}"));
        if more {
            return None;
        }
        let result = (self.read_batch(self.bank, 0) >> 32) as u32;
        assert!(matches!(result, OK | RESCIND_LIMBO), "{oid:?}: {result}");
        Some(result == RESCIND_LIMBO)
    }

    /// Objects whose limbo ended.
    ///
    /// # Panics
    /// The kernel refuses.
    pub fn reap(&self) -> Vec<Oid> {
        let words = RANGE
            .reap(&self.sys(self.bank))
            .unwrap_or_else(|error| panic!("reaping: {error}"));
        let [count, words @ ..] = words;
        let oid = |n: u64| Oid((words[n as usize / 2] >> (32 * (n % 2))) as u32);
        (0..count).map(oid).collect()
    }

    /// The frame of a party's message page.
    fn message_frame(&self, party: Party) -> Frame {
        let space = self.process(party).space.get();
        self.frame_at(space, layout::MESSAGE)
            .expect("it has a message page")
    }

    /// The frame that an address of an address space reaches, by its tables.
    pub fn frame_at(&self, space: Frame, address: u64) -> Option<Frame> {
        let memory = self.processor.memory();
        let mut frame = space;
        for shift in [39, 30, 21, 12] {
            let index = (address >> shift) as usize & (TABLE_ENTRIES - 1);
            let entry = memory
                .word(frame, index)
                .load(std::sync::atomic::Ordering::Relaxed);
            if entry & 1 == 0 {
                return None;
            }
            frame = Frame::holding(entry & 0x000f_ffff_ffff_f000);
        }
        Some(frame)
    }

    /// Writes words into a party's message page.
    pub fn write_batch(&self, party: Party, offset: usize, words: &[u64]) {
        let frame = self.message_frame(party);
        for (n, word) in words.iter().enumerate() {
            self.write_word(frame, offset + n * 8, *word);
        }
    }

    /// Reads a word of a party's message page.
    pub fn read_batch(&self, party: Party, offset: usize) -> u64 {
        self.read_word(self.message_frame(party), offset)
    }

    /// Writes a word of a frame, as a device or a program would.
    pub fn write_word(&self, frame: Frame, offset: usize, value: u64) {
        let word = self.processor.memory().word(frame, offset / 8);
        word.store(value, std::sync::atomic::Ordering::Relaxed);
    }

    /// Reads a word of a frame.
    pub fn read_word(&self, frame: Frame, offset: usize) -> u64 {
        let word = self.processor.memory().word(frame, offset / 8);
        word.load(std::sync::atomic::Ordering::Relaxed)
    }
}
