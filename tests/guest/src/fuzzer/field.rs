//! What hostile processes are put into: a victim, what they are granted, and where they count.

use abi::boot::slot;
use abi::cap::{CapAddr, Kind, Rights};
use guest::children::{BANK, Nursery, SELF, SubBank};
use guest::code;
use init::archive::Archive;
use rt::child::{Child, Grant, Image, Program, Shared};
use rt::{Kernel, shared, slots};
use sys::bank::{Bank, BankRights};
use sys::object::{DeviceDma, Page};
use sys::{Cap, Mem, Message, Sys};

use crate::holdings::{Holdings, MARK};
use crate::hostile::{self, Order};
use crate::round::Found;

/// Objects that a hostile process may have.
const LIMIT: u64 = 400;
/// Objects of the victim's.
const VICTIMS: u64 = 60;
/// Priority of hostile processes: below the keeper's.
const HOSTILE: u8 = 8;
/// Of the victim.
const VICTIM: u8 = 12;
/// A PCI function that does no DMA: the host bridge.
const FUNCTION: u16 = 0;
/// The keeper's bit that a process which is done sets.
pub const DONE: u64 = 1;
/// Its bit that tells of one which has ended itself.
pub const ENDED: u64 = 2;
/// Its timer's.
pub const TIMER: u64 = 3;

/// The field.
pub struct Field {
    archive: Archive<'static>,
    nursery: Nursery,
    grants: [Grant; 8],
    device: Cap<DeviceDma>,
    counts: shared::Segment,
    /// Of which the victim and what is granted are.
    bank: SubBank,
    victim: CapAddr,
    page: Cap<Page>,
    keeper: CapAddr,
    /// What a process gets of its bank.
    lent: CapAddr,
    /// Looks at what processes hold.
    pub holdings: Holdings,
}

impl Field {
    /// Makes everything that stays.
    pub fn new(archive: Archive<'static>) -> Result<Field, Found> {
        let mut nursery = Nursery::new()?;
        let bank = SubBank::new(VICTIMS)?;
        let image = Image::from_code(code::echo()).map_err(|_| Found::new("no image"))?;
        let program = Program {
            priority: VICTIM,
            stack_pages: 1,
            ..Program::new("victim", &image, bank.bank)
        };
        let child = nursery.child(&program)?;
        child.start(&Kernel)?;
        let (victim, told, done, keeper) = (
            slots::take()?,
            slots::take()?,
            slots::take()?,
            slots::take()?,
        );
        child.process.make_start(&Kernel, 1, victim)?;
        child.process.make_notify(&Kernel, 1, told)?;
        SELF.make_notify(&Kernel, DONE, done)?;
        SELF.make_notify(&Kernel, ENDED, keeper)?;
        let (page, segment) = (buy(bank.bank, Kind::Page)?, buy(bank.bank, Kind::Table1)?);
        let write = Rights::READ | Rights::WRITE;
        bank.bank
            .buy_places(&Kernel, Kind::Page, 8, Cap::at(segment), 0, write)?;
        let page: Cap<Page> = Cap::at(page);
        page.write(&Kernel, 0, MARK)?;
        let device: Cap<DeviceDma> = Cap::at(slots::take()?);
        let all: Cap<DeviceDma> = Cap::at(slot::INIT_DEVICE_DMA);
        all.function(&Kernel, FUNCTION, device.address())?;
        let weak = |slot, from, rights| Grant::new(slot, from).with(rights);
        let grants = [
            Grant::new(hostile::START, victim),
            Grant::new(hostile::NOTIFY, told),
            weak(hostile::PAGE, page.address(), Rights::READ),
            weak(hostile::SEGMENT, segment, Rights::READ),
            weak(hostile::TABLE, child.root.address(), write),
            weak(hostile::PROCESS, child.process.address(), Rights::INSPECT),
            weak(hostile::DEVICE, device.address(), Rights::CONTROL),
            Grant::new(hostile::DONE, done),
        ];
        let counts = shared::buy(BANK, 1)?;
        let banks = [BANK.usage(&Kernel)?.id, bank.bank.usage(&Kernel)?.id];
        Ok(Field {
            archive,
            nursery,
            grants,
            device,
            counts,
            bank,
            victim,
            page,
            keeper,
            lent: slots::take()?,
            holdings: Holdings::new(banks)?,
        })
    }

    /// A hostile process out of a bank of its own. It runs.
    pub fn hostile(&mut self, order: Order) -> Result<(SubBank, Child), Found> {
        let bank = SubBank::new(LIMIT)?;
        let lent: Cap<Bank> = Cap::at(self.lent);
        let rights = BankRights::all() - BankRights::REMOVE - BankRights::LIMIT;
        bank.bank.restrict(&Kernel, rights, lent)?;
        let mut grants = [Grant::new(slot::BANK, self.lent); 12];
        grants[1..4].copy_from_slice(&Grant::SERVICES);
        grants[4..].copy_from_slice(&self.grants);
        let file = self.archive.file("bin/fuzzer");
        let file = file.map_err(|_| Found::new("bin/fuzzer is not in the archive"))?;
        let image = Image::from_elf(file).map_err(|_| Found::new("bin/fuzzer is no program"))?;
        let counts = Shared {
            address: hostile::COUNTS,
            segment: self.counts.table,
            rights: Rights::READ | Rights::WRITE,
        };
        let memory = self.counts.place.mapping();
        for word in 0..2 {
            memory
                .store_u64(8 * word, 0)
                .map_err(|_| Found::new("the counts are gone"))?;
        }
        let child = self.nursery.child(&Program {
            arguments: &order.bytes(),
            priority: HOSTILE,
            grants: &grants,
            segments: &[counts],
            keeper: self.keeper,
            ..Program::new("hostile", &image, bank.bank)
        })?;
        child.start(&Kernel)?;
        Ok((bank, child))
    }

    /// Frees what the keeper kept of a process that is no more, and the pins that it left.
    pub fn clean_up(&mut self, child: Child) -> Result<(), Found> {
        self.nursery.forget(child);
        self.device.set_master(&Kernel, false)?;
        while self.device.release(&Kernel)?.1 {}
        Ok(())
    }

    /// Invocations made, and those that succeeded.
    pub fn counted(&self) -> [u64; 2] {
        let memory = self.counts.place.mapping();
        [0, 8].map(|offset| memory.load_u64(offset).unwrap_or(0))
    }

    /// Whether the victim answers, and what may only be read is as it was.
    pub fn look_at_victim(&self) -> Result<(), Found> {
        let answer = Kernel
            .call(self.victim, &Message::new(&[MARK, 2, 3]))
            .ok()?;
        if answer[..3] != [MARK, 2, 3] {
            return Err(Found::new("the victim answers something else"));
        }
        let words = self.page.read(&Kernel, 0)?;
        if words != [MARK, 0, 0, 0, 0, 0] {
            return Err(Found::new("a page that may only be read was written"));
        }
        let usage = self.bank.bank.usage(&Kernel)?;
        match usage.limbo {
            0 => Ok(()),
            _ => Err(Found::new("something of the victim's was rescinded")),
        }
    }
}

fn buy(bank: Cap<Bank>, kind: Kind) -> Result<CapAddr, Found> {
    let address = slots::take()?;
    let (table, index) = slots::table_of(address);
    bank.buy_caps(&Kernel, kind, 1, table, index)?;
    Ok(address)
}
