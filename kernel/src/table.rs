//! Page tables: the only structure that says who sees which memory.
//!
//! A `Table` *is* the table that the CPU walks; there is no shadow of it. An entry names a frame, the
//! frame's row names the object, so that table and accounting can't disagree. A page is in at most
//! one place, its home; a table in at most four, one of which only a manager may take.

use abi::cap::{Kind, Rights};
use abi::count::Event;
use abi::method::table as method;
use abi::{TABLE_ENTRIES, batch};

use crate::Kernel;
use crate::cap::Capability;
use crate::error::{BUSY, EMPTY, EXISTS, INVALID, KIND, METHOD, PARENTS, RANGE, Result};
use crate::frame::{Frame, Words};
use crate::invoke::{Answer, Invocation};
use crate::machine::Machine;
use crate::object::{ObjectRow, Oid, Parent, State};
use crate::planted::Fault;

/// Bits of an entry, Intel SDM vol. 3A, 5.5.
mod bit {
    pub const PRESENT: u64 = 1;
    pub const WRITABLE: u64 = 1 << 1;
    pub const USER: u64 = 1 << 2;
    pub const WRITE_THROUGH: u64 = 1 << 3;
    pub const UNCACHED: u64 = 1 << 4;
    /// Ignored by the CPU: the entry maps device memory, which no object owns.
    pub const DEVICE: u64 = 1 << 9;
    /// Ignored by the CPU: the entry maps a frame, which an object owns. Of this bit and the one before
    /// each entry has one, so that either can be asked for together with others.
    pub const FRAME: u64 = 1 << 10;
    pub const NO_EXECUTE: u64 = 1 << 63;
    pub const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
}

/// Entries of a level-4 table that user mappings may use: the last one of the lower half stays
/// empty, so that no user instruction ends where addresses stop being canonical.
pub(crate) const USER_SPACES: usize = 255;

/// A table entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry(pub u64);

impl Entry {
    pub const EMPTY: Entry = Entry(0);

    /// An entry for a frame that an object owns.
    pub fn new(frame: Frame, rights: Rights) -> Entry {
        let mut bits = frame.physical() | bit::PRESENT | bit::USER | bit::FRAME;
        if rights.contains(Rights::WRITE) {
            bits |= bit::WRITABLE;
        }
        if !rights.contains(Rights::EXEC) {
            bits |= bit::NO_EXECUTE;
        }
        Entry(bits)
    }

    fn device(page: u64, rights: Rights) -> Entry {
        let writable = if rights.contains(Rights::WRITE) {
            bit::WRITABLE
        } else {
            0
        };
        let kind = bit::PRESENT | bit::USER | bit::UNCACHED | bit::WRITE_THROUGH | bit::DEVICE;
        Entry(page << 12 | writable | kind | bit::NO_EXECUTE)
    }

    pub fn is_present(self) -> bool {
        self.0 & bit::PRESENT != 0
    }

    pub fn is_device(self) -> bool {
        self.0 & bit::DEVICE != 0
    }

    pub fn is_writable(self) -> bool {
        self.0 & bit::WRITABLE != 0
    }

    /// The bits that an entry of an aperture's window takes from the page's own entry, when the
    /// segment is pinned with these rights.
    pub fn shown_with(rights: Rights) -> u64 {
        match rights.contains(Rights::WRITE) {
            true => bit::ADDRESS | bit::WRITABLE,
            false => bit::ADDRESS,
        }
    }

    /// The entry that shows in a window what this one shows at home.
    pub fn in_window(self, shown: u64) -> Entry {
        Entry(self.0 & shown | bit::PRESENT | bit::USER | bit::FRAME | bit::NO_EXECUTE)
    }

    /// Whether both are pages, or tables, that may be written.
    pub fn are_writable(one: Entry, other: Entry) -> bool {
        let wanted = bit::PRESENT | bit::WRITABLE | bit::FRAME;
        one.0 & other.0 & wanted == wanted
    }

    /// The frame that an entry names which is present.
    pub fn names(self) -> Frame {
        Frame(((self.0 & bit::ADDRESS) >> 12) as u32)
    }

    /// The bits in which the frames of two entries differ.
    pub fn difference(one: Entry, other: Entry) -> u64 {
        (one.0 ^ other.0) & bit::ADDRESS
    }

    /// The entry with another's frame.
    pub fn with_frame_at(self, difference: u64) -> Entry {
        Entry(self.0 ^ difference)
    }

    /// The frame of an entry that is present and not device memory.
    pub fn frame(self) -> Option<Frame> {
        let mapped = self.0 & (bit::PRESENT | bit::DEVICE) == bit::PRESENT;
        mapped.then_some(self.names())
    }

    pub fn rights(self) -> Rights {
        let mut rights = Rights::READ;
        rights.set(Rights::WRITE, self.0 & bit::WRITABLE != 0);
        rights.set(Rights::EXEC, self.0 & bit::NO_EXECUTE == 0);
        rights
    }

    /// The same entry with no more than these rights.
    fn restricted(self, rights: Rights) -> Entry {
        let mut bits = self.0;
        if !rights.contains(Rights::WRITE) {
            bits &= !bit::WRITABLE;
        }
        if !rights.contains(Rights::EXEC) {
            bits |= bit::NO_EXECUTE;
        }
        Entry(bits)
    }
}

/// Index of an address in a table of a level.
const fn index_of(address: u64, level: u8) -> usize {
    (address >> (3 + 9 * level as u64)) as usize & (TABLE_ENTRIES - 1)
}

/// Memory rights that a mapping may ask for: something readable, never writable and executable.
pub(crate) fn mapping_rights(bits: u64) -> Result<Rights> {
    let rights = u8::try_from(bits)
        .ok()
        .and_then(Rights::from_bits)
        .ok_or(INVALID)?;
    let memory = Rights::READ | Rights::WRITE | Rights::EXEC;
    let sound = memory.contains(rights) && rights.contains(Rights::READ);
    if sound { Ok(rights) } else { Err(INVALID) }
}

/// Whether a page's mapping would be writable and executable at once.
pub(crate) fn writes_and_executes(rights: Rights) -> bool {
    rights.contains(Rights::WRITE | Rights::EXEC)
}

impl<M: Machine> Kernel<'_, M> {
    /// Writes an entry of a table that the CPU walks.
    #[inline(always)]
    pub(crate) fn write_entry(&self, entries: &Words, index: usize, entry: Entry) {
        entries.set(index, entry.0);
        self.count(Event::Entries, 1);
    }

    /// Methods of a `Table`.
    #[inline(never)]
    pub(crate) fn invoke_table(&self, call: &Invocation) -> Result<Answer> {
        let table = &call.capability;
        let row = self.object(table)?;
        let level = row.kind.get().table_level().ok_or(KIND)?;
        table.needs(Rights::MANAGE)?;
        let entries: &Words = self.view(row.frame.get());
        let [method, w1, w2, w3, w4, _] = call.words();
        let limit = if level == 4 {
            USER_SPACES
        } else {
            TABLE_ENTRIES
        };
        let index = usize::try_from(w1)
            .ok()
            .filter(|index| *index < limit)
            .ok_or(INVALID)?;
        if method != method::QUERY && row.partner.get() != Oid::NONE {
            // A window: its aperture alone changes it.
            return Err(BUSY);
        }
        match method {
            method::MAP => {
                let what = call.argument(self, 0)?;
                self.map(
                    Parent {
                        holder: table.oid(),
                        index: w1 as u32,
                    },
                    row,
                    &what,
                    mapping_rights(w2)?,
                )?;
                Ok(Answer::NOTHING)
            }
            method::UNMAP => {
                let count = usize::try_from(w2)
                    .ok()
                    .filter(|n| (1..=batch::LIMIT).contains(n));
                let end = count
                    .and_then(|n| index.checked_add(n))
                    .filter(|end| *end <= limit);
                let end = end.ok_or(INVALID)?;
                let mut used = 0;
                let mut next = index;
                loop {
                    used += u64::from(self.clear_at(table.oid(), row, level, next));
                    next += 1;
                    if next >= end {
                        return Ok(Answer::word(used));
                    }
                }
            }
            method::PROTECT => {
                let entry = Entry(entries.get(index));
                if !entry.is_present() {
                    return Err(EMPTY);
                }
                let rights = mapping_rights(w2)?;
                self.write_entry(entries, index, entry.restricted(rights));
                self.invalidate(table.oid(), row, level, index);
                Ok(Answer::NOTHING)
            }
            method::MAP_DEVICE if level == 1 => {
                let memory = call.argument(self, 0)?;
                self.map_device(entries, index, [w2, w3, w4], &memory)
            }
            method::MAP_DEVICE => Err(KIND),
            method::QUERY => {
                let entry = Entry(entries.get(index));
                if !entry.is_present() {
                    return Ok(Answer::NOTHING);
                }
                let state = match (entry.is_device(), level) {
                    (true, _) => 3,
                    (false, 1) => 1,
                    (false, _) => 2,
                };
                Ok(Answer::words([
                    state,
                    entry.rights().bits().into(),
                    0,
                    0,
                    0,
                    0,
                ]))
            }
            _ => Err(METHOD),
        }
    }

    /// Maps a page or a lower table into an entry.
    fn map(
        &self,
        place: Parent,
        table: &ObjectRow,
        what: &Capability,
        rights: Rights,
    ) -> Result<()> {
        let level = table.kind.get().table_level().ok_or(KIND)?;
        let entries: &Words = self.view(table.frame.get());
        let child = self.object(what)?;
        let fits = match child.kind.get() {
            Kind::Page => level == 1,
            kind => kind.table_level().is_some_and(|below| below + 1 == level),
        };
        if !fits {
            return Err(KIND);
        }
        let rights = match self.has(Fault::MapAnyhow) {
            true => rights,
            false => rights & what.rights(),
        };
        if !rights.contains(Rights::READ) {
            return Err(crate::error::ACCESS);
        }
        if level == 1 && writes_and_executes(rights) {
            return Err(INVALID);
        }
        if Entry(entries.get(place.index as usize)).is_present() {
            return Err(EXISTS);
        }
        if level == 1 {
            if self.home(child).is_some() {
                return Err(BUSY);
            }
            child.parents[0].set(place);
        } else {
            // The last free parent is for those who manage the table: sharing can't lock them out.
            let spare = if what.rights().contains(Rights::MANAGE) {
                0
            } else {
                1
            };
            if !child.add_parent(place, spare) {
                return Err(PARENTS);
            }
            self.views.forget();
        }
        self.write_entry(
            entries,
            place.index as usize,
            Entry::new(child.frame.get(), rights),
        );
        Ok(())
    }

    fn map_device(
        &self,
        entries: &Words,
        index: usize,
        words: [u64; 3],
        memory: &Capability,
    ) -> Result<Answer> {
        let [count, rights, first] = words;
        if !memory.is(Kind::DeviceMemory) {
            return Err(KIND);
        }
        let rights = mapping_rights(rights)?;
        let whole = usize::try_from(count)
            .ok()
            .filter(|n| (1..=batch::LIMIT).contains(n));
        let count = whole
            .filter(|n| index + n <= TABLE_ENTRIES)
            .ok_or(INVALID)?;
        if rights.contains(Rights::EXEC) {
            return Err(INVALID);
        }
        let last = first
            .checked_add(count as u64)
            .filter(|last| *last <= memory.extent);
        last.ok_or(RANGE)?;
        let first = memory.badge + first;
        if !self.machine.is_device_memory(first, count as u64) {
            return Err(RANGE);
        }
        if (index..index + count).any(|n| Entry(entries.get(n)).is_present()) {
            return Err(EXISTS);
        }
        for n in 0..count {
            self.write_entry(entries, index + n, Entry::device(first + n as u64, rights));
        }
        Ok(Answer::NOTHING)
    }

    /// Where a page is mapped, if it is: its home counts only if the entry there names its frame.
    pub(crate) fn home(&self, page: &ObjectRow) -> Option<(Parent, &ObjectRow)> {
        let home = page.parents[0].get();
        let table = self.row(home.holder)?;
        let names = table.kind.get() == Kind::Table1
            && matches!(table.state.get(), State::Live | State::Dying)
            && Entry(
                self.view::<Words>(table.frame.get())
                    .get(home.index as usize),
            )
            .frame()
                == Some(page.frame.get());
        names.then_some((home, table))
    }

    /// Clears an entry and what its child knows of it. Answers whether it was in use.
    pub(crate) fn clear_entry(&self, oid: Oid, table: &ObjectRow, index: usize) -> bool {
        let level = table.kind.get().table_level().unwrap_or(1);
        self.clear_at(oid, table, level, index)
    }

    /// [`Kernel::clear_entry`], where the level is known.
    #[inline(always)]
    fn clear_at(&self, oid: Oid, table: &ObjectRow, level: u8, index: usize) -> bool {
        let entries: &Words = self.view(table.frame.get());
        let entry = Entry(entries.get(index));
        if !entry.is_present() {
            return false;
        }
        self.invalidate(oid, table, level, index);
        self.write_entry(entries, index, Entry::EMPTY);
        if let Some(frame) = entry.frame()
            && let Some(frame) = self.frames.get(frame.0 as usize)
            && let Some(child) = self.row(frame.owner.get())
        {
            child.remove_parent(Parent {
                holder: oid,
                index: index as u32,
            });
        }
        true
    }

    /// Unmaps a table from every table (or process) that has it.
    pub(crate) fn unmap_everywhere(&self, child: &ObjectRow) {
        for parent in &child.parents {
            let Parent { holder, index } = parent.replace(Parent::NONE);
            let Some(row) = self.row(holder) else {
                continue;
            };
            if index == Parent::PROCESS {
                continue;
            }
            if let Some(level) = row.kind.get().table_level() {
                let entries: &Words = self.view(row.frame.get());
                if Entry(entries.get(index as usize)).frame() == Some(child.frame.get()) {
                    self.invalidate(holder, row, level, index as usize);
                    self.write_entry(entries, index as usize, Entry::EMPTY);
                }
            }
        }
    }

    /// The frame and offset that an address of an address space reaches, if it reads anything.
    pub(crate) fn translate(&self, space: Frame, address: u64) -> Option<(Frame, usize)> {
        if space == Frame::NONE || address >> 47 != 0 {
            return None;
        }
        let mut frame = space;
        for level in [4, 3, 2, 1] {
            frame = Entry(self.view::<Words>(frame).get(index_of(address, level))).frame()?;
        }
        Some((frame, address as usize & (abi::PAGE_SIZE - 1)))
    }
}
