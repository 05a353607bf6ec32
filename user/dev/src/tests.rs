//! Tests of what crosses between driver, clients and init as words.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use abi::error::{EINVAL, EMSGSIZE};
use proptest::prelude::*;
use sys::Error;

use crate::badge::{ADMIN_BADGE, Badge};
use crate::mac::Mac;
use crate::refusal::Refusal;
use crate::settings::{
    Pinning, PortSettings, Rate, Receive, Strategy, address_from_words, address_words,
};
use crate::statistics::{COUNTERS, Counter, Counters};
use crate::window::Limbo;

const SETTINGS: PortSettings = PortSettings {
    mac: Mac::new([2, 1, 2, 3, 4, 5]),
    rate: Rate {
        bytes_per_second: 1 << 40,
        burst: 1 << 33,
        share: 0xfffe,
    },
    transmit_pages: 240,
    receive_pages: 2,
    receive: Receive {
        strategy: Strategy::Hybrid,
        threshold: 0xfedc,
        sealed: true,
    },
    pinning: Pinning::Frame,
};

#[test]
fn addresses_are_little_endian_words() {
    let mac = Mac::new([2, 0x11, 0x22, 0x33, 0x44, 0x55]);
    assert_eq!(mac.word(), 0x5544_3322_1102);
    assert_eq!(mac.bytes(), [2, 0x11, 0x22, 0x33, 0x44, 0x55]);
    assert_eq!(Mac::from_word(0xffff_5544_3322_1102), mac);
    assert!(!mac.is_group());
    assert!(Mac::new([1, 0, 0x5e, 0, 0, 1]).is_group());
    assert!(Mac::BROADCAST.is_group());
    assert_eq!(alloc::format!("{mac}"), "02:11:22:33:44:55");
}

#[test]
fn settings_survive_the_way() {
    let words = SETTINGS.to_words();
    assert_eq!(PortSettings::from_words(words, 1514), Ok(SETTINGS));
}

#[test]
fn settings_that_can_not_work_are_refused() {
    let invalid = Err(Error::new(EINVAL));
    let words = SETTINGS.to_words();
    let with = |index: usize, word: u64| {
        let mut words = words;
        words[index] = word;
        PortSettings::from_words(words, 1514)
    };
    assert_eq!(with(0, 0), invalid, "nobody's address");
    assert_eq!(with(0, words[0] | 1), invalid, "a group's address");
    assert_eq!(with(0, words[0] | 1 << 48), invalid, "more than an address");
    assert_eq!(with(3, words[3] & !0xffff), invalid, "no share");
    assert_eq!(with(3, words[3] + (1 << 16)), invalid, "241 pages");
    assert_eq!(with(3, words[3] - (1 << 32)), invalid, "one page");
    assert_eq!(with(3, words[3] | 2 << 48), invalid, "an unknown pinning");
    assert_eq!(with(4, words[4] | 3), invalid, "an unknown strategy");
    assert_eq!(
        with(4, words[4] | 1 << 9),
        invalid,
        "neither sealed nor not"
    );
    assert_eq!(
        with(4, words[4] | 1 << 32),
        invalid,
        "more than a threshold"
    );
    assert_eq!(with(3, words[3] | 1 << 56), invalid, "more than settings");
    assert_eq!(with(2, 1513), Err(Error::new(EMSGSIZE)), "no frame fits");
    assert!(with(2, 1514).is_ok());
    assert!(with(1, 0).is_ok(), "without a rate, any burst");
}

#[test]
fn how_a_port_receives_is_told_in_words_that_the_console_takes() {
    let mut receive = Receive::default();
    assert_eq!(alloc::format!("{receive}"), "copy");
    receive.strategy = Strategy::Flip;
    assert_eq!(alloc::format!("{receive}"), "flip");
    receive.strategy = Strategy::Hybrid;
    receive.threshold = 300;
    receive.sealed = true;
    assert_eq!(alloc::format!("{receive}"), "hybrid(300) sealed");
}

#[test]
fn refusals_survive_the_way() {
    for word in 0..=11 {
        let refusal = Refusal::from_word(word);
        assert_eq!(refusal as u64, word);
        assert!(!refusal.explain().is_empty());
    }
    assert_eq!(Refusal::from_word(12), Refusal::Unknown);
    assert_eq!(Refusal::from_word(u64::MAX), Refusal::Unknown);
}

#[test]
fn counters_have_names_of_their_own() {
    let mut names: alloc::vec::Vec<&str> = Counter::ALL.iter().map(|c| c.name()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), COUNTERS);
    let mut counters = Counters::new();
    for (n, counter) in Counter::ALL.iter().enumerate() {
        assert_eq!(*counter as usize, n);
        counters.add(*counter, n as u64);
        counters.count(*counter);
    }
    assert!(
        counters
            .values()
            .iter()
            .enumerate()
            .all(|(n, value)| *value == n as u64 + 1)
    );
}

#[test]
fn limbo_tells_slots_in_order() {
    let limbo = Limbo::from_words([6, 0x0004_0003_0002_0001, 0x01ff_0005, 0, 0, 0]);
    assert_eq!(limbo.len(), 6);
    assert!(limbo.eq([1, 2, 3, 4, 5, 511]));
    let most = Limbo::from_words([u64::MAX, 0, 0, 0, 0, 0]);
    assert_eq!(most.count(), Limbo::FULL, "no more than fit");
    assert_eq!(Limbo::from_words([0; 6]).next(), None);
}

proptest! {
    #[test]
    fn badges_survive_the_way(index in 0u16..0x4000, serial in 0u64..1 << 48) {
        for badge in [Badge::Port(index, serial), Badge::Session(index, serial), Badge::Admin] {
            prop_assert_eq!(Badge::from_word(badge.word()), Some(badge));
        }
    }

    #[test]
    fn a_word_is_at_most_one_badge(word in any::<u64>()) {
        match Badge::from_word(word) {
            Some(badge) => prop_assert_eq!(badge.word(), word),
            None => prop_assert!(word & 3 == 0 || (word & 3 == 3 && word != ADMIN_BADGE)),
        }
    }

    #[test]
    fn ip_addresses_survive_the_way(v4 in any::<[u8; 4]>(), v6 in any::<[u8; 16]>()) {
        for address in [IpAddr::V4(Ipv4Addr::from(v4)), IpAddr::V6(Ipv6Addr::from(v6))] {
            prop_assert_eq!(address_from_words(address_words(address)), Some(address));
        }
    }

    #[test]
    fn other_families_are_none(words in any::<[u64; 3]>()) {
        if words[0] != 6 {
            let low = words[0] == 4 && words[1] >> 32 == 0 && words[2] == 0;
            prop_assert_eq!(address_from_words(words).is_some(), low);
        }
    }
}
