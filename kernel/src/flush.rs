//! Translations that the CPU must forget before anybody runs again.
//!
//! Operations note what they took away; one invalidation at the end serves them all: a few pages one
//! by one, more by reloading the whole. Only the loaded address space matters, because loading
//! another forgets everything.

use core::cell::Cell;

use abi::count::Event;

use crate::Kernel;
use crate::machine::Machine;
use crate::object::{ObjectRow, Oid, Parent};
use crate::planted::Fault;

/// Pages flushed one by one; more are cheaper to flush as a whole.
pub(crate) const SINGLE: usize = 8;

/// What was noted.
pub(crate) struct Flush {
    count: Cell<usize>,
    pages: [Cell<u64>; SINGLE],
}

impl Flush {
    pub const fn new() -> Flush {
        Flush {
            count: Cell::new(0),
            pages: [const { Cell::new(0) }; SINGLE],
        }
    }

    /// Notes an address; `whole` when more than its page goes.
    pub fn note(&self, address: u64, whole: bool) {
        let count = self.count.get();
        match self.pages.get(count) {
            Some(page) if !whole => {
                page.set(address);
                self.count.set(count + 1);
            }
            _ => self.count.set(SINGLE + 1),
        }
    }

    #[inline]
    pub fn is_pending(&self) -> bool {
        self.count.get() != 0
    }

    /// Whether everything is forgotten anyhow.
    #[inline(always)]
    fn is_whole(&self) -> bool {
        self.count.get() > SINGLE
    }

    /// How many pages are forgotten one by one; `None` when everything is.
    fn singles(&self) -> Option<u64> {
        (!self.is_whole()).then_some(self.count.get() as u64)
    }

    pub fn carry_out(&self, machine: &impl Machine) {
        let count = self.count.replace(0);
        if count == 1 {
            return machine.flush_page(self.pages[0].get());
        }
        match self.pages.get(..count) {
            Some(pages) => pages.iter().for_each(|page| machine.flush_page(page.get())),
            None => machine.flush_all(),
        }
    }
}

/// Where an address space shows a segment: an address, or [`Seen::NOWHERE`] or [`Seen::OFTEN`], which
/// are none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen(u64);

impl Seen {
    /// Nowhere: nothing of it can have been remembered.
    pub const NOWHERE: Seen = Seen(1);
    /// At several addresses.
    const OFTEN: Seen = Seen(2);

    /// Notes that what stood at a place of the segment stands there no more.
    #[inline(always)]
    pub fn note(self, flush: &Flush, place: usize) {
        if self != Seen::NOWHERE {
            flush.note(self.0 | (place as u64) << 12, self == Seen::OFTEN);
        }
    }

    /// The same, and has the CPU forget it at once.
    #[inline(always)]
    pub fn forget<M: Machine>(self, kernel: &Kernel<'_, M>, place: usize) {
        match self.is_address() {
            true => {
                kernel.count(Event::PageFlushes, 1);
                kernel.machine.flush_page(self.0 | (place as u64) << 12);
            }
            false => self.forget_all(kernel),
        }
    }

    /// Has the CPU forget a segment that isn't seen at just one address.
    #[inline(never)]
    fn forget_all<M: Machine>(self, kernel: &Kernel<'_, M>) {
        if self != Seen::NOWHERE {
            kernel.count(Event::FullFlushes, 1);
            kernel.machine.flush_all();
        }
    }

    /// Whether it is seen at just one address: addresses of segments end in zeros.
    #[inline(always)]
    const fn is_address(self) -> bool {
        self.0 & (Seen::NOWHERE.0 | Seen::OFTEN.0) == 0
    }

    /// Notes that much of the segment changed.
    pub fn note_all(self, flush: &Flush) {
        if self != Seen::NOWHERE {
            flush.note(0, true);
        }
    }
}

/// Where a segment was seen.
#[derive(Clone, Copy)]
struct View {
    /// The segment (low half) and the address space (its level-4 table's frame, high half).
    who: u64,
    /// When: how many tables had been mapped.
    when: u64,
    seen: Seen,
}

/// Segments remembered.
const REMEMBERED: usize = 64;

/// Where the segments that were changed last are seen. The tables say so too, but to look there is
/// most of what it costs to unmap a page.
///
/// Whatever maps a table into another must [forget](Views::forget) all of it. What unmaps one needn't:
/// to flush an address too many does no harm.
pub(crate) struct Views {
    views: [Cell<View>; REMEMBERED],
    /// Tables that were mapped until now.
    mapped: Cell<u64>,
}

impl Views {
    pub const fn new() -> Views {
        Views {
            views: [const {
                Cell::new(View {
                    who: 0,
                    when: 0,
                    seen: Seen::OFTEN,
                })
            }; REMEMBERED],
            mapped: Cell::new(1),
        }
    }

    /// A table is mapped where it wasn't.
    pub fn forget(&self) {
        self.mapped.set(self.mapped.get() + 1);
    }

    /// Where a segment is remembered. The numbers of a system's segments are often as far apart as a
    /// power of two.
    #[inline(always)]
    fn place(&self, segment: Oid) -> &Cell<View> {
        let number = segment.0 as usize;
        &self.views[(number ^ (number / REMEMBERED)) % REMEMBERED]
    }
}

impl<M: Machine> Kernel<'_, M> {
    /// Where the loaded address space shows a segment (or once did).
    #[inline(always)]
    pub(crate) fn seen(&self, oid: Oid, segment: &ObjectRow) -> Seen {
        match self.remembered(oid) {
            Some(seen) => seen,
            None => self.look_for(oid, segment),
        }
    }

    /// The same, if it is remembered.
    #[inline(always)]
    pub(crate) fn remembered(&self, segment: Oid) -> Option<Seen> {
        if self.has(Fault::SkipFlush) {
            return Some(Seen::NOWHERE);
        }
        let view = self.views.place(segment).get();
        let known = view.who == self.who(segment) && view.when == self.views.mapped.get();
        known.then_some(view.seen)
    }

    /// Who sees what: a segment and the loaded address space.
    #[inline(always)]
    fn who(&self, segment: Oid) -> u64 {
        u64::from(segment.0) | u64::from(self.cpu.space.get().0) << 32
    }

    #[inline(never)]
    fn look_for(&self, oid: Oid, segment: &ObjectRow) -> Seen {
        let mut seen = Seen::NOWHERE;
        self.each_view(segment, 1, 0, &mut |address| {
            seen = match seen {
                Seen::NOWHERE => Seen(address),
                _ => Seen::OFTEN,
            };
        });
        let (who, when) = (self.who(oid), self.views.mapped.get());
        self.views.place(oid).set(View { who, when, seen });
        seen
    }

    /// Notes that an entry of a table loses rights: what the CPU may have cached of it must go
    /// before the kernel lets anyone run.
    #[inline(always)]
    pub(crate) fn invalidate(&self, oid: Oid, table: &ObjectRow, level: u8, index: usize) {
        if self.flush.is_whole() {
            return;
        }
        if level == 1 {
            return self.seen(oid, table).note(&self.flush, index);
        }
        if self.has(Fault::SkipFlush) {
            return;
        }
        let below = (index as u64) << (3 + 9 * u64::from(level));
        self.each_view(table, level, below, &mut |address| {
            self.flush.note(address, true);
        });
    }

    /// The same for a segment that loses more entries than are flushed one by one.
    #[inline(always)]
    pub(crate) fn invalidate_all(&self, oid: Oid, segment: &ObjectRow) {
        if !self.flush.is_whole() {
            self.seen(oid, segment).note_all(&self.flush);
        }
    }

    /// Each address at which the loaded address space shows what lies in a table at an offset.
    fn each_view<F: FnMut(u64)>(&self, table: &ObjectRow, level: u8, offset: u64, view: &mut F) {
        let (mut table, mut level, mut address) = (table, level, offset);
        // Most tables have one parent: go up along the first, and aside only where there are more.
        while level < 4 {
            let [first, others @ ..] = &table.parents;
            let alone = others
                .iter()
                .fold(Oid::NONE.0, |all, parent| all & parent.get().holder.0);
            if alone != Oid::NONE.0 {
                for parent in others {
                    self.each_view_above(parent.get(), level, address, view);
                }
            }
            let Parent { holder, index } = first.get();
            let Some(above) = self.row(holder) else {
                return;
            };
            address |= u64::from(index) << (12 + 9 * u64::from(level));
            table = above;
            level += 1;
        }
        if table.frame.get() == self.cpu.space.get() {
            view(address);
        }
    }

    #[inline(never)]
    fn each_view_above<F: FnMut(u64)>(&self, parent: Parent, level: u8, offset: u64, view: &mut F) {
        if let Some(above) = self.row(parent.holder) {
            let address = offset | u64::from(parent.index) << (12 + 9 * u64::from(level));
            self.each_view(above, level + 1, address, view);
        }
    }

    /// Carries out the invalidations noted.
    #[inline]
    pub(crate) fn flush_pending(&self) {
        if self.flush.is_pending() {
            match self.flush.singles() {
                Some(pages) => self.count(Event::PageFlushes, pages),
                None => self.count(Event::FullFlushes, 1),
            }
            self.flush.carry_out(&self.machine);
        }
    }
}
