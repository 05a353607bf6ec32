//! What an exchange of frames must come to.
//!
//! Before a system call that asks for exchanges, it is foretold from the tables alone which pages will
//! have swapped frames; afterwards exactly these must have, and nothing else may have changed: each
//! page owns one frame and each frame has one owner, homes and rights stay with the pages, pins and
//! contents with the frames. What should be refused must be, and nothing else.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use abi::cap::{Kind, Rights};
use abi::error::{OK, Status};
use abi::invoke::{Op, unpack};
use abi::method::aperture as method;
use abi::{CAP_TABLE_SLOTS, PAGE_SIZE, TABLE_ENTRIES, batch};
use kernel::cap::Capability;
use kernel::frame::{Frame, Pin};
use kernel::object::{Oid, State};
use kernel::process::{Process, Registers};

use crate::failure::Failure;
use crate::lookup::{
    ADDRESS, DEVICE, NO_EXECUTE, PRESENT, USER, WRITABLE, frame_of, held, named, slot,
};
use crate::memory::Memory;

/// Bits of an entry that an exchange leaves as they are.
const RIGHTS: u64 = PRESENT | WRITABLE | USER | DEVICE | NO_EXECUTE;
/// Words of a batch's entry.
const ORDER: usize = size_of::<batch::Exchange>() / 8;

/// A place: the frame of a segment, and an index.
type Place = (Frame, usize);

/// What is to come of a system call.
pub struct Foretold {
    /// Whether each exchange that is asked for is to succeed.
    allowed: Vec<bool>,
    /// The words that hold the results, if it is a batch.
    results: Option<(Frame, usize)>,
    /// Entries of the places that change, as they will be.
    entries: BTreeMap<(u32, usize), u64>,
    /// Frames of all objects, as they will be.
    frames: Vec<Frame>,
    /// Pins of all frames.
    pins: Vec<[Pin; 2]>,
    /// Contents of the frames that change sides.
    contents: Vec<(Frame, Vec<u64>)>,
}

impl Foretold {
    /// What is to come of this system call, if it asks an aperture for exchanges.
    pub fn new(memory: &Memory, process: &Process, with: &Registers) -> Option<Foretold> {
        let batched = match with.rsi {
            method::EXCHANGE => false,
            method::EXCHANGE_BATCH => true,
            _ => return None,
        };
        let invokes = [Op::Call as u8, Op::Send as u8].contains(&(with.rax as u8));
        let aperture = held(memory, process, u16::try_from(with.rdi).ok()?);
        let row = named(memory, &aperture, Kind::Aperture).filter(|_| invokes)?;
        let mut foretold = Foretold {
            allowed: Vec::new(),
            results: None,
            entries: BTreeMap::new(),
            frames: memory.objects.iter().map(|row| row.frame.get()).collect(),
            pins: memory
                .frames
                .iter()
                .map(|row| pins_of(row.pins.each_ref().map(|pin| pin.get())))
                .collect(),
            contents: Vec::new(),
        };
        let function = row.function.get();
        let may = function != 0 && aperture.rights().contains(Rights::MANAGE);
        let sent = unpack(with.r13).map(|address| held(memory, process, address));
        let [_, first, second, ..] = with.words();
        if batched {
            let orders = batch_at(memory, &sent[0], first, second);
            // The others matter only to the orders that name them.
            if let Some((frame, at, count)) = orders
                && may
                && is_table(memory, &sent[1])
            {
                foretold.results = Some((frame, at));
                for n in 0..count {
                    let order = word(memory, frame, at + n * ORDER);
                    let side = |n: usize| {
                        let name = (order >> (16 * n)) as usize & 0xffff;
                        let segment = from_tables(memory, &sent[1..], name);
                        (segment, order >> (32 + 16 * n) & 0xffff)
                    };
                    foretold.add(memory, function, [side(0), side(1)]);
                }
            }
        } else {
            let sides = [(sent[0], first), (sent[1], second)];
            if may {
                foretold.add(memory, function, sides);
            } else {
                foretold.allowed.push(false);
            }
        }
        Some(foretold)
    }

    /// Foretells one exchange.
    fn add(&mut self, memory: &Memory, function: u32, sides: [(Capability, u64); 2]) {
        let swapped = self.swap(memory, function, sides).is_some();
        self.allowed.push(swapped);
    }

    fn swap(
        &mut self,
        memory: &Memory,
        function: u32,
        sides: [(Capability, u64); 2],
    ) -> Option<()> {
        let [one, other] = sides.map(|(segment, place)| segment_at(memory, &segment, place));
        let places = [one?, other?];
        let entries = places.map(|place| self.entry(memory, place));
        let frames = entries.map(frame_of);
        let good =
            |entry: u64| entry & (PRESENT | WRITABLE | USER | DEVICE) == PRESENT | WRITABLE | USER;
        if !entries.into_iter().all(good) || frames[0] == frames[1] {
            return None;
        }
        let foreign = |frame: Frame| {
            self.pins.get(frame.0 as usize).is_none_or(|pins| {
                pins.iter().any(|pin| {
                    let row = memory.objects.get(pin.aperture.0 as usize);
                    pin.used != 0 && row.is_none_or(|row| row.function.get() != function)
                })
            })
        };
        let owner = |frame: Frame| self.frames.iter().position(|owned| *owned == frame);
        let owners = frames.map(owner);
        let live = |oid: Option<usize>| {
            let row = oid.and_then(|oid| memory.objects.get(oid));
            row.is_some_and(|row| row.kind.get() == Kind::Page && row.state.get() == State::Live)
        };
        if frames.into_iter().any(foreign) || !owners.into_iter().all(live) {
            return None;
        }
        for frame in frames {
            if !self.contents.iter().any(|(known, _)| *known == frame) {
                self.contents.push((frame, contents(memory, frame)));
            }
        }
        self.frames.swap(owners[0]?, owners[1]?);
        for (n, (table, index)) in places.into_iter().enumerate() {
            let entry = entries[n] & !ADDRESS | entries[1 - n] & ADDRESS;
            self.entries.insert((table.0, index), entry);
        }
        Some(())
    }

    fn entry(&self, memory: &Memory, (table, index): Place) -> u64 {
        let changed = self.entries.get(&(table.0, index)).copied();
        changed.unwrap_or_else(|| word(memory, table, index))
    }

    /// Compares what came of it. Without an answer nobody can know what was refused. Answers how many
    /// exchanges there were.
    ///
    /// # Errors
    /// It came otherwise.
    pub fn check(&self, memory: &Memory, answer: Option<&Registers>) -> Result<u64, Failure> {
        let wrong = |what: String| Err(Failure::Exchange(what));
        if let Some(answer) = answer {
            self.check_answer(memory, answer)?;
        }
        for (n, (row, expected)) in memory.objects.iter().zip(&self.frames).enumerate() {
            let (oid, frame) = (Oid(n as u32), row.frame.get());
            if frame != *expected {
                return wrong(format!(
                    "page {n} should own frame {:#x}, and owns {:#x}",
                    expected.0, frame.0
                ));
            }
            let owner = memory.frames[frame.0 as usize].owner.get();
            if owner != oid {
                return wrong(format!(
                    "frame {:#x} is page {n}'s, and names {}",
                    frame.0, owner.0
                ));
            }
        }
        for (n, (row, expected)) in memory.frames.iter().zip(&self.pins).enumerate() {
            if pins_of(row.pins.each_ref().map(|pin| pin.get())) != *expected {
                return wrong(format!("the pins of frame {n:#x} didn't stay with it"));
            }
        }
        for ((table, index), expected) in &self.entries {
            let entry = word(memory, Frame(*table), *index);
            if (entry ^ expected) & (ADDRESS | RIGHTS) != 0 {
                return wrong(format!(
                    "entry {index} should be {expected:#x}, and is {entry:#x}"
                ));
            }
        }
        for (frame, expected) in &self.contents {
            let results = self.results.filter(|(page, _)| page == frame);
            if results.is_none() && contents(memory, *frame) != *expected {
                return wrong(format!("the contents of frame {:#x} changed", frame.0));
            }
        }
        Ok(self.allowed.iter().filter(|allowed| **allowed).count() as u64)
    }

    /// What was allowed succeeded, and nothing else.
    fn check_answer(&self, memory: &Memory, answer: &Registers) -> Result<(), Failure> {
        let status = answer.rax as Status;
        let said = |n: usize| match self.results {
            None => status,
            Some((frame, at)) => word(memory, frame, at + n * ORDER + 1) as Status,
        };
        for (n, allowed) in self.allowed.iter().enumerate() {
            if (said(n) == OK) != *allowed {
                let should = if *allowed { "be done" } else { "be refused" };
                return Err(Failure::Exchange(format!(
                    "the {n}-th should {should}, and the kernel says {} (of the call: {status})",
                    said(n)
                )));
            }
        }
        Ok(())
    }
}

fn word(memory: &Memory, frame: Frame, index: usize) -> u64 {
    memory.word(frame, index).load(Ordering::Relaxed)
}

fn contents(memory: &Memory, frame: Frame) -> Vec<u64> {
    (0..PAGE_SIZE / 8).map(|n| word(memory, frame, n)).collect()
}

/// Pins that are in use; what is left in the others means nothing.
fn pins_of(pins: [Pin; 2]) -> [Pin; 2] {
    pins.map(|pin| if pin.used == 0 { Pin::NONE } else { pin })
}

/// The place of a segment, if whoever has this capability may exchange what is there.
fn segment_at(memory: &Memory, segment: &Capability, place: u64) -> Option<Place> {
    let row = named(memory, segment, Kind::Table1)?;
    let needed = Rights::READ | Rights::WRITE | Rights::MANAGE;
    let may = segment.rights().contains(needed) && row.partner.get() == Oid::NONE;
    (may && place < TABLE_ENTRIES as u64).then(|| (row.frame.get(), place as usize))
}

fn is_table(memory: &Memory, table: &Capability) -> bool {
    named(memory, table, Kind::CapTable).is_some() && table.rights().contains(Rights::MANAGE)
}

/// A capability out of the tables of a batch.
fn from_tables(memory: &Memory, tables: &[Capability], name: usize) -> Capability {
    let table = tables.get(name / CAP_TABLE_SLOTS);
    let table = table.filter(|table| is_table(memory, table));
    let table = table.and_then(|table| named(memory, table, Kind::CapTable));
    table.map_or(Capability::VOID, |row| {
        slot(memory, row.frame.get(), name % CAP_TABLE_SLOTS)
    })
}

/// The frame, first word and number of orders of a batch.
fn batch_at(
    memory: &Memory,
    page: &Capability,
    offset: u64,
    count: u64,
) -> Option<(Frame, usize, usize)> {
    let row = named(memory, page, Kind::Page)?;
    let bytes = 8 * ORDER as u64;
    let fits = page.rights().contains(Rights::READ | Rights::WRITE)
        && (1..=batch::LIMIT as u64).contains(&count)
        && offset.is_multiple_of(bytes)
        && offset.checked_add(count * bytes)? <= PAGE_SIZE as u64;
    fits.then(|| (row.frame.get(), offset as usize / 8, count as usize))
}
