//! What init and spacebank hold when they start.

use abi::boot::{self, badge, layout, slot};
use abi::cap::{Kind, Rights};
use abi::{CAP_TABLE_SLOTS, PAGE_SIZE, SEGMENT_SIZE, TABLE_ENTRIES};

use super::{ARCHIVE_PAGES, Boot, Genesis, GenesisError, Program, Result};
use crate::cap::Capability;
use crate::device::{ALL_FUNCTIONS, ALL_IRQS};
use crate::frame::Frame;
use crate::machine::Machine;
use crate::object::Oid;

impl<M: Machine> Genesis<'_, '_, M> {
    pub(super) fn equip_init(&mut self, init: &Program, bank: &Program, boot: &Boot) -> Result<()> {
        if boot.archive_pages > ARCHIVE_PAGES {
            return Err(GenesisError::Archive);
        }
        for n in 0..boot.archive_pages {
            let oid = Oid(n as u32);
            let frame = self
                .kernel
                .row(oid)
                .ok_or(GenesisError::Memory)?
                .frame
                .get();
            self.map(
                init.space,
                layout::BULK + (n * PAGE_SIZE) as u64,
                (oid, frame),
                Rights::READ,
            )?;
        }
        let start = self.capability(Kind::Start, Rights::FULL, bank.oid);
        self.put(init.root, slot::BANK, start.badged(badge::PRIME));
        self.put(
            init.root,
            slot::INIT_VERIFIER,
            start.badged(badge::VERIFIER),
        );
        self.put(
            init.root,
            slot::INIT_IRQ,
            Capability::service(Kind::Irq, ALL_IRQS, 0),
        );
        self.put(
            init.root,
            slot::INIT_IO_PORT,
            Capability::service(Kind::IoPort, 0, 1 << 16),
        );
        let memory = Capability::service(Kind::DeviceMemory, 0, 1 << 40);
        self.put(init.root, slot::INIT_DEVICE_MEMORY, memory);
        let dma = Capability::service(Kind::DeviceDma, ALL_FUNCTIONS, 0);
        self.put(init.root, slot::INIT_DEVICE_DMA, dma);
        self.put(
            init.root,
            slot::INIT_RESET,
            Capability::service(Kind::Reset, 0, 0),
        );
        self.put(
            init.root,
            slot::INIT_SPACEBANK,
            self.capability(Kind::Process, Rights::INSPECT, bank.oid),
        );
        self.put(
            init.root,
            slot::INIT_PROBE,
            Capability::service(Kind::Probe, 0, 0),
        );
        let frames = self.kernel.objects.len() as u64;
        let command_line = &boot.command_line[..boot.command_line.len().min(2048)];
        let words = [
            boot::INIT_MAGIC,
            layout::BULK,
            boot.archive_bytes as u64,
            frames | u64::from(boot.cpus) << 32,
            command_line.len() as u64,
        ];
        self.arguments(init, &words, command_line)
    }

    /// spacebank's array and record segments. Last, because its arguments tell what is sold.
    pub(super) fn equip_bank(&mut self, bank: &Program) -> Result<()> {
        let objects = self.kernel.objects.len();
        let bytes = (objects * boot::BANK_ARRAY_ENTRY).next_multiple_of(PAGE_SIZE);
        let write = Rights::READ | Rights::WRITE;
        for n in 0..bytes / PAGE_SIZE {
            self.page(bank.space, layout::BULK + (n * PAGE_SIZE) as u64, write)?;
        }
        let segments = objects.div_ceil(TABLE_ENTRIES);
        let mut table = Frame::NONE;
        for n in 0..segments {
            let index = n % CAP_TABLE_SLOTS;
            if index == 0 {
                let root_slot = slot::BANK_RECORD_TABLES as usize + n / CAP_TABLE_SLOTS;
                if root_slot >= CAP_TABLE_SLOTS {
                    return Err(GenesisError::Memory);
                }
                let (oid, frame) = self.sell(Kind::CapTable)?;
                self.put(
                    bank.root,
                    root_slot as u16,
                    self.capability(Kind::CapTable, Rights::FULL, oid),
                );
                table = frame;
            }
            let frame = self.segment(bank.space, layout::RECORDS + (n * SEGMENT_SIZE) as u64)?;
            let oid = self.kernel.frame_row(frame).owner.get();
            self.put(
                table,
                index as u16,
                self.capability(Kind::Table1, Rights::FULL, oid),
            );
        }
        self.put(
            bank.root,
            slot::BANK_RANGE,
            Capability::service(Kind::Range, 0, 0),
        );
        // The arguments need a page, and no table: the first program mapped its message page there.
        let sold = self.next + 1;
        let words = [
            boot::BANK_MAGIC,
            objects as u64 | u64::from(sold) << 32,
            layout::BULK,
            bytes as u64,
        ];
        self.arguments(bank, &words, &[])
    }
}
