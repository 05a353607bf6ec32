//! The heap, bounded by the bank. These tests are the last: they leave the program with a small bank.

use alloc::vec::Vec;

use guest::children::{BANK, use_small_bank};
use rt::Kernel;

use super::{Outcome, Test, check, show};

pub const TESTS: &[Test] = &[
    ("what is allocated is not shared", disjoint),
    (
        "more than the heap's place fails, and costs nothing",
        too_much,
    ),
    (
        "what the bank refuses fails, and the program goes on",
        refused,
    ),
];

fn disjoint() -> Outcome {
    let mut blocks: Vec<Vec<u8>> = (0..200u32)
        .map(|n| alloc::vec![n as u8; n as usize * 37])
        .collect();
    blocks.retain(|block| block.len() % 2 == 0);
    blocks.extend((0..100u32).map(|n| alloc::vec![200; n as usize * 91]));
    let same = |block: &Vec<u8>| block.windows(2).all(|pair| pair[0] == pair[1]);
    check(blocks.iter().all(same), "two blocks overlap")
}

fn too_much() -> Outcome {
    let before = BANK.usage(&Kernel).map_err(show)?.bought;
    let mut block: Vec<u8> = Vec::new();
    check(
        block.try_reserve_exact(1 << 30).is_err(),
        "a GiB was allocated",
    )?;
    check(
        block.try_reserve_exact(isize::MAX as usize).is_err(),
        "everything was allocated",
    )?;
    let after = BANK.usage(&Kernel).map_err(show)?.bought;
    check(before == after, "something was bought")
}

fn refused() -> Outcome {
    use_small_bank(100).map_err(show)?;
    let mut blocks: Vec<Vec<u8>> = Vec::with_capacity(1000);
    let failed = loop {
        let mut block = Vec::new();
        if block.try_reserve_exact(64 << 10).is_err() {
            break blocks.len();
        }
        block.resize(64 << 10, 1);
        blocks.push(block);
        if blocks.len() == 1000 {
            return check(false, "the limit does not hold");
        }
    };
    let usage = BANK.usage(&Kernel).map_err(show)?;
    check(
        failed >= 5 && usage.bought <= usage.limit,
        "refused too early or too late",
    )?;
    // What was freed is there again.
    blocks.pop();
    let mut again: Vec<u8> = Vec::new();
    check(
        again.try_reserve_exact(64 << 10).is_ok(),
        "what was freed is lost",
    )
}
