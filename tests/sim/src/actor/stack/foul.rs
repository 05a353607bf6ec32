//! What a stack does that it should not.

use abi::PAGE_SIZE;
use abi::cap::{Kind, Rights};
use dev::Program as _;
use dev::layout::{CONTROL, FIRST_TRANSMIT_PAGE, MORE, TRANSMIT};
use dev::port::Port;
use dev::program::BANK;
use dev::session::Session;
use ring::{CAPACITY, ENTRY_BYTES};
use sys::object::Page;
use sys::{Cap, Mem};

use super::{PORT, Stack};
use crate::network::{SHORTEST, Stamp, WIRE, mac};
use crate::program::Program;

/// Notifications of a storm, at most.
const STORM: u64 = 60;

impl Stack {
    /// Sends in another's name, what governs the link, or in pieces that no client should; writes
    /// anything into its rings, takes back a page that is being sent, or keeps the driver busy.
    pub(super) fn play_foul(&mut self, session: &mut Session<Program>) {
        match self.dice().below(11) {
            0 | 1 => self.steal(session),
            2 => self.scribble(session),
            3 | 4 => self.storm(session),
            5 | 6 => self.pester(session),
            7 | 8 => self.break_up(session),
            _ => self.swap_a_page(),
        }
    }

    fn steal(&self, session: &mut Session<Program>) {
        let stolen = Stamp {
            from: self.user ^ 1,
            to: WIRE,
            epoch: self.network.epoch(),
            sequence: 0xdead,
        };
        let mut frame = stolen.frame(SHORTEST);
        if self.dice().one_in(2) {
            // In its own name, to whoever governs the link.
            let group = [1, 0x80, 0xc2, 0, 0, self.dice().below(16) as u8];
            frame[..6].copy_from_slice(&group);
            frame[6..12].copy_from_slice(&mac(self.user).bytes());
        }
        if session.room().is_ok_and(|room| room > 0) {
            let _ = self.put(session, &frame);
        }
    }

    /// Sends a frame under its own name in two pieces, the second of them often without bytes.
    fn break_up(&self, session: &Session<Program>) {
        let stamp = Stamp {
            from: self.user,
            to: WIRE,
            epoch: self.network.epoch(),
            sequence: 0xdead,
        };
        let dice = self.dice();
        let frame = stamp.frame(dice.range(SHORTEST as u64, 600) as usize);
        let memory = session.transmit_memory();
        let offset = PAGE_SIZE - frame.len();
        let line = CONTROL + TRANSMIT.producer;
        let rest = [0, 0, 1, 700][dice.below(4) as usize];
        let pieces = [
            [FIRST_TRANSMIT_PAGE, offset as u32, frame.len() as u32, MORE],
            [FIRST_TRANSMIT_PAGE + 1, 0, rest, 0],
        ];
        let publish = || {
            let first = memory.load_u32(line)?;
            memory.write(FIRST_TRANSMIT_PAGE as usize * PAGE_SIZE + offset, &frame)?;
            for (n, word) in pieces.concat().into_iter().enumerate() {
                let entry = first.wrapping_add(n as u32 / 4) % CAPACITY;
                let at = TRANSMIT.entries + entry as usize * ENTRY_BYTES + n % 4 * 4;
                memory.store_u32(at, word)?;
            }
            memory.release_u32(line, first.wrapping_add(2))
        };
        if publish().is_ok() {
            self.context.world().count("frames broken up by hand");
            let _ = session.caps().kick.signal(&self.context);
        }
    }

    fn scribble(&self, session: &Session<Program>) {
        let dice = self.dice();
        let memory = session.transmit_memory();
        let page = dice.below(3);
        let word = match dice.below(4) {
            0 => dice.below(600),
            1 => dice.word() & 0xffff_ffff,
            2 => u64::MAX,
            _ => dice.word(),
        };
        // Its control page, or entries of its rings.
        let limit = if page == 0 { 24 } else { 512 };
        let offset = page * 4096 + 8 * dice.below(limit);
        let _ = memory.store_u64(offset as usize, word);
    }

    /// Wakes the driver again and again, for nothing.
    fn storm(&self, session: &Session<Program>) {
        self.context.world().count("notification storms");
        for _ in 0..self.dice().below(STORM) {
            let _ = session.caps().kick.signal(&self.context);
        }
    }

    /// Asks the driver again and again what it knows.
    fn pester(&self, session: &Session<Program>) {
        self.context.world().count("storms of requests");
        for _ in 0..self.dice().below(STORM) / 4 {
            if self.dice().one_in(2) {
                let _ = Port::at(PORT).describe(&self.context);
            } else {
                let _ = session.caps().link.statistics(&self.context);
            }
        }
    }

    /// Puts another page in the place of one that it sends from, and sells the one that was there.
    fn swap_a_page(&mut self) {
        let Ok(slot) = self.program.take_slot() else {
            return;
        };
        let (table, index) = self.program.table_of(slot);
        let context = &self.context;
        if BANK.buy_caps(context, Kind::Page, 1, table, index).is_err() {
            return self.program.give_slot(slot);
        }
        let (place, page) = (u64::from(FIRST_TRANSMIT_PAGE) + 1, Cap::<Page>::at(slot));
        let segment = self.segment.table();
        let _ = segment.unmap(context, place, 1);
        let mapped = segment.map(context, place, page, Rights::READ | Rights::WRITE);
        self.context.claim(mapped.is_ok() || self.is_doomed(), || {
            format!("a page of its own: {mapped:?}")
        });
        self.context.world().count("transmit pages swapped");
        if let Some(before) = self.swapped.replace(slot) {
            let _ = BANK.sell(&self.context, before);
            self.program.give_slot(before);
        }
    }
}
