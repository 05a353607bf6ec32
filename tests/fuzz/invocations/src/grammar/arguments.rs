//! What goes with an invocation: words and capabilities that are right, nearly right, or anything.

use abi::boot::layout;
use abi::cap::{CapAddr, Kind, NONE, Rights};

use super::{BATCH, FREE, Grammar};
use crate::methods::{Sent, Word};
use crate::slots::{BANK, NEST, ROOTS, Slots, TRACKED, What};

impl Grammar {
    /// A slot for what comes: mostly one of its own.
    pub(crate) fn spare(&mut self) -> CapAddr {
        let all = (TRACKED - usize::from(FREE)) as u32;
        let place = usize::from(FREE) + self.sequence.below(all) as usize;
        match Slots::address(place) {
            NEST => FREE,
            address => address,
        }
    }

    /// An address that may hold anything, or not be one.
    pub(super) fn somewhere(&mut self) -> CapAddr {
        match self.sequence.below(8) {
            0 => self.inside(),
            1 => NONE,
            2 => self.sequence.below(TRACKED as u32) as CapAddr,
            _ => self.slots.any(&mut self.sequence).unwrap_or(NONE),
        }
    }

    /// An address inside of a table: one of those that it has, or one that isn't there.
    fn inside(&mut self) -> CapAddr {
        let table = self.slots.pick(Kind::CapTable as u8, &mut self.sequence);
        match table.filter(|_| self.sequence.one_in(2)) {
            Some(table) => table << 7 | self.sequence.below(40) as CapAddr,
            None => self.sequence.word() as CapAddr,
        }
    }

    /// What is to go with an invocation.
    pub(super) fn sent(&mut self, sent: Sent, invoked: What) -> CapAddr {
        let into = [
            Kind::CapTable as u8,
            Kind::Table1 as u8,
            Kind::Table1 as u8,
            Kind::Table2 as u8,
        ];
        let what = match sent {
            Sent::A(kind) => kind as What,
            Sent::Bank => BANK,
            Sent::Into => self.sequence.pick(&into),
            // The number below a table's is the one of what goes into it.
            Sent::Below => invoked.saturating_sub(1),
            Sent::Any => return self.somewhere(),
        };
        match self.slots.pick(what, &mut self.sequence) {
            Some(address) => address,
            None => self.somewhere(),
        }
    }

    pub(super) fn word(&mut self, word: Word) -> u64 {
        const MEMORY: [Rights; 4] = [
            Rights::READ,
            Rights::READ.union(Rights::WRITE),
            Rights::READ.union(Rights::WRITE),
            Rights::READ.union(Rights::EXEC),
        ];
        let s = &mut self.sequence;
        u64::from(match word {
            Word::Offset => 8 * s.below(512),
            Word::Batch => 16 * s.below(BATCH as u32 / 32),
            Word::Mapping => s.pick(&MEMORY).bits().into(),
            Word::Rights => match s.below(3) {
                0 => s.below(256),
                1 => 0xff & !(1 << s.below(8)),
                _ => 0xff,
            },
            Word::Place => match s.below(4) {
                0 => s.below(512),
                _ => s.below(12),
            },
            Word::Slot => match s.below(16) {
                0 => s.below(128),
                _ => u32::from(FREE) + s.below(ROOTS as u32 - u32::from(FREE) - 1),
            },
            Word::Count => {
                let most = 1 << s.below(7);
                1 + s.below(most)
            }
            Word::Address => return self.address(),
            Word::Priority => s.below(24),
            Word::Bit => match s.below(3) {
                0 => s.below(4096),
                _ => s.below(64),
            },
            Word::Direction => s.below(4),
            // Pages and segments are what most is made of.
            Word::Storage => match s.below(3) {
                0 => 1 + s.below(2),
                _ => 1 + s.below(8),
            },
            Word::Small => s.below(4),
            Word::Any => return s.wild(),
        })
    }

    /// A user's address.
    fn address(&mut self) -> u64 {
        let s = &mut self.sequence;
        match s.below(4) {
            0 => s.wild() & !7,
            1 => self.manner.entry,
            _ => layout::IMAGE + 8 * u64::from(s.below(2048)),
        }
    }
}
