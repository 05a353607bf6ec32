//! What the pinner exchanges: pages of its clients and of its own, pinned by it or not, whoever may
//! take them back at that instant.

use abi::cap::{CapAddr, Kind, Rights};
use abi::error::{EACCES, EBADF, EBUSY, EINVAL, ENOENT, EPERM, OK};
use dev::Program as _;
use dev::program::BATCH_PAGE;
use sys::object::Table;
use sys::{Cap, Error, Mem};

use super::Pinner;
use super::scribbler::Home;
use crate::lookup;

/// Clients' segments that it keeps, in slots that follow each other.
pub(super) const KEPT: u16 = 6;
/// Pages of its own, in the first places of a segment that it keeps besides.
pub(super) const POOL: u64 = 6;
/// Places in which there may be something.
const PLACES: u64 = 6;
/// Most entries of a batch.
const BATCH: u64 = 12;

/// What may become of an exchange.
const REFUSALS: [i32; 6] = [ENOENT, EBUSY, EACCES, EBADF, EINVAL, EPERM];

/// A place, by the slot of its segment.
type Side = (CapAddr, u64);

impl Pinner {
    /// Keeps what was offered, in place of something older.
    pub(super) fn keep_offer(&mut self) {
        let dice = &self.context.world().dice;
        let slot = self.kept + dice.below(KEPT.into()) as CapAddr;
        let rights = match dice.below(6) {
            0 => Rights::READ | Rights::MANAGE | Rights::PIN,
            1 => Rights::READ | Rights::WRITE | Rights::PIN,
            _ => Rights::FULL,
        };
        let (table, index) = self.program.table_of(slot);
        let _ = table.clear(&self.context, index, 1);
        // Whoever offers may offer what can't be copied.
        let _ = table.put(&self.context, index, self.offered, rights);
    }

    /// A place of a segment that it keeps, mostly of one that is still there.
    fn side(&self) -> Side {
        let dice = &self.context.world().dice;
        let any = || {
            // The last one is its own.
            let segment = self.kept + dice.below(u64::from(KEPT) + 1) as CapAddr;
            let place = match dice.below(60) {
                0 => *dice.pick(&[511, 512, 65_535]),
                _ => dice.below(PLACES),
            };
            (segment, place)
        };
        let known = (0..4)
            .map(|_| any())
            .find(|side| self.home(*side).is_some());
        known.unwrap_or_else(any)
    }

    /// Reads or writes a page of its own: so the CPU remembers where it was.
    pub(super) fn look_at_own(&self) {
        let dice = &self.context.world().dice;
        let offset = 4096 * dice.below(POOL) + 8 * dice.below(512);
        let view = dice.pick(&self.views);
        if dice.one_in(2) {
            let _ = view.load_u64(offset as usize);
        } else {
            let _ = view.store_u64(offset as usize, dice.word());
        }
    }

    pub(super) fn exchange_something(&self) {
        let dice = &self.context.world().dice;
        if dice.one_in(3) {
            return self.exchange_batch();
        }
        let aperture = dice.pick(&self.bound).window.aperture();
        let (one, other) = (self.side(), self.side());
        let homes = [self.home(one), self.home(other)];
        let at = |(segment, place): Side| -> (Cap<Table>, u64) { (Cap::at(segment), place) };
        match aperture.exchange(&self.context, at(one), at(other)) {
            Ok(()) => self.exchanged(homes),
            Err(error) => self.refused(error),
        }
    }

    fn exchange_batch(&self) {
        let dice = &self.context.world().dice;
        let count = 1 + dice.below(BATCH);
        let (table, first) = self.program.table_of(self.kept);
        let batch = self.program.batch();
        let mut sides = Vec::new();
        for n in 0..count {
            let (one, other) = (self.side(), self.side());
            let index = |side: Side| u64::from(first + (side.0 - self.kept));
            let order = index(one) | index(other) << 16 | one.1 << 32 | other.1 << 48;
            let at = 16 * n as usize;
            let wrote = batch.store_u64(at, order).and(batch.store_u64(at + 8, !0));
            self.context
                .claim(wrote.is_ok(), || format!("its own page: {wrote:?}"));
            sides.push((one, other));
        }
        let aperture = dice.pick(&self.bound).window.aperture();
        // As they are when the kernel begins: from here on nobody runs until it has ended.
        let asked = aperture.exchange_batch(&self.context, BATCH_PAGE, &[table], 0, count);
        let Ok(done) = asked else {
            return self
                .context
                .claim(false, || format!("exchanging a batch: {asked:?}"));
        };
        let memory = self.context.world().processor.memory();
        let page = self.context.process().map(|process| {
            let page = lookup::held(memory, process, BATCH_PAGE.address());
            memory.objects[page.oid().0 as usize].frame.get()
        });
        let Some(page) = page else { return };
        let mut told = 0;
        for (n, (one, other)) in sides.into_iter().enumerate() {
            let mut bytes = [0; 4];
            memory.read(page, 16 * n + 8, &mut bytes);
            match u32::from_le_bytes(bytes) {
                OK => {
                    told += 1;
                    self.exchanged([self.home(one), self.home(other)]);
                }
                status => self.refused(Error(status)),
            }
        }
        self.context.claim(told == done, || {
            format!("{done} exchanges, of which it tells {told}")
        });
    }

    /// The place that a side names, if its segment is there.
    fn home(&self, (segment, place): Side) -> Option<Home> {
        let memory = self.context.world().processor.memory();
        let held = lookup::held(memory, self.context.process()?, segment);
        lookup::named(memory, &held, Kind::Table1)?;
        Some(Home {
            segment: (held.oid(), held.version),
            place: place as u32,
        })
    }

    fn exchanged(&self, homes: [Option<Home>; 2]) {
        if let [Some(one), Some(other)] = homes {
            self.device.exchanged(one, other);
        }
    }

    /// A client may take its segment back at any instant; but there is nothing else to go wrong.
    fn refused(&self, error: Error) {
        self.context.world().count("exchanges refused");
        let expected = error == Error::VOID || REFUSALS.iter().any(|e| error.is(*e));
        self.context
            .claim(expected, || format!("exchanging: {error}"));
        if error.is(EBUSY) {
            self.context
                .world()
                .count("exchanges refused because another function pins a frame");
        }
    }
}
