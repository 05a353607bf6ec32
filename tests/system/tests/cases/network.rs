//! alice's and bob's stacks, seen from the wire by a host, honest or not.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use system::frames::{self, Ends, ether_type};
use system::{Case, Entry, Peer, milliseconds, seconds};

use super::common::{
    HOST, HOST_6, HOST_MAC, address, at, counted, data, echo_of, eventually, is_well, mac, net,
    on_wire, to_user,
};

pub const CASES: &[Entry] = &[
    ("network.arp_is_answered_by_whom_it_asks_for", arp),
    ("network.pings_are_answered_over_ipv4_and_ipv6", ping),
    ("network.a_router_gives_ipv6_addresses_that_answer", router),
    ("network.udp_echo_discard_and_chargen", udp),
    ("network.tcp_echoes_megabytes_both_ways", tcp_echo),
    ("network.tcp_discard_and_chargen", tcp_others),
    ("network.pages_and_bytes_over_one_connection", http),
    ("network.connections_come_and_go", connections),
    ("network.frames_for_nobody_disturb_nobody", nobody),
    ("network.runts_and_giants_are_counted_and_survived", sizes),
    ("network.garbage_and_mutated_frames_are_survived", garbage),
    ("network.broadcast_storms_cost_no_unicast_frame", storm),
];

fn arp(case: &Case) -> Result<()> {
    let (_guest, mut peer) = on_wire(case)?;
    let wire = peer.wire();
    for k in 1..=2 {
        wire.send(&frames::arp_request(HOST_MAC, HOST, address(k)))?;
        let is_answer = |frame: &[u8]| frames::arp_answer(frame, address(k)).is_some();
        let answer = wire.receive_where(seconds(10), is_answer)?;
        ensure!(frames::arp_answer(&answer, address(k)) == Some(mac(k)));
        ensure!(frames::source(&answer) == Some(mac(k)));
        ensure!(frames::destination(&answer) == Some(HOST_MAC));
    }
    let nobody = Ipv4Addr::new(10, 0, 2, 77);
    wire.send(&frames::arp_request(HOST_MAC, HOST, nobody))?;
    let heard = wire.listen(milliseconds(500))?;
    ensure!(
        heard
            .iter()
            .all(|frame| frames::arp_answer(frame, nobody).is_none())
    );
    Ok(())
}

/// A user's link-local address, made of its MAC address (RFC 4291, appendix A).
fn link_local(k: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0x75, 0x73ff, 0xfe00, k.into())
}

fn ping(case: &Case) -> Result<()> {
    let (_guest, mut peer) = on_wire(case)?;
    for k in 1..=2 {
        peer.ping(IpAddr::V4(address(k)), seconds(10))?;
        // Duplicate address detection takes a while.
        eventually(seconds(15), || {
            peer.ping(IpAddr::V6(link_local(k)), seconds(1))
        })?;
    }
    Ok(())
}

fn router(case: &Case) -> Result<()> {
    let (guest, mut peer) = on_wire(case)?;
    let prefix: Ipv6Addr = "fd00:75:73::".parse()?;
    let from: Ipv6Addr = HOST_6.parse()?;
    let announcement = frames::router_advertisement(HOST_MAC, from, 1800, prefix, 64, 3600);
    eventually(seconds(15), || {
        peer.wire().send(&announcement)?;
        peer.run(milliseconds(300))?;
        for name in ["alice", "bob"] {
            let got = guest.has_shown(&format!("{name}: address fd00:75:73:0:75:73ff:fe00:"))?;
            ensure!(got, "{name} makes no address of the prefix");
        }
        Ok(())
    })?;
    // The router is the way back, whatever address the host asks from.
    for k in 1..=2 {
        let to_ip = Ipv6Addr::new(0xfd00, 0x75, 0x73, 0, 0x75, 0x73ff, 0xfe00, k.into());
        let from_ip: Ipv6Addr = "fd00:99::1".parse()?;
        let ends = Ends {
            from: HOST_MAC,
            from_ip,
            to: mac(k),
            to_ip,
        };
        eventually(seconds(10), || {
            peer.wire().send(&frames::ping6(&ends, 7, 1, b"routed"))?;
            // The peer answers when it is asked where the router is.
            peer.run(milliseconds(20))?;
            peer.wire().send(&frames::ping6(&ends, 7, 2, b"routed"))?;
            peer.wire().receive_where(milliseconds(500), |frame| {
                frames::kind(frame) == Some(ether_type::IPV6)
                    && frames::source(frame) == Some(mac(k))
                    && frames::payload(frame).get(40) == Some(&129)
                    && frame.ends_with(b"routed")
            })
        })?;
    }
    Ok(())
}

fn udp(case: &Case) -> Result<()> {
    let (mut guest, mut peer) = on_wire(case)?;
    for k in 1..=2 {
        for length in [0, 1, 18, 19, 512, 1471, 1472] {
            let data = vec![length as u8; length];
            let answer = peer.udp_ask(at(k, 7), &data, seconds(10))?;
            ensure!(answer == data, "{length} bytes: {} came back", answer.len());
        }
        let text = peer.udp_ask(at(k, 19), b"?", seconds(10))?;
        ensure!(text.starts_with(b" !\"#$%&'()"), "{text:?}");
        ensure!(peer.udp_ask(at(k, 9), b"gone", milliseconds(500)).is_err());
        let (answered, _) = peer.udp_echo_load(at(k, 7), &[7; 64], 5_000, 32, seconds(30))?;
        ensure!(answered == 5_000, "{answered} of 5000 answered");
    }
    let table = net(&mut guest)?;
    ensure!(counted(&table, "alice", "no spare page") == 0, "{table}");
    Ok(())
}

fn tcp_echo(case: &Case) -> Result<()> {
    let (_guest, mut peer) = on_wire(case)?;
    let all = data(4 << 20);
    for k in 1..=2 {
        let stream = peer.tcp_connect(at(k, 7), seconds(10))?;
        // In pieces smaller than what peer and stack hold together, of odd lengths.
        for piece in all.chunks(100_003) {
            peer.tcp_send(&stream, piece, seconds(30))?;
            let back = peer.tcp_receive(&stream, piece.len(), seconds(30))?;
            ensure!(back == piece, "other bytes came back");
        }
        peer.tcp_close(stream, seconds(10))?;
    }
    Ok(())
}

fn tcp_others(case: &Case) -> Result<()> {
    let (_guest, mut peer) = on_wire(case)?;
    for k in 1..=2 {
        let stream = peer.tcp_connect(at(k, 9), seconds(10))?;
        peer.tcp_send(&stream, &data(2 << 20), seconds(30))?;
        peer.tcp_close(stream, seconds(10))?;
        let stream = peer.tcp_connect(at(k, 19), seconds(10))?;
        let text = peer.tcp_receive(&stream, 1 << 20, seconds(30))?;
        for (n, line) in text.chunks_exact(74).enumerate() {
            ensure!(
                line[0] == b' ' + (n % 95) as u8 && line.ends_with(b"\r\n"),
                "line {n}"
            );
        }
        peer.tcp_abort(stream);
        let closed = peer.tcp_connect(at(k, 81), seconds(10)).err();
        let closed = closed.context("nobody listens there")?.to_string();
        ensure!(closed.contains("refused"), "{closed}");
    }
    Ok(())
}

fn http(case: &Case) -> Result<()> {
    let (_guest, mut peer) = on_wire(case)?;
    for (k, name) in [(1, "alice"), (2, "bob")] {
        let stream = peer.tcp_connect(at(k, 80), seconds(10))?;
        for _ in 0..3 {
            let page = peer.http_get_on(&stream, "/", seconds(10))?;
            ensure!(
                page.status == 200 && page.text()?.starts_with(name),
                "{page:?}"
            );
            for length in [0usize, 1, 16, 1459, 70_001] {
                let path = format!("/bytes/{length}");
                let got = peer.http_get_on(&stream, &path, seconds(20))?;
                ensure!(got.status == 200 && got.body.len() == length);
                for (n, line) in got.body.chunks_exact(16).enumerate() {
                    ensure!(line == format!("{:015x}\n", n * 16).as_bytes(), "line {n}");
                }
            }
            let missing = peer.http_get_on(&stream, "/nothing", seconds(10))?;
            ensure!(missing.status == 404, "{missing:?}");
        }
        ensure!(peer.tcp_is_up(&stream), "keep-alive was not kept");
        peer.tcp_close(stream, seconds(10))?;
    }
    Ok(())
}

fn connections(case: &Case) -> Result<()> {
    let (_guest, mut peer) = on_wire(case)?;
    for _ in 0..100 {
        for k in 1..=2 {
            let page = peer.http_get(at(k, 80), "/bytes/100", seconds(10))?;
            ensure!(page.status == 200 && page.body.len() == 100);
        }
    }
    // Hosts that vanish must not keep others out.
    for _ in 0..200 {
        let stream = peer.tcp_start(at(1, 80))?;
        peer.run(milliseconds(2))?;
        peer.tcp_forget(stream);
    }
    eventually(seconds(30), || is_well(&mut peer, 1))?;
    is_well(&mut peer, 2)
}

fn nobody(case: &Case) -> Result<()> {
    let (mut guest, mut peer) = on_wire(case)?;
    let before = net(&mut guest)?;
    let stranger = Ends {
        to: [0x02, 1, 2, 3, 4, 5],
        ..to_user(1)
    };
    for n in 0..2000u16 {
        peer.wire()
            .send(&frames::udp4(&stranger, 5, 7, &n.to_be_bytes()))?;
    }
    // For a group that nobody subscribed to.
    let group = Ends {
        to: [0x01, 0, 0x5e, 1, 2, 3],
        ..to_user(1)
    };
    peer.wire().send(&frames::udp4(&group, 5, 7, b"group"))?;
    for k in 1..=2 {
        is_well(&mut peer, k)?;
    }
    let heard = peer.wire().listen(milliseconds(300))?;
    ensure!(
        heard
            .iter()
            .all(|frame| frames::destination(frame) != Some(stranger.to))
    );
    let after = net(&mut guest)?;
    for name in ["alice", "bob"] {
        let spare = counted(&after, name, "no spare page");
        ensure!(spare == counted(&before, name, "no spare page"), "{after}");
    }
    // The card may filter them out itself; what it lets through is counted.
    ensure!(counted(&after, "the card", "for nobody") <= 2001, "{after}");
    ensure!(!guest.has_shown("stopped:")?);
    Ok(())
}

fn sizes(case: &Case) -> Result<()> {
    let (mut guest, mut peer) = on_wire(case)?;
    let whole = frames::udp4(&to_user(1), 5, 7, b"cut");
    for length in 0..64 {
        // An empty datagram is none.
        peer.wire().send(&whole[..length.clamp(1, whole.len())])?;
    }
    for length in [1515, 1516, 1518, 2048, 2049, 4096, 9000, 20_000, 65_000] {
        let mut giant = whole.clone();
        giant.resize(length, 0xaa);
        for _ in 0..20 {
            peer.wire().send(&giant)?;
        }
    }
    for k in 1..=2 {
        is_well(&mut peer, k)?;
    }
    let table = net(&mut guest)?;
    // Fourteen are shorter than a header; giants that no buffer holds may be the card's to drop.
    let runts = counted(&table, "the card", "runts from the wire");
    ensure!(runts == 14, "{table}");
    ensure!(!guest.has_shown("stopped:")?);
    Ok(())
}

/// A small generator of random numbers (Marsaglia's xorshift), so that a run can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// Good frames of every kind, to be spoilt.
fn models() -> Vec<Vec<u8>> {
    let mut models = Vec::new();
    let from_ip: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
    for k in 1..=2 {
        let v4 = to_user(k);
        let v6 = Ends {
            from: HOST_MAC,
            from_ip,
            to: mac(k),
            to_ip: link_local(k),
        };
        let tcp = [
            0xc0, 0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 2, 0xff, 0xff, 0, 0, 0, 0, 2, 4, 5, 0xb4,
        ];
        models.extend([
            frames::arp_request(HOST_MAC, HOST, address(k)),
            frames::ping4(&v4, 1, 1, &[1; 100]),
            frames::udp4(&v4, 5, 7, &[2; 300]),
            frames::udp4(&v4, 5, 19, b"x"),
            frames::ipv4(&v4, frames::protocol::TCP, &tcp),
            frames::ping6(&v6, 1, 1, &[3; 60]),
            frames::udp6(&v6, 5, 7, &[4; 200]),
            frames::router_advertisement(
                HOST_MAC,
                from_ip,
                1,
                "fd01::".parse().unwrap_or(from_ip),
                64,
                1,
            ),
        ]);
    }
    models
}

fn garbage(case: &Case) -> Result<()> {
    const SEED: u64 = 0x5eed_f00d;
    let (guest, mut peer) = on_wire(case)?;
    let mut random = Random(SEED);
    let models = models();
    for _ in 0..6000 {
        let mut frame = models[random.below(models.len())].clone();
        for _ in 0..random.below(4) {
            // Headers are where it hurts.
            let at = 12 + random.below((frame.len() - 12).min(80));
            frame[at] = random.next() as u8;
        }
        if random.below(4) == 0 {
            frame.truncate(14 + random.below(frame.len() - 14));
        }
        if random.below(20) == 0 {
            let bytes = (14..frame.len())
                .map(|_| random.next() as u8)
                .collect::<Vec<u8>>();
            frame[14..].copy_from_slice(&bytes);
        }
        peer.wire().send(&frame)?;
    }
    // What they set off must be over: a spoilt ARP request may name another host at ours.
    let _ = peer.wire().listen(milliseconds(300))?;
    for k in 1..=2 {
        peer.wire()
            .send(&frames::arp_reply(HOST_MAC, HOST, mac(k), address(k)))?;
        eventually(seconds(20), || is_well(&mut peer, k))
            .with_context(|| format!("user {k} after garbage of seed {SEED:#x}"))?;
    }
    ensure!(!guest.has_shown("stopped:|panicked")?);
    Ok(())
}

fn storm(case: &Case) -> Result<()> {
    const PORT: u16 = 4000;
    let (guest, mut peer): (_, Peer) = on_wire(case)?;
    let asking = frames::arp_request(HOST_MAC, HOST, Ipv4Addr::new(10, 0, 2, 99));
    let wire = peer.wire();
    for number in 0..500u32 {
        for _ in 0..20 {
            wire.send(&asking)?;
        }
        let data = number.to_be_bytes();
        wire.send(&frames::udp4(&to_user(2), PORT, 7, &data))?;
        wire.receive_where(Duration::from_secs(5), |frame| {
            echo_of(frame, 2, PORT).is_some_and(|back| back == data)
        })
        .with_context(|| format!("echo {number}"))?;
    }
    is_well(&mut peer, 1)?;
    ensure!(!guest.has_shown("stopped:")?);
    Ok(())
}
