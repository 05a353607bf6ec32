//! `Range`: the authority over all storage, which only spacebank holds.

use abi::CAP_TABLE_SLOTS;
use abi::TABLE_ENTRIES;
use abi::batch;
use abi::cap::{Kind, Rights};
use abi::method::range as method;

use crate::Kernel;
use crate::batches::Batch;
use crate::cap::{CapTable, Capability};
use crate::error::{BUSY, EXISTS, INVALID, KIND, METHOD, OK, Result, Status};
use crate::flush;
use crate::frame::{Word, Words};
use crate::invoke::{Answer, Invocation};
use crate::machine::Machine;
use crate::object::{ObjectRow, Oid, Parent, State};
use crate::planted::Fault;
use crate::rescind::{BUDGET, EACH, Rescinded, ZEROING};
use crate::table::{Entry, USER_SPACES, mapping_rights, writes_and_executes};

/// Objects told by one `REAP`.
const REAPED: usize = 10;

/// Pages that one invocation has the budget to rescind.
const PAGES: usize = BUDGET.div_ceil(EACH + ZEROING) as usize;

/// An entry of `MINT_INTO`, read once.
#[derive(Clone, Copy)]
struct Order {
    oid: Oid,
    kind: u8,
    rights: u8,
    index: u16,
}

impl Order {
    fn read(word: u64) -> Order {
        Order {
            oid: Oid(word as u32),
            kind: (word >> 32) as u8,
            rights: (word >> 40) as u8,
            index: (word >> 48) as u16,
        }
    }
}

/// Pages of a batch that are cut off and not yet freed. Their numbers are the kernel's own copy.
struct Pages {
    oids: [Oid; PAGES],
    count: usize,
}

impl Pages {
    const fn new() -> Pages {
        Pages {
            oids: [Oid::NONE; PAGES],
            count: 0,
        }
    }

    fn add(&mut self, page: Oid) {
        if let Some(place) = self.oids.get_mut(self.count) {
            *place = page;
            self.count += 1;
        }
    }

    fn take(&mut self) -> &[Oid] {
        let count = core::mem::take(&mut self.count);
        &self.oids[..count.min(PAGES)]
    }
}

/// Answers an entry of a `RESCIND`.
fn set_result(entry: &Word, oid: Oid, result: Status) {
    entry.set(u64::from(oid.0) | u64::from(result) << 32);
}

impl<M: Machine> Kernel<'_, M> {
    #[inline(never)]
    pub(crate) fn invoke_range(&self, call: &Invocation) -> Result<Answer> {
        let [method, w1, w2, ..] = call.words();
        match method {
            method::MINT => self.mint(w1, w2).map(Answer::capability),
            method::MINT_INTO => self.mint_into(call, w1, w2),
            method::RESCIND => self.rescind_batch(call, w1, w2),
            method::REAP => Ok(Answer::words(self.reap())),
            method::IDENTIFY => {
                let capability = call.argument(self, 0)?;
                let row = self.object(&capability)?;
                let kind = row.kind.get() as u64;
                let rights = capability.rights().bits().into();
                Ok(Answer::words([
                    capability.oid().0.into(),
                    kind,
                    rights,
                    0,
                    0,
                    0,
                ]))
            }
            method::SET_NOTIFY => {
                let binding = self.binding(&call.argument(self, 0)?)?;
                self.range_notify.set(binding);
                Ok(Answer::NOTHING)
            }
            method::QUERY => {
                let row = self
                    .objects
                    .get(usize::try_from(w1).unwrap_or(usize::MAX))
                    .ok_or(INVALID)?;
                let state = match row.state.get() {
                    State::Free => 0,
                    State::Live => 1,
                    State::Limbo | State::Dying => 2,
                };
                let pins = self.frame_row(row.frame.get()).pinned();
                Ok(Answer::words([
                    row.kind.get() as u64,
                    state,
                    pins.into(),
                    0,
                    0,
                    0,
                ]))
            }
            _ => Err(METHOD),
        }
    }

    fn mint(&self, oid: u64, kind: u64) -> Result<Capability> {
        let oid = Oid(u32::try_from(oid).map_err(|_| INVALID)?);
        let kind = u8::try_from(kind)
            .ok()
            .and_then(Kind::from_u8)
            .ok_or(INVALID)?;
        let row = self.row(oid).ok_or(INVALID)?;
        if !kind.is_storage() {
            return Err(INVALID);
        }
        match row.state.get() {
            State::Free => self.make(oid, row, kind),
            State::Live if row.kind.get() == kind => {}
            _ => return Err(BUSY),
        }
        Ok(Capability::new(kind, Rights::FULL, oid, row.version.get()))
    }

    /// Makes a free object live. Its frame is zeroed, and its row cleared, already.
    pub(crate) fn make(&self, oid: Oid, row: &ObjectRow, kind: Kind) {
        debug_assert!(row.is_clear());
        row.kind.set(kind);
        row.state.set(State::Live);
        self.census.sold.add();
        match kind {
            Kind::Process => self
                .process(row.frame.get())
                .initialise(oid, row.frame.get()),
            Kind::Table4 => {
                let entries: &Words = self.view(row.frame.get());
                for index in TABLE_ENTRIES / 2..TABLE_ENTRIES {
                    self.write_entry(entries, index, Entry(self.machine.kernel_entry(index)));
                }
            }
            _ => {}
        }
    }

    /// Sells a batch into a `CapTable` or a table. When an order can't be filled, those before it
    /// are taken back: nobody has run in between, so nobody can tell.
    #[inline(never)]
    fn mint_into(&self, call: &Invocation, offset: u64, count: u64) -> Result<Answer> {
        let destination = call.argument(self, 1)?;
        let orders = self.batch::<{ size_of::<batch::Mint>() / 8 }>(call, offset, count)?;
        let into = self.object(&destination)?;
        destination.needs(Rights::MANAGE)?;
        let kind = into.kind.get();
        if kind != Kind::CapTable && kind.table_level().is_none() {
            return Err(KIND);
        }
        if into.partner.get() != Oid::NONE {
            return Err(BUSY);
        }
        let mut filled = [Order::read(0); batch::LIMIT];
        for (n, [order, result]) in orders.iter().enumerate() {
            filled[n] = Order::read(order.get());
            if let Err(status) = self.fill_order(&filled[n], destination.oid(), into) {
                for order in &filled[..n] {
                    self.undo_order(order, into);
                }
                result.set(u64::from(status));
                return Err(status);
            }
            result.set(u64::from(OK));
        }
        Ok(Answer::word(orders.len() as u64))
    }

    /// Sells one object into a slot or place.
    fn fill_order(&self, order: &Order, destination: Oid, into: &ObjectRow) -> Result<()> {
        let index = usize::from(order.index);
        let row = self.row(order.oid).ok_or(INVALID)?;
        if row.state.get() != State::Free {
            return Err(BUSY);
        }
        let kind = Kind::from_u8(order.kind)
            .filter(|kind| kind.is_storage())
            .ok_or(INVALID)?;
        let Some(level) = into.kind.get().table_level() else {
            let table: &CapTable = self.view(into.frame.get());
            let slot = table.0.get(index).ok_or(INVALID)?;
            if self.is_alive(&slot.get()) {
                return Err(EXISTS);
            }
            self.make(order.oid, row, kind);
            slot.set(Capability::new(
                kind,
                Rights::FULL,
                order.oid,
                row.version.get(),
            ));
            return Ok(());
        };
        let limit = if level == 4 {
            USER_SPACES
        } else {
            TABLE_ENTRIES
        };
        if index >= limit {
            return Err(INVALID);
        }
        let fits = match kind {
            Kind::Page => level == 1,
            kind => kind.table_level().is_some_and(|below| below + 1 == level),
        };
        if !fits {
            return Err(KIND);
        }
        let rights = mapping_rights(u64::from(order.rights))?;
        if level == 1 && writes_and_executes(rights) {
            return Err(INVALID);
        }
        let entries: &Words = self.view(into.frame.get());
        if Entry(entries.get(index)).is_present() {
            return Err(EXISTS);
        }
        self.make(order.oid, row, kind);
        row.parents[0].set(Parent {
            holder: destination,
            index: order.index.into(),
        });
        self.write_entry(entries, index, Entry::new(row.frame.get(), rights));
        if level > 1 {
            self.views.forget();
        }
        Ok(())
    }

    /// Takes back what `fill_order` did.
    fn undo_order(&self, order: &Order, into: &ObjectRow) {
        let Some(row) = self.row(order.oid) else {
            return;
        };
        if into.kind.get() == Kind::CapTable {
            let table: &CapTable = self.view(into.frame.get());
            table.0[usize::from(order.index) % CAP_TABLE_SLOTS].set(Capability::VOID);
        } else {
            let entries = self.view(into.frame.get());
            self.write_entry(entries, order.index.into(), Entry::EMPTY);
        }
        if matches!(row.kind.get(), Kind::Process | Kind::Table4) {
            self.zero(row.frame.get());
        }
        row.clear();
        row.kind.set(Kind::Void);
        row.state.set(State::Free);
        self.census.freed.add();
    }

    /// Rescinds a batch, or a bounded piece of it. Pages that follow each other are first cut off,
    /// all of them, and freed when one flush has served them all.
    #[inline(never)]
    fn rescind_batch(&self, call: &Invocation, offset: u64, count: u64) -> Result<Answer> {
        let entries = self.batch::<1>(call, offset, count)?;
        let mut budget = BUDGET;
        let mut pages = Pages::new();
        let many = entries.len() > flush::SINGLE;
        for (n, [entry]) in entries.iter().enumerate() {
            let word = entry.get();
            let oid = Oid(word as u32);
            if budget == 0 {
                self.free_pages(&mut pages, &entries[..n]);
                return Ok(Answer::more(n as u64));
            }
            let row = self.row(oid);
            if let Some(row) = row
                && row.is_live(Kind::Page)
            {
                self.cut_off_page(row, many);
                pages.add(oid);
                budget = budget.saturating_sub(EACH + ZEROING);
                continue;
            }
            self.free_pages(&mut pages, &entries[..n]);
            let result = match row.map(|row| self.rescind(oid, row, &mut budget)) {
                None => INVALID,
                Some(Rescinded::More) => return Ok(Answer::more(n as u64)),
                Some(done) => done.status(),
            };
            set_result(entry, oid, result);
        }
        self.free_pages(&mut pages, entries);
        Ok(Answer::word(entries.len() as u64))
    }

    /// Frees the pages of the last entries, which are cut off.
    #[inline(always)]
    fn free_pages(&self, pages: &mut Pages, entries: Batch<1>) {
        self.flush_pending();
        let entries = &entries[entries.len().saturating_sub(pages.count)..];
        for (oid, [entry]) in pages.take().iter().zip(entries) {
            if let Some(row) = self.row(*oid) {
                set_result(entry, *oid, self.release(*oid, row).status());
            }
        }
    }

    /// Objects whose limbo ended since they were last asked for, up to ten.
    fn reap(&self) -> [u64; 6] {
        let mut words = [0; 6];
        for n in 0..REAPED {
            let oid = self.reapable.get();
            let Some(row) = self.row(oid) else { break };
            self.reapable.set(row.next.replace(Oid::NONE));
            if row.kind.get() == Kind::Page && !self.has(Fault::KeepContents) {
                self.zero(row.frame.get());
            }
            // Only now may it be sold again: spacebank knows.
            row.state.set(State::Free);
            row.kind.set(Kind::Void);
            self.census.reaped.add();
            words[0] += 1;
            words[1 + n / 2] |= u64::from(oid.0) << (32 * (n % 2));
        }
        words
    }
}
