//! Invocations at random: of fresh objects of every kind, with words that are often nearly right.
//!
//! Nothing is expected of a single one but that the kernel and spacebank live on; afterwards the bank
//! still knows exactly what it sold, and gives all of it back.

use alloc::format;
use alloc::string::String;

use abi::boot::slot;
use abi::cap::{CapAddr, Kind};
use abi::invoke::{Op, pack};
use guest::children::BANK;
use guest::say;
use rt::Kernel;
use sys::Error;

use crate::bed::Bed;

/// Seeds; each begins with fresh objects.
const SEEDS: u64 = 40;
/// Invocations with each.
const INVOCATIONS: u32 = 1000;

/// xorshift64*: any sequence will do that a seed gives back.
struct Sequence(u64);

impl Sequence {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 32) % end
    }

    /// Often small, sometimes at a limit, sometimes anything.
    fn word(&mut self) -> u64 {
        const LIMITS: [u64; 12] = [
            63,
            64,
            65,
            127,
            128,
            511,
            512,
            1 << 12,
            1 << 16,
            1 << 32,
            1 << 63,
            u64::MAX,
        ];
        match self.below(8) {
            0 => self.next(),
            1 => LIMITS[self.below(LIMITS.len() as u64) as usize],
            2 => self.below(512),
            _ => self.below(9),
        }
    }
}

/// Runs all seeds.
pub fn run() -> Result<(), String> {
    for seed in 1..=SEEDS {
        let before = BANK.usage(&Kernel).map_err(|error| format!("{error}"))?;
        attack(seed).map_err(|error| format!("seed {seed}: {error}"))?;
        let after = BANK
            .usage(&Kernel)
            .map_err(|error| format!("seed {seed}: {error}"))?;
        if after.bought != before.bought || after.limbo != before.limbo {
            return Err(format!("seed {seed}: bank {before:?} became {after:?}"));
        }
    }
    say!("    {SEEDS} seeds, {INVOCATIONS} invocations each");
    Ok(())
}

fn attack(seed: u64) -> Result<(), Error> {
    let bed = Bed::new()?;
    let mut objects = [0; 16];
    let kinds = [
        Kind::Page,
        Kind::Page,
        Kind::Table1,
        Kind::Table1,
        Kind::Table2,
        Kind::Table3,
        Kind::Table4,
        Kind::CapTable,
        Kind::CapTable,
        Kind::Process,
        Kind::Process,
        Kind::Aperture,
    ];
    for (place, kind) in objects.iter_mut().zip(kinds) {
        *place = bed.buy(kind)?;
    }
    // Where capabilities that are received go, to be used in their turn.
    for place in &mut objects[kinds.len()..15] {
        *place = bed.slot()?;
    }
    objects[15] = slot::RANDOM;

    let mut random = Sequence(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let object = |random: &mut Sequence| -> CapAddr {
        match random.below(20) {
            16 => 0,
            17 => slot::CLOCK,
            18 => random.next() as u16,
            n => objects[n as usize % objects.len()],
        }
    };
    for _ in 0..INVOCATIONS {
        let invoked = object(&mut random);
        if !harmless(invoked, &objects) {
            continue;
        }
        let op = if random.below(4) == 0 {
            Op::Send
        } else {
            Op::Call
        };
        let mut words = [0; 6];
        words.iter_mut().for_each(|word| *word = random.word());
        let caps = [(); 4].map(|()| object(&mut random));
        let into = [(); 4].map(|()| objects[12 + random.below(3) as usize]);
        Kernel.raw(op as u64, invoked.into(), words, pack(caps), pack(into));
    }
    Ok(())
}

/// Whether an address may be invoked: not the program's own table, process and space, not what stops
/// the machine or drives its devices, and not a `Start` of a process that never answers.
fn harmless(address: CapAddr, objects: &[CapAddr; 16]) -> bool {
    let received = objects[12..15].contains(&address);
    address == 0 || address == slot::CLOCK || (objects.contains(&address) && !received)
}
