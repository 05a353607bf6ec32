//! What a PVH loader hands over: memory map, archive, command line.
//!
//! The input is how many bits of an address the CPU has, the offset of the start-info structure in a piece
//! of memory, and what lies there.

use core::ops::Range;

use kernel::options::Options;
use kernel::pvh::{COMMAND_LINE, Handover};
use kernel::ram::{PAGE, REGIONS, Region};
use sim::firmware::{Piece, q35_start_info};

use super::ram;
use crate::{Input, Target};

/// The target.
pub const TARGET: Target = Target {
    name: "handover",
    about: "what a PVH loader hands over",
    run,
    seeds,
};

/// Where the piece of memory lies.
const BASE: u64 = 0x9000;
/// Where the kernel lies.
const IMAGE: Range<u64> = 0x10_0000..0x18_0000;

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let end = 1 << (32 + input.u8() % 21);
    let info = BASE + u64::from(input.u16());
    let memory = Piece::new(BASE, input.rest().to_vec());
    let Some(handover) = Handover::copy(&memory, info, end) else {
        return;
    };
    let line = handover.command_line();
    assert!(line.len() <= COMMAND_LINE && !line.contains(&0));
    let options = Options::parse(line);
    assert!((1..=5).contains(&options.log_level));
    assert!(line.starts_with(b"init=") || !options.init.contains(' '));

    let map = handover.regions();
    assert!(map.len() <= REGIONS);
    let sound = |region: &Region| region.start < region.end && region.end <= end;
    assert!(map.iter().all(sound), "{map:x?}");
    ram::check_mappings(map);
    match handover.ram(IMAGE) {
        Err(why) => assert!(!why.to_string().is_empty()),
        Ok(left) => {
            let archive = &handover.archive;
            assert!(archive.start.is_multiple_of(PAGE) && !archive.is_empty());
            let pages = archive.start..archive.end.next_multiple_of(PAGE);
            ram::check(&left, map, &[IMAGE, pages.clone()]);
            ram::check_usable(map, &pages);
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let q35 = q35_start_info();
    let mut large = q35.clone();
    large.map.push((1 << 32, 1 << 32, 1));
    large.modules.push((0x100_0000, 1));
    let mut careless = q35.clone();
    careless.map.push((2 << 20, 1 << 20, 1));
    careless.map.push((3 << 20, 1 << 13, 2));
    careless.map.push((0x7fd_0000, 0x1_8000, 1));
    careless.command_line = b"exit=99999 log=trace init=echo \xff=\xff".to_vec();
    let mut old = q35.clone();
    old.version = 0;
    [q35, large, careless, old]
        .iter()
        .map(|info| [vec![8, 0, 0], info.lay_out(BASE)].concat())
        .collect()
}
