//! Does at random, from the seed in its name, all that a stack should not do with its rings, its session
//! and its bank, and in between what it should: many sessions, each ended by whoever has enough first.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use abi::PAGE_SIZE;
use abi::boot::slot;
use abi::cap::Kind;
use dev::bare::This;
use dev::layout::{CONTROL, FILLED, FIRST_TRANSMIT_PAGE, MORE, RETURNED, TRANSMIT};
use dev::program::BANK;
use dev::session::{Frame, Lost, Session, TransmitSegment};
use log::info;
use netstack::Config;
use netstack::session::Terms;
use ring::{CAPACITY, ENTRY_BYTES, Ring};
use rt::{Kernel, slots};
use sys::bank::Bank;
use sys::{Cap, Mem, Message, Sys};

use crate::forge::{self, EVERYBODY, FORGED, HONEST};
use crate::{EARNED, PAGES, PORT, hostile};

/// Sessions.
const LIVES: u32 = 40;
/// Deeds of a session at most.
const DEEDS: u64 = 120;
/// Objects that the bank of a session may hold.
const LIMIT: u64 = 128;
/// Notifications of a storm.
const STORM: u32 = 400;
/// Pages that it holds at most while it gives nothing back.
const HELD: usize = 64;

/// What to do next, from a seed (xorshift64*).
struct Chance(u64);

impl Chance {
    fn word(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.word() >> 32) % end
    }

    /// Often small, sometimes at a limit, sometimes anything.
    fn number(&mut self) -> u32 {
        const LIMITS: [u32; 8] = [255, 256, 257, 4095, 4096, 4097, 1 << 31, u32::MAX];
        match self.below(4) {
            0 => self.word() as u32,
            1 => LIMITS[self.below(8) as usize],
            2 => self.below(300) as u32,
            _ => self.below(4) as u32,
        }
    }
}

/// A session, and who abuses it.
struct Vandal<'a> {
    session: &'a mut Session<This>,
    program: &'static This,
    config: &'a Config,
    chance: &'a mut Chance,
    /// What pays for the session.
    purse: Cap<Bank>,
    held: Vec<Frame>,
}

/// A deed.
type Deed = fn(&mut Vandal<'_>) -> Result<(), Lost>;

/// All of them.
const ALL: &[(&str, Deed)] = &[
    ("sends", |it| it.send()),
    ("sends", |it| it.send()),
    ("receives", |it| it.receive()),
    ("receives", |it| it.receive()),
    ("gives back", |it| it.give_back()),
    ("forges", |it| it.forge()),
    ("indices", |it| it.index()),
    ("descriptors", |it| it.descriptor()),
    ("runs", |it| it.run()),
    ("rewrites", |it| it.rewrite()),
    ("duplicates", |it| it.duplicate()),
    ("scribbles", |it| it.scribble()),
    ("storms", |it| it.storm()),
    ("sleeps", |it| it.sleep()),
    ("churns", |it| it.churn()),
    ("wrong capabilities", |it| it.wrong_capability()),
    ("attaches twice", |it| it.attach_again()),
    ("destroys its bank", |it| it.destroy()),
    ("ends its session", |it| it.destroy_session()),
];

impl Vandal<'_> {
    /// Puts an entry into a ring, without any care.
    fn put(&self, ring: Ring, place: u32, entry: [u32; 4]) -> Result<(), Lost> {
        let memory = self.session.transmit_memory();
        let at = ring.entries + (place % CAPACITY) as usize * ENTRY_BYTES;
        for (n, word) in entry.into_iter().enumerate() {
            memory.store_u32(at + 4 * n, word)?;
        }
        Ok(())
    }

    fn kick(&self) {
        let _ = self.session.caps().kick.signal(&Kernel);
    }

    /// The line of a ring's that is its own to write.
    fn line(&mut self) -> usize {
        let lines = [FILLED.consumer, TRANSMIT.producer, RETURNED.producer];
        CONTROL + lines[self.chance.below(3) as usize]
    }

    fn send(&mut self) -> Result<(), Lost> {
        let frame = self.honest();
        self.put_frame(&frame)
    }

    fn honest(&mut self) -> Vec<u8> {
        let own = (self.config.mac, hostile::own_address(self.config));
        let nobody = (EVERYBODY, core::net::Ipv4Addr::BROADCAST);
        let data = vec![0x76; self.chance.below(1200) as usize];
        forge::udp(nobody, own, 9, &[HONEST, &data].concat())
    }

    fn put_frame(&mut self, frame: &[u8]) -> Result<(), Lost> {
        if self.session.room()? == 0 {
            return Ok(());
        }
        let place = self.session.buffer();
        self.session.transmit_memory().write(place, frame)?;
        self.session.send(frame.len() as u32)?;
        self.session.flush(self.program)
    }

    fn forge(&mut self) -> Result<(), Lost> {
        let other = [2, 0x75, 0x73, 0, 0, self.chance.below(3) as u8];
        let own = self.config.mac;
        let (to, from, kind) = match self.chance.below(4) {
            0 => (forge::PAUSE, own, forge::CONTROL),
            1 => (forge::BRIDGES, own, 38),
            2 => (EVERYBODY, own, forge::CONTROL),
            _ => (EVERYBODY, other, forge::EXPERIMENTAL),
        };
        self.put_frame(&forge::ethernet(to, from, kind, FORGED))
    }

    fn receive(&mut self) -> Result<(), Lost> {
        while self.held.len() < HELD {
            let Some(frame) = self.session.receive()? else {
                break;
            };
            self.held.push(frame);
        }
        Ok(())
    }

    fn give_back(&mut self) -> Result<(), Lost> {
        for frame in self.held.drain(..) {
            self.session.give_back(frame);
        }
        self.session.flush(self.program)
    }

    /// An index that jumps, wraps or runs backwards.
    fn index(&mut self) -> Result<(), Lost> {
        let line = self.line();
        let memory = self.session.transmit_memory();
        let now = memory.acquire_u32(line)?;
        let step = self.chance.number();
        let to = match self.chance.below(3) {
            0 => now.wrapping_sub(1 + step % 256),
            1 => now.wrapping_add(step),
            _ => step,
        };
        memory.release_u32(line, to)?;
        self.kick();
        Ok(())
    }

    /// A descriptor of anything: foreign pages, lengths, offsets, flags.
    fn descriptor(&mut self) -> Result<(), Lost> {
        let ring = if self.chance.below(2) == 0 {
            TRANSMIT
        } else {
            RETURNED
        };
        let memory = self.session.transmit_memory();
        let now = memory.acquire_u32(CONTROL + ring.producer)?;
        let entry = [(); 4].map(|()| self.chance.number());
        self.put(ring, now, entry)?;
        let line = CONTROL + ring.producer;
        self.session
            .transmit_memory()
            .release_u32(line, now.wrapping_add(1))?;
        self.kick();
        Ok(())
    }

    /// An honest frame in pieces of chance: some without bytes, some that leave a gap.
    fn run(&mut self) -> Result<(), Lost> {
        let frame = self.honest();
        let count = 2 + self.chance.below(3) as u32;
        let start = PAGE_SIZE - frame.len();
        let memory = self.session.transmit_memory();
        memory.write(FIRST_TRANSMIT_PAGE as usize * PAGE_SIZE + start, &frame)?;
        let now = memory.acquire_u32(CONTROL + TRANSMIT.producer)?;
        for n in 0..count {
            let (offset, length) = match n {
                0 => (start as u32, frame.len() as u32),
                _ if self.chance.below(2) == 0 => (0, 0),
                _ => (0, [1, PAGE_SIZE as u32][self.chance.below(2) as usize]),
            };
            let flags = if n + 1 < count { MORE } else { 0 };
            let entry = [FIRST_TRANSMIT_PAGE + n, offset, length, flags];
            self.put(TRANSMIT, now.wrapping_add(n), entry)?;
        }
        let line = CONTROL + TRANSMIT.producer;
        let memory = self.session.transmit_memory();
        memory.release_u32(line, now.wrapping_add(count))?;
        self.kick();
        Ok(())
    }

    /// Descriptors that were published are written anew while the driver reads them.
    fn rewrite(&mut self) -> Result<(), Lost> {
        self.send()?;
        self.kick();
        let now = self
            .session
            .transmit_memory()
            .acquire_u32(CONTROL + TRANSMIT.producer)?;
        for _ in 0..8 {
            let entry = [
                FIRST_TRANSMIT_PAGE,
                self.chance.number(),
                self.chance.number(),
                0,
            ];
            self.put(TRANSMIT, now.wrapping_sub(1), entry)?;
            hostile::pause();
        }
        Ok(())
    }

    /// The same buffer over and over.
    fn duplicate(&mut self) -> Result<(), Lost> {
        let page = FIRST_TRANSMIT_PAGE + self.chance.below(2) as u32;
        let line = CONTROL + TRANSMIT.producer;
        let now = self.session.transmit_memory().acquire_u32(line)?;
        let count = 2 + self.chance.below(6) as u32;
        for n in 0..count {
            self.put(TRANSMIT, now.wrapping_add(n), [page, 0, 600, 0])?;
        }
        self.session
            .transmit_memory()
            .release_u32(line, now.wrapping_add(count))?;
        self.kick();
        Ok(())
    }

    /// Writes anything anywhere that it may write.
    fn scribble(&mut self) -> Result<(), Lost> {
        for _ in 0..16 {
            let page = self.chance.below(u64::from(PAGES) + 3) as usize;
            let at = page * PAGE_SIZE + 8 * self.chance.below(512) as usize;
            let word = self.chance.word();
            self.session.transmit_memory().store_u64(at, word)?;
        }
        self.kick();
        Ok(())
    }

    fn storm(&mut self) -> Result<(), Lost> {
        (0..STORM).for_each(|_| self.kick());
        Ok(())
    }

    /// Drains nothing for a while.
    fn sleep(&mut self) -> Result<(), Lost> {
        crate::sleep(self.program, 1_000_000 + self.chance.below(20_000_000));
        Ok(())
    }

    /// Buys all that it can, and sells it again.
    fn churn(&mut self) -> Result<(), Lost> {
        let Ok(first) = slots::take_run(32) else {
            return Ok(());
        };
        let (table, index) = slots::table_of(first);
        for _ in 0..4 {
            let kind = [Kind::Page, Kind::Table1, Kind::CapTable][self.chance.below(3) as usize];
            if self.purse.buy_caps(&Kernel, kind, 32, table, index).is_ok() {
                for slot in first..first + 32 {
                    let _ = self.purse.sell(&Kernel, slot);
                }
            }
        }
        (first..first + 32).for_each(slots::give);
        Ok(())
    }

    /// Invokes what it has with capabilities of wrong kinds and words of chance.
    fn wrong_capability(&mut self) -> Result<(), Lost> {
        let caps = self.session.caps();
        let all = [
            PORT.address(),
            caps.link.address(),
            caps.segment.address(),
            caps.kick.address(),
            caps.bank.address(),
            self.purse.address(),
            slot::CLOCK,
            slot::PROCESS,
            0,
        ];
        let any = |chance: &mut Chance| all[chance.below(all.len() as u64) as usize];
        for _ in 0..8 {
            let whom = if self.chance.below(2) == 0 {
                PORT.address()
            } else {
                caps.link.address()
            };
            let words = [(); 6].map(|()| u64::from(self.chance.number()));
            let sent = [(); 4].map(|()| any(self.chance));
            // Attaching and detaching are deeds of their own.
            if words[0] > 1 {
                let _ = Kernel.call(whom, &Message::new(&words).with_caps(&sent));
            }
        }
        Ok(())
    }

    fn attach_again(&mut self) -> Result<(), Lost> {
        let words = [
            1,
            u64::from(self.chance.number()),
            u64::from(self.chance.number()),
        ];
        let caps = self.session.caps();
        let sent = [
            self.purse.address(),
            caps.segment.address(),
            caps.kick.address(),
        ];
        let _ = Kernel.call(PORT.address(), &Message::new(&words).with_caps(&sent));
        Ok(())
    }

    fn destroy(&mut self) -> Result<(), Lost> {
        if self.chance.below(4) == 0 {
            let _ = self.purse.destroy(&Kernel);
        }
        Ok(())
    }

    fn destroy_session(&mut self) -> Result<(), Lost> {
        if self.chance.below(4) == 0 {
            let _ = self.session.caps().bank.destroy(&Kernel);
        }
        Ok(())
    }
}

/// The seed in a name like `vandal17`.
pub fn seed(name: &str) -> Option<u64> {
    name.strip_prefix("vandal")?.parse().ok()
}

/// Does all that, with the port and the bank that it was given.
///
/// # Errors
/// What kept it from doing so.
pub fn rampage(
    program: &'static This,
    terms: &Terms,
    config: &Config,
    seed: u64,
) -> Result<(), String> {
    let show = |error: &dyn core::fmt::Display| error.to_string();
    let mut chance = Chance((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let purse = Cap::at(slots::take().map_err(|error| show(&error))?);
    let (mut sessions, mut counts) = (0, [0u32; ALL.len()]);
    let segment = TransmitSegment::buy(program, PAGES).map_err(|error| show(&error))?;
    let before = BANK.usage(&Kernel).map_err(|error| show(&error))?;
    for _ in 0..LIVES {
        crate::sleep(program, EARNED / 2 + chance.below(EARNED));
        let opaque = chance.below(2) == 0;
        if BANK.sub_bank(&Kernel, LIMIT, opaque, purse).is_err() {
            continue;
        }
        let attached = Session::attach(program, terms.port, purse, &segment, PAGES, terms.notify);
        if let Ok(mut session) = attached {
            sessions += 1;
            let mut vandal = Vandal {
                session: &mut session,
                program,
                config,
                chance: &mut chance,
                purse,
                held: Vec::new(),
            };
            for _ in 0..vandal.chance.below(DEEDS) {
                let n = vandal.chance.below(ALL.len() as u64) as usize;
                counts[n] += 1;
                if ALL[n].1(&mut vandal).is_err() {
                    break;
                }
                hostile::pause();
            }
            session.detach(program);
        }
        // It may be gone already.
        let _ = purse.destroy(&Kernel);
        let (table, index) = slots::table_of(purse.address());
        table
            .clear(&Kernel, index, 1)
            .map_err(|error| show(&error))?;
    }
    let did: Vec<String> = ALL
        .iter()
        .zip(counts)
        .map(|((name, _), count)| format!("{name} {count}"))
        .collect();
    segment.release(program);
    info!("vandalised {sessions} sessions: {}", did.join(", "));
    let after = BANK.usage(&Kernel).map_err(|error| show(&error))?;
    // Slots that it took may have cost a table or two, and its heap some pages.
    if after.children != before.children || after.bought > before.bought + 64 {
        return Err(format!("its bank {before:?} became {after:?}"));
    }
    Ok(())
}
