//! The first two programs: spacebank and init.
//!
//! Their objects are taken from the lowest numbers and stay sold; spacebank finds how many there are
//! in its boot page. init gets the prime bank, the verifier, the archive and every device authority;
//! everybody else gets what init gives.

use abi::boot::{self, badge, layout, slot};
use abi::cap::{Kind, Rights};
use abi::{CAP_TABLE_SLOTS, PAGE_SIZE, PRIORITIES, SEGMENT_SIZE, TABLE_ENTRIES};
use elf::ElfBytes;
use elf::abi::{PF_W, PF_X, PT_LOAD};
use elf::endian::LittleEndian;

use crate::Kernel;
use crate::cap::{CapTable, Capability};
use crate::device::{ALL_FUNCTIONS, ALL_IRQS};
use crate::frame::{Frame, Words};
use crate::machine::Machine;
use crate::object::{Oid, Parent};
use crate::process::{Preserved, Process, Registers, USER_FLAGS};
use crate::table::Entry;

/// Priorities of the first programs.
pub mod priority {
    /// Nothing may delay storage.
    pub const SPACEBANK: u8 = 60;
    /// Below drivers, above stacks.
    pub const INIT: u8 = 40;
}

/// Pages of the first programs' stacks.
const STACK_PAGES: u64 = 32;
/// Most objects: what the tables that spacebank has slots for hold a record of.
pub const MOST_OBJECTS: usize =
    (CAP_TABLE_SLOTS - slot::BANK_RECORD_TABLES as usize) * CAP_TABLE_SLOTS * TABLE_ENTRIES;
const _: () = assert!(
    layout::BULK as usize + MOST_OBJECTS * boot::BANK_ARRAY_ENTRY <= layout::RECORDS as usize
);
/// Most pages of an archive: half a GiB, which is what fits below spacebank's like array.
const ARCHIVE_PAGES: usize = 1 << 17;

/// What the boot loader handed over.
#[derive(Clone, Copy)]
pub struct Boot<'b> {
    /// spacebank's image.
    pub spacebank: &'b [u8],
    /// init's image.
    pub init: &'b [u8],
    /// The first so many objects own, in order, the frames in which the archive lies.
    pub archive_pages: usize,
    /// Its length in bytes.
    pub archive_bytes: usize,
    /// The kernel's command line.
    pub command_line: &'b [u8],
    /// CPUs that run.
    pub cpus: u32,
}

/// Why there are no first programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenesisError {
    /// Not an ELF64 program that can be loaded at its addresses; which, and why.
    Image(&'static str, &'static str),
    /// Too little memory.
    Memory,
    /// The archive is too large.
    Archive,
}

impl core::fmt::Display for GenesisError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            GenesisError::Image(program, why) => write!(f, "{program} can't be loaded: {why}"),
            GenesisError::Memory => f.write_str("too little memory for the first programs"),
            GenesisError::Archive => f.write_str("the archive is too large"),
        }
    }
}

type Result<T> = core::result::Result<T, GenesisError>;

/// Sells the lowest objects, one after the other.
struct Genesis<'k, 'a, M> {
    kernel: &'k Kernel<'a, M>,
    next: u32,
}

/// A program in the making.
struct Program<'k> {
    process: &'k Process,
    oid: Oid,
    root: Frame,
    space: Frame,
}

impl<M: Machine> Kernel<'_, M> {
    /// Makes spacebank and init, ready to run. Answers how many objects are sold.
    pub fn genesis(&self, boot: &Boot) -> Result<u32> {
        let mut genesis = Genesis {
            kernel: self,
            next: 0,
        };
        for _ in 0..boot.archive_pages {
            genesis.sell(Kind::Page)?;
        }
        let bank = genesis.program("spacebank", boot.spacebank, priority::SPACEBANK)?;
        let init = genesis.program("init", boot.init, priority::INIT)?;
        genesis.equip_init(&init, &bank, boot)?;
        genesis.equip_bank(&bank)?;
        self.vital.set([bank.oid, init.oid]);
        for program in [bank, init] {
            program
                .process
                .state
                .set(abi::method::process::state::READY);
            self.enqueue(program.process);
        }
        Ok(genesis.next)
    }
}

impl<'k, M: Machine> Genesis<'k, '_, M> {
    fn sell(&mut self, kind: Kind) -> Result<(Oid, Frame)> {
        let oid = Oid(self.next);
        let row = self.kernel.row(oid).ok_or(GenesisError::Memory)?;
        self.next += 1;
        self.kernel.make(oid, row, kind);
        Ok((oid, row.frame.get()))
    }

    fn capability(&self, kind: Kind, rights: Rights, oid: Oid) -> Capability {
        let version = self.kernel.row(oid).map_or(0, |row| row.version.get());
        Capability::new(kind, rights, oid, version)
    }

    fn put(&self, root: Frame, slot: u16, capability: Capability) {
        self.kernel.view::<CapTable>(root).0[usize::from(slot) % CAP_TABLE_SLOTS].set(capability);
    }

    /// The table of the level below that covers an address, made if need be.
    fn table(&mut self, above: Frame, level: u8, address: u64) -> Result<Frame> {
        let index = (address >> (3 + 9 * u64::from(level))) as usize & (TABLE_ENTRIES - 1);
        if let Some(frame) = Entry(self.kernel.view::<Words>(above).get(index)).frame() {
            return Ok(frame);
        }
        let kind = [Kind::Table1, Kind::Table2, Kind::Table3][usize::from(level) - 2];
        let (oid, frame) = self.sell(kind)?;
        self.link(
            above,
            index,
            oid,
            frame,
            Rights::READ | Rights::WRITE | Rights::EXEC,
        );
        Ok(frame)
    }

    fn link(&self, above: Frame, index: usize, oid: Oid, frame: Frame, rights: Rights) {
        let holder = self.kernel.frame_row(above).owner.get();
        if let Some(row) = self.kernel.row(oid) {
            row.parents[0].set(Parent {
                holder,
                index: index as u32,
            });
        }
        self.kernel
            .view::<Words>(above)
            .set(index, Entry::new(frame, rights).0);
    }

    fn segment(&mut self, space: Frame, address: u64) -> Result<Frame> {
        let third = self.table(space, 4, address)?;
        let second = self.table(third, 3, address)?;
        self.table(second, 2, address)
    }

    fn map(
        &mut self,
        space: Frame,
        address: u64,
        page: (Oid, Frame),
        rights: Rights,
    ) -> Result<()> {
        let segment = self.segment(space, address)?;
        let index = (address as usize % SEGMENT_SIZE) / PAGE_SIZE;
        self.link(segment, index, page.0, page.1, rights);
        Ok(())
    }

    fn page(&mut self, space: Frame, address: u64, rights: Rights) -> Result<(Oid, Frame)> {
        let page = self.sell(Kind::Page)?;
        self.map(space, address, page, rights)?;
        Ok(page)
    }

    /// A process with image, stack, message page and the slots that every program has.
    fn program(&mut self, name: &'static str, image: &[u8], priority: u8) -> Result<Program<'k>> {
        let (oid, frame) = self.sell(Kind::Process)?;
        let (root_oid, root) = self.sell(Kind::CapTable)?;
        let (space_oid, space) = self.sell(Kind::Table4)?;
        let entry = self.load(name, image, space)?;
        let write = Rights::READ | Rights::WRITE;
        for n in 1..=STACK_PAGES {
            self.page(space, layout::STACK_TOP - n * PAGE_SIZE as u64, write)?;
        }
        self.page(space, layout::FAULT_STACK_TOP - PAGE_SIZE as u64, write)?;
        let (message, _) = self.page(space, layout::MESSAGE, write)?;

        let process = self.kernel.process(frame);
        let mut text = [0; 16];
        text.iter_mut()
            .zip(name.bytes())
            .for_each(|(to, from)| *to = from);
        process.name.set(text);
        process.priority.set(priority);
        process.ceiling.set(PRIORITIES as u64 - 1);
        process.root.set(root);
        process.root_oid.set(root_oid);
        process.space.set(space);
        process.space_oid.set(space_oid);
        let parent = Parent {
            holder: oid,
            index: Parent::PROCESS,
        };
        for owner in [root_oid, space_oid] {
            if let Some(row) = self.kernel.row(owner) {
                row.parents[0].set(parent);
            }
        }
        let start = Preserved {
            rip: entry,
            rsp: layout::STACK_TOP,
            rflags: USER_FLAGS,
            ..Preserved::default()
        };
        process.preserved.set(start);
        process.message.set(Registers::default());
        process.full.set(1);
        process.configured.set(1);

        let second = {
            let third = self.table(space, 4, layout::IMAGE)?;
            self.table(third, 3, layout::IMAGE)?
        };
        let second = self.kernel.frame_row(second).owner.get();
        let own = Rights::MANAGE | Rights::INSPECT;
        let full = Rights::FULL;
        self.put(
            root,
            slot::ROOT,
            self.capability(Kind::CapTable, full, root_oid),
        );
        self.put(
            root,
            slot::PROCESS,
            self.capability(Kind::Process, own, oid),
        );
        self.put(
            root,
            slot::SPACE,
            self.capability(Kind::Table2, full, second),
        );
        self.put(root, slot::LOG, Capability::service(Kind::Log, 0, 0));
        self.put(root, slot::CLOCK, Capability::service(Kind::Clock, 0, 0));
        self.put(root, slot::RANDOM, Capability::service(Kind::Random, 0, 0));
        self.put(
            root,
            slot::MESSAGE,
            self.capability(Kind::Page, full, message),
        );
        Ok(Program {
            process,
            oid,
            root,
            space,
        })
    }

    /// Maps an image's segments and answers its entry.
    fn load(&mut self, name: &'static str, image: &[u8], space: Frame) -> Result<u64> {
        let bad = |why| GenesisError::Image(name, why);
        let elf =
            ElfBytes::<LittleEndian>::minimal_parse(image).map_err(|_| bad("no ELF image"))?;
        let segments = elf.segments().ok_or(bad("no segments"))?;
        for segment in segments.iter().filter(|segment| segment.p_type == PT_LOAD) {
            let data = elf
                .segment_data(&segment)
                .map_err(|_| bad("a segment is cut off"))?;
            let end = segment.p_vaddr.checked_add(segment.p_memsz);
            let inside = segment.p_vaddr >= layout::IMAGE
                && end.is_some_and(|end| end <= layout::START)
                && segment.p_memsz >= data.len() as u64;
            if !inside || !segment.p_vaddr.is_multiple_of(PAGE_SIZE as u64) {
                return Err(bad("a segment lies outside, or isn't aligned to pages"));
            }
            let mut rights = Rights::READ;
            rights.set(Rights::WRITE, segment.p_flags & PF_W != 0);
            rights.set(Rights::EXEC, segment.p_flags & PF_X != 0);
            if rights.contains(Rights::WRITE | Rights::EXEC) {
                return Err(bad("a segment is writable and executable"));
            }
            for n in 0..(segment.p_memsz as usize).div_ceil(PAGE_SIZE) {
                let address = segment.p_vaddr + (n * PAGE_SIZE) as u64;
                let (_, frame) = self.page(space, address, rights)?;
                let from = (n * PAGE_SIZE).min(data.len());
                let to = ((n + 1) * PAGE_SIZE).min(data.len());
                self.fill(frame, 0, &data[from..to]);
            }
        }
        Ok(elf.ehdr.e_entry)
    }

    /// Copies bytes into a frame, from a byte offset on.
    fn fill(&self, frame: Frame, offset: usize, bytes: &[u8]) {
        let words: &Words = self.kernel.view(frame);
        for (n, byte) in bytes.iter().enumerate() {
            let at = offset + n;
            let shift = 8 * (at % 8);
            let word = words.get(at / 8) & !(0xff << shift) | u64::from(*byte) << shift;
            words.set(at / 8, word);
        }
    }

    /// Writes a program's arguments: length, words, bytes.
    fn arguments(&mut self, program: &Program, words: &[u64], bytes: &[u8]) -> Result<()> {
        let (_, frame) = self.page(program.space, layout::ARGUMENTS, Rights::READ)?;
        let bytes = &bytes[..bytes.len().min(PAGE_SIZE - 4 - words.len() * 8)];
        self.fill(
            frame,
            0,
            &((words.len() * 8 + bytes.len()) as u32).to_le_bytes(),
        );
        for (n, word) in words.iter().enumerate() {
            self.fill(frame, 4 + n * 8, &word.to_le_bytes());
        }
        self.fill(frame, 4 + words.len() * 8, bytes);
        Ok(())
    }

    fn equip_init(&mut self, init: &Program, bank: &Program, boot: &Boot) -> Result<()> {
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
    fn equip_bank(&mut self, bank: &Program) -> Result<()> {
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
