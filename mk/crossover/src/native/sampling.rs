//! Samples, and what they come to.

use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

use super::machine::{self, fence};
use super::{Error, Method, Place, Quartiles, SIZES, Timing, Work};

/// How long the counter is held against the clock.
const CLOCK: Duration = Duration::from_millis(200);

/// The size of the core's own caches, where nobody tells.
const OWN: usize = 2 << 20;

/// Room for the largest size, and for a line behind it on its last page.
const ROOM: usize = 3 * PAGE;
const PAGE: usize = 4096;
const LINE: usize = 64;

/// Ticks a second.
pub fn hertz() -> Result<u64, Error> {
    if !machine::available() {
        return Err(Error::Unavailable);
    }
    let start = (Instant::now(), machine::ticks());
    std::thread::sleep(CLOCK);
    let (time, ticks) = (start.0.elapsed(), machine::ticks().checked_sub(start.1));
    let nanoseconds = time.as_nanos();
    let ticks = u128::from(ticks.ok_or(Error::Clock)?);
    u64::try_from(ticks * 1_000_000_000 / nanoseconds.max(1))
        .ok()
        .filter(|hertz| *hertz >= 1_000_000)
        .ok_or(Error::Clock)
}

struct Buffers {
    /// The source, from a page's start on.
    source: Vec<u8>,
    start: usize,
    target: Vec<u8>,
    /// Twice what the core's own caches hold: who has read it has lost everything else from them.
    others: Vec<u8>,
}

/// All times.
pub fn timings(samples: usize) -> Result<Vec<Timing>, Error> {
    if !machine::available() {
        return Err(Error::Unavailable);
    }
    let source = vec![2; ROOM + PAGE];
    let mut buffers = Buffers {
        start: source.as_ptr().align_offset(PAGE).min(PAGE),
        source,
        target: vec![1; ROOM],
        // Written, not only allocated: untouched pages would all be the one page of zeros.
        others: vec![3; 2 * own_caches()],
    };
    let empty = overhead(samples);
    let works = Method::ALL.map(Work::Copy).into_iter().chain([Work::Read]);
    let mut timings = Vec::new();
    for work in works {
        for place in Place::ALL {
            for bytes in SIZES {
                let mut ticks: Vec<u64> = (0..samples.max(4))
                    .map(|_| buffers.sample(work, place, bytes as usize))
                    .map(|ticks| ticks.saturating_sub(empty).max(1))
                    .collect();
                timings.push(Timing {
                    work,
                    place,
                    bytes,
                    ticks: quartiles(&mut ticks),
                });
            }
        }
    }
    Ok(timings)
}

impl Buffers {
    fn sample(&mut self, work: Work, place: Place, bytes: usize) -> u64 {
        let room = &self.source[self.start..self.start + ROOM];
        let source = &room[..bytes];
        let target = &mut self.target[..bytes];
        if place == Place::Last {
            black_box(machine::read(source));
            black_box(touch(&self.others, LINE));
        }
        target.fill(1);
        match place {
            Place::First => {
                black_box(machine::read(source));
            }
            // The translations come back, one line a page with them: what is timed is the cache.
            Place::Last => {
                black_box(touch(&room[PAGE - LINE..], PAGE));
            }
            Place::Dram => machine::forget(source),
        }
        fence();
        let start = machine::ticks();
        match work {
            Work::Copy(Method::Bytes) => machine::copy_bytes(target, source),
            Work::Copy(Method::Words) => machine::copy_words(target, source),
            Work::Copy(Method::Library) => black_box(target).copy_from_slice(black_box(source)),
            Work::Read => {
                black_box(machine::read(source));
            }
        }
        fence();
        let end = machine::ticks();
        black_box(&mut self.target);
        end.saturating_sub(start)
    }
}

/// Reads a byte every so many.
fn touch(bytes: &[u8], step: usize) -> u64 {
    bytes
        .iter()
        .step_by(step)
        .map(|byte| u64::from(*byte))
        .sum()
}

/// What timing nothing takes.
fn overhead(samples: usize) -> u64 {
    let mut ticks: Vec<u64> = (0..samples.max(4))
        .map(|_| {
            fence();
            let start = machine::ticks();
            fence();
            machine::ticks().saturating_sub(start)
        })
        .collect();
    quartiles(&mut ticks).low
}

/// Quartiles of some samples; of none, zeros.
pub fn quartiles(ticks: &mut [u64]) -> Quartiles {
    ticks.sort_unstable();
    let at = |quarter: usize| {
        let last = ticks.len().saturating_sub(1);
        ticks.get(last * quarter / 4).copied().unwrap_or(0)
    };
    Quartiles {
        low: at(1),
        median: at(2),
        high: at(3),
    }
}

/// How much the core's own caches hold.
fn own_caches() -> usize {
    let text = fs::read_to_string("/sys/devices/system/cpu/cpu0/cache/index2/size");
    let text = text.unwrap_or_default();
    let kib = text
        .trim()
        .strip_suffix('K')
        .and_then(|kib| kib.parse().ok());
    // A machine that tells nonsense isn't believed.
    kib.map_or(OWN, |kib: usize| kib.clamp(256, 64 << 10) << 10)
}
