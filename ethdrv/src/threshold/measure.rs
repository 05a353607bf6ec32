//! What the driver can time itself, when it begins: copies, reads, and exchanges of its own pages.
//!
//! All of it goes by the clock that programs have; under an emulator that counts instructions it is the
//! same in each run. A measurement is the least of a few rounds: whatever else the machine does only
//! makes it longer.

use alloc::vec::Vec;

use abi::PAGE_SIZE;
use costmodel::{Line, fit};
use dev::Program;
use dev::pool::Pool;
use sys::Mem;

/// Pairs of pages that are exchanged in a call.
pub const PAIRS: usize = 32;
/// Even: an exchange that is done twice leaves everything as it was.
const ROUNDS: usize = 6;
/// Copies, or reads, that are timed together.
const TOGETHER: usize = 16;
/// Lengths that are copied and read.
const SIZES: [u32; 4] = [256, 1024, 1514, 4096];

/// So much, and so much a byte: thousandths of a nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Whatever the size.
    pub base: u64,
    /// Each byte.
    pub per_byte: u64,
}

impl Cost {
    /// A page's.
    pub const fn at_page(&self) -> u64 {
        self.base + self.per_byte * PAGE_SIZE as u64
    }
}

/// What was timed: thousandths of a nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// A copy from a page that wasn't the last that was used.
    pub copy: Cost,
    /// Reading such a page.
    pub read: Cost,
    /// Reading one that was.
    pub read_again: Cost,
    /// A pair of pages, exchanged with others in one call.
    pub exchange: u64,
    /// The clock is an emulator's.
    pub emulated: bool,
}

/// Times what can be, with the pages of the pool from `first` on, which nobody uses yet and which hold
/// nothing that is needed. `None`: there are too few, the clock stands still, or exchanging is refused.
pub fn measure<P: Program>(program: &P, pool: &Pool<P>, first: usize) -> Option<Times> {
    if pool.len() < first + 2 * PAIRS {
        return None;
    }
    let mut sink = Vec::new();
    sink.try_reserve_exact(PAGE_SIZE).ok()?;
    sink.resize(PAGE_SIZE, 0);
    let memory = pool.memory();
    let page = |number: usize| Pool::<P>::offset(first + number % (2 * PAIRS));
    let copy = line(program, |n, bytes| {
        let copied = memory.copy_to(page(2 * n), memory, page(2 * n + 1), bytes);
        copied.is_ok()
    })?;
    let read = line(program, |n, bytes| {
        let into = sink.get_mut(..bytes);
        into.is_some_and(|into| memory.read(page(n), into).is_ok())
    })?;
    let read_again = line(program, |_, bytes| {
        let into = sink.get_mut(..bytes);
        into.is_some_and(|into| memory.read(page(0), into).is_ok())
    })?;
    Some(Times {
        copy,
        read,
        read_again,
        exchange: exchange(program, pool, first)?,
        emulated: program.emulated(),
    })
}

/// What something costs by length. It is told a number that goes up, and how many bytes.
fn line<P: Program>(program: &P, mut work: impl FnMut(usize, usize) -> bool) -> Option<Cost> {
    let mut samples = [(0, 0); SIZES.len()];
    let mut number = 0;
    for (sample, bytes) in samples.iter_mut().zip(SIZES) {
        let mut least = u64::MAX;
        for _ in 0..ROUNDS {
            let begun = program.now();
            for _ in 0..TOGETHER {
                if !work(number, bytes as usize) {
                    return None;
                }
                number += 1;
            }
            least = least.min(program.now().saturating_sub(begun));
        }
        *sample = (bytes, least.saturating_mul(1000) / TOGETHER as u64);
    }
    // Of no time at all nothing can be said: there is no line then.
    let Line { base, per_byte } = fit(&samples)?;
    Some(Cost {
        base: base / 1000,
        per_byte: per_byte / 1000,
    })
}

/// What a pair takes.
fn exchange<P: Program>(program: &P, pool: &Pool<P>, first: usize) -> Option<u64> {
    let place = |number: usize| (pool.segment().address(), (first + number) as u16);
    let mut pairs = [[place(0); 2]; PAIRS];
    for (n, pair) in pairs.iter_mut().enumerate() {
        *pair = [place(2 * n), place(2 * n + 1)];
    }
    let mut least = u64::MAX;
    for _ in 0..ROUNDS {
        let mut refused = false;
        let begun = program.now();
        let done = pool
            .window()
            .exchange(program, &pairs, |_, result| refused |= result.is_err());
        least = least.min(program.now().saturating_sub(begun));
        if done.is_err() || refused {
            return None;
        }
    }
    let each = least.saturating_mul(1000) / PAIRS as u64;
    (each > 0).then_some(each)
}
