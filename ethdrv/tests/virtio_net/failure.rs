//! Devices that lie, collapse and vanish.

use dev::Mac;
use ethdrv::transport::{Interest, Transport};
use ethdrv::virtio_net::Failure;
use virtio::queue::{Error as QueueError, Misbehaviour};
use virtio::testing::Ailment;
use virtio::transport::Error as DeviceError;

use crate::card::*;

#[test]
fn what_the_device_does_not_have_is_passed_over_each_time() {
    let mut card = usual();
    card.net.post(piece(0x9000, 2036), 5).expect("room");
    card.net.transmit(&[piece(0x5010, 60)], 6).expect("room");
    let chain = card.take_posted();
    card.receive.give(77, 100);
    assert!(card.received().is_err());
    card.receive.give(u32::MAX, 100);
    assert!(card.received().is_err());
    card.receive.give(chain.head.into(), 100);
    let received = card.received().expect("its own").expect("given");
    assert_eq!((received.token, received.length), (5, 88));
    card.transmit.give(77, 0);
    assert!(card.net.transmitted().is_err());
    assert_eq!(card.net.transmitted(), Ok(None));
    assert_eq!(card.net.failure(), None);
}

#[test]
fn an_index_that_jumps_is_told_once_and_nobody_spins() {
    for receive in [true, false] {
        let mut card = usual();
        card.net.post(piece(0x9000, 2036), 5).expect("room");
        card.net.transmit(&[piece(0x5010, 60)], 6).expect("room");
        let side = if receive {
            &mut card.receive
        } else {
            &mut card.transmit
        };
        side.lie_about_index(300);
        let interest = Interest {
            receive: true,
            transmit: true,
        };
        assert!(card.net.ask(interest), "something to poll for");
        let errors: usize = (0..100)
            .map(|_| {
                let received = card.received().is_err();
                let transmitted = card.net.transmitted().is_err();
                usize::from(received) + usize::from(transmitted)
            })
            .sum();
        assert_eq!(errors, 1);
        assert!(!card.net.ask(interest), "nothing any more");
        let jump = QueueError::Misbehaved(Misbehaviour::IndexJump {
            expected: 0,
            index: 300,
            outstanding: 1,
        });
        let failure = if receive {
            Failure::Receive(jump)
        } else {
            Failure::Transmit(jump)
        };
        assert_eq!(card.net.failure(), Some(failure));
        assert_eq!(card.net.check(), Err(failure));
        assert!(!card.net.link());
    }
}

#[test]
fn a_control_queue_that_misbehaves_fails_without_spinning() {
    let mut card = usual();
    card.net
        .set_filter([Mac::new(MAC)].into_iter(), [].into_iter());
    card.net.flush();
    card.control.lie_about_index(9);
    card.net.flush();
    assert!(matches!(card.net.failure(), Some(Failure::Control(_))));
    let interest = Interest {
        receive: true,
        transmit: true,
    };
    assert!(!card.net.ask(interest));
    card.net.flush();
    assert_eq!(card.received(), Ok(None));
}

#[test]
fn a_device_that_collapses_or_vanishes_is_noticed_when_asked() {
    let mut card = usual();
    assert_eq!(card.net.check(), Ok(()));
    card.function.collapse();
    let failure = Failure::Device(DeviceError::NeedsReset);
    assert_eq!(card.net.check(), Err(failure));

    let mut card = usual();
    for token in 0..200 {
        card.net.post(piece(0x9000, 2036), token).expect("room");
    }
    card.function.afflict(Ailment::Gone);
    card.net.flush();
    assert_eq!(card.received(), Ok(None));
    let failure = Failure::Device(DeviceError::Vanished);
    assert_eq!(card.net.check(), Err(failure));
    assert_eq!(card.net.failure(), Some(failure));
}

#[test]
fn a_device_that_vanishes_is_noticed_by_asking_often_enough() {
    let mut card = usual();
    card.function.afflict(Ailment::Gone);
    let interest = Interest {
        receive: true,
        transmit: true,
    };
    assert!(card.net.works());
    for _ in 0..100 {
        assert!(!card.net.ask(interest));
    }
    assert!(!card.net.works());
    let failure = Failure::Device(DeviceError::Vanished);
    assert_eq!(card.net.failure(), Some(failure));
}
