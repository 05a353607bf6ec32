//! What the kernel makes of what a PVH loader hands over.

use kernel::physical::may_be_read;
use kernel::pvh::{Handover, Unusable};
use kernel::ram::{PAGE, REGIONS, Region};
use proptest::prelude::*;
use sim::firmware::{Piece, StartInfo, q35_start_info};

const BASE: u64 = 0x9000;
/// First address beyond what QEMU's CPUs address.
const END: u64 = 1 << 40;
/// Where the kernel's image lies.
const IMAGE: core::ops::Range<u64> = 0x10_0000..0x20_0000;

/// What is copied of memory in which this lies, and nothing behind it.
fn copy(bytes: Vec<u8>) -> Option<Handover> {
    Handover::copy(&Piece::new(BASE, bytes), BASE, END)
}

fn handed_over(info: &StartInfo) -> Handover {
    copy(info.lay_out(BASE)).expect("it is a start-info structure")
}

#[test]
fn what_qemu_passes_is_copied() {
    let info = q35_start_info();
    let handover = handed_over(&info);
    assert_eq!(handover.regions().len(), info.map.len());
    let first = Region {
        start: 0,
        end: 0x9_fc00,
        usable: true,
    };
    assert_eq!(handover.regions()[0], first);
    assert_eq!(handover.archive, 0x700_0000..0x712_3400);
    assert_eq!(handover.root_pointer, 0xf_5a80);
    assert_eq!(handover.command_line(), info.command_line);
    let ram = handover.ram(IMAGE).expect("the archive lies in RAM");
    // 127 MiB less image, archive in whole pages, and what firmware keeps.
    let taken = 0x10_0000 + 0x12_4000 + 0x2_0000;
    assert_eq!(ram.pages() * PAGE, (127 << 20) - taken);
}

#[test]
fn what_is_no_start_info_is_refused() {
    assert!(copy(vec![0; 4096]).is_none());
    assert!(copy(q35_start_info().lay_out(BASE)[..39].to_vec()).is_none());
    let memory = Piece::new(BASE, q35_start_info().lay_out(BASE));
    for info in [0, BASE - 1, BASE + 1, 1 << 40, u64::MAX, u64::MAX - 30] {
        assert!(Handover::copy(&memory, info, END).is_none(), "{info:#x}");
    }
}

#[test]
fn pointers_that_lead_nowhere_lead_to_nothing() {
    for wild in [1u64, BASE - 8, 1 << 31, 1 << 63, u64::MAX - 3] {
        for pointer in [16, 24, 40] {
            let mut bytes = q35_start_info().lay_out(BASE);
            bytes[pointer..pointer + 8].copy_from_slice(&wild.to_le_bytes());
            let handover = copy(bytes).expect("its magic is right");
            let said = (
                handover.archive.is_empty(),
                handover.command_line().is_empty(),
                handover.ram(IMAGE).err() == Some(Unusable::CutMap),
            );
            assert_eq!(
                said,
                (pointer == 16, pointer == 24, pointer == 40),
                "{wild:#x}"
            );
        }
    }
}

#[test]
fn a_map_that_isnt_known_whole_is_refused() {
    // What isn't known may say that RAM in another entry is somebody else's.
    let why = |entries: u32, map: &[(u64, u64, u32)]| {
        let mut info = q35_start_info();
        info.map.extend(map);
        let mut bytes = info.lay_out(BASE);
        bytes[48..52].copy_from_slice(&(info.map.len() as u32 + entries).to_le_bytes());
        let handover = copy(bytes).expect("its magic is right");
        handover.ram(IMAGE).err()
    };
    let known = q35_start_info().map.len();
    let reserved = |count: usize| vec![(0x8000_0000, 0x1000, 2); count];
    assert_eq!(why(0, &reserved(REGIONS - known)), None);
    let one_more = why(0, &reserved(REGIONS - known + 1));
    assert_eq!(one_more, Some(Unusable::LongMap));
    // Empty ones say nothing.
    let empty = [reserved(REGIONS - known), vec![(5, 0, 2); 100]].concat();
    assert_eq!(why(0, &empty), None);
    assert_eq!(why(10, &[]), Some(Unusable::CutMap));
    assert_eq!(why(u32::MAX - 100, &[]), Some(Unusable::LongMap));
}

#[test]
fn the_kernels_own_image_is_not_read_as_somebody_elses() {
    // A command line there would change while it is copied.
    let may = |start: u64, end: u64| may_be_read(&(start..end), 1 << 30, &IMAGE);
    assert!(may(0, IMAGE.start) && may(IMAGE.end, 1 << 30));
    assert!(!may(IMAGE.start - 1, IMAGE.start + 1) && !may(0, 1 << 30));
    assert!(!may(IMAGE.end - 1, IMAGE.end) && !may(IMAGE.start, IMAGE.start + 1));
    assert!(!may(1 << 29, (1 << 30) + 1) && !may(2, 1));
}

#[test]
fn ram_that_the_cpu_cant_address_is_none() {
    // An entry of a table that maps it would have bits set that must be 0.
    let mut info = q35_start_info();
    info.map = vec![
        (END - (1 << 30), 1 << 31, 1),
        (END, 1 << 30, 1),
        (END + 5, u64::MAX, 1),
    ];
    let region = Region {
        start: END - (1 << 30),
        end: END,
        usable: true,
    };
    assert_eq!(handed_over(&info).regions(), [region]);
}

#[test]
fn a_structure_of_version_0_has_no_map() {
    let mut info = q35_start_info();
    info.version = 0;
    let handover = handed_over(&info);
    assert!(handover.regions().is_empty());
    assert_eq!(handover.ram(IMAGE).err(), Some(Unusable::Misplaced));
}

#[test]
fn a_command_line_without_an_end_is_cut_off() {
    let mut info = q35_start_info();
    info.command_line = vec![b'a'; 5000];
    assert_eq!(handed_over(&info).command_line(), [b'a'; 2048]);
    let mut bytes = q35_start_info().lay_out(BASE);
    bytes.pop();
    let handover = copy(bytes).expect("its magic is right");
    assert_eq!(handover.command_line(), q35_start_info().command_line);
}

#[test]
fn an_archive_that_isnt_all_in_ram_is_refused() {
    let why = |modules: &[(u64, u64)]| {
        let mut info = q35_start_info();
        info.modules = modules.to_vec();
        handed_over(&info).ram(IMAGE).err()
    };
    assert_eq!(why(&[]), Some(Unusable::NoArchive));
    assert_eq!(why(&[(0x700_0000, 0)]), Some(Unusable::NoArchive));
    assert_eq!(why(&[(0x700_0010, 512)]), Some(Unusable::Misaligned));
    for (start, bytes) in [
        (0x7fd_f000, 0x1001),
        (0x7fe_0000, 512),
        (0x1000, 512),
        (0x1f_f000, 512),
        (0x20_0000 - 0x2000, 0x4000),
        (0xfee0_0000, 512),
        (0x700_0000, 1 << 50),
        (1 << 44, 512),
        (!4095, 100),
    ] {
        assert_eq!(
            why(&[(start, bytes)]),
            Some(Unusable::Misplaced),
            "{start:#x}"
        );
    }
    assert_eq!(why(&[(!4095, 1 << 13)]), Some(Unusable::NoArchive));
    assert_eq!(why(&[(0x7fd_f000, 0x1000)]), None);
}

proptest! {
    #[test]
    fn nothing_that_is_handed_over_breaks_it(
        changed in prop::collection::vec((0..300usize, any::<u8>()), 0..12),
    ) {
        let mut bytes = q35_start_info().lay_out(BASE);
        for (at, value) in changed {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        if let Some(handover) = copy(bytes) && let Ok(ram) = handover.ram(IMAGE) {
            for piece in ram.free() {
                prop_assert!(piece.start >= IMAGE.end && piece.start < piece.end);
                prop_assert!(piece.end <= handover.archive.start || handover.archive.end <= piece.start);
            }
        }
    }
}
