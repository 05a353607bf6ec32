//! Capabilities, and the tables that they live in.
//!
//! A capability is 32 bytes and lives only in a slot of a [`CapTable`]. It names an object by number
//! and version, or carries what it stands for in its badge. Copying is free but for a `Resume`, of
//! which there is ever only one: it moves, and when the slot that holds it is overwritten or goes
//! away, its caller gets an error.

use core::cell::Cell;

use abi::CAP_TABLE_SLOTS;
use abi::cap::{CapAddr, Kind, Rights};
use abi::count::Event;

use crate::Kernel;
use crate::error::{KIND, PERMISSION, Result, VOID};
use crate::frame::View;
use crate::machine::Machine;
use crate::object::{Oid, State};
use crate::planted::Fault;
use crate::process::Process;

/// A capability. Any 32 bytes are a valid value; unknown kinds are void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Capability {
    /// Kind (bits 0 to 7), rights (8 to 15), flags (16 to 31), object (32 to 63).
    pub head: u64,
    /// The object's version; for a `Resume` the token of its call; for an `Irq` its generation.
    pub version: u64,
    /// What a `Start` is known by; bit of a `Notify`; extent of a device capability.
    pub badge: u64,
    /// Second word of extents.
    pub extent: u64,
}

impl Capability {
    /// No capability.
    pub const VOID: Capability = Capability {
        head: 0,
        version: 0,
        badge: 0,
        extent: 0,
    };

    /// A capability to an object.
    pub const fn new(kind: Kind, rights: Rights, oid: Oid, version: u64) -> Capability {
        let head = kind as u64 | (rights.bits() as u64) << 8 | (oid.0 as u64) << 32;
        Capability {
            head,
            version,
            badge: 0,
            extent: 0,
        }
    }

    /// A capability that names no object.
    pub const fn service(kind: Kind, badge: u64, extent: u64) -> Capability {
        let mut capability = Capability::new(kind, Rights::FULL, Oid::NONE, 0);
        capability.badge = badge;
        capability.extent = extent;
        capability
    }

    /// The same with a badge.
    pub const fn badged(mut self, badge: u64) -> Capability {
        self.badge = badge;
        self
    }

    /// Its kind as it stands in the slot, alive or not.
    pub const fn kind(&self) -> Option<Kind> {
        Kind::from_u8(self.head as u8)
    }

    /// Whether it is a capability of this kind.
    #[inline(always)]
    pub const fn is(&self, kind: Kind) -> bool {
        self.head as u8 == kind as u8
    }

    /// Whether its kind is one that space banks sell.
    #[inline(always)]
    pub const fn is_storage(&self) -> bool {
        (self.head as u8).wrapping_sub(1) < abi::cap::STORAGE_KINDS as u8
    }

    /// Whether there is nothing in the slot.
    pub const fn is_void(&self) -> bool {
        self.head as u8 == 0
    }

    /// Its rights.
    pub const fn rights(&self) -> Rights {
        Rights::from_bits_retain((self.head >> 8) as u8)
    }

    /// The object that it names.
    #[inline(always)]
    pub const fn oid(&self) -> Oid {
        Oid((self.head >> 32) as u32)
    }

    /// The same with only these rights.
    pub const fn restricted(mut self, rights: Rights) -> Capability {
        self.head &= !0xff00 | (rights.bits() as u64) << 8;
        self
    }

    /// Whether it is a capability of this kind with all these rights.
    #[inline(always)]
    pub const fn allows(&self, kind: Kind, rights: Rights) -> bool {
        let rights = (rights.bits() as u64) << 8;
        self.head & (0xff | rights) == kind as u64 | rights
    }

    /// Demands rights, or answers this status.
    pub fn needs(&self, rights: Rights) -> Result<()> {
        let missing = rights - self.rights();
        if missing.is_empty() {
            return Ok(());
        }
        let weak = missing.intersects(Rights::READ | Rights::WRITE | Rights::EXEC | Rights::PIN);
        Err(if weak {
            crate::error::ACCESS
        } else {
            PERMISSION
        })
    }
}

/// A `CapTable`'s frame.
#[repr(C)]
pub struct CapTable(pub [Cell<Capability>; CAP_TABLE_SLOTS]);

// SAFETY: 128 cells of four words, 4,096 bytes, any pattern a valid capability.
unsafe impl View for CapTable {}

const _: () = assert!(size_of::<CapTable>() == abi::PAGE_SIZE);

impl<M: Machine> Kernel<'_, M> {
    /// The slot that an address names in a process's capability space. Address 0 names nothing,
    /// whatever lies in slot 0 of the root table.
    #[inline(always)]
    pub(crate) fn slot(&self, process: &Process, address: CapAddr) -> Option<&Cell<Capability>> {
        let root = process.root.get();
        if address == 0 || root == crate::frame::Frame::NONE {
            return None;
        }
        self.count(Event::LookUps, 1);
        let root: &CapTable = self.view(root);
        match root.0.get(usize::from(address)) {
            Some(slot) => Some(slot),
            None => self.far_slot(root, address),
        }
    }

    /// The slot that an address of two levels names.
    #[inline(never)]
    fn far_slot(&self, root: &CapTable, address: CapAddr) -> Option<&Cell<Capability>> {
        let (high, low) = (usize::from(address >> 7), usize::from(address & 127));
        let table = root.0.get(high)?.get();
        let row = self.object_of(&table, Kind::CapTable).ok()?;
        if !self.has(Fault::ReachUnmanaged) {
            table.needs(Rights::MANAGE).ok()?;
        }
        Some(&self.view::<CapTable>(row.frame.get()).0[low])
    }

    /// What stands at an address; void when it is empty, or what it named is gone. Whether an object
    /// of storage is still there is left to [`Kernel::object`], through which alone it is reached.
    #[inline(always)]
    pub(crate) fn capability(&self, process: &Process, address: CapAddr) -> Capability {
        match self.slot(process, address) {
            Some(slot) => {
                let capability = slot.get();
                if capability.is_storage() || self.is_alive(&capability) {
                    capability
                } else {
                    Capability::VOID
                }
            }
            None => Capability::VOID,
        }
    }

    /// Whether what a capability names still exists.
    pub(crate) fn is_alive(&self, capability: &Capability) -> bool {
        match capability.kind() {
            None | Some(Kind::Void) => false,
            Some(Kind::Resume) => self
                .resumable(capability.oid(), capability.version)
                .is_some(),
            Some(Kind::Irq) => self.irq_alive(capability),
            Some(kind) if kind.is_storage() || matches!(kind, Kind::Start | Kind::Notify) => {
                match self.row(capability.oid()) {
                    Some(row) => {
                        row.version.get() == capability.version && row.state.get() == State::Live
                    }
                    None => false,
                }
            }
            Some(_) => true,
        }
    }

    /// Puts a capability into a slot. A `Resume` that was there is dropped, and its caller told.
    pub(crate) fn store(&self, slot: &Cell<Capability>, capability: Capability) {
        let old = slot.replace(capability);
        if old.is(Kind::Resume) {
            self.abandon(old.oid(), old.version);
        }
    }

    /// Takes a copy out of a slot; a `Resume` leaves it.
    pub(crate) fn take_copy(&self, slot: &Cell<Capability>) -> Capability {
        let capability = slot.get();
        if capability.is(Kind::Resume) {
            slot.set(Capability::VOID);
            self.resumes.add();
        }
        capability
    }

    /// A `Notify` capability as a binding that the kernel keeps.
    pub(crate) fn binding(&self, capability: &Capability) -> Result<crate::object::Binding> {
        if capability.is_void() {
            return Err(VOID);
        }
        if !capability.is(Kind::Notify) {
            return Err(KIND);
        }
        Ok(crate::object::Binding {
            process: capability.oid(),
            bit: capability.badge as u32,
            version: capability.version,
        })
    }
}
