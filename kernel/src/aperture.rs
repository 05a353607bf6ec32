//! Apertures: through which one device function does DMA.
//!
//! A slot pins one frame. While it does, the frame isn't reused, whoever rescinds its owner; the
//! device reaches it at the slot's DMA address; and the driver sees it in the aperture's window, at
//! the slot's place. That is why a driver never faults on memory that it has pinned, and why a
//! revocation never waits for a device.

use core::cell::Cell;

use abi::APERTURE_SLOTS;
use abi::cap::{Kind, Rights};
use abi::method::aperture as method;

use crate::Kernel;
use crate::cap::Capability;
use crate::error::{BUSY, EXISTS, INVALID, METHOD, Result};
use crate::frame::{Frame, View, Words};
use crate::invoke::{Answer, Invocation};
use crate::machine::{Machine, Width};
use crate::object::{Binding, ObjectRow, Oid, Parent, State};
use crate::planted::Fault;

/// Slots told by one `LIMBO`.
const TOLD: usize = 20;

/// A slot: frame (bits 0 to 31), neighbours in the list of orphans, as slot + 1 (32 to 43 next, 44
/// to 55 previous), in use (56), owner gone and not yet told (57).
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Slot(pub u64);

impl Slot {
    pub const EMPTY: Slot = Slot(0);
    const USED: u64 = 1 << 56;
    const ORPHAN: u64 = 1 << 57;

    pub fn new(frame: Frame) -> Slot {
        Slot(u64::from(frame.0) | Slot::USED)
    }

    pub fn is_used(self) -> bool {
        self.0 & Slot::USED != 0
    }

    pub fn is_orphan(self) -> bool {
        self.0 & Slot::ORPHAN != 0
    }

    pub fn frame(self) -> Frame {
        Frame(self.0 as u32)
    }

    pub fn next(self) -> u16 {
        (self.0 >> 32) as u16 & 0xfff
    }

    pub fn previous(self) -> u16 {
        (self.0 >> 44) as u16 & 0xfff
    }

    fn linked(self, previous: u16, next: u16) -> Slot {
        let kept = self.0 & (0xffff_ffff | Slot::USED | Slot::ORPHAN);
        Slot(kept | u64::from(next & 0xfff) << 32 | u64::from(previous & 0xfff) << 44)
    }

    fn orphaned(self, orphan: bool) -> Slot {
        Slot(if orphan {
            self.0 | Slot::ORPHAN
        } else {
            self.0 & !Slot::ORPHAN
        })
    }
}

/// An aperture's frame.
#[repr(C)]
pub(crate) struct Aperture(pub [Cell<Slot>; APERTURE_SLOTS]);

// SAFETY: 512 cells of one word; any pattern is a valid slot, and indices taken from one are masked.
unsafe impl View for Aperture {}

impl Aperture {
    pub fn slot(&self, slot: u16) -> &Cell<Slot> {
        &self.0[usize::from(slot) % APERTURE_SLOTS]
    }

    /// Puts a slot at the head of the list of orphans. Answers the new head.
    fn link(&self, slot: u16, head: u16) -> u16 {
        let cell = self.slot(slot);
        cell.set(cell.get().linked(0, head).orphaned(true));
        if let Some(next) = head.checked_sub(1) {
            let cell = self.slot(next);
            let next = cell.get();
            cell.set(next.linked(slot + 1, next.next()));
        }
        slot + 1
    }

    /// Takes a slot out of the list of orphans. Answers the new head.
    pub fn unlink(&self, slot: u16, head: u16) -> u16 {
        let cell = self.slot(slot);
        let (previous, next) = (cell.get().previous(), cell.get().next());
        cell.set(cell.get().linked(0, 0).orphaned(false));
        if let Some(n) = next.checked_sub(1) {
            let cell = self.slot(n);
            cell.set(cell.get().linked(previous, cell.get().next()));
        }
        match previous.checked_sub(1) {
            Some(p) => {
                let cell = self.slot(p);
                cell.set(cell.get().linked(cell.get().previous(), next));
                head
            }
            None => next,
        }
    }
}

/// What an aperture's row keeps beside its slots.
impl ObjectRow {
    pub(crate) fn first_orphan(&self) -> u16 {
        self.slots.get() as u16
    }

    pub(crate) fn set_first_orphan(&self, slot: u16) {
        self.slots
            .set(self.slots.get() & 0xffff_0000 | u32::from(slot));
    }

    pub(crate) fn pinned_slots(&self) -> u32 {
        self.slots.get() >> 16
    }

    /// So many slots more pin a frame, or less.
    pub(crate) fn count_slots(&self, more: i32) {
        self.slots
            .set(self.slots.get().wrapping_add_signed(more << 16));
    }

    fn limbo_binding(&self) -> Binding {
        let (who, version) = (self.parents[0].get(), self.parents[1].get());
        Binding {
            process: who.holder,
            bit: who.index,
            version: u64::from(version.holder.0) | u64::from(version.index) << 32,
        }
    }

    fn set_limbo_binding(&self, binding: Binding) {
        self.parents[0].set(Parent {
            holder: binding.process,
            index: binding.bit,
        });
        let (low, high) = (binding.version as u32, (binding.version >> 32) as u32);
        self.parents[1].set(Parent {
            holder: Oid(low),
            index: high,
        });
    }
}

impl<M: Machine> Kernel<'_, M> {
    /// Methods of an `Aperture`.
    #[inline(never)]
    pub(crate) fn invoke_aperture(&self, call: &Invocation) -> Result<Answer> {
        let oid = call.capability.oid();
        let row = self.object_of(&call.capability, Kind::Aperture)?;
        let [method, w1, w2, w3, ..] = call.words();
        if method == method::INFO {
            call.capability.needs(Rights::INSPECT)?;
            return Ok(Answer::words(self.aperture_info(row)));
        }
        call.capability.needs(Rights::MANAGE)?;
        match method {
            method::SET_WINDOW => self.set_window(oid, row, &call.argument(self, 0)?)?,
            method::PIN => return self.pin(call, row, [w1, w2, w3]),
            method::UNPIN => {
                self.unpin(oid, row, u16::try_from(w1).map_err(|_| INVALID)?)?;
            }
            method::PIN_BATCH => return self.pin_batch(call, row, w1, w2),
            method::UNPIN_BATCH => return self.unpin_batch(call, row, w1, w2),
            method::EXCHANGE => return self.exchange(call, row, [w1, w2]),
            method::EXCHANGE_BATCH => return self.exchange_batch(call, row, w1, w2),
            method::LIMBO => return Ok(Answer::words(self.tell_orphans(row))),
            method::SET_LIMBO_NOTIFY => {
                row.set_limbo_binding(self.binding(&call.argument(self, 0)?)?);
            }
            _ => return Err(METHOD),
        }
        Ok(Answer::NOTHING)
    }

    fn set_window(&self, oid: Oid, row: &ObjectRow, window: &Capability) -> Result<()> {
        let table = self.object_of(window, Kind::Table1)?;
        window.needs(Rights::MANAGE)?;
        let taken = row.partner.get() != Oid::NONE || table.partner.get() != Oid::NONE;
        // A window shows all that is pinned, from the first pin on.
        if taken || self.aperture_holds(row) {
            return Err(BUSY);
        }
        let entries: &Words = self.view(table.frame.get());
        if (0..APERTURE_SLOTS).any(|n| entries.get(n) != 0) {
            return Err(EXISTS);
        }
        row.partner.set(window.oid());
        table.partner.set(oid);
        Ok(())
    }

    /// A window that goes away parts from its aperture.
    pub(crate) fn part_from_aperture(&self, window: Oid, table: &ObjectRow) {
        if let Some(aperture) = self.row(table.partner.replace(Oid::NONE))
            && aperture.partner.get() == window
        {
            aperture.partner.set(Oid::NONE);
        }
    }

    /// A pinned frame's owner is gone: the slot is listed, and the driver told.
    pub(crate) fn slot_orphaned(&self, aperture: Oid, slot: u16) {
        let Some(row) = self.row(aperture) else {
            return;
        };
        if self.has(Fault::LoseOrphan) {
            return;
        }
        let slots: &Aperture = self.view(row.frame.get());
        row.set_first_orphan(slots.link(slot, row.first_orphan()));
        if row.state.get() == State::Live {
            self.notify(row.limbo_binding());
        }
    }

    /// Up to 20 slots whose owner is gone, each told once.
    fn tell_orphans(&self, row: &ObjectRow) -> [u64; 6] {
        let slots: &Aperture = self.view(row.frame.get());
        let mut words = [0; 6];
        for n in 0..TOLD {
            let Some(slot) = row.first_orphan().checked_sub(1) else {
                break;
            };
            row.set_first_orphan(slots.unlink(slot, slot + 1));
            words[0] += 1;
            words[1 + n / 4] |= u64::from(slot) << (16 * (n % 4));
        }
        words
    }

    fn aperture_info(&self, row: &ObjectRow) -> [u64; 6] {
        let slots: &Aperture = self.view(row.frame.get());
        let limbo = slots.0.iter().filter(|slot| {
            let owner = self.frame_row(slot.get().frame()).owner.get();
            slot.get().is_used()
                && self
                    .row(owner)
                    .is_some_and(|row| row.state.get() == State::Limbo)
        });
        [
            row.pinned_slots().into(),
            limbo.count() as u64,
            row.function.get().into(),
            0,
            0,
            0,
        ]
    }

    /// Whether an aperture still pins anything.
    pub(crate) fn aperture_holds(&self, row: &ObjectRow) -> bool {
        row.pinned_slots() != 0
    }

    /// An aperture is rescinded: its device stops at once. Its pins stay until the supervisor has
    /// reset the function and releases them. Through one without pins the device reaches nothing, and
    /// it goes on: a port that is removed costs the others no frame.
    pub(crate) fn end_aperture(&self, oid: Oid, row: &ObjectRow) {
        if let Some(function) = row.function.get().checked_sub(1)
            && self.aperture_holds(row)
        {
            self.stop_dma(function as u16);
        }
        if let Some(window) = self.row(row.partner.get())
            && window.partner.get() == oid
        {
            // Nobody looks through it any more.
            self.unmap_everywhere(window);
        }
    }

    /// Clears a function's bus mastering.
    pub(crate) fn stop_dma(&self, function: u16) {
        let command = self.machine.pci_read(function, 4, Width::Word);
        self.machine
            .pci_write(function, 4, Width::Word, command & !4);
    }

    /// Ends pins of a function's dead apertures, a bounded number. Answers how many, and whether
    /// more are left.
    pub(crate) fn release_pins(&self, function: u16, limit: usize) -> (u64, bool) {
        let mut done = 0;
        let mut before = Oid::NONE;
        let mut next = self.dead_apertures.get();
        while let Some(row) = self.row(next) {
            let (oid, after) = (next, row.next.get());
            if row.function.get() != u32::from(function) + 1 {
                (before, next) = (oid, after);
                continue;
            }
            let slots: &Aperture = self.view(row.frame.get());
            for slot in 0..APERTURE_SLOTS as u16 {
                if !slots.slot(slot).get().is_used() {
                    continue;
                }
                if done == limit as u64 {
                    return (done, true);
                }
                if self.unpin(oid, row, slot).is_ok() {
                    done += 1;
                }
            }
            match self.row(before) {
                Some(row) => row.next.set(after),
                None => self.dead_apertures.set(after),
            }
            self.part_from_window(oid, row);
            self.end_limbo(oid);
            next = after;
        }
        (done, false)
    }

    /// An aperture that goes away parts from its window.
    pub(crate) fn part_from_window(&self, oid: Oid, row: &ObjectRow) {
        if let Some(window) = self.row(row.partner.replace(Oid::NONE))
            && window.partner.get() == oid
        {
            window.partner.set(Oid::NONE);
        }
    }

    /// Whether a function's dead apertures still hold pins.
    pub(crate) fn has_dead_pins(&self, function: u16) -> bool {
        let mut next = self.dead_apertures.get();
        while let Some(row) = self.row(next) {
            if row.function.get() == u32::from(function) + 1 {
                return true;
            }
            next = row.next.get();
        }
        false
    }
}
