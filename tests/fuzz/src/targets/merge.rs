//! Frames over several buffers, and what a network card says of them.

#[path = "../../../../ethdrv/tests/virtio_net/card.rs"]
#[allow(dead_code, missing_docs)]
mod card;

use std::collections::BTreeSet;

use ethdrv::transport::Transport;
use ethdrv::virtio_net::MOST_BUFFERS;
use ethdrv::virtio_net::device::HEADER;

use crate::{Input, Target};

/// The target.
pub const TARGET: Target = Target {
    name: "merge",
    about: "what a network card received",
    run,
    seeds,
};

const FIRST: u64 = 0x10_0000;
const STRIDE: u64 = 2048;
const BUFFER: u32 = 2044;
const MTU: u16 = 9000;

/// What the transport promises of a frame, whatever the device says. That its bytes lie in their buffers
/// it doesn't: lengths are handed on, and the driver's policy compares them with what it posted.
fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut card = card::card(card::everything(), &[256, 256, 64], MTU);
    let longest = card.net.information().frame_limit;
    let (mut token, mut posted) = (0_u16, BTreeSet::new());
    // Bytes and buffers of the frame that goes on.
    let (mut length, mut buffers) = (0, 0);
    while !input.is_empty() {
        match input.u8() % 4 {
            0 => {
                let buffer = card::piece(FIRST + STRIDE * u64::from(token % 64), BUFFER);
                if card.net.post(buffer, token).is_ok() {
                    posted.insert(token);
                    token = token.wrapping_add(1);
                }
            }
            1 => {
                if let Some(chain) = card.receive.take_whatever() {
                    let at = chain.buffers[0].address.saturating_sub(FIRST) / STRIDE;
                    card.numbers.insert(at as u16, input.u16());
                    let written = u32::from(input.u16());
                    card.receive.give(chain.head.into(), written);
                }
            }
            2 => card.receive.give(input.u16().into(), input.u32()),
            _ => {
                let Ok(Some(received)) = card.received() else {
                    assert_eq!(buffers, 0, "a frame breaks off");
                    continue;
                };
                assert!(posted.remove(&received.token), "not posted: {received:?}");
                let start = if buffers == 0 { HEADER } else { 0 };
                assert!(
                    received.offset == start || received.length == 0,
                    "{received:?}"
                );
                (length, buffers) = (length + received.length, buffers + 1);
                assert!(length <= longest, "a frame longer than any");
                assert!(buffers <= MOST_BUFFERS, "a frame in too many buffers");
                if !received.more {
                    (length, buffers) = (0, 0);
                }
            }
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    vec![
        vec![0, 0, 1, 1, 0, 72, 0, 3, 3],
        vec![
            0, 0, 0, 1, 3, 0, 0xfc, 7, 1, 0, 0, 0xfc, 7, 1, 0, 0, 9, 0, 3, 3, 3, 3,
        ],
        vec![0, 2, 0, 0, 9, 0, 0, 0, 3, 2, 9, 9, 1, 1, 1, 1, 3],
    ]
}
