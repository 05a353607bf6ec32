//! Addresses that a DHCP server leases, and servers that make no sense.

mod world;

use std::net::Ipv4Addr;

use netstack::Duration;
use netstack::config::{Config, Ipv4};
use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress, UdpPacket};
use world::frames::*;
use world::{PEER_MAC, STACK_MAC, World, config};

/// A DHCP server.
struct Server {
    lease: u32,
    mask: [u8; 4],
    router: Option<[u8; 4]>,
}

impl Server {
    /// Its answers to what the stack sent.
    fn answers(&self, frames: &[Vec<u8>], from: &str) -> Vec<(DhcpMessageType, Vec<u8>)> {
        let mut answers = Vec::new();
        for sent in frames.iter().filter_map(|frame| Sent::parse(frame)) {
            if sent.protocol != 17 || sent.ports() != (68, 67) {
                continue;
            }
            let packet = DhcpPacket::new_checked(sent.data()).unwrap();
            let asked = DhcpRepr::parse(&packet).unwrap();
            let kind = match asked.message_type {
                DhcpMessageType::Discover => DhcpMessageType::Offer,
                _ => DhcpMessageType::Ack,
            };
            let server: Ipv4Addr = [10, 0, 0, 1].into();
            let repr = DhcpRepr {
                message_type: kind,
                transaction_id: asked.transaction_id,
                secs: 0,
                client_hardware_address: EthernetAddress(STACK_MAC),
                client_ip: asked.client_ip,
                your_ip: [10, 0, 0, 77].into(),
                server_ip: server,
                router: self.router.map(Into::into),
                subnet_mask: Some(self.mask.into()),
                relay_agent_ip: [0, 0, 0, 0].into(),
                broadcast: false,
                requested_ip: None,
                client_identifier: None,
                server_identifier: Some(server),
                parameter_request_list: None,
                dns_servers: Some([Ipv4Addr::new(10, 0, 0, 3)].into_iter().collect()),
                max_size: None,
                lease_duration: Some(self.lease),
                renew_duration: None,
                rebind_duration: None,
                additional_options: &[],
            };
            let mut data = vec![0; repr.buffer_len()];
            repr.emit(&mut DhcpPacket::new_unchecked(&mut data[..]))
                .unwrap();
            let to = if asked.client_ip.is_unspecified() {
                "255.255.255.255"
            } else {
                "10.0.0.77"
            };
            let payload = udp_payload((from, 67), (to, 68), &data);
            assert!(UdpPacket::new_checked(&payload[..]).is_ok());
            answers.push((asked.message_type, framed(from, to, 17, 64, &payload)));
        }
        answers
    }

    /// Serves until the stack says nothing more; the kinds of what it said.
    fn serve(&self, world: &mut World) -> Vec<DhcpMessageType> {
        let mut kinds = Vec::new();
        for _ in 0..20 {
            world.wait(Duration::from_millis(20));
            for (kind, answer) in self.answers(&world.take(), "10.0.0.1") {
                kinds.push(kind);
                world.wire.borrow_mut().to_stack.push_back(answer);
            }
        }
        kinds
    }
}

fn leased() -> Config {
    Config {
        ipv4: Ipv4::Dhcp,
        ..config(false)
    }
}

#[test]
fn an_address_is_leased_renewed_and_lost() {
    let server = Server {
        lease: 600,
        mask: [255, 255, 255, 0],
        router: Some([10, 0, 0, 254]),
    };
    let mut world = World::new(leased());
    let early = udp(("10.0.0.9", 5000), ("10.0.0.77", 7), b"early");
    world.wire.borrow_mut().to_stack.push_back(early);
    let kinds = server.serve(&mut world);
    assert_eq!(kinds, [DhcpMessageType::Discover, DhcpMessageType::Request]);
    assert_eq!(world.stack.counters().datagrams, 0);
    let own = world.stack.addresses().ipv4.unwrap();
    assert_eq!((own.address, own.length), ([10, 0, 0, 77].into(), 24));
    assert_eq!(own.gateway, Some([10, 0, 0, 254].into()));
    world.tell(arp(1, PEER_MAC, "10.0.0.9", [0; 6], "10.0.0.77"));
    let sent = Sent::only(&world.tell(udp(("10.0.0.9", 5000), ("10.0.0.77", 7), b"hello")));
    assert_eq!(sent.data(), b"hello");

    // Half the lease later it asks the server, alone, for which it must find it first.
    world.wait(Duration::from_secs(301));
    let asked = world.take();
    let question = |frame: &&Vec<u8>| frame[12..14] == [8, 6] && frame[38..42] == [10, 0, 0, 1];
    assert!(asked.iter().any(|frame| question(&frame)));
    let found = arp(2, [2, 0, 0, 0, 0, 1], "10.0.0.1", STACK_MAC, "10.0.0.77");
    let asked = world.tell(found);
    let answers = server.answers(&asked, "10.0.0.1");
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].0, DhcpMessageType::Request);
    world.tell(answers[0].1.clone());
    world.wait(Duration::from_secs(290));
    assert!(world.stack.addresses().ipv4.is_some(), "renewed");

    // Nobody answers any more.
    world.wait(Duration::from_secs(700));
    assert_eq!(world.stack.addresses().ipv4, None);
    world.take();
    let late = udp(("10.0.0.9", 5000), ("10.0.0.77", 7), b"late");
    assert!(world.tell(late).is_empty());
    let kinds = server.serve(&mut world);
    world.wait(Duration::from_secs(20));
    let again = server.serve(&mut world);
    assert!(!kinds.is_empty() || !again.is_empty(), "it asks again");
}

#[test]
fn servers_that_make_no_sense_are_refused() {
    let cases = [
        ([0, 0, 0, 0], None),
        ([255, 0, 255, 0], None),
        ([255, 255, 255, 255], Some([10, 0, 0, 254])),
        ([255, 255, 255, 0], Some([192, 168, 0, 1])),
        ([255, 255, 255, 0], Some([10, 0, 0, 77])),
    ];
    for (mask, router) in cases {
        let server = Server {
            lease: 600,
            mask,
            router,
        };
        let mut world = World::new(leased());
        server.serve(&mut world);
        if let Some(own) = world.stack.addresses().ipv4 {
            assert_eq!(own.gateway, None, "{mask:?} {router:?}");
            assert!(own.length >= 24);
        }
        world.wait(Duration::from_secs(2000));
    }
}

#[test]
fn a_lease_from_nobody_does_not_stop_the_stack() {
    // smoltcp remembers the sender's address and asks it for more time; nobody's would end badly.
    for from in ["0.0.0.0", "255.255.255.255", "224.0.0.1", "127.0.0.1"] {
        let server = Server {
            lease: 10,
            mask: [255, 255, 255, 0],
            router: None,
        };
        let mut world = World::new(leased());
        for _ in 0..20 {
            world.wait(Duration::from_millis(20));
            for (_, answer) in server.answers(&world.take(), from) {
                world.wire.borrow_mut().to_stack.push_back(answer);
            }
        }
        assert_eq!(world.stack.addresses().ipv4, None, "{from}");
        world.wait(Duration::from_secs(60));
        server.serve(&mut world);
        world.wait(Duration::from_secs(4));
        server.serve(&mut world);
        assert!(world.stack.addresses().ipv4.is_some(), "{from}");
    }
}
