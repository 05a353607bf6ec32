//! No text makes the readers panic, and rendering loses nothing.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
// The trait: the manifest's own is named by its path.
use proptest::strategy::Strategy;

use super::*;

prop_compose! {
    fn any_user()(
        name in "[a-z0-9][a-z0-9-]{0,14}",
        mac in proptest::option::of(any::<[u8; 6]>()),
        bank in 1..=User::MAX_BANK,
        v4 in proptest::option::of(0x0a00_0001u32..0x0aff_fffe),
        v6 in 0..3u8,
        v6_bits in 1u128..1 << 64,
        dns in proptest::collection::vec(any::<[u8; 4]>(), 0..=User::MAX_DNS),
        services in proptest::sample::subsequence(Service::ALL.to_vec(), 0..=4),
        limits in (proptest::option::of(1u32..), proptest::option::of(User::MIN_BURST..)),
        share in 1..=User::MAX_SHARE,
        slots in (User::MIN_SLOTS..=User::MAX_SLOTS, proptest::option::of(User::MIN_SLOTS..=User::MAX_SLOTS)),
        bind: bool,
        strategy in prop_oneof![
            Just(crate::Strategy::Copy),
            Just(crate::Strategy::Flip),
            proptest::option::of(1..=crate::Strategy::MAX_THRESHOLD)
                .prop_map(|threshold| crate::Strategy::Hybrid { threshold }),
        ],
        sealed: bool,
        copier: bool,
        pinning in proptest::sample::select(Pinning::ALL),
    ) -> User {
        let mut user = User::named(name.parse().unwrap());
        if let Some(mut bytes) = mac {
            bytes[0] = bytes[0] & !0b11 | 0b10;
            let text: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            user.mac = text.join(":").parse().unwrap();
        }
        user.bank = bank;
        if let Some(bits) = v4 {
            user.ipv4 = Ipv4Setting::Static(Ipv4Cidr { address: bits.into(), length: 8 });
            user.ipv4_gateway = (bits != 0x0a00_0001).then_some(Ipv4Addr::new(10, 0, 0, 1));
        }
        user.ipv6 = match v6 {
            0 => Ipv6Setting::Off,
            1 => Ipv6Setting::Slaac,
            _ => Ipv6Setting::Static(Ipv6Cidr {
                address: Ipv6Addr::from_bits(0xfd00 << 112 | v6_bits),
                length: 64,
            }),
        };
        let host = |bytes: &[u8; 4]| bytes[0] < 224 && *bytes != [0; 4];
        user.dns = dns.into_iter().filter(host).map(IpAddr::from).collect();
        user.services = services;
        user.rate = limits.0;
        user.burst = limits.0.and(limits.1);
        user.share = share;
        user.transmit_slots = slots.0;
        user.receive_slots = slots.1;
        user.strategy = strategy;
        user.sealed = sealed;
        user.copier = copier;
        user.pinning = pinning;
        user.bind_addresses = bind && v4.is_some() && v6 != 1;
        user
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,200}") {
        let _ = Manifest::parse(&text);
    }

    #[test]
    fn no_toml_makes_the_reader_panic(
        lines in proptest::collection::vec(
            ("(\\[\\[user\\]\\]|\\[spawn\\]|\\[system\\]|name|mac|ipv4|ipv6|services|bank|dns|user)",
             "(| = -?[0-9]{1,20}| = '[a-z0-9.:/]{0,12}'| = \\[.{0,8}\\]| = \\{.{0,8}\\})"),
            0..12,
        ),
    ) {
        let text: Vec<String> = lines.iter().map(|(key, value)| format!("{key}{value}")).collect();
        let _ = Manifest::parse(&text.join("\n"));
    }

    #[test]
    fn no_console_words_panic(words in proptest::collection::vec("(--[a-z0-9-]{0,14}=?)?\\PC{0,8}", 0..6)) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if let Ok(spec) = UserSpec::parse(&words) {
            let _ = spec.into_user(&Manifest::default(), &[]);
        }
    }

    #[test]
    fn what_is_rendered_reads_back_equal(
        users in proptest::collection::vec(any_user(), 0..6),
        level in proptest::sample::select(LogLevel::ALL),
    ) {
        let mut manifest = Manifest { user: users, ..Manifest::default() };
        manifest.system.log = level;
        for (index, user) in manifest.user.iter_mut().enumerate() {
            if user.mac == Mac::UNASSIGNED {
                user.mac = Mac::derived(index as u32);
            }
        }
        // Users drawn at random may collide; then rendering must refuse, as reading would.
        match manifest.render() {
            Ok(text) => prop_assert_eq!(Manifest::parse(&text).unwrap(), manifest),
            Err(error) => prop_assert!(error.to_string().contains("already"), "{}", error),
        }
    }
}
