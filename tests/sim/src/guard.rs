//! That a stack controls nothing of what it receives into: it pays for the pages, the driver decides
//! who reads and writes them.
//!
//! Of each receive segment that a stack was given, no stack may have a capability that does more than
//! read, no capability to a page in it, and no mapping that can be written. And a stack that is to see
//! nothing of others' frames finds none in its receive pages.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use crate::context::Context;
use crate::failure::Failure;
use crate::lookup::{DEVICE, PRESENT, USER, WRITABLE, frame_of, held, named, slot};
use crate::network::{Network, Party};
use crate::world::World;
use abi::CAP_TABLE_SLOTS;
use abi::cap::{CapAddr, Kind, Rights};
use dev::layout::FIRST_RECEIVE_PAGE;
use kernel::cap::Capability;
use kernel::frame::Frame;
use kernel::object::{Oid, State};
use kernel::process::Process;

/// The receive segments that stacks were given, and the stacks.
#[derive(Default)]
pub struct Guard {
    /// By segment: version, and whose it is.
    segments: RefCell<BTreeMap<Oid, (u64, Party)>>,
    stacks: RefCell<BTreeMap<Oid, u64>>,
}

impl Guard {
    /// A stack was given a receive segment, which lies in this slot of its own.
    pub fn opened(&self, stack: &Context, user: Party, slot: CapAddr) {
        let world = stack.world();
        let Some(process) = world.processor.process(stack.oid()) else {
            return;
        };
        let capability = held(world.processor.memory(), process, slot);
        if capability.is(Kind::Table1) {
            let owned = (capability.version, user);
            self.segments.borrow_mut().insert(capability.oid(), owned);
        }
        let version = world.processor.version(stack.oid());
        self.stacks.borrow_mut().insert(stack.oid(), version);
    }

    /// Looks through everything that stacks have.
    ///
    /// # Errors
    /// A stack has what it may not have.
    pub fn check(&self, world: &World, network: &Network) -> Result<(), Failure> {
        let alive = |oid: &Oid, version: u64| world.processor.version(*oid) == version;
        let (mut segments, mut stacks) = (self.segments.borrow_mut(), self.stacks.borrow_mut());
        segments.retain(|oid, (version, _)| alive(oid, *version));
        stacks.retain(|oid, version| alive(oid, *version));
        for (segment, (_, user)) in segments.iter() {
            if network.is_private(*user) {
                self.check_private(world, network, *segment, *user)?;
            }
        }
        for stack in stacks.keys() {
            let Some(process) = world.processor.process(*stack) else {
                continue;
            };
            let wrong = |claim: String| Failure::Claim {
                actor: process.name().to_string(),
                claim,
            };
            for (slot, capability) in capabilities(world, process) {
                if let Some(claim) = excess(world, &segments, &capability) {
                    return Err(wrong(format!("slot {slot}: {claim}")));
                }
            }
            if let Some(address) = written(world, process, &segments) {
                return Err(wrong(format!(
                    "receive memory at {address:#x} can be written"
                )));
            }
        }
        Ok(())
    }
}

impl Guard {
    /// Nothing that a stack can see in its receive pages is out of another's frames.
    fn check_private(
        &self,
        world: &World,
        network: &Network,
        segment: Oid,
        user: Party,
    ) -> Result<(), Failure> {
        let memory = world.processor.memory();
        let pages = entries(world, world.processor.frame(segment));
        for (place, entry) in pages.filter(|(place, _)| *place >= FIRST_RECEIVE_PAGE.into()) {
            for n in 0..abi::PAGE_SIZE / 8 {
                let word = memory.word(frame_of(entry), n).load(Ordering::Relaxed);
                if network.is_foreign(user, word) {
                    return Err(Failure::Claim {
                        actor: format!("user {user}"),
                        claim: format!("{word:#x} in receive page {place} is another's"),
                    });
                }
            }
        }
        Ok(())
    }
}

/// What a capability does to receive memory that no stack's may.
fn excess(
    world: &World,
    segments: &BTreeMap<Oid, (u64, Party)>,
    held: &Capability,
) -> Option<String> {
    let objects = &world.processor.memory().objects;
    let row = objects.get(held.oid().0 as usize)?;
    let alive = row.version.get() == held.version && row.state.get() == State::Live;
    if !alive {
        return None;
    }
    if held.is(Kind::Table1) && segments.contains_key(&held.oid()) {
        let more = held.rights() - Rights::READ;
        return (!more.is_empty()).then(|| format!("a receive segment, with {more:?}"));
    }
    let home = row.parents[0].get().holder;
    let inside = held.is(Kind::Page) && segments.contains_key(&home);
    inside.then(|| "a page of a receive segment".to_owned())
}

/// An address at which a process can write receive memory.
fn written(
    world: &World,
    process: &Process,
    segments: &BTreeMap<Oid, (u64, Party)>,
) -> Option<u64> {
    let frames: Vec<Frame> = segments
        .keys()
        .map(|oid| world.processor.frame(*oid))
        .collect();
    let mut tables = vec![(process.space.get(), 0, true)];
    for shift in [39, 30, 21] {
        let mut below = Vec::new();
        for (table, base, writable) in tables {
            for (index, entry) in entries(world, table) {
                let writable = writable && entry & WRITABLE != 0;
                below.push((frame_of(entry), base | index << shift, writable));
            }
        }
        tables = below;
    }
    let found = tables.into_iter().find(|(segment, _, writable)| {
        let any = || entries(world, *segment).any(|(_, entry)| entry & WRITABLE != 0);
        *writable && frames.contains(segment) && any()
    });
    found.map(|(_, address, _)| address)
}

/// Entries of a table's lower half that name other frames.
fn entries(world: &World, table: Frame) -> impl Iterator<Item = (u64, u64)> {
    let memory = world.processor.memory();
    let there = memory.is_ram(table);
    let word = move |index: usize| memory.word(table, index).load(Ordering::Relaxed);
    (0..if there { 512 } else { 0 })
        .map(move |index| (index as u64, word(index)))
        .filter(|(_, entry)| entry & (PRESENT | USER | DEVICE) == PRESENT | USER)
        .filter(move |(_, entry)| memory.is_ram(frame_of(*entry)))
}

/// What a process's slots hold, by address.
fn capabilities(world: &World, process: &Process) -> Vec<(CapAddr, Capability)> {
    let memory = world.processor.memory();
    let mut all = Vec::new();
    let root = process.root.get();
    if !memory.is_ram(root) {
        return all;
    }
    for n in 1..CAP_TABLE_SLOTS {
        let outer = slot(memory, root, n);
        if outer.is_void() {
            continue;
        }
        all.push((n as CapAddr, outer));
        let table = named(memory, &outer, Kind::CapTable).map(|row| row.frame.get());
        let Some(table) = table.filter(|table| *table != root) else {
            continue;
        };
        for m in 0..CAP_TABLE_SLOTS {
            let deep = slot(memory, table, m);
            if !deep.is_void() {
                all.push(((n << 7 | m) as CapAddr, deep));
            }
        }
    }
    all
}
