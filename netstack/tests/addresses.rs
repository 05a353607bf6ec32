//! Addresses: given, leased, found; and those who want to take them away.

mod world;

use std::net::IpAddr;

use netstack::Duration;
use netstack::address::{MAX_IPV6, Stage};
use netstack::config::{Config, Ipv6};
use proptest::prelude::*;
use world::frames::*;
use world::{PEER_MAC, STACK_MAC, World, config};

const LINK_LOCAL: &str = "fe80::75:73ff:fe00:1";
const ROUTER: &str = "fe80::1";

fn has(world: &World, address: &str) -> bool {
    world.stack.addresses().is_ours(ip(address))
}

fn slaac() -> Config {
    Config {
        ipv6: Ipv6::Slaac,
        ..config(false)
    }
}

/// Solicitations that the stack sent: source, destination and target.
fn solicitations(frames: &[Vec<u8>]) -> Vec<(IpAddr, IpAddr, IpAddr)> {
    let sent = frames.iter().filter_map(|frame| Sent::parse(frame));
    let mut found = Vec::new();
    for sent in sent.filter(|sent| sent.protocol == 58 && sent.payload[0] == 135) {
        assert_eq!(sent.hops, 255);
        let target: [u8; 16] = sent.payload[8..24].try_into().unwrap();
        found.push((sent.from, sent.to, IpAddr::from(target)));
    }
    found
}

#[test]
fn a_given_ipv4_address_is_announced_and_answered_for() {
    let mut world = World::new(config(false));
    world.poll();
    let sent = world.take();
    assert_eq!(sent.len(), 1, "one announcement");
    assert_eq!(sent[0][12..14], [8, 6]);
    assert_eq!(sent[0][28..32], [10, 0, 0, 2]);
    let answer = world.tell(arp(1, PEER_MAC, "10.0.0.9", [0; 6], "10.0.0.2"));
    assert_eq!(answer.len(), 1);
    assert_eq!(&answer[0][..6], PEER_MAC);
    assert_eq!(answer[0][20..22], [0, 2], "an answer");
    assert_eq!(answer[0][22..28], STACK_MAC);
    // Not for others' addresses, nor to groups.
    assert!(
        world
            .tell(arp(1, PEER_MAC, "10.0.0.9", [0; 6], "10.0.0.3"))
            .is_empty()
    );
    assert!(
        world
            .tell(arp(1, [0xff; 6], "10.0.0.9", [0; 6], "10.0.0.2"))
            .is_empty()
    );
    // Somebody from elsewhere isn't learnt or answered.
    assert!(
        world
            .tell(arp(1, PEER_MAC, "10.7.0.9", [0; 6], "10.0.0.2"))
            .is_empty()
    );
    // A probe is answered, so that nobody takes our address.
    assert_eq!(
        world
            .tell(arp(1, PEER_MAC, "0.0.0.0", [0; 6], "10.0.0.2"))
            .len(),
        1
    );
}

#[test]
fn a_stolen_ipv4_address_is_defended_now_and_then() {
    let mut world = World::settled(config(false));
    let theft = arp(1, PEER_MAC, "10.0.0.2", [0; 6], "10.0.0.2");
    let answer = world.tell(theft.clone());
    assert_eq!(answer.len(), 1);
    assert_eq!(answer[0][22..32], [2, 0x75, 0x73, 0, 0, 1, 10, 0, 0, 2]);
    assert!(
        world.tell(theft.clone()).is_empty(),
        "no war of announcements"
    );
    world.wait(Duration::from_secs(11));
    world.take();
    assert_eq!(world.tell(theft).len(), 1);
}

#[test]
fn packets_wait_until_their_neighbour_is_known() {
    let mut world = World::settled(config(false));
    // The stack has never heard of 10.0.0.9.
    let sent = world.tell(udp(("10.0.0.9", 5000), ("10.0.0.2", 7), b"hello"));
    assert_eq!(sent.len(), 1);
    assert_eq!(
        (sent[0][12..14].to_vec(), sent[0][38..42].to_vec()),
        (vec![8, 6], vec![10, 0, 0, 9])
    );
    let sent = Sent::only(&world.tell(arp(2, PEER_MAC, "10.0.0.9", STACK_MAC, "10.0.0.2")));
    assert_eq!((sent.mac, sent.data()), (PEER_MAC, &b"hello"[..]));
}

#[test]
fn strangers_are_answered_through_the_router() {
    let mut world = World::settled(config(false));
    let sent = world.tell(udp(("192.0.2.1", 5000), ("10.0.0.2", 7), b"hello"));
    assert_eq!(sent[0][38..42], [10, 0, 0, 254], "asks for the router");
    let router = [2, 0, 0, 0, 0, 254];
    let sent = Sent::only(&world.tell(arp(2, router, "10.0.0.254", STACK_MAC, "10.0.0.2")));
    assert_eq!((sent.mac, sent.to), (router, ip("192.0.2.1")));
}

#[test]
fn a_link_local_address_is_asked_for_before_it_is_used() {
    let mut world = World::new(slaac());
    world.wait(Duration::from_millis(1));
    assert!(!has(&world, LINK_LOCAL));
    assert!(
        world
            .wire
            .borrow()
            .groups
            .contains(&[0x33, 0x33, 0xff, 0, 0, 1])
    );
    assert!(
        world
            .wire
            .borrow()
            .groups
            .contains(&[0x33, 0x33, 0, 0, 0, 1])
    );
    world.wait(Duration::from_secs(3));
    let sent = world.take();
    let asked = solicitations(&sent);
    assert_eq!(asked, [(ip("::"), ip("ff02::1:ff00:1"), ip(LINK_LOCAL))]);
    assert!(has(&world, LINK_LOCAL));
    let reports = sent.iter().filter_map(|frame| Sent::parse(frame));
    let reports: Vec<Sent> = reports.filter(|sent| sent.protocol == 0).collect();
    assert_eq!(reports.len(), 2, "groups are told twice");
    assert_eq!((reports[0].to, reports[0].hops), (ip("ff02::16"), 1));
    let routers = sent.iter().filter_map(|frame| Sent::parse(frame));
    let routers: Vec<Sent> = routers
        .filter(|sent| sent.protocol == 58 && sent.payload[0] == 133)
        .collect();
    assert_eq!(routers.len(), 1, "routers are asked for at once");
    assert_eq!(
        (routers[0].from, routers[0].to),
        (ip(LINK_LOCAL), ip("ff02::2"))
    );
    // And twice more, if nobody answers.
    world.wait(Duration::from_secs(60));
    let more = world.take();
    let more = more.iter().filter_map(|frame| Sent::parse(frame));
    assert_eq!(more.filter(|sent| sent.payload[0] == 133).count(), 2);
}

#[test]
fn an_address_that_somebody_has_is_not_used() {
    for claim in [
        advertisement(LINK_LOCAL, "ff02::1", LINK_LOCAL, 0x20, PEER_MAC),
        solicitation("::", LINK_LOCAL, None),
    ] {
        let mut world = World::new(slaac());
        world.wait(Duration::from_millis(100));
        world.tell(claim);
        world.wait(Duration::from_secs(5));
        assert!(!has(&world, LINK_LOCAL));
        assert_eq!(world.stack.addresses().ipv6[0].stage, Stage::Duplicate);
        assert!(!has(&world, "fd00::2"));
        world.take();
        assert!(
            world
                .tell(solicitation("fe80::9", LINK_LOCAL, Some(PEER_MAC)))
                .is_empty()
        );
    }
}

#[test]
fn an_echo_of_our_own_question_is_no_claim() {
    let mut world = World::new(slaac());
    world.wait(Duration::from_millis(1100));
    let mut own = solicitation("::", LINK_LOCAL, None);
    own[6..12].copy_from_slice(&STACK_MAC);
    world.tell(own);
    world.wait(Duration::from_secs(3));
    assert!(has(&world, LINK_LOCAL));
}

#[test]
fn questions_about_our_addresses_are_answered() {
    let mut world = World::settled(config(true));
    let answer = Sent::only(&world.tell(solicitation("fd00::9", "fd00::2", Some(PEER_MAC))));
    assert_eq!(
        (answer.from, answer.to, answer.hops),
        (ip("fd00::2"), ip("fd00::9"), 255)
    );
    assert_eq!((answer.payload[0], answer.payload[4]), (136, 0x60));
    assert_eq!(answer.payload[24..], [2, 1, 0x02, 0x75, 0x73, 0, 0, 1]);
    // Who asks whether it is free is told, and all with him.
    let answer = Sent::only(&world.tell(solicitation("::", "fd00::2", None)));
    assert_eq!((answer.to, answer.payload[4]), (ip("ff02::1"), 0x20));
    assert!(
        world
            .tell(solicitation("fd00::9", "fd00::3", Some(PEER_MAC)))
            .is_empty()
    );
    // What came over a router has lost a hop.
    let mut far = vec![135, 0, 0, 0, 0, 0, 0, 0];
    far.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    fill("fd00::9", "fd00::2", 58, 2, &mut far);
    assert!(
        world
            .tell(framed("fd00::9", "fd00::2", 58, 254, &far))
            .is_empty()
    );
}

#[test]
fn a_router_gives_addresses_and_a_way_out() {
    let mut world = World::settled(slaac());
    let mut options = vec![1, 1];
    options.extend(PEER_MAC);
    options.extend(prefix("2001:db8:1::", 64, 0xc0, 3600, 1800));
    options.extend(prefix("2001:db8:2::", 64, 0x40, 3600, 1800));
    options.extend(prefix("2001:db8:3::", 64, 0x80, 3600, 1800));
    options.extend([5, 1, 0, 0, 0, 0, 5, 120]);
    let asked = solicitations(&world.tell(announcement(ROUTER, 1800, &options)));
    assert_eq!(asked.len(), 2, "both addresses are asked for");
    world.wait(Duration::from_secs(3));
    world.take();
    let one = "2001:db8:1:0:75:73ff:fe00:1";
    assert!(has(&world, one) && has(&world, "2001:db8:2:0:75:73ff:fe00:1"));
    assert!(
        !has(&world, "2001:db8:3:0:75:73ff:fe00:1"),
        "it said nothing of addresses"
    );
    let sent = Sent::only(&world.tell(udp(("2001:db8:9::9", 5000), (one, 7), b"hello")));
    assert_eq!(sent.mac, PEER_MAC, "by way of the router");
    // A neighbour on a prefix of the link is asked itself.
    let sent = world.tell(udp(("2001:db8:3::9", 5000), (one, 7), b"hello"));
    let sent = solicitations(&sent);
    assert_eq!(sent[0].2, ip("2001:db8:3::9"));

    world.wait(Duration::from_secs(1700));
    assert!(has(&world, one), "valid");
    world.wait(Duration::from_secs(200));
    world.take();
    assert!(
        world.stack.addresses().routers.is_empty(),
        "the router's time is over"
    );
    assert!(
        world
            .tell(udp(("2001:db8:9::9", 5000), (one, 7), b"hello"))
            .is_empty()
    );
    world.wait(Duration::from_secs(2000));
    assert!(!has(&world, one), "expired");
    assert!(has(&world, LINK_LOCAL));
}

#[test]
fn a_router_can_not_take_addresses_away_quickly() {
    let mut world = World::settled(slaac());
    let one = "2001:db8:1:0:75:73ff:fe00:1";
    let lifetime = |valid, preferred| prefix("2001:db8:1::", 64, 0xc0, valid, preferred);
    world.tell(announcement(ROUTER, 1800, &lifetime(86_400, 14_400)));
    world.wait(Duration::from_secs(3));
    assert!(has(&world, one));
    for valid in [0, 1, 60] {
        world.tell(announcement("fe80::666", 0, &lifetime(valid, 0)));
    }
    world.wait(Duration::from_secs(7100));
    assert!(has(&world, one), "two hours are not over");
    world.tell(announcement("fe80::666", 0, &lifetime(0, 0)));
    world.wait(Duration::from_secs(200));
    assert!(!has(&world, one), "but then they are");
}

#[test]
fn a_router_that_retires_is_not_used() {
    let mut world = World::settled(slaac());
    world.tell(announcement(ROUTER, 1800, &[]));
    world.tell(announcement("fe80::2", 1800, &[]));
    assert_eq!(world.stack.addresses().routers.len(), 2);
    world.tell(announcement(ROUTER, 0, &[]));
    assert_eq!(world.stack.addresses().routers.len(), 1);
    // A neighbour that says it is no router is none.
    world.tell(advertisement(
        "fe80::2", LINK_LOCAL, "fe80::2", 0x40, PEER_MAC,
    ));
    assert!(world.stack.addresses().routers.is_empty());
}

#[test]
fn hostile_announcements_change_nothing() {
    let mut world = World::settled(slaac());
    let good = prefix("2001:db8:1::", 64, 0xc0, 3600, 1800);
    let endless = [3, 0, 0, 0, 0, 0, 0, 0];
    let cut = [3, 4, 64, 0xc0, 0, 0];
    let hostile = [
        // Not from a router of the link, or from afar.
        announcement("2001:db8::1", 1800, &good),
        announcement("::", 1800, &good),
        {
            let mut message = vec![134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];
            message.extend(&good);
            fill(ROUTER, "ff02::1", 58, 2, &mut message);
            framed(ROUTER, "ff02::1", 58, 254, &message)
        },
        // Options that lead nowhere, behind a good one.
        announcement(ROUTER, 1800, &[&good[..], &endless].concat()),
        announcement(ROUTER, 1800, &[&good[..], &cut].concat()),
        // Prefixes of no use.
        announcement("fe80::2", 0, &prefix("fe80::", 64, 0xc0, 3600, 1800)),
        announcement("fe80::2", 0, &prefix("ff05::", 64, 0xc0, 3600, 1800)),
        announcement("fe80::2", 0, &prefix("::", 0, 0xc0, 3600, 1800)),
        announcement("fe80::2", 0, &prefix("2001:db8:1::", 129, 0xc0, 3600, 1800)),
        announcement("fe80::2", 0, &prefix("2001:db8:1::", 63, 0x40, 3600, 1800)),
        announcement("fe80::2", 0, &prefix("2001:db8:1::", 64, 0x40, 1800, 3600)),
        announcement("fe80::2", 0, &[5, 1, 0, 0, 0, 0, 0, 100]),
        announcement("fe80::2", 0, &[5, 1, 0, 0, 0xff, 0xff, 0xff, 0xff]),
    ];
    for frame in hostile {
        world.tell(frame.clone());
        let addresses = world.stack.addresses();
        assert_eq!(addresses.ipv6.len(), 1, "{frame:02x?}");
        assert!(addresses.routers.is_empty(), "{frame:02x?}");
        assert!(addresses.on_link.is_empty(), "{frame:02x?}");
    }
    // The stack goes on.
    world.tell(announcement(ROUTER, 1800, &good));
    world.wait(Duration::from_secs(3));
    assert!(has(&world, "2001:db8:1:0:75:73ff:fe00:1"));
}

#[test]
fn a_flood_of_routers_and_prefixes_is_bounded() {
    let mut world = World::settled(slaac());
    world.tell(announcement(
        ROUTER,
        1800,
        &prefix("2001:db8::", 64, 0xc0, 3600, 1800),
    ));
    for n in 0..2000 {
        let other = prefix(&format!("2001:db8:{n:x}::"), 64, 0xc0, u32::MAX, u32::MAX);
        world.tell(announcement(&format!("fe80::{:x}", n + 10), 9000, &other));
    }
    world.wait(Duration::from_secs(3));
    let addresses = world.stack.addresses();
    assert!(addresses.ipv6.len() <= MAX_IPV6);
    assert_eq!(addresses.routers[0].0, ip(ROUTER), "who came first stays");
    assert!(has(&world, "2001:db8::75:73ff:fe00:1"));
    assert!(world.poll().is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_announcement_confuses_the_stack(
        messages in prop::collection::vec(
            (any::<u16>(), prop::collection::vec(any::<u8>(), 0..120)), 1..20),
    ) {
        let mut world = World::settled(slaac());
        for (lifetime, mut options) in messages {
            // Mostly well-formed prefixes with random content.
            if options.len() >= 32 {
                options[0] = 3;
                options[1] = 4;
            }
            world.tell(announcement(ROUTER, lifetime, &options));
            prop_assert!(world.stack.addresses().ipv6.len() <= MAX_IPV6);
        }
        world.wait(Duration::from_secs(5));
        prop_assert!(has(&world, LINK_LOCAL));
        world.take();
        let answer = world.tell(solicitation("fe80::9", LINK_LOCAL, Some(PEER_MAC)));
        prop_assert_eq!(answer.len(), 1);
    }
}

#[test]
fn a_link_that_forgot_is_told_again() {
    let mut world = World::settled(config(true));
    let groups = std::mem::take(&mut world.wire.borrow_mut().groups);
    world.stack.relinked();
    world.poll();
    let again = world.wire.borrow().groups.clone();
    assert!(!groups.is_empty());
    assert!(groups.iter().all(|group| again.contains(group)));
    assert!(
        world.take().iter().any(|frame| frame[12..14] == [8, 6]),
        "announced"
    );
}

#[test]
fn ipv6_that_is_off_is_silent() {
    let mut world = World::settled(config(false));
    assert!(world.wire.borrow().groups.is_empty());
    assert!(
        world
            .tell(solicitation("fe80::9", LINK_LOCAL, Some(PEER_MAC)))
            .is_empty()
    );
    assert!(
        world
            .tell(ping("fe80::9", "ff02::1", b"anybody"))
            .is_empty()
    );
}
