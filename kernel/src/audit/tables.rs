//! Entries of tables against homes and parents, and both ways; capabilities against what they name.

use core::ops::Range;

use abi::TABLE_ENTRIES;
use abi::cap::Kind;

use super::{Result, Violation, demand, is_sound};
use crate::Kernel;
use crate::cap::{CapTable, Capability};
use crate::frame::Words;
use crate::machine::Machine;
use crate::object::{ObjectRow, Oid, Parent, State};
use crate::table::Entry;

/// Bits that an entry of the kernel's may have: present, writable, user, write-through, uncached,
/// accessed and dirty (the CPU sets these), device, frame, address, no-execute.
const KNOWN: u64 = 0x800f_ffff_ffff_f000 | 0x67f;
/// Device and frame.
const KINDS: u64 = 0x600;
const USER: u64 = 1 << 2;
/// Accessed and dirty.
const BY_THE_CPU: u64 = 0x60;

impl<M: Machine> Kernel<'_, M> {
    /// A page is where its home says, or nowhere.
    pub(super) fn audit_page(&self, oid: Oid, row: &ObjectRow) -> Result {
        let wrong = |what| Violation::Object { oid, what };
        demand!(
            row.parents[1..]
                .iter()
                .all(|parent| parent.get() == Parent::NONE),
            wrong("a page with two homes")
        );
        let home = row.parents[0].get();
        if home == Parent::NONE {
            return Ok(());
        }
        demand!(row.state.get() == State::Live, wrong("void, with a home"));
        demand!(self.home(row).is_some(), wrong("its home doesn't name it"));
        Ok(())
    }

    /// The entry of a table that a parent record names, if there is such a table.
    fn entry_at(&self, parent: Parent, level: u8) -> Option<Entry> {
        let holder = self.row(parent.holder)?;
        let holds = holder.kind.get().table_level() == Some(level)
            && matches!(holder.state.get(), State::Live | State::Dying)
            && (parent.index as usize) < TABLE_ENTRIES;
        holds.then(|| {
            Entry(
                self.view::<Words>(holder.frame.get())
                    .get(parent.index as usize),
            )
        })
    }

    pub(super) fn audit_table(&self, oid: Oid, row: &ObjectRow, part: Range<usize>) -> Result {
        let Some(level) = row.kind.get().table_level() else {
            return Ok(());
        };
        self.audit_parents(oid, row, level)?;
        let entries: &Words = self.view(row.frame.get());
        let cleared = match row.state.get() {
            State::Dying => usize::from(row.progress.get()),
            _ => 0,
        };
        for index in part {
            let entry = Entry(entries.get(index));
            let wrong = |what| Violation::Entry {
                table: oid,
                index: index as u32,
                what,
            };
            if level == 4 && index >= TABLE_ENTRIES / 2 {
                let own = self.machine.kernel_entry(index);
                let changed = (entry.0 ^ own) & !BY_THE_CPU;
                demand!(changed == 0, wrong("the kernel's half was changed"));
                continue;
            }
            if !entry.is_present() {
                demand!(entry == Entry::EMPTY, wrong("absent, but not empty"));
                continue;
            }
            demand!(index >= cleared, wrong("filled again after it was cleared"));
            demand!(
                level != 4 || index < TABLE_ENTRIES / 2 - 1,
                wrong("the last one of the lower half must stay empty")
            );
            demand!(entry.0 & !KNOWN == 0, wrong("bits that mean nothing"));
            demand!(entry.0 & USER != 0, wrong("a mapping of the kernel's"));
            demand!(
                (entry.0 & KINDS).count_ones() == 1,
                wrong("neither a frame nor device memory, or both")
            );
            self.audit_entry(oid, row, level, index)?;
        }
        Ok(())
    }

    fn audit_entry(&self, oid: Oid, row: &ObjectRow, level: u8, index: usize) -> Result {
        let entry = Entry(self.view::<Words>(row.frame.get()).get(index));
        let wrong = |what| Violation::Entry {
            table: oid,
            index: index as u32,
            what,
        };
        let Some(frame) = entry.frame() else {
            let memory = level == 1 && is_sound(entry.rights());
            let page = (entry.0 & 0x000f_ffff_ffff_f000) >> 12;
            demand!(
                memory && self.machine.is_device_memory(page, 1),
                wrong("device memory that nobody may map")
            );
            return Ok(());
        };
        let owner = self.frame_row(frame).owner.get();
        let child = self.row(owner).filter(|child| child.frame.get() == frame);
        let child = child.ok_or(wrong("a frame that no object owns"))?;
        if level == 1 && row.partner.get() != Oid::NONE {
            let shown = self.slot_frame(row.partner.get(), index) == Some(frame);
            demand!(shown, wrong("a window shows what its slot doesn't hold"));
            demand!(is_sound(entry.rights()), wrong("writable and executable"));
            return Ok(());
        }
        let here = Parent {
            holder: oid,
            index: index as u32,
        };
        if level == 1 {
            demand!(is_sound(entry.rights()), wrong("writable and executable"));
            let page = child.kind.get() == Kind::Page && child.state.get() == State::Live;
            demand!(page, wrong("maps what is no live page"));
            demand!(child.parents[0].get() == here, wrong("not the page's home"));
        } else {
            let below = child.kind.get().table_level() == Some(level - 1);
            demand!(
                below && child.state.get() == State::Live,
                wrong("maps what is no live table of the level below")
            );
            let known = child.parents.iter().filter(|parent| parent.get() == here);
            demand!(known.count() == 1, wrong("not among the table's parents"));
        }
        Ok(())
    }

    /// Each parent of a table has an entry that names it; of an address space, each is a process.
    fn audit_parents(&self, oid: Oid, row: &ObjectRow, level: u8) -> Result {
        if level == 4 {
            return self.audit_users(oid, row);
        }
        for parent in &row.parents {
            let parent = parent.get();
            if parent == Parent::NONE {
                continue;
            }
            let wrong = |what| Violation::Object { oid, what };
            demand!(row.state.get() == State::Live, wrong("void, with a parent"));
            let entry = self.entry_at(parent, level + 1);
            demand!(
                entry.and_then(Entry::frame) == Some(row.frame.get()),
                wrong("its parent doesn't name it")
            );
        }
        Ok(())
    }

    /// Each parent of an address space or a root `CapTable` is a process that has it.
    fn audit_users(&self, oid: Oid, row: &ObjectRow) -> Result {
        for (n, parent) in row.parents.iter().enumerate() {
            let parent = parent.get();
            if parent == Parent::NONE {
                continue;
            }
            let process = self.live_process(parent.holder);
            let has = parent.index == Parent::PROCESS
                && process.is_some_and(|process| {
                    let own = match row.kind.get() {
                        Kind::CapTable => (process.root_oid.get(), process.root.get()),
                        _ => (process.space_oid.get(), process.space.get()),
                    };
                    own == (oid, row.frame.get())
                });
            let twice = row.parents[..n].iter().any(|other| other.get() == parent);
            demand!(
                has && !twice,
                Violation::Object {
                    oid,
                    what: "a process that it names doesn't use it"
                }
            );
        }
        Ok(())
    }

    pub(super) fn audit_cap_table(&self, oid: Oid, row: &ObjectRow) -> Result {
        self.audit_users(oid, row)?;
        if row.state.get() != State::Live {
            return Ok(());
        }
        let table: &CapTable = self.view(row.frame.get());
        for (n, slot) in table.0.iter().enumerate() {
            demand!(
                self.names_what_it_can(&slot.get()),
                Violation::Capability {
                    table: oid,
                    slot: n as u32
                }
            );
        }
        Ok(())
    }

    fn names_what_it_can(&self, capability: &Capability) -> bool {
        let Some(kind) = capability.kind() else {
            return false;
        };
        if !self.is_alive(capability) {
            return true;
        }
        let named = self.row(capability.oid()).map(|row| row.kind.get());
        match kind {
            Kind::Start | Kind::Notify | Kind::Resume => named == Some(Kind::Process),
            kind if kind.is_storage() => named == Some(kind),
            _ => true,
        }
    }
}
