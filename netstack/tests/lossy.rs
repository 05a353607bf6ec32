//! Bad wires: what arrives is what was sent, and it arrives.

mod world;

use netstack::service::http::bytes;
use proptest::prelude::*;
use world::config;
use world::meeting::{Faults, Meeting};

fn download(faults: Faults, seed: u64, amount: usize) {
    let mut meeting = Meeting::faulty(config(false), faults, seed);
    let answer = meeting.get(&format!("/bytes/{amount}"));
    let head = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let mut expected = vec![0; amount];
    bytes::fill(0, &mut expected);
    assert!(answer[head..] == expected, "{faults:?} seed {seed}");
}

fn echo(faults: Faults, seed: u64, amount: usize) {
    let mut meeting = Meeting::faulty(config(false), faults, seed);
    let handle = meeting.connect(7);
    let data: Vec<u8> = (0..amount)
        .map(|n| (n ^ (n >> 8) ^ (n >> 16)) as u8)
        .collect();
    let answer = meeting.converse(handle, &data, amount);
    assert!(answer == data, "{faults:?} seed {seed}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn everything_arrives_as_it_was_sent(
        seed: u64,
        loss in 0u32..80,
        doubling in 0u32..80,
        reordering in 0u32..80,
        corruption in 0u32..40,
    ) {
        let faults = Faults { loss, doubling, reordering, corruption };
        download(faults, seed, 200_000);
        echo(faults, seed, 100_000);
    }
}

#[test]
fn a_clean_wire_with_reordering_only() {
    let faults = Faults {
        reordering: 200,
        ..Faults::default()
    };
    download(faults, 7, 1_000_000);
    echo(faults, 7, 1_000_000);
}
