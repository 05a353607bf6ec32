//! Frames over several buffers, and what a device can say of them that isn't so.

use ethdrv::transport::{Received, Transport};
use ethdrv::virtio_net::MOST_BUFFERS;
use proptest::prelude::*;

use crate::card::*;

const LIMIT: u32 = 9014;
const HEADER: u32 = 12;
/// Bytes of each buffer, and of the window between two.
const BUFFER: u32 = 2044;
const STRIDE: u64 = 2048;
const FIRST: u64 = 0x10_0000;

impl Card {
    /// A card whose frames can take several buffers, with this many posted.
    fn merging(posted: u16) -> Card {
        let mut card = card(everything(), &[256, 256, 64], 9000);
        assert_eq!(card.net.information().frame_limit, LIMIT);
        for token in 0..posted {
            card.lend(token);
        }
        card
    }

    fn lend(&mut self, token: u16) {
        let buffer = piece(FIRST + STRIDE * u64::from(token), BUFFER);
        self.net.post(buffer, token).expect("room");
    }

    /// The device gives the next posted buffers back, this much written in each, and says in the first
    /// one's header that there are so many. Answers their tokens.
    fn fill(&mut self, number: u16, written: &[u32]) -> Vec<u16> {
        let mut tokens = Vec::new();
        for written in written {
            let chain = self.take_posted();
            let token = ((chain.buffers[0].address - FIRST) / STRIDE) as u16;
            if tokens.is_empty() {
                self.numbers.insert(token, number);
            }
            tokens.push(token);
            self.receive.give(chain.head.into(), *written);
        }
        tokens
    }

    /// What the device reports next is no frame, and is told as that; answers how it is told.
    fn told(&mut self) -> String {
        self.received().expect_err("no frame").to_string()
    }

    /// The next buffer, which must hold nothing; answers its token.
    fn nothing(&mut self) -> u16 {
        let received = self.received().expect("told already").expect("a buffer");
        assert_eq!((received.length, received.more), (0, false));
        received.token
    }

    /// After whatever happened, an ordinary frame arrives.
    fn goes_on(&mut self) {
        let token = self.fill(1, &[HEADER + 60])[0];
        let received = Received {
            token,
            offset: HEADER,
            length: 60,
            more: false,
        };
        assert_eq!(self.received(), Ok(Some(received)));
        assert_eq!(self.received(), Ok(None));
        assert_eq!(self.net.failure(), None);
    }
}

#[test]
fn a_frame_of_one_buffer_is_as_it_ever_was() {
    let mut card = Card::merging(20);
    card.goes_on();
    card.goes_on();
}

#[test]
fn a_long_frame_comes_buffer_by_buffer_and_only_the_first_has_a_header() {
    let mut card = Card::merging(20);
    let last = LIMIT + HEADER - 4 * BUFFER;
    let tokens = card.fill(5, &[BUFFER, BUFFER, BUFFER, BUFFER, last]);
    let offsets = [HEADER, 0, 0, 0, 0];
    let lengths = [BUFFER - HEADER, BUFFER, BUFFER, BUFFER, last];
    assert_eq!(lengths.iter().sum::<u32>(), LIMIT);
    for n in 0..5 {
        let received = Received {
            token: tokens[n],
            offset: offsets[n],
            length: lengths[n],
            more: n < 4,
        };
        assert_eq!(card.received(), Ok(Some(received)));
    }
    card.goes_on();
}

#[test]
fn a_number_is_not_read_where_no_header_was_written() {
    let mut card = Card::merging(20);
    let token = card.fill(3, &[HEADER - 1])[0];
    assert_eq!(card.nothing(), token);
    card.goes_on();
}

#[test]
fn a_frame_in_no_buffer_is_told_and_its_buffer_comes_back_empty() {
    let mut card = Card::merging(20);
    let token = card.fill(0, &[HEADER + 60])[0];
    assert_eq!(
        card.told(),
        "the device reports a frame in no buffer at all"
    );
    assert_eq!(card.nothing(), token);
    card.goes_on();
}

#[test]
fn a_frame_in_more_buffers_than_are_posted_is_told_and_costs_no_other() {
    let mut card = Card::merging(4);
    let token = card.fill(5, &[BUFFER])[0];
    assert_eq!(
        card.told(),
        "the device reports a frame in more buffers than it has"
    );
    assert_eq!(card.nothing(), token);
    card.goes_on();
}

#[test]
fn a_frame_that_breaks_off_is_told_and_its_end_is_not_taken_for_a_frame() {
    let mut card = Card::merging(20);
    let begun = card.fill(3, &[BUFFER, BUFFER]);
    assert_eq!(
        card.told(),
        "the device reports a frame and not all of its buffers"
    );
    assert_eq!(card.nothing(), begun[0]);
    assert_eq!(card.nothing(), begun[1]);
    assert_eq!(card.received(), Ok(None));
    // What would be this frame's header is whatever its sender wrote into the middle of it.
    let end = card.fill(1, &[HEADER + 60])[0];
    assert_eq!(card.nothing(), end);
    card.goes_on();
}

#[test]
fn a_frame_in_more_buffers_than_any_takes_is_told_and_passed_over() {
    let mut card = Card::merging(40);
    let count = MOST_BUFFERS + 1;
    let tokens = card.fill(count as u16, &vec![100; count]);
    assert_eq!(
        card.told(),
        "the device reports a frame in more buffers than any takes"
    );
    for token in tokens {
        assert_eq!(card.nothing(), token);
    }
    card.goes_on();
}

#[test]
fn a_frame_longer_than_the_link_carries_is_told_and_passed_over() {
    let mut card = Card::merging(20);
    let last = LIMIT + HEADER - 4 * BUFFER + 1;
    for written in [
        vec![BUFFER, BUFFER, BUFFER, BUFFER, last],
        vec![BUFFER, u32::MAX, u32::MAX],
        vec![LIMIT + HEADER + 1],
    ] {
        let tokens = card.fill(written.len() as u16, &written);
        assert_eq!(
            card.told(),
            "the device reports a frame longer than the link carries"
        );
        for token in tokens {
            assert_eq!(card.nothing(), token);
            card.lend(token);
        }
    }
    card.goes_on();
}

#[test]
fn a_part_that_is_longer_than_its_buffer_is_handed_on_for_the_policy_to_refuse() {
    let mut card = Card::merging(20);
    let (claimed, rest) = (BUFFER + 1776, 100);
    let tokens = card.fill(2, &[claimed, rest]);
    // The whole is no longer than the link carries: only who posted the buffer knows that it isn't so.
    let (first, last) = (card.received(), card.received());
    let part = |token, offset, length, more| {
        Ok(Some(Received {
            token,
            offset,
            length,
            more,
        }))
    };
    assert_eq!(first, part(tokens[0], HEADER, claimed - HEADER, true));
    assert_eq!(last, part(tokens[1], 0, rest, false));
    card.goes_on();
}

#[test]
fn a_frame_with_a_buffer_that_is_none_is_told_and_passed_over() {
    let mut card = Card::merging(20);
    let first = card.fill(3, &[BUFFER])[0];
    card.receive.give(77, 100);
    let last = card.fill(1, &[100])[0];
    assert_eq!(
        card.told(),
        "the device reports a buffer back that it doesn't have"
    );
    assert_eq!(card.nothing(), first);
    assert_eq!(card.nothing(), last);
    card.goes_on();
}

/// What a device does next.
#[derive(Clone, Debug)]
enum Step {
    /// Gives buffers back, with this number in each of their headers.
    Give(u16, Vec<u32>),
    /// Gives back what it hasn't got.
    Invent(u32),
    /// Leaves the driver time.
    Wait,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let number = prop_oneof![4 => 0u16..6, 1 => any::<u16>()];
    let written = prop_oneof![4 => 0..=BUFFER, 1 => any::<u32>()];
    let step = prop_oneof![
        4 => (number, prop::collection::vec(written, 1..6)).prop_map(|(n, w)| Step::Give(n, w)),
        1 => any::<u32>().prop_map(Step::Invent),
        3 => Just(Step::Wait),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    #[test]
    fn whatever_a_device_says_each_buffer_comes_back_once_and_frames_are_whole(steps in steps()) {
        let mut card = Card::merging(30);
        let mut out = [true; 30];
        let mut frame: Option<u32> = None;
        for step in steps {
            match step {
                Step::Give(number, written) => {
                    let held = usize::from(card.receive.waiting());
                    let written = &written[..written.len().min(held)];
                    let first = card.fill(number, written);
                    card.numbers.extend(first.into_iter().map(|token| (token, number)));
                }
                Step::Invent(id) => {
                    if card.net.failure().is_none() && id >= 256 {
                        card.receive.give(id, 100);
                    }
                }
                Step::Wait => for _ in 0..200 {
                    match card.received() {
                        Err(_) => prop_assert_eq!(frame, None, "a fault within a frame"),
                        Ok(None) => break,
                        Ok(Some(received)) => {
                            let token = usize::from(received.token);
                            prop_assert!(std::mem::replace(&mut out[token], false));
                            let total = frame.unwrap_or(0).saturating_add(received.length);
                            prop_assert!(total <= LIMIT);
                            prop_assert_eq!(received.offset == HEADER && received.length > 0,
                                frame.is_none() && received.length > 0);
                            frame = received.more.then_some(total);
                            card.lend(received.token);
                            out[token] = true;
                        }
                    }
                },
            }
            if card.net.failure().is_some() {
                break;
            }
        }
        while let Ok(Some(received)) = card.received() {
            frame = received.more.then_some(0);
        }
        prop_assert!(frame.is_none() || card.net.failure().is_some());
    }
}
