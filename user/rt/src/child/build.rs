//! Building a process, step by step.

use core::fmt;

use abi::batch::LIMIT;
use abi::boot::{layout, slot};
use abi::cap::{CapAddr, Kind, Rights};
use abi::error::EMSGSIZE;
use abi::{PAGE_SIZE, SEGMENT_SIZE};
use sys::object::{CapTable, Process, Registers, Table};
use sys::{Cap, Error, Mem, Sys};

use super::{Child, Image, MOST_STACK_PAGES, Piece, Program, Window};
use crate::slots::table_of;

/// Slots that a builder needs for itself: pages, then tables.
pub const SCRATCH_SLOTS: u16 = LIMIT as u16 + 4;

const MEMORY: Rights = Rights::READ.union(Rights::WRITE).union(Rights::EXEC);
const DATA: Rights = Rights::READ.union(Rights::WRITE);
const PAGE: u64 = PAGE_SIZE as u64;
const SEGMENT: u64 = SEGMENT_SIZE as u64;

/// What was being done when building failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Buying objects of a kind.
    Buy(Kind),
    /// Filling the address space.
    Fill,
    /// Writing the arguments, which must fit one page.
    Arguments,
    /// Laying out the stack, of at most [`MOST_STACK_PAGES`].
    Stack,
    /// Granting a slot.
    Grant(u16),
    /// Mapping a segment at an address.
    Share(u64),
    /// Configuring the process.
    Configure,
}

/// Why a process could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildError {
    /// What was being done.
    pub step: Step,
    /// What went wrong.
    pub error: Error,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            Step::Buy(kind) => write!(f, "can't buy a {}", kind.name()),
            Step::Fill => f.write_str("can't fill the address space"),
            Step::Arguments => f.write_str("can't write the arguments"),
            Step::Stack => f.write_str("can't lay out the stack"),
            Step::Grant(slot) => write!(f, "can't grant slot {slot}"),
            Step::Share(address) => write!(f, "can't map a segment at {address:#x}"),
            Step::Configure => f.write_str("can't configure the process"),
        }?;
        write!(f, ": {}", self.error)
    }
}

impl core::error::Error for BuildError {}

/// Says in which step an error came.
trait In<T> {
    fn during(self, step: Step) -> Result<T, BuildError>;
}

impl<T> In<T> for Result<T, Error> {
    fn during(self, step: Step) -> Result<T, BuildError> {
        self.map_err(|error| BuildError { step, error })
    }
}

/// Makes processes.
#[derive(Debug)]
pub struct Builder<'s, S, W> {
    sys: &'s S,
    window: W,
    scratch: CapAddr,
}

impl<'s, S: Sys, W: Window> Builder<'s, S, W> {
    /// A builder that sees through `window` and uses [`SCRATCH_SLOTS`] slots of one table, from
    /// `scratch` on, for as long as it builds.
    pub fn new(sys: &'s S, window: W, scratch: CapAddr) -> Builder<'s, S, W> {
        Builder {
            sys,
            window,
            scratch,
        }
    }

    /// Makes a process, with all rights to it and its root table in these two (empty) slots.
    ///
    /// # Errors
    /// The bank refuses, or an argument is wrong. What was bought until then stays the bank's; the
    /// two slots hold what there is of it.
    pub fn build(
        &mut self,
        program: &Program<'_>,
        process: CapAddr,
        root: CapAddr,
    ) -> Result<Child, BuildError> {
        let child = Child {
            process: Cap::at(process),
            root: Cap::at(root),
        };
        let made = self.assemble(program, child);
        // Hiding and clearing what there is can't fail but when the bank was destroyed meanwhile;
        // then there is nothing to hide.
        let _ = self.window.hide();
        let _ = self.clear_scratch();
        made.map(|()| child)
    }

    fn assemble(&mut self, program: &Program<'_>, child: Child) -> Result<(), BuildError> {
        self.clear_scratch().during(Step::Fill)?;
        self.buy(program, Kind::Process, child.process.address())?;
        self.buy(program, Kind::CapTable, child.root.address())?;
        let space = self.space(program)?;
        let first_gib = self.table(2);
        self.load(program, first_gib)?;
        self.lay_out_start(program, first_gib, child.root)?;
        for shared in program.segments {
            let index = index_of(shared.address);
            first_gib
                .map(self.sys, index, shared.segment, shared.rights)
                .during(Step::Share(shared.address))?;
        }
        self.grant(program, child, first_gib)?;
        self.configure(program, child, space)
    }

    /// Buys the tables of levels 4 to 2; answers the first.
    fn space(&self, program: &Program<'_>) -> Result<Cap<Table>, BuildError> {
        let kinds = [(4, Kind::Table4), (3, Kind::Table3), (2, Kind::Table2)];
        for (level, kind) in kinds {
            self.buy(program, kind, self.table(level).address())?;
        }
        for level in [4, 3] {
            self.table(level)
                .map(self.sys, 0, self.table(level - 1), MEMORY)
                .during(Step::Fill)?;
        }
        Ok(self.table(4))
    }

    /// Loads the image, a segment at a time.
    fn load(&mut self, program: &Program<'_>, space: Cap<Table>) -> Result<(), BuildError> {
        let mut at = layout::IMAGE;
        while let Some(next) = next_segment(program.image, at) {
            let memory = self.open(program)?;
            for piece in program.image.pieces() {
                self.load_piece(program, &memory, piece, next)?;
            }
            self.close(space, next)?;
            at = next + SEGMENT;
        }
        Ok(())
    }

    /// Loads what of a piece lies in the segment at `base`.
    fn load_piece(
        &self,
        program: &Program<'_>,
        memory: &W::Memory,
        piece: &Piece<'_>,
        base: u64,
    ) -> Result<(), BuildError> {
        let piece_end = piece.address + piece.pages as u64 * PAGE;
        let mut from = piece.address.max(base);
        let end = piece_end.min(base + SEGMENT);
        while from < end {
            let count = ((end - from) / PAGE).min(LIMIT as u64);
            let offset = (from - piece.address) as usize;
            let bytes = piece.bytes.get(offset..).unwrap_or(&[]);
            let bytes = &bytes[..bytes.len().min(count as usize * PAGE_SIZE)];
            let first = (from - base) / PAGE;
            if piece.rights.contains(Rights::EXEC) {
                self.place_code(program, memory, first, count, bytes)?;
            } else {
                self.place_data(program, memory, first, count, bytes, piece.rights)?;
            }
            from += count * PAGE;
        }
        Ok(())
    }

    /// Pages that are executed are filled first and mapped as such afterwards: nothing is ever
    /// writable and executable, and no mapping gains rights.
    fn place_code(
        &self,
        program: &Program<'_>,
        memory: &W::Memory,
        first: u64,
        count: u64,
        bytes: &[u8],
    ) -> Result<(), BuildError> {
        let segment = self.table(1);
        let (table, index) = table_of(self.scratch);
        program
            .bank
            .buy_caps(self.sys, Kind::Page, count, table, index)
            .during(Step::Buy(Kind::Page))?;
        let map = |rights: Rights| {
            (0..count).try_for_each(|n| {
                let page: Cap<Table> = Cap::at(self.scratch + n as u16);
                segment.map(self.sys, first + n, page, rights)
            })
        };
        map(DATA).during(Step::Fill)?;
        write(memory, first * PAGE, bytes).during(Step::Fill)?;
        segment.unmap(self.sys, first, count).during(Step::Fill)?;
        map(Rights::READ | Rights::EXEC).during(Step::Fill)?;
        table
            .clear(self.sys, index, count as u16)
            .during(Step::Fill)
    }

    fn place_data(
        &self,
        program: &Program<'_>,
        memory: &W::Memory,
        first: u64,
        count: u64,
        bytes: &[u8],
        rights: Rights,
    ) -> Result<(), BuildError> {
        let segment = self.table(1);
        program
            .bank
            .buy_places(self.sys, Kind::Page, count, segment, first, DATA)
            .during(Step::Buy(Kind::Page))?;
        write(memory, first * PAGE, bytes).during(Step::Fill)?;
        if rights != DATA {
            let protect = |n| segment.protect(self.sys, first + n, rights);
            (0..count).try_for_each(protect).during(Step::Fill)?;
        }
        Ok(())
    }

    /// The segment with arguments, message page and stacks.
    fn lay_out_start(
        &mut self,
        program: &Program<'_>,
        space: Cap<Table>,
        root: Cap<CapTable>,
    ) -> Result<(), BuildError> {
        let memory = self.open(program)?;
        let segment = self.table(1);
        let page_of = |address: u64| (address - layout::START) / PAGE;

        let length = program.arguments.len();
        if length > PAGE_SIZE - size_of::<u32>() {
            return Err(Error::new(EMSGSIZE)).during(Step::Arguments);
        }
        let first = page_of(layout::ARGUMENTS);
        self.place_data(
            program,
            &memory,
            first,
            1,
            &(length as u32).to_le_bytes(),
            DATA,
        )?;
        write(&memory, first * PAGE + 4, program.arguments).during(Step::Arguments)?;
        segment
            .protect(self.sys, first, Rights::READ)
            .during(Step::Arguments)?;

        self.buy(program, Kind::Page, self.scratch)?;
        let message: Cap<Table> = Cap::at(self.scratch);
        segment
            .map(self.sys, page_of(layout::MESSAGE), message, DATA)
            .during(Step::Fill)?;
        root.put(self.sys, slot::MESSAGE, self.scratch, DATA)
            .during(Step::Grant(slot::MESSAGE))?;

        let fault_stack = page_of(layout::FAULT_STACK_TOP) - 1;
        self.place_data(program, &memory, fault_stack, 1, &[], DATA)?;
        if !(1..=MOST_STACK_PAGES).contains(&program.stack_pages) {
            return Err(Error::new(EMSGSIZE)).during(Step::Stack);
        }
        let mut top = page_of(layout::STACK_TOP);
        let mut left = program.stack_pages as u64;
        while left > 0 {
            let count = left.min(LIMIT as u64);
            top -= count;
            left -= count;
            self.place_data(program, &memory, top, count, &[], DATA)?;
        }
        self.close(space, layout::START)
    }

    /// Buys the next segment and shows it in the window.
    fn open(&mut self, program: &Program<'_>) -> Result<W::Memory, BuildError> {
        let segment = self.table(1);
        self.clear_slot(segment.address()).during(Step::Fill)?;
        self.buy(program, Kind::Table1, segment.address())?;
        self.window.show(segment).during(Step::Fill)
    }

    /// Hides the segment and puts it where it belongs.
    fn close(&mut self, space: Cap<Table>, address: u64) -> Result<(), BuildError> {
        self.window.hide().during(Step::Fill)?;
        space
            .map(self.sys, index_of(address), self.table(1), MEMORY)
            .during(Step::Fill)
    }

    fn grant(
        &self,
        program: &Program<'_>,
        child: Child,
        space: Cap<Table>,
    ) -> Result<(), BuildError> {
        let own = [
            (slot::ROOT, child.root.address(), Rights::MANAGE),
            (
                slot::PROCESS,
                child.process.address(),
                Rights::MANAGE | Rights::INSPECT,
            ),
            (slot::SPACE, space.address(), MEMORY | Rights::MANAGE),
        ];
        for (slot, capability, rights) in own {
            child
                .root
                .put(self.sys, slot, capability, rights)
                .during(Step::Grant(slot))?;
        }
        for grant in program.grants {
            child
                .root
                .put(self.sys, grant.slot, grant.capability, grant.rights)
                .during(Step::Grant(grant.slot))?;
        }
        Ok(())
    }

    fn configure(
        &self,
        program: &Program<'_>,
        child: Child,
        space: Cap<Table>,
    ) -> Result<(), BuildError> {
        let registers = Registers {
            instruction: program.image.entry(),
            stack: layout::STACK_TOP,
            priority: program.priority,
            argument: program.argument,
        };
        let process: Cap<Process> = child.process;
        process
            .configure(self.sys, registers, child.root, space, program.keeper)
            .and_then(|()| process.set_name(self.sys, program.name))
            .during(Step::Configure)
    }

    /// Where the table of a level is held while building.
    fn table(&self, level: u16) -> Cap<Table> {
        Cap::at(self.scratch + LIMIT as u16 + level - 1)
    }

    fn buy(&self, program: &Program<'_>, kind: Kind, into: CapAddr) -> Result<(), BuildError> {
        let (table, index) = table_of(into);
        program
            .bank
            .buy_caps(self.sys, kind, 1, table, index)
            .during(Step::Buy(kind))
    }

    fn clear_slot(&self, address: CapAddr) -> Result<(), Error> {
        let (table, index) = table_of(address);
        table.clear(self.sys, index, 1)
    }

    fn clear_scratch(&self) -> Result<(), Error> {
        let (table, index) = table_of(self.scratch);
        table.clear(self.sys, index, SCRATCH_SLOTS)
    }
}

/// Index in a level-2 table.
fn index_of(address: u64) -> u64 {
    address / SEGMENT
}

/// The first segment at or after `from` that a piece reaches into.
fn next_segment(image: &Image<'_>, from: u64) -> Option<u64> {
    let reached = image.pieces().iter().filter_map(|piece| {
        let end = piece.address + piece.pages as u64 * PAGE;
        (end > from).then(|| piece.address.max(from))
    });
    reached.min().map(|address| address / SEGMENT * SEGMENT)
}

fn write(memory: &impl Mem, offset: u64, bytes: &[u8]) -> Result<(), Error> {
    // The window shows a whole segment that was just bought; only a bank destroyed meanwhile can
    // take it away.
    memory
        .write(offset as usize, bytes)
        .map_err(|_| Error::VOID)
}
