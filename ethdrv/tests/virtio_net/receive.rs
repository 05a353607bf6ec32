//! Receiving, interrupts, and when the device is told.

use ethdrv::transport::{Full, Interest, Received, Transport};
use virtio::Buffer;
use virtio::testing::Chain;

use crate::card::*;

#[test]
fn received_frames_come_in_the_order_of_the_device() {
    let mut card = usual();
    for token in 0..256 {
        let buffer = piece(0x10_0000 + 2048 * u64::from(token), 2036);
        assert_eq!(card.net.post(buffer, token), Ok(()));
    }
    assert_eq!(card.net.post(piece(0x9000, 2036), 0), Err(Full));
    card.net.flush();
    assert_eq!(card.function.rung(), [0]);
    assert_eq!(card.received(), Ok(None));

    let chains: Vec<Chain> = (0..256).map(|_| card.take_posted()).collect();
    let expected = Buffer::from_device(0x10_0000 + 2048 * 7, 2036);
    assert_eq!(chains[7].buffers, [expected]);
    for n in [7usize, 0, 255] {
        card.receive.give(chains[n].head.into(), 12 + n as u32);
    }
    // Less than a header; nothing; more than there is room for: the policy is to know.
    for (n, written) in [(1usize, 11), (2, 0), (3, u32::MAX)] {
        card.receive.give(chains[n].head.into(), written);
    }
    for (token, length) in [
        (7, 7),
        (0, 0),
        (255, 255),
        (1, 0),
        (2, 0),
        (3, u32::MAX - 12),
    ] {
        let received = Received {
            token,
            offset: 12,
            length,
            more: false,
        };
        assert_eq!(card.received(), Ok(Some(received)));
    }
    assert_eq!(card.received(), Ok(None));
}

#[test]
fn the_device_is_told_once_for_a_batch_and_only_when_it_asks() {
    let mut card = usual();
    card.net.flush();
    assert_eq!(card.function.rung(), [0u16; 0]);
    for token in 0..5 {
        card.net.post(piece(0x9000, 2036), token).expect("room");
        card.net
            .transmit(&[piece(0x5010, 60)], token)
            .expect("room");
    }
    card.net.flush();
    assert_eq!(card.function.rung(), [0, 1]);
    card.net.flush();
    assert_eq!(card.function.rung(), [0u16; 0]);
    card.transmit.quiet();
    card.net.transmit(&[piece(0x5010, 60)], 5).expect("room");
    card.net.flush();
    assert_eq!(card.function.rung(), [0u16; 0]);
}

#[test]
fn interrupts_come_for_what_was_asked() {
    let mut card = usual();
    for token in 0..4 {
        card.net.post(piece(0x9000, 2036), token).expect("room");
        card.net
            .transmit(&[piece(0x5010, 60)], token)
            .expect("room");
    }
    let interest = |receive, transmit| Interest { receive, transmit };
    let receive = |card: &mut Card| {
        let chain = card.receive.take().expect("posted");
        card.receive.give(chain.head.into(), 72);
        card.receive.should_interrupt()
    };
    let transmit = |card: &mut Card| {
        let chain = card.transmit.take().expect("sent");
        card.transmit.give(chain.head.into(), 0);
        card.transmit.should_interrupt()
    };
    assert!(!card.net.ask(interest(true, false)));
    assert!(!transmit(&mut card));
    assert!(receive(&mut card));
    assert!(card.net.ask(interest(true, false)), "it is there already");
    assert!(card.net.ask(interest(false, true)), "one left already");
    while card.received().expect("honest").is_some() {}
    while card.net.transmitted().expect("honest").is_some() {}
    assert!(!card.net.ask(interest(false, true)));
    assert!(!receive(&mut card));
    assert!(transmit(&mut card));
    while card.net.transmitted().expect("honest").is_some() {}
    assert!(!card.net.ask(interest(false, true)));
    card.net.quiet();
    assert!(!transmit(&mut card));
}
