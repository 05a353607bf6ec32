//! Pins of frames against slots of apertures, and both ways; the lists of orphans.

use abi::APERTURE_SLOTS;
use abi::cap::Kind;

use super::{Extent, Result, Violation, demand};
use crate::Kernel;
use crate::aperture::{Aperture, Slot};
use crate::frame::{Frame, FrameRow, Pin};
use crate::machine::Machine;
use crate::object::{ObjectRow, Oid, State};

impl<M: Machine> Kernel<'_, M> {
    /// An aperture that is there, alive or not.
    fn any_aperture(&self, oid: Oid) -> Option<(&ObjectRow, &Aperture)> {
        let row = self.row(oid)?;
        let there = row.kind.get() == Kind::Aperture && row.state.get() != State::Free;
        there.then(|| (row, self.view(row.frame.get())))
    }

    /// The frame that an aperture's slot holds.
    pub(super) fn slot_frame(&self, aperture: Oid, slot: usize) -> Option<Frame> {
        let (_, slots) = self.any_aperture(aperture)?;
        let slot = slots.0.get(slot)?.get();
        slot.is_used().then(|| slot.frame())
    }

    /// Each pin of a frame is held by a slot.
    pub(super) fn audit_pins(&self, number: Frame, frame: &FrameRow) -> Result {
        let wrong = |what| Violation::Pin {
            frame: number,
            what,
        };
        for (n, pin) in frame.pins.iter().enumerate() {
            let pin = pin.get();
            if pin.used == 0 {
                continue;
            }
            let held = self.slot_frame(pin.aperture, pin.slot.into()) == Some(number);
            demand!(held, wrong("its slot doesn't hold it"));
            let twice = frame.pins[..n].iter().any(|other| other.get() == pin);
            demand!(!twice, wrong("counted twice"));
            let owner = self.row(frame.owner.get());
            let page = owner.is_some_and(|row| row.kind.get() == Kind::Page);
            demand!(page, wrong("the frame holds no page"));
        }
        Ok(())
    }

    /// Each slot in use pins its frame; those whose owner is gone are listed until they are told.
    pub(super) fn audit_aperture(&self, oid: Oid, row: &ObjectRow, extent: &Extent) -> Result {
        let slots: &Aperture = self.view(row.frame.get());
        if row.state.get() == State::Limbo && !self.aperture_holds(row) {
            // Its limbo ended: the frame is zeroed, and waits to be reaped.
            let empty = slots.0.iter().all(|slot| slot.get().0 == 0);
            demand!(
                empty,
                Violation::Object {
                    oid,
                    what: "out of limbo, but not zeroed"
                }
            );
            return Ok(());
        }
        if extent.sums {
            self.audit_slots(oid, row, slots)?;
        }
        for n in extent.entries.clone() {
            let slot = slots.slot(n as u16).get();
            if slot.is_used() {
                self.audit_slot(oid, n, slot)?;
                continue;
            }
            demand!(
                slot.0 == Slot::EMPTY.0,
                wrong_slot(oid, n, "empty, with something in it")
            );
        }
        Ok(())
    }

    /// Slots are counted right, and used for a function only.
    fn audit_slots(&self, oid: Oid, row: &ObjectRow, slots: &Aperture) -> Result {
        let (mut used, mut orphans) = (0, 0);
        for slot in &slots.0 {
            let slot = slot.get();
            used += u32::from(slot.is_used());
            orphans += usize::from(slot.is_used() && slot.is_orphan());
        }
        demand!(
            used == row.pinned_slots(),
            Violation::Object {
                oid,
                what: "it doesn't count its pins right"
            }
        );
        demand!(
            used == 0 || row.function.get() != 0,
            Violation::Object {
                oid,
                what: "it pins without a function"
            }
        );
        self.audit_orphans(oid, row, slots, orphans)
    }

    fn audit_slot(&self, oid: Oid, n: usize, slot: Slot) -> Result {
        let pins = self.frame_row(slot.frame());
        let own = Pin {
            aperture: oid,
            slot: n as u16,
            used: 1,
        };
        demand!(
            pins.pins.iter().any(|pin| pin.get() == own),
            wrong_slot(oid, n, "its frame isn't pinned by it")
        );
        let owner = self.row(pins.owner.get()).map(|row| row.state.get());
        demand!(
            matches!(owner, Some(State::Live | State::Limbo)),
            wrong_slot(oid, n, "it holds a frame that nobody has")
        );
        demand!(
            !slot.is_orphan() || owner == Some(State::Limbo),
            wrong_slot(oid, n, "listed as an orphan, with an owner")
        );
        Ok(())
    }

    /// The list of orphans goes through all of them, both ways.
    fn audit_orphans(&self, oid: Oid, row: &ObjectRow, slots: &Aperture, orphans: usize) -> Result {
        let (mut place, mut before, mut length) = (row.first_orphan(), 0, 0);
        while let Some(n) = place.checked_sub(1) {
            length += 1;
            let fits = usize::from(n) < APERTURE_SLOTS && length <= orphans;
            demand!(
                fits,
                wrong_slot(oid, n.into(), "the list of orphans leads astray")
            );
            let slot = slots.slot(n).get();
            demand!(
                slot.is_orphan() && slot.previous() == before,
                wrong_slot(oid, n.into(), "the links of the orphans disagree")
            );
            (before, place) = (place, slot.next());
        }
        demand!(
            length == orphans,
            wrong_slot(oid, 0, "an orphan isn't listed")
        );
        Ok(())
    }
}

fn wrong_slot(aperture: Oid, slot: usize, what: &'static str) -> Violation {
    Violation::Slot {
        aperture,
        slot: slot as u32,
        what,
    }
}
