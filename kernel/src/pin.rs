//! Pins: an aperture's slots take frames and let go of them.
//!
//! What all entries of a batch have in common is looked up once. An entry is tried as one that is as
//! it should be; only when it isn't, it is found out why.

use abi::batch::{self, direction};
use abi::cap::{Kind, Rights};
use abi::count::Event;
use abi::{APERTURE_SLOTS, TABLE_ENTRIES};

use crate::Kernel;
use crate::aperture::{Aperture, Slot};
use crate::error::{ACCESS, BUSY, DEVICE, EMPTY, EXISTS, INVALID, KIND, OK, Result, Status};
use crate::flush::Seen;
use crate::frame::{Pin, Words};
use crate::invoke::{Answer, Invocation};
use crate::machine::Machine;
use crate::object::{ObjectRow, Oid, State};
use crate::planted::Fault;
use crate::table::Entry;

/// Words of the batches' entries.
const PIN: usize = size_of::<batch::Pin>() / 8;
const UNPIN: usize = size_of::<batch::Unpin>() / 8;

/// Slots of a batch that are forgotten by the CPU one by one; more are cheaper to forget at once.
const FEW: usize = 4;

/// From where to where a call pins.
struct Pinning<'k> {
    aperture: Oid,
    slots: &'k Aperture,
    window: &'k Words,
    entries: &'k Words,
    /// The bits of their entries that the window shows.
    shown: u64,
    /// What the segment's capability allows.
    rights: Rights,
}

/// What is to be pinned: slot (bits 0 to 15), place (16 to 31), direction (32 to 39).
#[derive(Clone, Copy)]
struct Order(u64);

impl Order {
    /// What is set in an order that is out of range.
    const BEYOND: u64 = 0xffff & !(APERTURE_SLOTS as u64 - 1)
        | (0xffff & !(TABLE_ENTRIES as u64 - 1)) << 16
        | (0xff & !(direction::BOTH as u64)) << 32;

    const fn slot(self) -> u16 {
        self.0 as u16
    }

    const fn place(self) -> usize {
        (self.0 >> 16 & 0xffff) as usize
    }

    /// Whether the device sees the frame at all.
    const fn has_address(self) -> bool {
        self.0 & (direction::BOTH as u64) << 32 != 0
    }

    /// Whether the device writes.
    const fn writes(self) -> bool {
        self.0 & (direction::FROM_DEVICE as u64) << 32 != 0
    }

    fn needs(self) -> Rights {
        match self.writes() {
            true => Rights::WRITE,
            false => Rights::READ,
        }
    }
}

/// Where a call unpins.
struct Unpinning<'k> {
    aperture: Oid,
    row: &'k ObjectRow,
    slots: &'k Aperture,
    /// The window, unless it is gone, and where the running process sees it.
    window: Option<&'k Words>,
    seen: Seen,
    /// Whether the caller has the window forgotten as a whole.
    whole: bool,
}

impl<M: Machine> Kernel<'_, M> {
    /// `PIN`: slot, place, direction. Answers the DMA address.
    pub(crate) fn pin(
        &self,
        call: &Invocation,
        row: &ObjectRow,
        [slot, place, way]: [u64; 3],
    ) -> Result<Answer> {
        let pinning = self.pinning(call, row, 0)?;
        if slot > 0xffff || place > 0xffff || way > 0xff {
            return Err(INVALID);
        }
        let order = Order(slot | place << 16 | way << 32);
        let Some(address) = self.pin_order(&pinning, order) else {
            return Err(self.why_not_pinned(&pinning, order));
        };
        row.count_slots(1);
        call.invoker.drives.set(row.function.get());
        Ok(Answer::word(address))
    }

    /// `PIN_BATCH`: each entry for itself.
    #[inline(never)]
    pub(crate) fn pin_batch(
        &self,
        call: &Invocation,
        row: &ObjectRow,
        offset: u64,
        count: u64,
    ) -> Result<Answer> {
        let orders = self.batch::<PIN>(call, offset, count)?;
        let pinning = self.pinning(call, row, 1)?;
        call.invoker.drives.set(row.function.get());
        let mut refused = 0;
        for [order, address] in orders {
            let word = order.get() & 0xffff_ffff_ffff;
            match self.pin_order(&pinning, Order(word)) {
                Some(physical) => {
                    order.set(word);
                    address.set(physical);
                }
                None => {
                    let status = self.why_not_pinned(&pinning, Order(word));
                    order.set(word | u64::from(status) << 48);
                    address.set(0);
                    refused += 1;
                }
            }
        }
        let done = orders.len() as u32 - refused;
        row.count_slots(done as i32);
        Ok(Answer::word(done.into()))
    }

    /// Through which aperture, and out of which segment, a call pins.
    fn pinning<'k>(
        &'k self,
        call: &Invocation,
        row: &ObjectRow,
        argument: usize,
    ) -> Result<Pinning<'k>> {
        let segment = call.object(self, argument, Kind::Table1, Rights::PIN)?;
        let window = match self.live(row.partner.get(), Kind::Table1) {
            Some(window) if row.function.get() != 0 => window,
            _ => return Err(DEVICE),
        };
        if segment.row.partner.get() != Oid::NONE {
            // Frames seen through a window aren't at home there.
            return Err(KIND);
        }
        Ok(Pinning {
            aperture: call.capability.oid(),
            slots: self.view(row.frame.get()),
            window: self.view(window.frame.get()),
            entries: self.view(segment.row.frame.get()),
            shown: Entry::shown_with(segment.rights),
            rights: segment.rights,
        })
    }

    /// Pins the frame at a place into a slot, or nothing. Answers the DMA address.
    #[inline(always)]
    fn pin_order(&self, pinning: &Pinning, order: Order) -> Option<u64> {
        let entry = Entry(pinning.entries.get(order.place()));
        let frame = entry.frame()?;
        let cell = pinning.slots.slot(order.slot());
        if order.0 & Order::BEYOND != 0
            || !pinning.rights.contains(order.needs())
            || order.writes() && !entry.is_writable()
            || cell.get().is_used()
        {
            return None;
        }
        self.frames.get(frame.0 as usize)?.free_pin()?.set(Pin {
            aperture: pinning.aperture,
            slot: order.slot(),
            used: 1,
        });
        cell.set(Slot::new(frame));
        let shown = entry.in_window(pinning.shown);
        self.write_entry(pinning.window, order.slot().into(), shown);
        self.count(Event::Pins, 1);
        Some(match order.has_address() {
            true => frame.physical(),
            false => 0,
        })
    }

    /// Why a frame can't be pinned.
    #[cold]
    fn why_not_pinned(&self, pinning: &Pinning, order: Order) -> Status {
        let entry = Entry(pinning.entries.get(order.place()));
        let rights = pinning.rights & entry.rights();
        if order.0 & Order::BEYOND != 0 {
            INVALID
        } else if entry.frame().is_none() {
            EMPTY
        } else if !rights.contains(order.needs()) {
            ACCESS
        } else if pinning.slots.slot(order.slot()).get().is_used() {
            EXISTS
        } else {
            BUSY
        }
    }

    /// Ends a slot's pin.
    pub(crate) fn unpin(&self, oid: Oid, row: &ObjectRow, slot: u16) -> Result<()> {
        match self.unpin_slot(&self.unpinning(oid, row, false), slot) {
            OK => {
                row.count_slots(-1);
                Ok(())
            }
            status => Err(status),
        }
    }

    /// `UNPIN_BATCH`: each entry for itself.
    #[inline(never)]
    pub(crate) fn unpin_batch(
        &self,
        call: &Invocation,
        row: &ObjectRow,
        offset: u64,
        count: u64,
    ) -> Result<Answer> {
        let orders = self.batch::<UNPIN>(call, offset, count)?;
        let unpinning = self.unpinning(call.capability.oid(), row, orders.len() > FEW);
        let mut refused = 0;
        for [order] in orders {
            let word = order.get();
            let status = self.unpin_slot(&unpinning, word as u16);
            order.set(word & !0xffff_0000 | u64::from(status & 0xffff) << 16);
            refused += u32::from(status != OK);
        }
        if unpinning.whole {
            unpinning.seen.note_all(&self.flush);
        }
        let done = orders.len() as u32 - refused;
        row.count_slots(-(done as i32));
        Ok(Answer::word(done.into()))
    }

    fn unpinning<'k>(&'k self, aperture: Oid, row: &'k ObjectRow, whole: bool) -> Unpinning<'k> {
        let window = self
            .row(row.partner.get())
            .filter(|_| !self.has(Fault::KeepWindow));
        Unpinning {
            aperture,
            row,
            slots: self.view(row.frame.get()),
            window: window.map(|window| self.view(window.frame.get())),
            seen: window.map_or(Seen::NOWHERE, |window| self.seen(row.partner.get(), window)),
            whole,
        }
    }

    /// Ends a slot's pin, but for counting it.
    #[inline(always)]
    fn unpin_slot(&self, from: &Unpinning, slot: u16) -> Status {
        if usize::from(slot) >= APERTURE_SLOTS {
            return INVALID;
        }
        let cell = from.slots.slot(slot);
        let held = cell.get();
        if !held.is_used() {
            return EMPTY;
        }
        if held.is_orphan() {
            let first = from.slots.unlink(slot, from.row.first_orphan());
            from.row.set_first_orphan(first);
        }
        cell.set(Slot::EMPTY);
        if let Some(window) = from.window {
            self.write_entry(window, slot.into(), Entry::EMPTY);
        }
        self.count(Event::Unpins, 1);
        if !from.whole {
            from.seen.note(&self.flush, slot.into());
        }
        let frame = self.frame_row(held.frame());
        frame.forget_pin(Pin {
            aperture: from.aperture,
            slot,
            used: 1,
        });
        let owner = frame.owner.get();
        if !frame.is_pinned()
            && let Some(row) = self.row(owner)
            && row.state.get() == State::Limbo
        {
            // The frame must not be seen through the window when it is zeroed, and what a batch
            // notes as a whole comes later than that.
            from.seen.note(&self.flush, slot.into());
            self.flush_pending();
            self.end_limbo(owner);
        }
        OK
    }
}
