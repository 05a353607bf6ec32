//! What may be sent, how fast, and in whose turn.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dev::Mac;
use dev::settings::{PortSettings, Rate};
use dev::statistics::Counter;

use crate::support::client::Client;
use crate::support::{OUTSIDE, World, frame, mac, settings};

fn send_raw(world: &World, client: &mut Client, bytes: &[u8]) -> Vec<Vec<u8>> {
    let descriptor = client.fill(0, 0, bytes);
    client.transmit_raw(descriptor);
    world.run();
    world.wire()
}

#[test]
fn refused_frames_are_counted_by_reason_and_the_next_goes_through() {
    let world = World::new();
    let mut alice = world.attached(1);
    let port = alice.port;
    let typed = |kind: u16, length: usize| {
        let mut frame = frame(OUTSIDE, port.mac, 0, length);
        frame[12..14].copy_from_slice(&kind.to_be_bytes());
        frame
    };
    let good = frame(OUTSIDE, port.mac, 9, 600);
    let bad = [
        (Vec::new(), Counter::Runt),
        (good[..1].to_vec(), Counter::Runt),
        (good[..13].to_vec(), Counter::Runt),
        (frame(OUTSIDE, port.mac, 0, 1515), Counter::TooLong),
        (frame(OUTSIDE, port.mac, 0, 4096), Counter::TooLong),
        (frame(OUTSIDE, OUTSIDE, 0, 100), Counter::SpoofedMac),
        (frame(OUTSIDE, mac(2), 0, 100), Counter::SpoofedMac),
        (typed(0x05ff, 100), Counter::BadType),
        (typed(1501, 1514), Counter::BadType),
        (typed(87, 100), Counter::BadType),
    ];
    for (bytes, counter) in bad {
        let before = world.counter(port, counter);
        assert!(
            send_raw(&world, &mut alice, &bytes).is_empty(),
            "{counter:?}"
        );
        assert_eq!(world.counter(port, counter), before + 1, "{counter:?}");
        assert_eq!(
            send_raw(&world, &mut alice, &good),
            std::slice::from_ref(&good)
        );
    }
    for good in [
        typed(86, 100),
        typed(0x0600, 100),
        typed(0, 14),
        typed(1500, 1514),
    ] {
        assert_eq!(
            send_raw(&world, &mut alice, &good),
            std::slice::from_ref(&good)
        );
    }
    // Entries of refused frames are released like the others.
    assert_eq!(world.counter(port, Counter::Misbehaved), 0);
}

const IP: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 21);
const IP6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x21);
const OTHER6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x22);

fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend(OUTSIDE.bytes());
    frame.extend(mac(1).bytes());
    frame.extend(kind.to_be_bytes());
    frame.extend(payload);
    frame
}

fn ipv4(source: Ipv4Addr) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend(source.octets());
    packet.extend([10, 0, 2, 2]);
    packet.extend([0; 8]);
    ethernet(0x0800, &packet)
}

fn arp(sender_mac: Mac, sender: Ipv4Addr) -> Vec<u8> {
    let mut packet = vec![0, 1, 8, 0, 6, 4, 0, 1];
    packet.extend(sender_mac.bytes());
    packet.extend(sender.octets());
    packet.extend([0; 6]);
    packet.extend([10, 0, 2, 2]);
    ethernet(0x0806, &packet)
}

fn ipv6(source: Ipv6Addr, next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([next, 255]);
    packet.extend(source.octets());
    packet.extend([0xff; 16]);
    packet.extend(payload);
    ethernet(0x86dd, &packet)
}

fn discovery(kind: u8, target: Option<Ipv6Addr>, options: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0, 0, 0, 0, 0];
    if let Some(target) = target {
        message.extend(target.octets());
    }
    message.extend(options);
    message
}

fn option(kind: u8, address: Mac) -> Vec<u8> {
    let mut option = vec![kind, 1];
    option.extend(address.bytes());
    option
}

/// Behind an extension header of 8 bytes.
fn extended(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![next, 0, 1, 4, 0, 0, 0, 0];
    bytes.extend(payload);
    bytes
}

fn fragment(next: u8, offset: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![next, 0];
    bytes.extend((offset << 3 | 1).to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

#[test]
fn pitfall_24_a_bound_port_sends_as_itself_only() {
    let world = World::new();
    let port = world.port(settings(1));
    for address in [IpAddr::V4(IP), IpAddr::V6(IP6)] {
        world
            .admin
            .bind_address(&world.init.sys, port.number, address)
            .unwrap();
    }
    let mut alice = world.client(port, 1000);
    alice.attach().unwrap();
    let nowhere = Ipv6Addr::UNSPECIFIED;
    let other4 = Ipv4Addr::new(10, 0, 2, 22);
    let own = mac(1);
    let udp = [0u8; 8];
    let advert = discovery(136, Some(IP6), &option(2, own));
    let long_extensions = {
        let mut payload = discovery(128, None, &[]);
        for _ in 0..9 {
            payload = extended(60, &payload);
        }
        payload
    };
    let mut padded = ipv6(IP6, 58, &advert);
    padded.extend([0; 30]);
    let good = [
        ipv4(IP),
        arp(own, IP),
        arp(own, Ipv4Addr::UNSPECIFIED),
        ipv6(IP6, 17, &udp),
        ipv6(IP6, 58, &discovery(128, None, &[1, 2, 3])),
        ipv6(IP6, 58, &advert),
        padded,
        ipv6(IP6, 58, &discovery(135, Some(OTHER6), &option(1, own))),
        ipv6(nowhere, 58, &discovery(135, Some(IP6), &[])),
        ipv6(nowhere, 58, &discovery(133, None, &[])),
        ipv6(IP6, 58, &discovery(133, None, &option(1, own))),
        ipv6(nowhere, 0, &extended(58, &discovery(143, None, &[0; 20]))),
        ipv6(IP6, 44, &fragment(17, 0, &udp)),
        ipv6(IP6, 44, &fragment(17, 100, &udp)),
    ];
    for bytes in good {
        assert_eq!(
            send_raw(&world, &mut alice, &bytes),
            std::slice::from_ref(&bytes),
            "{:?}",
            world.counters(port)
        );
    }
    let mut short_header = ipv4(IP);
    short_header[14] = 0x44;
    let mut version = ipv4(IP);
    version[14] = 0x65;
    let mut version6 = ipv6(IP6, 17, &udp);
    version6[14] = 0x40;
    let mut longer = ipv6(IP6, 17, &udp);
    longer[19] = 9;
    let mut token_ring = arp(own, IP);
    token_ring[15] = 6;
    let neighbour = Counter::SpoofedNeighbour;
    let bad = [
        (ipv4(other4), Counter::SpoofedIpv4),
        (ipv4(Ipv4Addr::UNSPECIFIED), Counter::SpoofedIpv4),
        (short_header, Counter::Malformed),
        (version, Counter::Malformed),
        (ipv4(IP)[..33].to_vec(), Counter::Malformed),
        (arp(own, other4), Counter::SpoofedArp),
        (arp(OUTSIDE, IP), Counter::SpoofedArp),
        (token_ring, Counter::Malformed),
        (arp(own, IP)[..41].to_vec(), Counter::Malformed),
        (ipv6(OTHER6, 17, &udp), Counter::SpoofedIpv6),
        (ipv6(nowhere, 17, &udp), Counter::SpoofedIpv6),
        (
            ipv6(nowhere, 58, &discovery(128, None, &[])),
            Counter::SpoofedIpv6,
        ),
        (version6, Counter::Malformed),
        (longer, Counter::Malformed),
        (ipv6(IP6, 17, &udp)[..53].to_vec(), Counter::Malformed),
        (
            ipv6(IP6, 58, &discovery(136, Some(OTHER6), &option(2, own))),
            neighbour,
        ),
        (
            ipv6(IP6, 58, &discovery(136, Some(IP6), &option(2, OUTSIDE))),
            neighbour,
        ),
        (
            ipv6(IP6, 58, &discovery(135, Some(OTHER6), &option(1, OUTSIDE))),
            neighbour,
        ),
        (
            ipv6(IP6, 58, &discovery(133, None, &option(1, OUTSIDE))),
            neighbour,
        ),
        (
            ipv6(IP6, 0, &extended(58, &discovery(136, Some(OTHER6), &[]))),
            neighbour,
        ),
        (
            ipv6(IP6, 60, &extended(58, &discovery(136, Some(OTHER6), &[]))),
            neighbour,
        ),
        (
            ipv6(
                IP6,
                58,
                &discovery(
                    136,
                    Some(IP6),
                    &[[7, 1, 0, 0, 0, 0, 0, 0].to_vec(), option(2, OUTSIDE)].concat(),
                ),
            ),
            neighbour,
        ),
        (
            ipv6(IP6, 58, &discovery(136, Some(IP6), &[2, 0])),
            Counter::Malformed,
        ),
        (
            ipv6(
                IP6,
                58,
                &discovery(136, Some(IP6), &[2, 2, 0, 0, 0, 0, 0, 0]),
            ),
            Counter::Malformed,
        ),
        (ipv6(IP6, 58, &[136, 0, 0, 0]), Counter::Malformed),
        (
            ipv6(IP6, 58, &discovery(134, None, &[0; 8])),
            Counter::RouterMessage,
        ),
        (
            ipv6(IP6, 58, &discovery(137, Some(IP6), &[0; 16])),
            Counter::RouterMessage,
        ),
        (
            ipv6(IP6, 58, &discovery(135, Some(OTHER6), &[7; 200])),
            Counter::UncheckedHeader,
        ),
        (ipv6(IP6, 58, &[]), Counter::UncheckedHeader),
        (ipv6(IP6, 60, &long_extensions), Counter::UncheckedHeader),
        (
            ipv6(IP6, 44, &fragment(58, 0, &advert)),
            Counter::UncheckedHeader,
        ),
        (
            ipv6(IP6, 44, &fragment(58, 10, &advert)),
            Counter::UncheckedHeader,
        ),
        (
            ipv6(IP6, 44, &fragment(60, 10, &advert)),
            Counter::UncheckedHeader,
        ),
        (ipv6(IP6, 44, &[17, 0]), Counter::UncheckedHeader),
        (ethernet(0x8100, &[0; 40]), Counter::UncheckedType),
        (ethernet(0x0026, &[0; 40]), Counter::UncheckedType),
    ];
    for (bytes, counter) in bad {
        let before = world.counter(port, counter);
        assert!(
            send_raw(&world, &mut alice, &bytes).is_empty(),
            "{bytes:x?}"
        );
        assert_eq!(world.counter(port, counter), before + 1, "{bytes:x?}");
    }
    assert!(
        (0..7).all(|n| {
            let address = IpAddr::V4(Ipv4Addr::new(10, 0, 3, n));
            let bound = world
                .admin
                .bind_address(&world.init.sys, port.number, address);
            bound.is_ok() == (n < 6)
        }),
        "eight addresses at most"
    );
}

#[test]
fn pitfall_26_entries_are_released_when_the_frame_has_left_and_not_before() {
    let world = World::new();
    let mut alice = world.attached(1);
    world.device.borrow_mut().prompt = false;
    let frames: Vec<_> = (0..16)
        .map(|n| frame(OUTSIDE, alice.port.mac, n, 1000))
        .collect();
    // Eight pages hold sixteen buffers.
    assert_eq!(alice.send(&frames), 16);
    world.run();
    assert_eq!(alice.send(&frames), 0, "all buffers are in transmission");
    world.run();
    for _ in 0..3 {
        world.device.borrow_mut().complete();
    }
    let program = alice.program.clone();
    assert_eq!(alice.session().ask(&program, true), Ok(false));
    world.run();
    assert_eq!(alice.session().room(), Ok(3));
    // Half of what was under way has left: she is told, once.
    let told = |world: &World| {
        let key = (alice.pid, crate::support::client::BIT);
        world
            .kernel
            .borrow()
            .signals
            .get(&key)
            .copied()
            .unwrap_or(0)
    };
    let before = told(&world);
    assert!(
        world.device.borrow().interest.transmit,
        "somebody waits for it"
    );
    for _ in 0..5 {
        world.device.borrow_mut().complete();
        world.run();
    }
    assert_eq!(told(&world), before + 1);
    world.device.borrow_mut().prompt = true;
    alice.send(&[]);
    world.run();
    assert_eq!(world.wire().len(), 16);
    world.device.borrow_mut().prompt = false;
    alice.send(&[frame(OUTSIDE, alice.port.mac, 0, 60)]);
    world.run();
    assert!(!world.device.borrow().interest.transmit);
}

#[test]
fn frames_that_leave_out_of_order_are_released_in_order() {
    let world = World::new();
    let mut alice = world.attached(1);
    world.device.borrow_mut().prompt = false;
    // Long, short, long, short: the short ones are copied and done at once.
    let frames = [1000, 60, 1000, 60].map(|length| frame(OUTSIDE, alice.port.mac, 1, length));
    assert_eq!(alice.send(&frames), 4);
    world.run();
    assert_eq!(alice.session().room(), Ok(12), "nothing before the first");
    {
        let mut device = world.device.borrow_mut();
        // The device is done with the third before the first.
        device.sending.rotate_left(2);
        device.complete();
    }
    world.inject(frame(alice.port.mac, OUTSIDE, 0, 60));
    world.run();
    let memory = alice.session().receive_memory().clone();
    let index = |memory: &crate::support::program::FakeMem| {
        sys::Mem::load_u32(memory, dev::layout::TRANSMIT.consumer).unwrap()
    };
    assert_eq!(index(&memory), 0);
    world.device.borrow_mut().prompt = true;
    world.inject(frame(alice.port.mac, OUTSIDE, 0, 60));
    world.run();
    world.inject(frame(alice.port.mac, OUTSIDE, 0, 60));
    world.run();
    assert_eq!(index(&memory), 4);
    assert_eq!(world.state(alice.port).in_flight, 0);
}

#[test]
fn more_frames_than_the_device_takes_wait_for_it() {
    let world = World::with_capacity(8);
    let mut alice = world.attached(1);
    world.device.borrow_mut().prompt = false;
    let frames: Vec<_> = (0..16)
        .map(|n| frame(OUTSIDE, alice.port.mac, n, 60))
        .collect();
    assert_eq!(alice.send(&frames), 16);
    world.run();
    assert_eq!(world.device.borrow().sending.len(), 8);
    assert!(world.device.borrow().interest.transmit);
    world.device.borrow_mut().prompt = true;
    world.device.borrow_mut().complete();
    world.run();
    assert_eq!(world.wire(), frames);
}

/// Two ports that always have frames to send: how many bytes each got of what left first.
fn shares(shares: [u16; 2], lengths: [usize; 2], frames: usize) -> [usize; 2] {
    shares_after(shares, lengths, frames, |_, _| ())
}

fn shares_after(
    shares: [u16; 2],
    lengths: [usize; 2],
    frames: usize,
    before: impl FnOnce(&World, &mut Client),
) -> [usize; 2] {
    let world = World::with_capacity(8);
    world.device.borrow_mut().prompt = false;
    let mut clients: Vec<Client> = (0..2)
        .map(|n| {
            let port = world.port(PortSettings {
                rate: Rate {
                    share: shares[n],
                    ..Rate::default()
                },
                ..settings(n as u8 + 1)
            });
            let mut client = world.client(port, 1000);
            client.attach().unwrap();
            client
        })
        .collect();
    before(&world, &mut clients[0]);
    world.wire();
    let mut bytes = [0; 2];
    let mut left = 0;
    while left < frames {
        for (client, length) in clients.iter_mut().zip(lengths) {
            let more: Vec<_> = (0..16)
                .map(|n| frame(OUTSIDE, client.port.mac, n, length))
                .collect();
            client.send(&more);
            client.kick();
        }
        // The link takes one frame at a time, so both always have something to send.
        world.driver.borrow_mut().poll();
        world.driver.borrow_mut().round();
        world.device.borrow_mut().complete();
        for frame in world.wire() {
            left += 1;
            if frame[11] <= 2 && frame[6] == 2 {
                bytes[frame[11] as usize - 1] += frame.len();
            }
        }
    }
    bytes
}

#[test]
fn turns_are_fair_by_bytes() {
    for lengths in [[1514, 1514], [1514, 200], [64, 1514]] {
        let [a, b] = shares([1, 1], lengths, 3000);
        let ratio = a as f64 / b as f64;
        assert!((0.9..1.1).contains(&ratio), "{lengths:?}: {a} to {b}");
    }
    let [a, b] = shares([3, 1], [1000, 1514], 3000);
    let ratio = a as f64 / b as f64;
    assert!((2.7..3.3).contains(&ratio), "{a} to {b}");
}

#[test]
fn nobody_gains_by_attaching_again_in_the_midst_of_sending() {
    let [a, b] = shares_after([1, 1], [1000, 1000], 3000, |world, alice| {
        for slow in [true, false, true, false, true] {
            let bytes_per_second = if slow { 1000 } else { 0 };
            let rate = Rate {
                bytes_per_second,
                burst: 2000,
                share: 1,
            };
            let port = alice.port.number;
            world.admin.set_rate(&world.init.sys, port, rate).unwrap();
            let frames: Vec<_> = (0..16).map(|n| frame(OUTSIDE, mac(1), n, 1000)).collect();
            alice.send(&frames);
            world.run();
            world.device.borrow_mut().prompt = true;
            world.device.borrow_mut().complete();
            world.advance(1_000_000_000);
            alice.attach().unwrap();
            world.device.borrow_mut().prompt = false;
        }
        let port = alice.port.number;
        let unlimited = Rate::default();
        world
            .admin
            .set_rate(&world.init.sys, port, unlimited)
            .unwrap();
        world.advance(60_000_000_000);
    });
    let ratio = a as f64 / b as f64;
    assert!((0.9..1.1).contains(&ratio), "{a} to {b}");
}

#[test]
fn turns_that_a_rate_cut_short_are_not_saved_up() {
    let [a, b] = shares_after([1, 1], [100, 100], 300, |world, alice| {
        let rate = Rate {
            bytes_per_second: 10_000,
            burst: 1514,
            share: 1,
        };
        let port = alice.port.number;
        world.admin.set_rate(&world.init.sys, port, rate).unwrap();
        world.device.borrow_mut().prompt = true;
        for n in 0..300 {
            alice.send(&[
                frame(OUTSIDE, mac(1), n, 100),
                frame(OUTSIDE, mac(1), n, 100),
            ]);
            alice.kick();
            world.run();
            world.advance(10_000_000);
        }
        world.device.borrow_mut().prompt = false;
        let unlimited = Rate::default();
        world
            .admin
            .set_rate(&world.init.sys, port, unlimited)
            .unwrap();
        world.advance(60_000_000_000);
    });
    let ratio = a as f64 / b as f64;
    assert!((0.8..1.25).contains(&ratio), "{a} to {b}");
}

#[test]
fn a_port_is_held_to_its_rate_and_the_others_are_not() {
    let world = World::new();
    let port = world.port(PortSettings {
        rate: Rate {
            bytes_per_second: 100_000,
            burst: 2000,
            share: 1,
        },
        ..settings(1)
    });
    let mut alice = world.client(port, 1000);
    alice.attach().unwrap();
    let mut bob = world.attached(2);
    let frames: Vec<_> = (0..16)
        .map(|n| frame(OUTSIDE, alice.port.mac, n, 1000))
        .collect();
    assert_eq!(alice.send(&frames), 16);
    world.run();
    assert_eq!(world.wire(), frames[..2], "the burst");
    bob.send(&[frame(OUTSIDE, bob.port.mac, 0, 1000)]);
    world.run();
    assert_eq!(world.wire().len(), 1);
    for n in 2..16 {
        world.advance(9_000_000);
        world.run();
        assert!(
            world.wire().is_empty(),
            "a thousand bytes take ten milliseconds"
        );
        world.advance(1_000_000);
        world.run();
        assert_eq!(world.wire(), frames[n..=n]);
    }
    assert_eq!(world.counter(port, Counter::Throttled), 14);
    // Rates can be changed while frames wait.
    alice.send(&frames[..4]);
    world.run();
    let unlimited = Rate::default();
    world
        .admin
        .set_rate(&world.init.sys, port.number, unlimited)
        .unwrap();
    world.advance(10_000_000);
    world.run();
    assert_eq!(world.wire(), frames[..4]);
}

#[test]
fn a_throttled_session_that_ends_is_forgotten() {
    let world = World::new();
    let port = world.port(PortSettings {
        rate: Rate {
            bytes_per_second: 1000,
            burst: 1514,
            share: 1,
        },
        ..settings(1)
    });
    let mut alice = world.client(port, 1000);
    alice.attach().unwrap();
    let frames: Vec<_> = (0..4)
        .map(|n| frame(OUTSIDE, alice.port.mac, n, 1000))
        .collect();
    alice.send(&frames);
    world.run();
    assert_eq!(world.wire(), frames[..1]);
    let session = alice.session.take().unwrap();
    session.detach(&alice.program);
    alice.attach().unwrap();
    world.advance(10_000_000_000);
    world.run();
    assert!(
        world.wire().is_empty(),
        "what the old session wanted to send"
    );
    alice.send(&frames[1..2]);
    world.run();
    assert_eq!(world.wire(), frames[1..2]);
}

#[test]
fn the_ring_goes_round_many_times() {
    let world = World::new();
    let mut alice = world.attached(1);
    for n in 0..200 {
        let frames: Vec<_> = (0..7)
            .map(|k| {
                frame(
                    OUTSIDE,
                    alice.port.mac,
                    n * 7 + k,
                    60 + (k as usize * 97) % 700,
                )
            })
            .collect();
        assert_eq!(alice.send(&frames), 7);
        world.run();
        alice.kick();
        world.run();
        assert_eq!(world.wire(), frames);
    }
    assert_eq!(world.counter(alice.port, Counter::SentFrames), 1400);
}

#[test]
fn a_frame_of_several_pages_leaves_whole() {
    let world = World::with(16, 9014);
    let mut alice = world.client(world.port(settings(1)), 1000);
    alice.attach().unwrap();
    let said = frame(OUTSIDE, alice.port.mac, 1, 9000);
    let mut entries = Vec::new();
    // It begins with the last 100 bytes of a page: less than what is copied and checked.
    let mut rest = &said[..];
    for (page, offset) in [(0, 3996), (3, 0), (1, 0), (2, 0)] {
        let length = rest.len().min(4096 - offset);
        let (piece, others) = rest.split_at(length);
        entries.push(alice.fill(page, offset, piece));
        rest = others;
    }
    assert!(rest.is_empty());
    let last = entries.len() - 1;
    for entry in &mut entries[..last] {
        entry.flags = dev::layout::MORE;
    }
    alice.transmit_raw_all(&entries);
    world.run();
    assert_eq!(world.wire(), [said]);
    assert_eq!(world.counter(alice.port, Counter::SentFrames), 1);
    assert_eq!(world.state(alice.port).in_flight, 0);
}

#[test]
fn pitfall_19_a_frame_that_goes_on_in_nothing_ends_its_session() {
    let full = |page, flags| ring::Descriptor {
        page: dev::layout::FIRST_TRANSMIT_PAGE + page,
        offset: 0,
        length: 4096,
        flags,
    };
    let more = dev::layout::MORE;
    for entries in [
        vec![full(0, more)],
        vec![
            full(0, more),
            full(1, more),
            full(2, more),
            full(3, more),
            full(4, 0),
        ],
        vec![full(0, more), full(0, 0)],
    ] {
        let world = World::with(16, 9014);
        let mut alice = world.client(world.port(settings(1)), 1000);
        alice.attach().unwrap();
        alice.transmit_raw_all(&entries);
        world.run();
        assert_eq!(world.counter(alice.port, Counter::Misbehaved), 1);
        assert!(world.wire().is_empty());
    }
}
