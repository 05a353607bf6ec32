//! ACPI's tables, found from the root pointer on.
//!
//! The `acpi` crate tells where fields lie (ACPI 6.4, chapter 5). Its own reader isn't used: it makes
//! references out of the addresses and lengths that it reads, which a `Handler` can't refuse, walks on
//! for ever at an entry of no length, and reads the whole of a structure where its table is shorter.
//! Here a table is a slice of memory that is there, and what would lie beyond its end isn't known.

use core::mem::offset_of;

use acpi::AcpiTable;
use acpi::rsdp::Rsdp;
use acpi::sdt::SdtHeader;

use crate::physical::{Physical, u32_at, u64_at};
use crate::ram::{Region, first_mib_or_in};

/// Bytes of a table that are believed; the longest, which hold programs, have some 100 KiB.
const LONGEST: usize = 1 << 20;
/// Bytes of the root pointer before ACPI 2.0.
const OLD_ROOT_POINTER: usize = 20;

/// The tables that a root table lists.
pub struct Tables<'m, M> {
    memory: &'m M,
    map: &'m [Region],
    /// The addresses of tables.
    list: &'m [u8],
    /// Bytes of each.
    width: usize,
}

impl<'m, M: Physical> Tables<'m, M> {
    /// Finds the root table. Tables are looked for only where the memory map knows of something, and in
    /// the first MiB, where firmware keeps its own. That keeps the kernel from most devices' registers,
    /// whose reading can do harm, and not from all: maps call firmware's tables reserved, and
    /// configuration space too, and old video memory lies in the first MiB.
    ///
    /// Checksums are not looked at, as other systems don't insist on them either: firmware changes its
    /// tables and forgets them, and what a table says is checked anyhow.
    pub fn find(memory: &'m M, map: &'m [Region], root_pointer: u64) -> Option<Tables<'m, M>> {
        let mut tables = Tables {
            memory,
            map,
            list: &[],
            width: size_of::<u64>(),
        };
        let pointer = tables.bytes(root_pointer, OLD_ROOT_POINTER)?;
        if !pointer.starts_with(b"RSD PTR ") {
            return None;
        }
        let extended = (pointer.get(offset_of!(Rsdp, revision))? > &1)
            .then(|| tables.bytes(root_pointer, size_of::<Rsdp>()))
            .flatten()
            .and_then(|pointer| u64_at(pointer, offset_of!(Rsdp, xsdt_address)))
            .filter(|address| *address != 0)
            .and_then(|address| tables.at(address, b"XSDT"));
        let root = match extended {
            Some(root) => root,
            None => {
                tables.width = size_of::<u32>();
                let address = u32_at(pointer, offset_of!(Rsdp, rsdt_address))?;
                tables.at(address.into(), b"RSDT")?
            }
        };
        tables.list = &root[size_of::<SdtHeader>()..];
        Some(tables)
    }

    /// The first table of this kind: its bytes, from a whole header to the end that this names.
    pub fn table<T: AcpiTable>(&self) -> Option<&'m [u8]> {
        let signature = T::SIGNATURE;
        let mut addresses = self.list.chunks_exact(self.width).map(|entry| match entry {
            [_, _, _, _] => u32_at(entry, 0).map(u64::from),
            _ => u64_at(entry, 0),
        });
        addresses.find_map(|address| self.at(address?, signature.as_str().as_bytes()))
    }

    /// The table at an address, if it is of this kind and lies in memory from end to end.
    fn at(&self, address: u64, signature: &[u8]) -> Option<&'m [u8]> {
        let header = self.bytes(address, size_of::<SdtHeader>())?;
        if !header.starts_with(signature) {
            return None;
        }
        let length = u32_at(header, offset_of!(SdtHeader, length))? as usize;
        if !(size_of::<SdtHeader>()..=LONGEST).contains(&length) {
            return None;
        }
        self.bytes(address, length)
    }

    fn bytes(&self, address: u64, length: usize) -> Option<&'m [u8]> {
        let end = address.checked_add(length as u64)?;
        if !first_mib_or_in(self.map, address..end) {
            return None;
        }
        self.memory.bytes(address, length)
    }
}
