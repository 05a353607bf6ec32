//! What takes several steps, which chance alone would hardly put together.

use abi::boot::slot;
use abi::cap::{CapAddr, Kind, Rights};
use abi::method::{aperture, device_dma, process, table};
use sys::bank::method as bank;

use crate::grammar::Grammar;
use crate::invocation::Invocation;
use crate::slots::{CHILD, NEST, ROOTS};

/// Most steps of a plan.
const STEPS: usize = 12;

/// Steps that are still to be done.
#[derive(Default)]
pub struct Plan {
    steps: [Invocation; STEPS],
    next: usize,
    end: usize,
}

/// All rights that a mapping may have, of tables.
const MEMORY: u64 = Rights::READ.union(Rights::WRITE).union(Rights::EXEC).bits() as u64;
/// Rights of pages that are written.
const DATA: u64 = Rights::READ.union(Rights::WRITE).bits() as u64;

impl Plan {
    /// The next step.
    pub fn step(&mut self) -> Option<Invocation> {
        let step = self.steps[..self.end].get(self.next).copied();
        self.next += 1;
        step
    }

    /// A plan.
    pub fn make(mind: &mut Grammar) -> Plan {
        let mut plan = Plan::default();
        match mind.sequence.below(8) {
            0 | 1 => plan.nest(),
            2 => plan.spawn(mind),
            3 => plan.window(mind),
            4 => plan.divide(mind),
            _ => plan.map(mind),
        }
        plan
    }

    fn add(&mut self, step: Invocation) {
        if let Some(place) = self.steps.get_mut(self.end) {
            *place = step;
            self.end += 1;
        }
    }

    fn buy(&mut self, from: CapAddr, kind: Kind, count: u64, slot: CapAddr) {
        let words = [bank::BUY, kind as u64, count, slot.into(), 0];
        self.add(Invocation::call(from, &words, [slot::ROOT, 0, 0, 0]));
    }

    /// Places of a segment or table are bought, too.
    fn buy_places(&mut self, kind: Kind, count: u64, table: CapAddr, first: u64) {
        let rights = if kind == Kind::Page { DATA } else { MEMORY };
        let words = [bank::BUY, kind as u64, count, first, rights];
        self.add(Invocation::call(slot::BANK, &words, [table, 0, 0, 0]));
    }

    fn map(&mut self, mind: &mut Grammar) {
        let segment = own_slots(mind, 1);
        let place = 256 + u64::from(mind.sequence.below(8));
        self.buy(slot::BANK, Kind::Table1, 1, segment);
        self.buy_places(Kind::Page, 4, segment, 0);
        let words = [table::MAP, place, DATA];
        self.add(Invocation::call(slot::SPACE, &words, [segment, 0, 0, 0]));
    }

    /// A table for more slots.
    fn nest(&mut self) {
        self.buy(slot::BANK, Kind::CapTable, 1, NEST);
    }

    /// A process that shares root table and memory with the one that makes it.
    fn spawn(&mut self, mind: &mut Grammar) {
        let first = own_slots(mind, 3);
        let (process, space, below) = (first, first + 1, first + 2);
        self.buy(slot::BANK, Kind::Process, 1, process);
        self.buy(slot::BANK, Kind::Table4, 1, space);
        self.buy(slot::BANK, Kind::Table3, 1, below);
        let map = [table::MAP, 0, MEMORY];
        self.add(Invocation::call(space, &map, [below, 0, 0, 0]));
        self.add(Invocation::call(below, &map, [slot::SPACE, 0, 0, 0]));
        let priority = u64::from(mind.sequence.below(16));
        let argument = mind.sequence.word();
        let words = [process::CONFIGURE, mind.manner.entry, 0, priority, argument];
        self.add(Invocation::call(process, &words, [slot::ROOT, space, 0, 0]));
        self.add(Invocation::call(process, &[process::START], [0; 4]));
    }

    /// An aperture with a window, bound if it may be, that pins.
    fn window(&mut self, mind: &mut Grammar) {
        let first = own_slots(mind, 3);
        let (aperture, window, segment) = (first, first + 1, first + 2);
        self.buy(slot::BANK, Kind::Aperture, 1, aperture);
        self.buy(slot::BANK, Kind::Table1, 2, window);
        self.buy_places(Kind::Page, 8, segment, 0);
        let shown = [aperture::SET_WINDOW];
        self.add(Invocation::call(aperture, &shown, [window, 0, 0, 0]));
        let function = mind.slots.pick(Kind::DeviceDma as u8, &mut mind.sequence);
        if let Some(function) = function {
            self.add(Invocation::call(
                function,
                &[device_dma::BIND],
                [aperture, 0, 0, 0],
            ));
        }
        for slot in 0..4 {
            let words = [aperture::PIN, slot, slot, u64::from(mind.sequence.below(4))];
            self.add(Invocation::call(aperture, &words, [segment, 0, 0, 0]));
        }
        for place in 0..2 {
            let words = [aperture::EXCHANGE, place, 7 - place];
            self.add(Invocation::call(aperture, &words, [segment, segment, 0, 0]));
        }
    }

    /// A bank of its own, with something bought from it.
    fn divide(&mut self, mind: &mut Grammar) {
        let child = own_slots(mind, 2);
        let opaque = u64::from(mind.sequence.below(2));
        let words = [bank::SUB_BANK, 16, opaque];
        self.add(Invocation::call(slot::BANK, &words, [0; 4]).giving(CHILD, child));
        let kind = 1 + mind.sequence.below(8) as u8;
        self.buy(
            child,
            Kind::from_u8(kind).unwrap_or(Kind::Page),
            2,
            child + 1,
        );
    }
}

/// The first of so many slots of its own that follow each other.
fn own_slots(mind: &mut Grammar, count: u16) -> CapAddr {
    let all = ROOTS as u32 - u32::from(slot::FREE) - 1 - u32::from(count);
    slot::FREE + mind.sequence.below(all) as CapAddr
}
