//! More connections, fragments and frames than there is room for: what gives way, and what doesn't.

mod world;

use netstack::Duration;
use netstack::config::Limits;
use netstack::counters::Drop;
use world::frames::*;
use world::health::*;
use world::meeting::Meeting;
use world::{Numbers, PEER_MAC, STACK_MAC, World, config};

#[test]
fn half_open_connections_give_way() {
    let mut world = World::settled(config(false));
    world.introduce();
    for n in 0..5000u32 {
        let port = 1024 + (n % 60_000) as u16;
        world.tell(tcp((PEER, port), (US, 80), SYN, (n, 0), b""));
        world.now += Duration::from_millis(1);
    }
    let limits = Limits::default();
    assert!(world.stack.connections()[0] <= limits.http_connections);
    assert!(world.stack.memory() <= limits.memory as usize);
    is_well(&mut world);
    world.wait(Duration::from_secs(60));
    assert_eq!(world.stack.connections(), [0; 4], "none is left");
}

#[test]
fn idle_connections_give_way_and_busy_ones_do_not() {
    let mut config = config(false);
    config.limits.http_connections = 4;
    let mut meeting = Meeting::new(config);
    let busy = meeting.connect(80);
    let request = b"GET /bytes/1000000000 HTTP/1.1\r\nHost: a\r\n\r\n";
    meeting.socket(busy).send_slice(request).unwrap();
    let idle: Vec<_> = (0..3).map(|_| meeting.connect(80)).collect();
    let mut received = 0;
    for _ in 0..10 {
        // New ones come all the time, and all get something.
        let answer = meeting.get("/bytes/5");
        assert!(answer.ends_with(b"00000"));
        received += meeting.converse(busy, b"", 100_000).len();
        meeting.pass(Duration::from_millis(500));
    }
    assert!(received >= 1_000_000, "the busy one went on");
    let gone = idle
        .into_iter()
        .filter(|idle| !meeting.socket(*idle).may_send());
    assert!(gone.count() >= 1, "an idle one gave way");
}

#[test]
fn connections_that_we_closed_do_not_stand_in_the_way() {
    // The side that closes first waits; here that is the stack, and there are many of them.
    let mut config = config(false);
    config.limits.http_connections = 4;
    let mut meeting = Meeting::new(config);
    for n in 0..50 {
        let handle = meeting.connect(80);
        let request = b"GET /bytes/5 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let answer = meeting.converse(handle, request, usize::MAX);
        assert!(answer.ends_with(b"00000"), "{n}");
        meeting.socket(handle).close();
        meeting.pass(Duration::from_millis(5));
        meeting.sockets.remove(handle);
    }
    assert_eq!(meeting.world.stack.counters().refused, 0);
}

#[test]
fn a_port_used_again_is_a_new_connection() {
    let mut world = World::settled(config(false));
    world.introduce();
    let (from, us) = ((PEER, 5000), (US, 80));
    for n in 1..20u32 {
        let start = n << 20;
        let hello = Sent::only(&world.tell(tcp(from, us, SYN, (start, 0), b"")));
        assert_eq!(
            (hello.flags(), hello.number(8)),
            (SYN | ACK, start + 1),
            "turn {n}"
        );
        let begin = hello.number(4).wrapping_add(1);
        let request = b"GET /bytes/5 HTTP/1.0\r\n\r\n";
        let after = start + 1 + request.len() as u32;
        world.tell(tcp(from, us, ACK, (start + 1, begin), b""));
        let sent = world.tell(tcp(from, us, ACK, (start + 1, begin), request));
        let last = Sent::parse(sent.last().unwrap()).unwrap();
        assert_eq!(last.flags() & FIN, FIN);
        let end = last
            .number(4)
            .wrapping_add(last.payload.len() as u32 - 20 + 1);
        world.tell(tcp(from, us, FIN | ACK, (after, end), b""));
        assert_eq!(world.stack.connections()[0], 1, "it waits");
    }
}

#[test]
fn thousands_of_connections_leave_nothing() {
    let mut meeting = Meeting::new(config(false));
    for _ in 0..40 {
        meeting.get("/bytes/100");
    }
    meeting.pass(Duration::from_secs(20));
    let memory = meeting.world.stack.memory();
    for n in 0..3000 {
        let answer = meeting.get("/bytes/100");
        assert!(
            answer.ends_with(b"\n0000"),
            "{n}: {}",
            String::from_utf8_lossy(&answer)
        );
    }
    meeting.pass(Duration::from_secs(20));
    assert_eq!(meeting.world.stack.connections(), [0; 4]);
    assert_eq!(meeting.world.stack.memory(), memory);
    assert_eq!(meeting.world.stack.counters().requests, 3040);
    assert_eq!(meeting.world.stack.counters().refused, 0);
}

#[test]
fn memory_is_shared_between_services() {
    // Room for two connections or so: buffers that one service doesn't use go to the other.
    let mut config = config(false);
    config.limits = Limits {
        receive_buffer: 32 * 1024,
        send_buffer: 32 * 1024,
        memory: 160 * 1024,
        ..config.limits
    };
    let mut meeting = Meeting::new(config);
    for round in 0..5 {
        assert!(meeting.get("/bytes/1000").len() > 1000, "round {round}");
        for port in [7, 9, 19] {
            let handle = meeting.connect(port);
            meeting.converse(handle, b"hello", 0);
            meeting.close(handle);
            meeting.pass(Duration::from_millis(10));
        }
        assert!(meeting.world.stack.memory() <= 160 * 1024);
    }
    // Too many at once: the next one waits, the others go on.
    let first = meeting.connect(19);
    let (second, _third) = (meeting.connect(19), meeting.connect(19));
    let waiting = meeting.dial(smoltcp::wire::IpAddress::v4(10, 0, 0, 2), 80);
    meeting.pass(Duration::from_millis(100));
    assert!(!meeting.socket(waiting).may_send());
    assert!(meeting.converse(first, b"", 100_000).len() >= 100_000);
    meeting.close(second);
    meeting.pass(Duration::from_millis(100));
    assert!(meeting.socket(waiting).may_send());
    assert!(meeting.world.stack.memory() <= 160 * 1024);
}

#[test]
fn more_clients_than_places_wait_for_their_turn_not_for_a_second() {
    let mut config = config(false);
    config.limits.http_connections = 3;
    let mut meeting = Meeting::new(config);
    meeting.get("/");
    let begin = meeting.world.now;
    let address = smoltcp::wire::IpAddress::v4(10, 0, 0, 2);
    let clients: Vec<_> = (0..24).map(|_| meeting.dial(address, 80)).collect();
    let request = b"GET /bytes/5000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let mut asked = [false; 24];
    let mut received = [0; 24];
    let done = meeting.until(Duration::from_secs(5), |meeting| {
        for (n, client) in clients.iter().enumerate() {
            let socket = meeting.socket(*client);
            if socket.may_send() && !asked[n] {
                asked[n] = socket.send_slice(request) == Ok(request.len());
            }
            while let Ok(taken @ 1..) = socket.recv(|bytes| (bytes.len(), bytes.len())) {
                received[n] += taken;
            }
            if received[n] > 5000 && !socket.may_recv() {
                socket.close();
            }
        }
        received.iter().all(|received| *received > 5000)
    });
    assert!(done, "{received:?}");
    let time = (meeting.world.now - begin).total_millis();
    assert!(time < 500, "{time} ms");
    assert_eq!(meeting.world.stack.counters().refused, 0);
    meeting.pass(Duration::from_millis(500));
    // Nobody's last word went unanswered.
    assert_eq!(meeting.world.stack.counters().dropped(Drop::NoService), 0);
}

#[test]
fn a_full_wire_stops_nothing_for_good() {
    let mut config = config(true);
    config.limits.service_connections = 20;
    let mut meeting = Meeting::new(config);
    meeting.world.wire.borrow_mut().room = 6;
    let handles: Vec<_> = (0..10).map(|_| meeting.connect(19)).collect();
    for handle in &handles {
        assert!(meeting.converse(*handle, b"", 50_000).len() >= 50_000);
    }
    assert!(meeting.get("/bytes/100000").len() > 100_000);
    // Nothing goes out at all, for a while, with work piling up.
    meeting.world.wire.borrow_mut().room = 0;
    for _ in 0..200 {
        let frame = udp((PEER, 5000), (US, 7), b"hello");
        meeting.world.wire.borrow_mut().to_stack.push_back(frame);
        meeting.world.poll();
        meeting.world.now += Duration::from_millis(50);
    }
    meeting.world.wire.borrow_mut().room = 64;
    meeting.pass(Duration::from_secs(5));
    assert!(meeting.get("/bytes/1000").len() > 1000);
}

#[test]
fn fragments_are_bounded() {
    let mut world = World::settled(config(true));
    world.introduce();
    let mut numbers = Numbers::new(5);
    for _ in 0..20_000 {
        let mut packet = packet(ip(PEER), ip(US), 17, 64, &[7; 1480]);
        packet[4..6].copy_from_slice(&(numbers.next() as u16).to_be_bytes());
        let place = 0x2000 | numbers.below(8000) as u16;
        packet[6..8].copy_from_slice(&place.to_be_bytes());
        packet[10..12].fill(0);
        let checksum = netstack::checksum::Sum::of(&packet[..20]).checksum();
        packet[10..12].copy_from_slice(&checksum);
        assert!(
            world
                .tell(ethernet(STACK_MAC, PEER_MAC, 0x0800, &packet))
                .is_empty()
        );
    }
    is_well(&mut world);
}
