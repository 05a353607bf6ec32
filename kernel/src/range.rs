//! `Range`: the authority over all storage, which only spacebank holds.

use abi::CAP_TABLE_SLOTS;
use abi::TABLE_ENTRIES;
use abi::batch;
use abi::cap::{Kind, Rights};
use abi::method::range as method;

use crate::Kernel;
use crate::cap::{CapTable, Capability};
use crate::error::{BUSY, EXISTS, INVALID, KIND, METHOD, Result, Status};
use crate::frame::Words;
use crate::invoke::{Answer, Invocation};
use crate::machine::Machine;
use crate::object::{ObjectRow, Oid, Parent, State};
use crate::rescind::Rescinded;
use crate::table::{Entry, mapping_rights, writes_and_executes};

/// Objects told by one `REAP`.
const REAPED: usize = 10;

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

impl<M: Machine> Kernel<'_, M> {
    pub(crate) fn invoke_range(&self, call: &Invocation) -> Result<Answer> {
        let [method, w1, w2, ..] = call.words;
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

    /// Makes a free object live. Its frame is zeroed already.
    pub(crate) fn make(&self, oid: Oid, row: &ObjectRow, kind: Kind) {
        row.clear();
        row.kind.set(kind);
        row.state.set(State::Live);
        match kind {
            Kind::Process => self
                .process(row.frame.get())
                .initialise(oid, row.frame.get()),
            Kind::Table4 => {
                let entries: &Words = self.view(row.frame.get());
                for index in TABLE_ENTRIES / 2..TABLE_ENTRIES {
                    entries.set(index, self.machine.kernel_entry(index));
                }
            }
            _ => {}
        }
    }

    /// Sells a batch into a `CapTable` or a table: everything is checked before anything is done.
    fn mint_into(&self, call: &Invocation, offset: u64, count: u64) -> Result<Answer> {
        let (page, destination) = (call.argument(self, 0)?, call.argument(self, 1)?);
        let orders = self.batch(&page, offset, count, size_of::<batch::Mint>() / 8)?;
        let into = self.object(&destination)?;
        destination.needs(Rights::MANAGE)?;
        let below = match into.kind.get() {
            Kind::CapTable => None,
            kind => Some(kind.table_level().ok_or(KIND)? - 1),
        };
        if into.partner.get() != Oid::NONE {
            return Err(BUSY);
        }
        let mut copy = [Order::read(0); batch::LIMIT];
        for n in 0..orders.count {
            copy[n] = Order::read(orders.get(n, 0));
            if let Err(status) = self.check_order(&copy[..=n], into, below) {
                orders.set(n, 1, u64::from(status));
                return Err(status);
            }
        }
        for (n, order) in copy[..orders.count].iter().enumerate() {
            self.fill_order(order, &destination, into, below);
            orders.set(n, 1, 0);
        }
        Ok(Answer::word(orders.count as u64))
    }

    /// Whether the last of these orders can be filled, given that those before it will be.
    fn check_order(&self, orders: &[Order], into: &ObjectRow, below: Option<u8>) -> Result<()> {
        let Some((order, before)) = orders.split_last() else {
            return Ok(());
        };
        let index = usize::from(order.index);
        let row = self.row(order.oid).ok_or(INVALID)?;
        if row.state.get() != State::Free || before.iter().any(|other| other.oid == order.oid) {
            return Err(BUSY);
        }
        if before.iter().any(|other| other.index == order.index) {
            return Err(EXISTS);
        }
        let kind = Kind::from_u8(order.kind)
            .filter(|kind| kind.is_storage())
            .ok_or(INVALID)?;
        let Some(below) = below else {
            let table: &CapTable = self.view(into.frame.get());
            let slot = table.0.get(index).ok_or(INVALID)?;
            return if self.is_alive(&slot.get()) {
                Err(EXISTS)
            } else {
                Ok(())
            };
        };
        let limit = if below == 3 {
            TABLE_ENTRIES / 2 - 1
        } else {
            TABLE_ENTRIES
        };
        if index >= limit {
            return Err(INVALID);
        }
        if kind.table_level().unwrap_or(0) != below || (below == 0 && kind != Kind::Page) {
            return Err(KIND);
        }
        let rights = mapping_rights(u64::from(order.rights))?;
        if below == 0 && writes_and_executes(rights) {
            return Err(INVALID);
        }
        if Entry(self.view::<Words>(into.frame.get()).get(index)).is_present() {
            return Err(EXISTS);
        }
        Ok(())
    }

    fn fill_order(
        &self,
        order: &Order,
        destination: &Capability,
        into: &ObjectRow,
        below: Option<u8>,
    ) {
        let (Some(row), Some(kind)) = (self.row(order.oid), Kind::from_u8(order.kind)) else {
            return;
        };
        self.make(order.oid, row, kind);
        match below {
            None => {
                let table: &CapTable = self.view(into.frame.get());
                let capability = Capability::new(kind, Rights::FULL, order.oid, row.version.get());
                self.store(
                    &table.0[usize::from(order.index) % CAP_TABLE_SLOTS],
                    capability,
                );
            }
            Some(_) => {
                let place = Parent {
                    holder: destination.oid(),
                    index: order.index.into(),
                };
                row.parents[0].set(place);
                let rights = Rights::from_bits_truncate(order.rights);
                let entry = Entry::new(row.frame.get(), rights);
                self.view::<Words>(into.frame.get())
                    .set(order.index.into(), entry.0);
            }
        }
    }

    fn rescind_batch(&self, call: &Invocation, offset: u64, count: u64) -> Result<Answer> {
        let page = call.argument(self, 0)?;
        let entries = self.batch(&page, offset, count, size_of::<batch::Rescind>() / 8)?;
        let mut budget = crate::rescind::BUDGET;
        for n in 0..entries.count {
            if budget == 0 {
                return Ok(Answer::more(n as u64));
            }
            let word = entries.get(n, 0);
            let result: Status = match self.row(Oid(word as u32)) {
                None => INVALID,
                Some(row) => match self.rescind(Oid(word as u32), row, &mut budget) {
                    Rescinded::Freed => batch::RESCIND_FREED,
                    Rescinded::Limbo => batch::RESCIND_LIMBO,
                    Rescinded::More => return Ok(Answer::more(n as u64)),
                    Rescinded::NotSold => crate::error::EMPTY,
                },
            };
            entries.set(n, 0, word & 0xffff_ffff | u64::from(result) << 32);
        }
        Ok(Answer::word(entries.count as u64))
    }

    /// Objects whose limbo ended since they were last asked for, up to ten.
    fn reap(&self) -> [u64; 6] {
        let mut words = [0; 6];
        for n in 0..REAPED {
            let oid = self.reapable.get();
            let Some(row) = self.row(oid) else { break };
            self.reapable.set(row.next.replace(Oid::NONE));
            // Only now may it be sold again: spacebank knows.
            row.state.set(State::Free);
            row.kind.set(Kind::Void);
            words[0] += 1;
            words[1 + n / 2] |= u64::from(oid.0) << (32 * (n % 2));
        }
        words
    }
}
