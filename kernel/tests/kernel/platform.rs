//! What the kernel makes of ACPI's tables, right and wrong.

use kernel::platform::{IoApic, Platform};
use kernel::ram::{PAGE, Ram, Region};
use proptest::prelude::*;
use sim::firmware::{self, Piece};

/// Where the tables lie: in QEMU, behind RAM.
const BASE: u64 = 0x7fe_0000;
const BYTES: usize = 0x2_0000;

/// RAM, and what firmware keeps of it.
const MAP: [Region; 2] = [
    Region {
        start: 1 << 20,
        end: BASE,
        usable: true,
    },
    Region {
        start: BASE,
        end: BASE + BYTES as u64,
        usable: false,
    },
];

/// What is read of memory that begins like this. It may be looked at nowhere else than in the map and in
/// the first MiB.
fn read(mut bytes: Vec<u8>) -> Platform {
    bytes.resize(BYTES, 0);
    let mut piece = Piece::new(BASE, bytes);
    piece.allowed.push(0..1 << 20);
    piece
        .allowed
        .extend(MAP.iter().map(|region| region.start..region.end));
    Platform::read(&piece, &MAP, BASE)
}

/// What is read of these tables.
fn read_tables(tables: &[Vec<u8>]) -> Platform {
    read(firmware::tables(BASE, true, tables))
}

fn reserved(platform: &Platform) -> Vec<(u64, u64)> {
    let known = platform.reserved.iter().filter(|region| region.end != 0);
    known.map(|region| (region.start, region.end)).collect()
}

#[test]
fn what_a_q35_has_is_known_by_either_root_table() {
    for extended in [false, true] {
        let platform = read(firmware::tables(BASE, extended, &firmware::q35()));
        assert_eq!(platform.local_apic, 0xfee0_0000);
        assert_eq!(platform.cpus, 2);
        assert_eq!(platform.power_port, 0x604);
        assert_eq!(reserved(&platform), [(0xb000_0000, 0xc000_0000)]);
        assert_eq!(platform.isa[0], (2, false, false));
        assert_eq!(platform.isa[1], (1, false, false));
        assert_eq!(platform.isa[9], (9, false, true));
        let apic = platform.io_apic(23, |_| 24).expect("there is one");
        assert_eq!((apic.address, apic.first), (0xfec0_0000, 0));
        assert_eq!(platform.io_apic(24, |_| 24), None);
    }
}

#[test]
fn without_a_root_pointer_a_pc_is_taken_for_granted() {
    let nothing = Piece::new(BASE, vec![0; 4096]);
    for root_pointer in [0, BASE, BASE + 4090, 1 << 40, u64::MAX, u64::MAX - 20] {
        let platform = Platform::read(&nothing, &MAP, root_pointer);
        assert_eq!((platform.cpus, platform.power_port), (1, 0));
        assert_eq!(platform.io_apics, [IoApic::default(); 8]);
    }
}

#[test]
fn an_entry_of_no_length_ends_the_list() {
    for length in [0, 1] {
        let cpu: (u8, &[u8]) = (0, &[0, 0, 1, 0, 0, 0]);
        let mut table = firmware::interrupts([cpu, cpu, cpu]);
        table[44 + 8 + 1] = length;
        assert_eq!(read_tables(&[table]).cpus, 1);
    }
}

#[test]
fn an_entry_that_is_too_short_for_its_kind_says_nothing() {
    // The next entry's bytes, or what lies behind the table, would be taken for its own.
    let table = firmware::interrupts([(0, &[0u8, 0][..]), (1, &[0, 0, 0, 0xc0]), (2, &[0, 1])]);
    let platform = read_tables(&[table]);
    assert_eq!(platform.cpus, 1);
    assert_eq!(platform.io_apics, [IoApic::default(); 8]);
    assert_eq!(platform.isa[1], (1, false, false));
}

#[test]
fn a_table_that_is_cut_off_says_nothing_of_what_lay_beyond() {
    // Of ACPI 1.0: it ends before the long fields, which its revision promises.
    let platform = read_tables(&[firmware::fixed(6, 116, 0x604, 0x1234)]);
    assert_eq!(platform.power_port, 0x604);
    let platform = read_tables(&[firmware::fixed(6, 40, 0x604, 0x1234)]);
    assert_eq!(platform.power_port, 0);
    for bytes in 0..60 {
        let mut tables = firmware::q35();
        tables.iter_mut().for_each(|table| {
            let length = bytes.min(table.len());
            table[4..8].copy_from_slice(&(length as u32).to_le_bytes());
        });
        read_tables(&tables);
    }
}

#[test]
fn a_table_that_reaches_out_of_memory_is_none() {
    for length in [BYTES as u32, 1 << 20, u32::MAX] {
        let mut tables = firmware::q35();
        tables[1][4..8].copy_from_slice(&length.to_le_bytes());
        let platform = read_tables(&tables);
        assert_eq!((platform.cpus, platform.power_port), (1, 0x604));
    }
}

#[test]
fn a_root_table_that_lies_elsewhere_is_none() {
    for address in [
        0xfee0_0000,
        0xb000_0000,
        BASE + BYTES as u64 - 10,
        1 << 45,
        u64::MAX - 8,
    ] {
        let mut bytes = firmware::tables(BASE, true, &firmware::q35());
        bytes[24..32].copy_from_slice(&address.to_le_bytes());
        assert_eq!(read(bytes).cpus, 1);
    }
}

#[test]
fn configuration_space_without_an_end_is_none() {
    let platform = read_tables(&[firmware::configuration(&[
        (0xb000_0000, 9, 3),
        (u64::MAX - 5, 0, 0),
        (0xffff_ffff_fff0_0000, 0, 0),
        (0xe000_0000, 4, 7),
    ])]);
    assert_eq!(reserved(&platform), [(0xe040_0000, 0xe080_0000)]);
}

#[test]
fn interrupt_controllers_in_ram_are_none() {
    // The kernel writes their registers.
    let mut table = firmware::interrupts([
        (1, &[0u8, 0, 0, 0, 0x40, 0, 0, 0, 0, 0][..]),
        (1, &[1, 0, 4, 0, 0xc0, 0xfe, 0, 0, 0, 0]),
        (1, &[2, 0, 0, 4, 0xc0, 0xfe, 24, 0, 0, 0]),
    ]);
    table[36..40].copy_from_slice(&0x40_0000_u32.to_le_bytes());
    let platform = read_tables(&[table]);
    assert_eq!(platform.local_apic, 0xfee0_0000);
    let aligned = IoApic {
        address: 0xfec0_0400,
        first: 24,
    };
    assert_eq!(platform.io_apics[0], aligned);
    assert_eq!(platform.io_apics[1], IoApic::default());
}

/// RAM up to 4 GiB, as no PC has it.
const ALL_RAM: [Region; 1] = [Region {
    start: 1 << 20,
    end: 1 << 32,
    usable: true,
}];

#[test]
fn a_local_apic_in_ram_is_none() {
    let mut bytes = firmware::tables(BASE, true, &firmware::q35());
    bytes.resize(BYTES, 0);
    let piece = Piece::new(BASE, bytes);
    for root_pointer in [0, BASE, BASE + 8] {
        let platform = Platform::read(&piece, &ALL_RAM, root_pointer);
        assert_eq!(platform.local_apic, 0);
        assert_eq!(platform.io_apics, [IoApic::default(); 8]);
    }
}

#[test]
fn ram_where_configuration_space_is_belongs_to_nobody() {
    // Whoever writes there tells any device to read and write anywhere.
    let mut bytes = firmware::tables(BASE, true, &firmware::q35());
    bytes.resize(BYTES, 0);
    let platform = Platform::read(&Piece::new(BASE, bytes), &ALL_RAM, BASE);
    let mut ram = Ram::new(&ALL_RAM);
    assert_eq!(ram.withhold(&ALL_RAM, platform.registers()), Ok(()));
    for page in [
        0xb000_0000,
        0xbfff_f000,
        0xfec0_0000,
        0xfee0_0000,
        0xffff_f000,
    ] {
        assert!(!ram.holds(&(page..page + PAGE)), "{page:#x}");
    }
    assert!(ram.holds(&(1 << 20..0xb000_0000)) && ram.holds(&(0xc000_0000..0xfec0_0000)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_tables_break_it(
        extended: bool,
        changed in prop::collection::vec((0..600usize, any::<u8>()), 0..12),
    ) {
        let mut bytes = firmware::tables(BASE, extended, &firmware::q35());
        bytes.resize(BYTES, 0);
        for (at, value) in changed {
            bytes[at] = value;
        }
        let platform = read(bytes);
        prop_assert!(platform.cpus > 0);
        prop_assert!(platform.local_apic >= BASE && platform.local_apic.is_multiple_of(4096));
        for apic in platform.io_apics.iter().filter(|apic| apic.address != 0) {
            prop_assert!(!(1 << 20..BASE).contains(&apic.address));
        }
        for (start, end) in reserved(&platform) {
            prop_assert!(start < end);
        }
    }
}
