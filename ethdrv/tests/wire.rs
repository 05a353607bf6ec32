//! Both ends of the simulated wire, against each other and against an end that lies.

use abi::PAGE_SIZE;
use ethdrv::transport::{Interest, Piece, Received, Refused, Transport};
use ethdrv::wire::{Buffer, End, PIECES, Span, Wire, layout};
use std::cell::Cell;
use std::rc::Rc;
use sys::Mem;
use virtio::testing::FakeMemory;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];
/// Offset of the wire's index of received frames.
const INDEX_OF_RECEIVED: usize = 128;
/// Offset of the wire's index of released pieces.
const INDEX_OF_SENT: usize = 64;

struct Both {
    driver: Wire<FakeMemory, Box<dyn FnMut()>>,
    wire: End<FakeMemory>,
    /// The wire's segment.
    theirs: FakeMemory,
    kicks: Rc<Cell<u32>>,
}

fn both() -> Both {
    let own = FakeMemory::new(layout::DRIVER_PAGES * PAGE_SIZE);
    let theirs = FakeMemory::new(layout::WIRE_PAGES * PAGE_SIZE);
    let wire = End::begin(theirs.clone(), own.clone()).unwrap();
    let kicks = Rc::new(Cell::new(0));
    let counter = kicks.clone();
    let kick: Box<dyn FnMut()> = Box::new(move || counter.set(counter.get() + 1));
    let driver = Wire::begin(own, theirs.clone(), MAC, 1514, kick).unwrap();
    Both {
        driver,
        wire,
        theirs,
        kicks,
    }
}

fn piece(window: u64, offset: u64, length: u32) -> Piece {
    Piece {
        address: 0,
        view: window << 21 | offset,
        length,
    }
}

fn span(window: usize, offset: usize, length: usize) -> Span {
    Span {
        window,
        offset,
        length,
    }
}

#[test]
fn buffers_come_back_filled_many_times_round() {
    let Both {
        mut driver,
        mut wire,
        ..
    } = both();
    let capacity = driver.information().receive_capacity;
    for token in 0..capacity {
        let buffer = piece(0, u64::from(token) * 2048, 2048);
        driver.post(buffer, token).unwrap();
    }
    assert!(driver.post(piece(0, 0, 2048), 0).is_err());
    driver.flush();
    // More than the ring holds, and never a whole number of times.
    for round in 0..1000usize {
        let expected = round % usize::from(capacity);
        let buffer = wire.buffer().unwrap().unwrap();
        let token = expected as u16;
        assert_eq!(
            buffer,
            Buffer {
                span: span(0, expected * 2048, 2048),
                token
            }
        );
        wire.filled(token, 60 + expected).unwrap();
        wire.publish().unwrap();
        let received = driver.receive(|_, _| None).unwrap().unwrap();
        let length = 60 + expected as u32;
        let whole = Received {
            token,
            offset: 0,
            length,
            more: false,
        };
        assert_eq!(received, whole);
        assert_eq!(driver.receive(|_, _| None), Ok(None));
        driver
            .post(piece(0, expected as u64 * 2048, 2048), token)
            .unwrap();
        driver.flush();
    }
    assert!(driver.works());
}

#[test]
fn a_frame_goes_on_in_the_buffers_that_come_after_its_parts() {
    let Both {
        mut driver,
        mut wire,
        ..
    } = both();
    for token in 0..3 {
        driver
            .post(piece(0, u64::from(token) * 2048, 2048), token)
            .unwrap();
    }
    driver.flush();
    // In whatever order the buffers are filled.
    wire.part(2, 2048).unwrap();
    wire.part(0, 2048).unwrap();
    wire.filled(1, 7).unwrap();
    wire.publish().unwrap();
    for (token, length, more) in [(2, 2048, true), (0, 2048, true), (1, 7, false)] {
        let received = driver.receive(|_, _| None).unwrap().unwrap();
        assert_eq!((received.token, received.length), (token, length));
        assert_eq!(received.more, more);
    }
}

#[test]
fn frames_of_several_pieces_arrive_whole_and_their_tokens_come_back_once() {
    let Both {
        mut driver,
        mut wire,
        ..
    } = both();
    for round in 0..500u16 {
        let token = round % 85;
        let pieces = [
            piece(0, 16, 128),
            piece(1, 5 * 4096 + 144, 900),
            piece(1, 6 * 4096, 4),
        ];
        let count = usize::from(round) % PIECES + 1;
        driver.transmit(&pieces[..count], token).unwrap();
        assert_eq!(driver.transmitted(), Ok(None));
        driver.flush();
        let sent = wire.sent().unwrap().unwrap();
        let mut expected = [
            span(0, 16, 128),
            span(1, 5 * 4096 + 144, 900),
            span(1, 6 * 4096, 4),
        ];
        expected[count..].fill(Span::default());
        assert_eq!(sent, expected);
        assert_eq!(wire.sent(), Ok(None));
        // It is not done before it says so.
        wire.publish().unwrap();
        assert_eq!(driver.transmitted(), Ok(None));
        wire.carried();
        wire.publish().unwrap();
        assert_eq!(driver.transmitted(), Ok(Some(token)));
        assert_eq!(driver.transmitted(), Ok(None));
    }
}

#[test]
fn as_many_frames_as_it_says_fit_and_no_more() {
    let Both {
        mut driver,
        mut wire,
        ..
    } = both();
    let capacity = driver.information().transmit_capacity;
    let pieces = [piece(0, 0, 128), piece(1, 128, 900), piece(1, 4096, 4)];
    for token in 0..capacity {
        driver.transmit(&pieces, token).unwrap();
    }
    assert!(driver.transmit(&pieces, 0).is_err());
    driver.flush();
    let mut arrived = 0;
    while wire.sent().unwrap().is_some() {
        arrived += 1;
    }
    assert_eq!(arrived, capacity);
    wire.carried();
    wire.publish().unwrap();
    for token in 0..capacity {
        assert_eq!(driver.transmitted(), Ok(Some(token)));
    }
    assert!(driver.transmit(&pieces, 0).is_ok());
}

#[test]
fn who_waits_is_told_once_and_who_does_not_is_not_told() {
    let Both {
        mut driver,
        mut wire,
        kicks,
        ..
    } = both();
    for token in 0..4 {
        driver.post(piece(0, 0, 2048), token).unwrap();
    }
    driver.flush();
    assert_eq!(kicks.get(), 0);
    assert!(!wire.ask().unwrap());
    for token in 0..3 {
        driver.transmit(&[piece(0, 0, 60)], token).unwrap();
        driver.flush();
    }
    assert_eq!(kicks.get(), 1);

    let all = Interest {
        receive: true,
        transmit: true,
    };
    assert!(!driver.ask(all));
    wire.filled(0, 60).unwrap();
    assert!(wire.publish().unwrap());
    wire.filled(1, 60).unwrap();
    assert!(!wire.publish().unwrap());
    // What is there already need not be waited for.
    assert!(driver.ask(all));
    while wire.sent().unwrap().is_some() {}
    wire.carried();
    assert!(wire.publish().unwrap());
}

#[test]
fn an_index_that_the_wire_can_not_have_ends_it() {
    for line in [INDEX_OF_RECEIVED, INDEX_OF_SENT] {
        let Both {
            mut driver, theirs, ..
        } = both();
        theirs.store_u32(line, 1000).unwrap();
        let faults = [
            driver.receive(|_, _| None).err(),
            driver.transmitted().err(),
        ];
        assert_eq!(faults.iter().flatten().count(), 1, "{line}");
        assert!(!driver.works() && !driver.link());
        // It is told once.
        assert_eq!(driver.receive(|_, _| None), Ok(None));
        assert_eq!(driver.transmitted(), Ok(None));
        assert!(driver.failure().is_some());
    }
}

#[test]
fn tokens_that_are_none_reach_the_policy_as_one_it_never_gave() {
    let Both {
        mut driver, theirs, ..
    } = both();
    theirs.store_u64(PAGE_SIZE, 0x1_0003).unwrap();
    theirs.store_u64(PAGE_SIZE + 8, 60).unwrap();
    theirs.store_u32(INDEX_OF_RECEIVED, 1).unwrap();
    let received = driver.receive(|_, _| None).unwrap().unwrap();
    assert!(received.token >= driver.information().receive_capacity);
}

#[test]
fn a_frame_with_a_piece_without_bytes_is_never_taken() {
    let Both {
        mut driver,
        mut wire,
        ..
    } = both();
    let (some, nothing) = (piece(0, 16, 128), piece(1, 4096, 0));
    let unfit: [&[Piece]; 5] = [
        &[],
        &[nothing],
        &[some, nothing],
        &[some, nothing, some],
        &[some; PIECES + 1],
    ];
    for pieces in unfit {
        assert_eq!(driver.transmit(pieces, 1), Err(Refused::Unfit));
    }
    assert_eq!(driver.transmit(&[some], 1), Ok(()));
    driver.flush();
    let expected = [span(0, 16, 128), Span::default(), Span::default()];
    assert_eq!(wire.sent(), Ok(Some(expected)));
    assert_eq!(wire.sent(), Ok(None));
}
