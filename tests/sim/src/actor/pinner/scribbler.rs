//! The pinner's device: it writes into whatever is pinned for it, and reads it.

use std::cell::RefCell;

use kernel::frame::Frame;
use kernel::object::{Oid, State};

use crate::coverage::Held;
use crate::failure::Failure;
use crate::world::{Device, Dma, World};

/// A slot that the device may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// Which of the pinner's apertures.
    pub aperture: usize,
    /// Its slot.
    pub slot: u16,
    /// The function that it is bound to.
    pub function: u16,
    /// Where the device reaches the frame.
    pub address: u64,
    /// The place whose page owns the frame, as far as the pinner knows.
    pub home: Home,
}

/// A place: a segment, by number and version, and an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Home {
    pub segment: (Oid, u64),
    pub place: u32,
}

/// The device.
#[derive(Default)]
pub struct Scribbler {
    targets: RefCell<Vec<Target>>,
}

impl Scribbler {
    /// It is reset.
    pub(super) fn reset(&self) {
        self.targets.borrow_mut().clear();
    }

    /// It may use a slot.
    pub(super) fn add(&self, target: Target) {
        self.targets.borrow_mut().push(target);
    }

    /// It may use a slot no longer.
    pub(super) fn remove(&self, aperture: usize, slot: u16) {
        self.targets
            .borrow_mut()
            .retain(|target| (target.aperture, target.slot) != (aperture, slot));
    }

    /// The pages at two places have swapped frames.
    pub(super) fn exchanged(&self, one: Home, other: Home) {
        for target in self.targets.borrow_mut().iter_mut() {
            if target.home == one {
                target.home = other;
            } else if target.home == other {
                target.home = one;
            }
        }
    }
}

/// The place of the page that owns a frame, if it has one. A segment that is being taken apart has no
/// places any more: its version is over already, though its last pages still name it.
pub(super) fn home_of(world: &World, frame: Frame) -> Option<Home> {
    let memory = world.processor.memory();
    let owner = memory.frames.get(frame.0 as usize)?.owner.get();
    let page = memory.objects.get(owner.0 as usize)?;
    let home = page.parents[0].get();
    let segment = memory.objects.get(home.holder.0 as usize)?;
    let live = [page, segment].map(|row| row.state.get() == State::Live);
    (live == [true; 2]).then(|| Home {
        segment: (home.holder, world.processor.version(home.holder)),
        place: home.index,
    })
}

impl Device for Scribbler {
    fn act(&self, world: &World) -> bool {
        let targets = self.targets.borrow();
        if targets.is_empty() {
            return false;
        }
        let target = *world.dice.pick(&targets);
        if !world.processor.machine().pci.is_master(target.function) {
            return false;
        }
        let address = target.address + 8 * world.dice.below(512);
        world.note_device("scribbles into slot", target.slot.into());
        // What it writes is seen by the owner of the page at the place that the pinner knows, and by
        // nobody else.
        let home = home_of(world, Frame::holding(address));
        if home.is_some_and(|home| home != target.home) {
            let what = format!("the device reaches {home:?}, and should reach {target:?}");
            world.fail(Failure::Exchange(what));
        }
        if world.dice.one_in(4) {
            let mut bytes = [0; 8];
            world.dma(target.function, address, Dma::Read(&mut bytes))
        } else {
            let bytes = world.dice.word().to_le_bytes();
            world.dma(target.function, address, Dma::Write(&bytes))
        }
    }

    fn held(&self, frame: Frame) -> Option<Held> {
        let targets = self.targets.borrow();
        let lent = targets
            .iter()
            .any(|target| Frame::holding(target.address) == frame);
        lent.then_some(Held::Posted)
    }

    fn has_work(&self, _: &World) -> bool {
        false
    }
}
