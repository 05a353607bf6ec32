//! What the device is told to receive.

use dev::Mac;
use ethdrv::transport::{Interest, Transport};
use ethdrv::virtio_net::filter::{MOST, Mode};

use crate::card::*;

fn station(number: u8) -> Mac {
    Mac::new([2, 0, 0, 0, 0, number])
}

fn group(number: u8) -> Mac {
    Mac::new([0x33, 0x33, 0, 0, 0, number])
}

#[test]
fn the_filter_is_set_before_the_device_stops_receiving_everything() {
    let mut card = usual();
    assert_eq!(card.net.filter_mode(), Mode::Everything);
    card.net
        .set_filter([1, 2].map(station).into_iter(), [3].map(group).into_iter());
    card.net.flush();
    assert_eq!(card.function.rung(), [2]);
    let table = [
        &[1, 0, 2, 0, 0, 0][..],
        &station(1).bytes(),
        &station(2).bytes(),
        &[1, 0, 0, 0],
        &group(3).bytes(),
    ];
    assert_eq!(card.command(0), Some(table.concat()));
    assert_eq!(card.net.filter_mode(), Mode::Everything, "not yet");
    card.net.flush();
    assert_eq!(card.command(0), Some(vec![0, 0, 0]));
    card.net.flush();
    assert_eq!(card.command(0), Some(vec![0, 1, 0]));
    card.net.flush();
    assert_eq!(card.command(0), None);
    assert_eq!(card.net.filter_mode(), Mode::Table);
}

#[test]
fn a_filter_that_changes_under_way_is_sent_again() {
    let mut card = usual();
    card.net
        .set_filter([1].map(station).into_iter(), [].into_iter());
    card.net.flush();
    for number in 2..9 {
        card.net
            .set_filter([number].map(station).into_iter(), [].into_iter());
        card.net.flush();
    }
    let table = |number| {
        let stations = [&[1, 0, 1, 0, 0, 0][..], &station(number).bytes()];
        [stations.concat(), vec![0; 4]].concat()
    };
    assert_eq!(card.command(0), Some(table(1)));
    card.net.flush();
    assert_eq!(card.command(0), Some(table(8)), "only the last one counts");
    for _ in 0..2 {
        card.net.flush();
        assert!(card.command(0).is_some());
    }
    card.net.flush();
    assert_eq!(card.net.filter_mode(), Mode::Table);
}

#[test]
fn a_filter_that_is_too_large_or_refused_lets_everything_in() {
    let mut card = usual();
    let many = |most: usize| (0..most as u8).map(station);
    card.net
        .set_filter(many(MOST - 1), [group(1), group(2)].into_iter());
    card.net.flush();
    assert_eq!(card.command(0), Some(vec![0, 0, 1]));
    card.net.flush();
    assert_eq!(card.net.filter_mode(), Mode::Everything);
    assert_eq!(card.command(0), None);

    card.net
        .set_filter(many(MOST - 2), [group(1), group(2)].into_iter());
    card.net.flush();
    let table = card.command(1).expect("fits");
    assert_eq!(table.len(), 2 + 4 + 4 + 6 * MOST);
    card.net.flush();
    assert_eq!(card.command(0), Some(vec![0, 0, 1]), "after a refusal");
    card.net.flush();
    assert_eq!(card.net.filter_mode(), Mode::Refused);

    // Refused is not for ever.
    card.net.set_filter(many(1), [].into_iter());
    for _ in 0..3 {
        card.net.flush();
        assert!(card.command(0).is_some());
    }
    card.net.flush();
    assert_eq!(card.net.filter_mode(), Mode::Table);
    assert_eq!(card.net.failure(), None);
}

#[test]
fn an_answer_to_a_command_interrupts() {
    let mut card = usual();
    let nothing = Interest::default();
    assert!(!card.net.ask(nothing));
    card.net
        .set_filter([1].map(station).into_iter(), [].into_iter());
    card.net.flush();
    assert!(!card.net.ask(nothing));
    assert!(card.command(0).is_some());
    assert!(card.control.should_interrupt());
    assert!(card.net.ask(nothing), "there is an answer to follow up");
    card.net.flush();
    assert!(!card.net.ask(nothing));
}
