//! What is read, and what is refused and how.

use alloc::format;
use alloc::string::{String, ToString};
use core::net::Ipv4Addr;

use super::*;

fn refused(text: &str) -> String {
    Manifest::parse(text)
        .expect_err("this manifest must be refused")
        .to_string()
}

#[test]
fn a_full_manifest_is_read() {
    let text = "
[system]
log = 'debug'
net_device = '00:02.0'

[spawn]
bank = 512
ipv4_first = '10.0.2.23/24'
ipv4_count = 2
ipv4_gateway = '10.0.2.2'

[[user]]
name = 'alice'
mac = '02:00:00:00:00:01'
bank = 4096
ipv4 = '10.0.2.21/24'
ipv4_gateway = '10.0.2.2'
ipv6 = 'fd00::21/64'
ipv6_gateway = 'fe80::2'
dns = ['10.0.2.3', 'fd00::3']
bind_addresses = true
services = ['http', 'echo']
rate = 1_000_000
burst = 20_000
share = 3
strategy = 'hybrid(1000)'
sealed = true
pinning = 'frame'
transmit_slots = 32
receive_slots = 128

[[user]]
name = 'bob'
";
    let manifest = Manifest::parse(text).unwrap();
    assert_eq!(manifest.system.log, LogLevel::Debug);
    assert_eq!(
        manifest.system.net_device,
        NetDevice::Pci {
            bus: 0,
            device: 2,
            function: 0
        }
    );
    let [alice, bob] = &manifest.user[..] else {
        panic!("two users")
    };
    assert_eq!(alice.mac.bytes(), [2, 0, 0, 0, 0, 1]);
    assert_eq!(
        alice.ipv4,
        Ipv4Setting::Static("10.0.2.21/24".parse().unwrap())
    );
    assert_eq!(alice.dns.len(), 2);
    assert_eq!(alice.services, [Service::Http, Service::Echo]);
    assert_eq!(alice.burst_bytes(), Some(20_000));
    assert!(alice.bind_addresses && alice.sealed && alice.pinning == Pinning::Frame);
    assert_eq!(
        alice.strategy,
        Strategy::Hybrid {
            threshold: Some(1000)
        }
    );
    // Everything left out is at its default, and bob's MAC address follows from his position.
    let mut wanted = User::named("bob".parse().unwrap());
    wanted.mac = Mac::derived(1);
    assert_eq!(bob, &wanted);
    assert_eq!(bob.services, Service::ALL);
}

#[test]
fn errors_name_line_and_key() {
    let two = "[[user]]\nname = 'alice'\n\n[[user]]\nname = 'bob'\n";
    for (text, start, part) in [
        (
            "[[user]]\nname = 'alice'\nmac = 'x'\n",
            "line 3: user[0].mac: ",
            "02:75:73:00:00:01",
        ),
        (
            &format!("{two}mac = '01:00:00:00:00:00'\n"),
            "line 6: user[1].mac: ",
            "unicast",
        ),
        (
            &format!("{two}mac = '00:00:00:00:00:01'\n"),
            "line 6: user[1].mac: ",
            "locally",
        ),
        (
            &format!("{two}mac = '02:75:73:00:00:01'\n"),
            "line 6: user[1].mac: ",
            "alice's already",
        ),
        (
            &format!("{two}[[user]]\nname = 'alice'\n"),
            "line 7: user[2].name: ",
            "already",
        ),
        (
            &format!("{two}ipv4 = 5\n"),
            "line 6: user[1].ipv4: ",
            "dhcp",
        ),
        (
            &format!("{two}ipv4 = '10.0.2.0/24'\n"),
            "line 6: user[1].ipv4: ",
            "host address",
        ),
        (
            &format!("{two}ipv4_gateway = '10.0.2.2'\n"),
            "line 6: user[1].ipv4_gateway: ",
            "DHCP",
        ),
        (
            &format!("{two}bank = 0\n"),
            "line 6: user[1].bank: ",
            "out of bounds: 1 to",
        ),
        (&format!("{two}bank = -1\n"), "line 6: user[1].bank: ", "-1"),
        (
            &format!("{two}transmit_slots = 7\n"),
            "line 6: user[1].transmit_slots: ",
            "8 to 240",
        ),
        (
            &format!("{two}receive_slots = 241\n"),
            "line 6: user[1].receive_slots: ",
            "8 to 240",
        ),
        (
            &format!("{two}share = 0\n"),
            "line 6: user[1].share: ",
            "1 to 1000",
        ),
        (
            &format!("{two}rate = 0\n"),
            "line 6: user[1].rate: ",
            "nothing",
        ),
        (
            &format!("{two}burst = 9000\n"),
            "line 6: user[1].burst: ",
            "rate",
        ),
        (
            &format!("{two}rate = 1\nburst = 60\n"),
            "line 7: user[1].burst: ",
            "1514",
        ),
        (
            &format!("{two}strategy = 'flop'\n"),
            "line 6: user[1].strategy: ",
            "copy",
        ),
        (
            &format!("{two}services = ['http', 'gopher']\n"),
            "line 6: user[1].services[1]: ",
            "echo",
        ),
        (
            &format!("{two}services = ['http', 'http']\n"),
            "line 6: user[1].services: ",
            "twice",
        ),
        (
            &format!("{two}bind_addresses = true\n"),
            "line 6: user[1].bind_addresses: ",
            "DHCP",
        ),
        (
            &format!("{two}colour = 1\n"),
            "line 6: user[1].colour: ",
            "unknown key `colour`",
        ),
        (
            "\n[sytem]\nlog = 'info'\n",
            "line 2: sytem: ",
            "`system`, `spawn`, `user`",
        ),
        ("[system]\nlog = 'loud'\n", "line 2: system.log: ", "trace"),
        (
            "[system]\nnet_device = '0:40.0'\n",
            "line 2: system.net_device: ",
            "00:02.0",
        ),
        (
            "[[user]]\nbank = 1\n",
            "line 1: user[0]: ",
            "missing key `name`",
        ),
        (
            "[spawn]\nipv4_count = 9\nipv4_first = '10.0.0.1/30'\n",
            "line 2: spawn.ipv4_count",
            "3",
        ),
        (
            "[spawn]\nipv4_gateway = '10.0.0.1'\n",
            "line 2: spawn.ipv4_gateway: ",
            "ipv4_first",
        ),
        ("user = []\n[[user]]\n", "line 2: ", "user"),
        ("[[user]\n", "line 1: ", "]"),
    ] {
        let error = refused(text);
        assert!(
            error.starts_with(start),
            "{error:?} should start with {start:?}\n{text}"
        );
        assert!(
            error.contains(part),
            "{error:?} should say {part:?}\n{text}"
        );
    }
}

#[test]
fn an_unknown_key_is_answered_with_the_known_ones() {
    let error = refused("[[user]]\nname = 'alice'\nmacaddress = 'x'\n");
    for key in [
        "name",
        "mac",
        "bank",
        "ipv4",
        "ipv4_gateway",
        "services",
        "receive_slots",
    ] {
        assert!(error.contains(&format!("`{key}`")), "{error}");
    }
}

#[test]
fn hostile_text_does_not_reach_the_terminal() {
    let error = refused("[[user]]\nname = \"\\u001b[2J\"\n");
    assert!(!error.contains('\u{1b}'), "{error:?}");
    let long = format!("[[user]]\nname = '{}'\n", "x".repeat(10_000));
    assert!(refused(&long).len() < 300);
}

#[test]
fn too_much_is_refused() {
    assert!(refused(&" ".repeat(MAX_TEXT + 1)).contains("too many"));
    let mut many = String::new();
    for index in 0..=MAX_USERS {
        many.push_str(&format!("[[user]]\nname = 'u{index}'\n"));
    }
    assert!(
        refused(&many).contains("at most 1024"),
        "{}",
        refused(&many)
    );
}

#[test]
fn addresses_are_hosts_addresses() {
    for good in ["10.0.2.21/24", "10.0.0.0/31", "192.0.2.1/32"] {
        assert_eq!(good.parse::<Ipv4Cidr>().unwrap().to_string(), good);
    }
    for bad in [
        "10.0.2.255/24",
        "10.0.2.0/24",
        "224.0.0.1/4",
        "127.0.0.1/8",
        "1.2.3.4/0",
        "1.2.3.4/33",
    ] {
        assert!(bad.parse::<Ipv4Cidr>().is_err(), "{bad}");
    }
    for bad in [
        "1.2.3.4",
        "1.2.3.4/",
        "1.2.3.4/+8",
        "1.2.3/8",
        "",
        "/",
        "01.2.3.4/8",
    ] {
        assert!(bad.parse::<Ipv4Cidr>().is_err(), "{bad}");
    }
    for bad in [
        "::/64",
        "::1/64",
        "ff02::1/64",
        "::ffff:1.2.3.4/64",
        "fd00::1/0",
        "fd00::1/129",
    ] {
        assert!(bad.parse::<Ipv6Cidr>().is_err(), "{bad}");
    }
    let cidr: Ipv4Cidr = "10.0.2.21/24".parse().unwrap();
    assert!(cidr.contains(Ipv4Addr::new(10, 0, 2, 2)));
    assert!(!cidr.contains(Ipv4Addr::new(10, 0, 3, 2)));
}

#[test]
fn console_words_make_a_user() {
    let manifest = Manifest::parse(
        "[spawn]\nbank = 99\nipv4_first = '10.0.2.23/24'\nipv4_count = 2\n\
         ipv4_gateway = '10.0.2.2'\nstrategy = 'hybrid'\nsealed = true\npinning = 'frame'\n[[user]]\nname = 'alice'\n",
    )
    .unwrap();
    let mut present = manifest.user.clone();
    for (name, wanted) in [
        ("carol", "10.0.2.23/24"),
        ("dave", "10.0.2.24/24"),
        ("erin", "dhcp"),
    ] {
        let user = UserSpec::parse(&[name])
            .unwrap()
            .into_user(&manifest, &present)
            .unwrap();
        assert_eq!(user.ipv4.to_string(), wanted);
        assert_eq!(user.ipv4_gateway.is_some(), wanted != "dhcp");
        assert_eq!(user.mac, Mac::derived(present.len() as u32));
        assert_eq!(user.bank, 99);
        assert_eq!(user.strategy, Strategy::Hybrid { threshold: None });
        assert!(user.sealed && user.pinning == Pinning::Frame);
        present.push(user);
    }
    // What dave leaves, the next one gets.
    present.retain(|user| user.name.as_str() != "dave");
    let frank = UserSpec::parse(&["frank"])
        .unwrap()
        .into_user(&manifest, &present)
        .unwrap();
    assert_eq!(frank.ipv4.to_string(), "10.0.2.24/24");
    let words = [
        "greg",
        "--strategy",
        "flip",
        "--sealed=no",
        "--pinning=session",
    ];
    let greg = UserSpec::parse(&words).unwrap();
    let greg = greg.into_user(&manifest, &present).unwrap();
    assert!(greg.strategy == Strategy::Flip && !greg.sealed && greg.pinning == Pinning::Session);
    assert_eq!(frank.mac, Mac::derived(2));
}

#[test]
fn each_console_option_sets_its_key() {
    let base = UserSpec::parse(&["x"]).unwrap();
    for (option, value) in [
        ("--mac", "06:00:00:00:00:01"),
        ("--bank", "7"),
        ("--ipv4", "10.0.0.1/8"),
        ("--ipv4-gateway", "10.0.0.2"),
        ("--ipv6", "off"),
        ("--ipv6-gateway", "fe80::1"),
        ("--dns", "1.1.1.1,fd00::1"),
        ("--bind-addresses", "yes"),
        ("--services", "http,echo"),
        ("--rate", "1000"),
        ("--burst", "3000"),
        ("--share", "2"),
        ("--transmit-slots", "16"),
        ("--receive-slots", "16"),
        ("--strategy", "hybrid(700)"),
        ("--sealed", "yes"),
        ("--pinning", "frame"),
        ("--copier", "yes"),
    ] {
        let apart = UserSpec::parse(&["x", option, value]).unwrap();
        assert_ne!(apart.user, base.user, "{option}");
        let joined = UserSpec::parse(&["x", &format!("{option}={value}")]).unwrap();
        assert_eq!(apart, joined);
    }
}

#[test]
fn a_wrong_console_word_says_what_is_right() {
    let manifest = Manifest::default();
    let refused = |words: &[&str], present: &[User]| {
        let result = UserSpec::parse(words).and_then(|spec| spec.into_user(&manifest, present));
        result.expect_err("these words must be refused").to_string()
    };
    assert!(refused(&[], &[]).contains("which user?"));
    assert!(refused(&["Carol"], &[]).contains("a-z"));
    assert!(refused(&["-carol"], &[]).contains("the first no -"));
    assert!(refused(&["carol", "--colour", "red"], &[]).contains("--ipv4-gateway"));
    assert!(refused(&["carol", "ipv4", "dhcp"], &[]).contains("--ipv4"));
    assert!(refused(&["carol", "--ipv4"], &[]).contains("10.0.2.21/24"));
    assert!(refused(&["carol", "--bank", "lots"], &[]).contains("pages"));
    assert!(refused(&["carol", "--bank", "1", "--bank=1"], &[]).contains("twice"));
    assert!(refused(&["carol", "--ipv4-gateway", "10.0.0.1"], &[]).starts_with("--ipv4-gateway: "));
    let carol = UserSpec::parse(&["carol"])
        .unwrap()
        .into_user(&manifest, &[])
        .unwrap();
    let mac = carol.mac.to_string();
    assert!(refused(&["carol"], core::slice::from_ref(&carol)).contains("already"));
    assert!(refused(&["dave", "--mac", &mac], &[carol]).contains("carol's already"));
}

#[test]
fn who_flips_has_more_pages_to_receive_into_unless_told_otherwise() {
    for (settings, pages) in [
        ("", 64),
        ("strategy = 'flip'", 240),
        ("strategy = 'hybrid'", 240),
        ("strategy = 'flip'\nreceive_slots = 16", 16),
        ("receive_slots = 128", 128),
    ] {
        let manifest = Manifest::parse(&format!("[[user]]\nname = 'a'\n{settings}\n")).unwrap();
        assert_eq!(manifest.user[0].receive_slots(), pages, "{settings}");
    }
}
