//! In which of a driver's states revocations came, and upon which operation of the kernel.
//!
//! A revocation is a `Range.rescind`, whoever destroyed or sold. It is counted twice, each time with
//! what the driver was doing at that instant: by what was rescinded, for each object; and by the
//! driver's next system call, the first that could find what it names gone. Nothing here decides
//! anything: a run is the same with and without it.

use std::cell::Cell;

use abi::batch;
use abi::cap::Kind;
use abi::error::MORE;
use abi::invoke::{Op, unpack};
use abi::method;
use dev::Activity;
use kernel::frame::Frame;
use kernel::object::Oid;
use kernel::process::Registers;

use crate::lookup::{held, named};
use crate::registers::reply;
use crate::world::World;

/// An operation of the kernel's that a revocation was, or came upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Operation {
    /// A page that nobody pinned was rescinded.
    Page,
    /// A pinned page, which the device held no buffer or frame in.
    Pinned,
    /// A page that was posted: the device might write into it at that instant.
    Posted,
    /// A page with a frame that the device was sending.
    InFlight,
    /// A page table.
    Table,
    /// A `CapTable`.
    CapTable,
    /// A process.
    Process,
    /// An aperture.
    Aperture,
    /// A rescind answered that there is more to do.
    More,
    /// The driver pins.
    Pin,
    /// It unpins.
    Unpin,
    /// It exchanges.
    Exchange,
    /// It asks which slots are in limbo.
    Limbo,
    /// It maps.
    Map,
    /// It unmaps.
    Unmap,
    /// It works on its capability slots.
    Slots,
    /// It calls another process: spacebank.
    Call,
    /// It answers a call.
    Reply,
    /// It notifies.
    Notify,
    /// It asks whether there is something for it.
    Poll,
    /// It waits.
    Wait,
    /// An access of its own is refused, because the memory is gone.
    Fault,
    /// Anything else.
    Other,
}

impl Operation {
    /// All of them, in order.
    pub const ALL: [Operation; 23] = [
        Operation::Page,
        Operation::Pinned,
        Operation::Posted,
        Operation::InFlight,
        Operation::Table,
        Operation::CapTable,
        Operation::Process,
        Operation::Aperture,
        Operation::More,
        Operation::Pin,
        Operation::Unpin,
        Operation::Exchange,
        Operation::Limbo,
        Operation::Map,
        Operation::Unmap,
        Operation::Slots,
        Operation::Call,
        Operation::Reply,
        Operation::Notify,
        Operation::Poll,
        Operation::Wait,
        Operation::Fault,
        Operation::Other,
    ];
    /// How many of them are revocations; the others are what revocations came upon.
    pub const REVOCATIONS: usize = 9;

    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Operation::Page => "page",
            Operation::Pinned => "page, pinned",
            Operation::Posted => "page, posted",
            Operation::InFlight => "page, in flight",
            Operation::Table => "table",
            Operation::CapTable => "cap table",
            Operation::Process => "process",
            Operation::Aperture => "aperture",
            Operation::More => "more to do",
            Operation::Pin => "pin",
            Operation::Unpin => "unpin",
            Operation::Exchange => "exchange",
            Operation::Limbo => "ask for limbo",
            Operation::Map => "map",
            Operation::Unmap => "unmap",
            Operation::Slots => "cap slots",
            Operation::Call => "call a bank",
            Operation::Reply => "reply",
            Operation::Notify => "notify",
            Operation::Poll => "poll",
            Operation::Wait => "wait",
            Operation::Fault => "access refused",
            Operation::Other => "other",
        }
    }
}

/// What a device does with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// It may write into it.
    Posted,
    /// It reads it, to send it.
    Sending,
}

const COUNTS: usize = Activity::ALL.len() * Operation::ALL.len();

/// How often each pair was.
pub struct Coverage {
    bank: Cell<Oid>,
    driver: Cell<Oid>,
    activity: Cell<Activity>,
    /// Something was rescinded since the driver's last system call.
    hit: Cell<bool>,
    counts: [Cell<u64>; COUNTS],
}

impl Default for Coverage {
    fn default() -> Coverage {
        Coverage {
            bank: Cell::new(Oid::NONE),
            driver: Cell::new(Oid::NONE),
            activity: Cell::new(Activity::Absent),
            hit: Cell::new(false),
            counts: [const { Cell::new(0) }; COUNTS],
        }
    }
}

/// What a rescind was asked for, one object after the other.
pub struct Revocation(Vec<Operation>);

impl Coverage {
    /// spacebank's process, once it runs.
    pub fn bank(&self) -> Option<Oid> {
        Some(self.bank.get()).filter(|bank| *bank != Oid::NONE)
    }

    /// Which process is spacebank.
    pub fn set_bank(&self, bank: Oid) {
        // spacebank runs first. A hostile process may begin at its program later: that makes it no bank.
        if self.bank.get() == Oid::NONE {
            self.bank.set(bank);
        }
    }

    /// Which process is the driver, from now on.
    pub fn set_driver(&self, driver: Oid) {
        self.driver.set(driver);
    }

    /// A process says what it is doing. Others than the driver say so too: what they share with it does.
    pub fn doing(&self, who: Oid, activity: Activity) {
        if who == self.driver.get() {
            self.activity.set(activity);
        }
    }

    /// There is no driver any more.
    pub fn absent(&self) {
        self.driver.set(Oid::NONE);
        self.activity.set(Activity::Absent);
        self.hit.set(false);
    }

    /// How often each pair was: activity, operation, count; pairs that never were are left out.
    pub fn pairs(&self) -> Vec<(Activity, Operation, u64)> {
        let pairs = Activity::ALL
            .into_iter()
            .flat_map(|activity| Operation::ALL.map(|operation| (activity, operation)));
        let counted = pairs.zip(&self.counts);
        let counted =
            counted.map(|((activity, operation), count)| (activity, operation, count.get()));
        counted.filter(|pair| pair.2 != 0).collect()
    }

    fn count(&self, operation: Operation) {
        let place = self.activity.get() as usize * Operation::ALL.len() + operation as usize;
        let count = &self.counts[place];
        count.set(count.get() + 1);
    }

    /// A process makes a system call. Answers what it asks to be rescinded, if it does.
    #[inline]
    pub(crate) fn before(&self, world: &World, who: Oid, with: &Registers) -> Option<Revocation> {
        if who == self.driver.get() && self.hit.get() {
            self.came_upon(world, who, with);
        }
        let rescinds = who == self.bank.get()
            && with.rax as u8 == Op::Call as u8
            && with.rsi == method::range::RESCIND;
        if rescinds {
            revocation(world, who, with)
        } else {
            None
        }
    }

    /// The call that rescinds came back with these registers.
    pub(crate) fn after(&self, asked: &Revocation, answer: &Registers) {
        let reply = reply(answer);
        let done = reply.words[0] as usize;
        for operation in asked.0.iter().take(done) {
            self.count(*operation);
        }
        if reply.status == MORE {
            self.count(Operation::More);
        }
        self.hit.set(true);
    }

    /// The driver faults because memory is gone.
    pub(crate) fn faulted(&self, who: Oid) {
        if who == self.driver.get() && self.hit.take() {
            self.count(Operation::Fault);
        }
    }

    #[cold]
    fn came_upon(&self, world: &World, who: Oid, with: &Registers) {
        let operation = match Op::from_u8(with.rax as u8) {
            Some(Op::Call | Op::Send) => invoked(world, who, with),
            Some(Op::ReplyWait) => Operation::Reply,
            Some(Op::Wait) => Operation::Wait,
            Some(Op::Poll) => Operation::Poll,
            Some(Op::SaveCaller) => Operation::Slots,
            // Losing its turn is not its own doing; what comes next is.
            Some(Op::Yield) => return,
            _ => Operation::Other,
        };
        self.hit.set(false);
        self.count(operation);
    }
}

/// What invoking a capability is.
fn invoked(world: &World, who: Oid, with: &Registers) -> Operation {
    let address = with.rdi as u16;
    let held = world
        .processor
        .process(who)
        .map(|process| held(world.processor.memory(), process, address));
    let Some(held) = held else {
        return Operation::Other;
    };
    use method::{aperture, table};
    if held.is(Kind::Aperture) {
        return match with.rsi {
            aperture::PIN | aperture::PIN_BATCH => Operation::Pin,
            aperture::UNPIN | aperture::UNPIN_BATCH => Operation::Unpin,
            aperture::EXCHANGE | aperture::EXCHANGE_BATCH => Operation::Exchange,
            aperture::LIMBO | aperture::INFO => Operation::Limbo,
            _ => Operation::Other,
        };
    }
    let tables = [Kind::Table1, Kind::Table2, Kind::Table3, Kind::Table4];
    if tables.into_iter().any(|kind| held.is(kind)) {
        return match with.rsi {
            table::MAP => Operation::Map,
            table::UNMAP => Operation::Unmap,
            _ => Operation::Other,
        };
    }
    let others = [
        (Kind::CapTable, Operation::Slots),
        (Kind::Start, Operation::Call),
        (Kind::Resume, Operation::Reply),
        (Kind::Notify, Operation::Notify),
    ];
    let known = others.into_iter().find(|(kind, _)| held.is(*kind));
    known.map_or(Operation::Other, |(_, operation)| operation)
}

/// What spacebank asks to be rescinded, read before it is.
fn revocation(world: &World, who: Oid, with: &Registers) -> Option<Revocation> {
    let memory = world.processor.memory();
    let process = world.processor.process(who)?;
    let range = held(memory, process, u16::try_from(with.rdi).ok()?);
    if !range.is(Kind::Range) {
        return None;
    }
    let page = held(memory, process, unpack(with.r13)[0]);
    let frame = named(memory, &page, Kind::Page)?.frame.get();
    let [_, offset, count, ..] = with.words();
    let count = usize::try_from(count).ok()?.min(batch::LIMIT);
    let mut bytes = [0; batch::LIMIT * size_of::<batch::Rescind>()];
    let wanted = count * size_of::<batch::Rescind>();
    let offset = usize::try_from(offset).ok()?;
    if offset.checked_add(wanted)? > abi::PAGE_SIZE {
        return None;
    }
    memory.read(frame, offset, &mut bytes[..wanted]);
    let orders = bytes[..wanted].chunks_exact(size_of::<batch::Rescind>());
    let oids = orders.map(|order| u32::from_le_bytes([order[0], order[1], order[2], order[3]]));
    Some(Revocation(oids.map(|oid| rescinded(world, oid)).collect()))
}

/// What rescinding an object is.
fn rescinded(world: &World, oid: u32) -> Operation {
    let memory = world.processor.memory();
    let Some(row) = memory.objects.get(oid as usize) else {
        return Operation::Other;
    };
    match row.kind.get() {
        Kind::Page => page(world, row.frame.get()),
        Kind::Table1 | Kind::Table2 | Kind::Table3 | Kind::Table4 => Operation::Table,
        Kind::CapTable => Operation::CapTable,
        Kind::Process => Operation::Process,
        Kind::Aperture => Operation::Aperture,
        _ => Operation::Other,
    }
}

fn page(world: &World, frame: Frame) -> Operation {
    let row = world.processor.memory().frames.get(frame.0 as usize);
    if row.is_none_or(|row| row.pinned() == 0) {
        return Operation::Page;
    }
    match world.held_by_device(frame) {
        Some(Held::Posted) => Operation::Posted,
        Some(Held::Sending) => Operation::InFlight,
        None => Operation::Pinned,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_begins_at_spacebanks_program_later_is_no_spacebank() {
        let coverage = Coverage::default();
        coverage.set_bank(Oid(0));
        coverage.set_bank(Oid(205));
        assert_eq!(coverage.bank(), Some(Oid(0)));
    }

    #[test]
    fn operations_are_numbered_in_order() {
        for (n, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, n);
        }
        assert_eq!(Operation::ALL[Operation::REVOCATIONS], Operation::Pin);
    }
}
