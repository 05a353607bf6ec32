//! What loader and firmware leave in memory for the kernel to find: PVH's start-info structure, ACPI's
//! tables, and the memory in which they lie.

use core::ops::Range;

use kernel::physical::Physical;

/// A piece of physical memory; elsewhere there are no bytes.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Its first address.
    pub base: u64,
    /// What lies there.
    pub bytes: Vec<u8>,
    /// Where bytes may be asked for; none for everywhere.
    pub allowed: Vec<Range<u64>>,
    /// Addresses below this are mapped, whatever lies there; 4 GiB unless said.
    pub mapped_end: u64,
}

impl Piece {
    /// These bytes at this address.
    pub fn new(base: u64, bytes: Vec<u8>) -> Piece {
        Piece {
            base,
            bytes,
            allowed: Vec::new(),
            mapped_end: 1 << 32,
        }
    }
}

impl Physical for Piece {
    fn is_mapped(&self, range: Range<u64>) -> bool {
        range.start <= range.end && range.end <= self.mapped_end
    }

    /// # Panics
    /// The range isn't within one that is allowed.
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        let end = address.checked_add(length as u64)?;
        let holds = |range: &Range<u64>| range.start <= address && end <= range.end;
        assert!(
            self.allowed.is_empty() || self.allowed.iter().any(holds),
            "bytes {address:#x} to {end:#x} are asked for"
        );
        let start = usize::try_from(address.checked_sub(self.base)?).ok()?;
        self.bytes.get(start..start.checked_add(length)?)
    }
}

/// A table of ACPI's: header, contents, and a checksum that is right (ACPI 6.4, 5.2.6).
pub fn table(signature: &[u8; 4], revision: u8, contents: &[u8]) -> Vec<u8> {
    let mut table = signature.to_vec();
    table.extend((36 + contents.len() as u32).to_le_bytes());
    table.extend([revision, 0]);
    table.extend(b"BOCHS BXPC    \x01\0\0\0BXPC\x01\0\0\0");
    table.extend(contents);
    table[9] = checksum(&table);
    table
}

fn checksum(bytes: &[u8]) -> u8 {
    bytes
        .iter()
        .fold(0u8, |sum, byte| sum.wrapping_add(*byte))
        .wrapping_neg()
}

/// A table of interrupt controllers with these entries, each less its length: local APIC at the usual
/// place.
pub fn interrupts<'e>(entries: impl IntoIterator<Item = (u8, &'e [u8])>) -> Vec<u8> {
    let mut contents = 0xfee0_0000_u32.to_le_bytes().to_vec();
    contents.extend(1_u32.to_le_bytes());
    for (kind, entry) in entries {
        contents.extend([kind, entry.len() as u8 + 2]);
        contents.extend(entry);
    }
    table(b"APIC", 3, &contents)
}

/// A table of configuration space: base address, first bus, last bus.
pub fn configuration(entries: &[(u64, u8, u8)]) -> Vec<u8> {
    let mut contents = vec![0; 8];
    for (base, first, last) in entries {
        contents.extend(base.to_le_bytes());
        contents.extend([0, 0, *first, *last, 0, 0, 0, 0]);
    }
    table(b"MCFG", 1, &contents)
}

/// A fixed table of so many bytes, of ACPI 1.0 (revision 1) or later, whose PM1a control register is at
/// these ports: in the short field, and in the long one.
pub fn fixed(revision: u8, bytes: usize, short: u32, long: u64) -> Vec<u8> {
    let mut contents = vec![0; 276 - 36];
    contents[64 - 36..68 - 36].copy_from_slice(&short.to_le_bytes());
    contents[172 - 36..176 - 36].copy_from_slice(&[1, 16, 0, 0]);
    contents[176 - 36..184 - 36].copy_from_slice(&long.to_le_bytes());
    contents.truncate(bytes.saturating_sub(36));
    table(b"FACP", revision, &contents)
}

/// The tables of QEMU's q35 with two CPUs.
pub fn q35() -> Vec<Vec<u8>> {
    let mut entries: Vec<(u8, Vec<u8>)> = Vec::new();
    for cpu in 0..2 {
        entries.push((0, vec![cpu, cpu, 1, 0, 0, 0]));
    }
    let mut io_apic = vec![0, 0];
    io_apic.extend(0xfec0_0000_u32.to_le_bytes());
    io_apic.extend(0_u32.to_le_bytes());
    entries.push((1, io_apic));
    for (line, interrupt, flags) in [
        (0, 2, 0),
        (5, 5, 13),
        (9, 9, 13),
        (10, 10, 13),
        (11, 11, 13),
    ] {
        entries.push((2, vec![0, line, interrupt, 0, 0, 0, flags, 0]));
    }
    entries.push((4, vec![0xff, 0, 0, 1]));
    let entries = entries.iter().map(|(kind, entry)| (*kind, &entry[..]));
    vec![
        fixed(3, 244, 0x604, 0x604),
        interrupts(entries),
        configuration(&[(0xb000_0000, 0, 255)]),
    ]
}

/// A root pointer, a root table and these tables, from an address on. With `extended` the root table is
/// that of ACPI 2.0, with long addresses.
pub fn tables(base: u64, extended: bool, tables: &[Vec<u8>]) -> Vec<u8> {
    const ROOT: u64 = 48;
    let width = if extended { 8 } else { 4 };
    let mut next = base + ROOT + (36 + tables.len() as u64 * width).next_multiple_of(16);
    let (mut list, mut rest) = (Vec::new(), Vec::new());
    for table in tables {
        list.extend(&next.to_le_bytes()[..width as usize]);
        rest.extend(table);
        rest.resize(rest.len().next_multiple_of(16), 0);
        next += table.len().next_multiple_of(16) as u64;
    }
    let root = table(if extended { b"XSDT" } else { b"RSDT" }, 1, &list);
    let mut bytes = b"RSD PTR \0BOCHS ".to_vec();
    bytes.push(if extended { 2 } else { 0 });
    let (short, long) = if extended {
        (0, base + ROOT)
    } else {
        ((base + ROOT) as u32, 0)
    };
    bytes.extend(short.to_le_bytes());
    bytes[8] = checksum(&bytes);
    bytes.extend(36_u32.to_le_bytes());
    bytes.extend(long.to_le_bytes());
    bytes.extend([0; 4]);
    bytes[32] = checksum(&bytes);
    bytes.resize(ROOT as usize, 0);
    bytes.extend(root);
    bytes.resize(bytes.len().next_multiple_of(16), 0);
    bytes.extend(rest);
    bytes
}

/// What a PVH loader passes.
#[derive(Clone, Debug)]
pub struct StartInfo {
    /// The structure's version.
    pub version: u32,
    /// Address, length and kind of each region of memory.
    pub map: Vec<(u64, u64, u32)>,
    /// Addresses and lengths of modules.
    pub modules: Vec<(u64, u64)>,
    /// The command line.
    pub command_line: Vec<u8>,
    /// Address of ACPI's root pointer.
    pub root_pointer: u64,
}

impl StartInfo {
    /// The structure and what it points to, from an address on.
    pub fn lay_out(&self, base: u64) -> Vec<u8> {
        let modules = base + 56;
        let map = modules + 32 * self.modules.len() as u64;
        let line = map + 24 * self.map.len() as u64;
        let mut bytes = Vec::new();
        let word = |bytes: &mut Vec<u8>, value: u32| bytes.extend(value.to_le_bytes());
        let long = |bytes: &mut Vec<u8>, value: u64| bytes.extend(value.to_le_bytes());
        for value in [0x336e_c578, self.version, 0, self.modules.len() as u32] {
            word(&mut bytes, value);
        }
        for value in [modules, line, self.root_pointer, map] {
            long(&mut bytes, value);
        }
        word(&mut bytes, self.map.len() as u32);
        word(&mut bytes, 0);
        for (address, length) in &self.modules {
            for value in [*address, *length, 0, 0] {
                long(&mut bytes, value);
            }
        }
        for (address, length, kind) in &self.map {
            long(&mut bytes, *address);
            long(&mut bytes, *length);
            word(&mut bytes, *kind);
            word(&mut bytes, 0);
        }
        bytes.extend(&self.command_line);
        bytes.push(0);
        bytes
    }
}

/// What QEMU passes to the kernel on a q35 with 128 MiB.
pub fn q35_start_info() -> StartInfo {
    StartInfo {
        version: 1,
        map: vec![
            (0, 0x9_fc00, 1),
            (0x9_fc00, 0x400, 2),
            (0xf_0000, 0x1_0000, 2),
            (1 << 20, 0x7ee_0000, 1),
            (0x7fe_0000, 0x2_0000, 2),
            (0xb000_0000, 0x1000_0000, 2),
        ],
        modules: vec![(0x700_0000, 0x12_3400)],
        command_line: b"exit=0xf4 log=info users=off".to_vec(),
        root_pointer: 0xf_5a80,
    }
}
