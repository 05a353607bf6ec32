//! What a stack should not do, and one thing that it may.

use core::net::{Ipv4Addr, Ipv6Addr};

use abi::cap::Rights;
use alloc::vec;
use alloc::vec::Vec;
use dev::Program;
use dev::bare::This;
use dev::program::BANK;
use dev::session::{Lost, Session};
use log::info;
use netstack::Config;
use netstack::config::Ipv4;
use rt::shared;
use sys::Mem;

use crate::PATIENCE;
use crate::forge::{self, EVERYBODY, EXPERIMENTAL, FORGED, HONEST, Mac};

/// Something to do with a session.
pub type Act = fn(&mut Session<This>, &'static This, &Config) -> Result<(), Lost>;

/// alice, as the tests' manifests have her.
const ALICE: (Mac, Ipv4Addr) = ([2, 0x75, 0x73, 0, 0, 1], Ipv4Addr::new(10, 0, 2, 21));

/// alice's link-local address.
const ALICE_6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x75, 0x73ff, 0xfe00, 1);

/// Writes to the receive segment, through a mapping that recovers from nothing.
pub fn write(session: &mut Session<This>, _: &'static This, _: &Config) -> Result<(), Lost> {
    let segment = session.caps().segment;
    // Whatever is asked for, the mapping grants what the capability does.
    let wanted = shared::map(segment, Rights::READ | Rights::WRITE);
    let mapped = wanted.or_else(|_| shared::map(segment, Rights::READ));
    let place = mapped.map_err(|_| Lost::Revoked)?;
    info!("writing to its receive memory");
    let _ = place.mapping().store_u64(0, 1);
    info!("FAILED: it could write to its receive memory");
    Ok(())
}

/// Sends frames as they are.
fn send(session: &mut Session<This>, program: &This, frames: &[Vec<u8>]) -> Result<(), Lost> {
    for frame in frames {
        while session.room()? == 0 {
            core::hint::spin_loop();
        }
        let _ = session.transmit_memory().write(session.buffer(), frame);
        session.send(frame.len() as u32)?;
        session.flush(program)?;
    }
    Ok(())
}

/// The first piece of a message of neighbour discovery.
fn fragment() -> Vec<u8> {
    [&[58, 0, 0, 1, 0, 0, 0, 7][..], FORGED].concat()
}

/// Sends as somebody else, in every way that a bound port refuses, and once as itself.
pub fn spoof(
    session: &mut Session<This>,
    program: &'static This,
    config: &Config,
) -> Result<(), Lost> {
    let own = (config.mac, own_address(config));
    let stranger = ([2, 9, 9, 9, 9, 9], Ipv4Addr::new(10, 0, 2, 66));
    let multicast = [3, 0, 0, 0, 0, 1];
    let (nobody, none) = ([0; 6], Ipv4Addr::UNSPECIFIED);
    let frames = vec![
        // Source addresses that aren't the port's: 5.
        forge::ethernet(EVERYBODY, stranger.0, EXPERIMENTAL, FORGED),
        forge::ethernet(EVERYBODY, ALICE.0, EXPERIMENTAL, FORGED),
        forge::ethernet(ALICE.0, multicast, EXPERIMENTAL, FORGED),
        forge::ethernet(EVERYBODY, nobody, EXPERIMENTAL, FORGED),
        forge::udp((EVERYBODY, none), ALICE, 9, FORGED),
        // Cut off within the header: 1.
        own.0.iter().chain(&own.0).copied().chain([8]).collect(),
        // Control of the link that it shares: 3.
        forge::ethernet(forge::PAUSE, own.0, forge::CONTROL, FORGED),
        forge::ethernet(ALICE.0, own.0, forge::CONTROL, FORGED),
        forge::ethernet(forge::BRIDGES, own.0, 38, FORGED),
        // A protocol that can't be checked: 1.
        forge::ethernet(EVERYBODY, own.0, EXPERIMENTAL, FORGED),
        // IPv4 sources that aren't bound: 2.
        forge::udp(ALICE, (own.0, stranger.1), 9, FORGED),
        forge::udp((EVERYBODY, none), (own.0, ALICE.1), 9, FORGED),
        // ARP senders that aren't: 3.
        forge::arp(EVERYBODY, own.0, 2, (own.0, ALICE.1), stranger, FORGED),
        forge::arp(EVERYBODY, own.0, 1, (ALICE.0, ALICE.1), stranger, FORGED),
        forge::arp(ALICE.0, own.0, 2, (stranger.0, own.1), ALICE, FORGED),
        // IPv6 sources that aren't bound: 2.
        forge::ipv6(EVERYBODY, own.0, ALICE_6, 17, FORGED),
        forge::ipv6(EVERYBODY, own.0, Ipv6Addr::UNSPECIFIED, 17, FORGED),
        // Neighbours that aren't: 3.
        forge::advertisement(own.0, Ipv6Addr::UNSPECIFIED, ALICE_6, own.0, FORGED),
        forge::advertisement(own.0, Ipv6Addr::UNSPECIFIED, ALICE_6, ALICE.0, FORGED),
        forge::solicitation(own.0, ALICE_6, ALICE.0, FORGED),
        // A router's messages: 2.
        forge::icmpv6(own.0, Ipv6Addr::UNSPECIFIED, 134, FORGED),
        forge::icmpv6(own.0, Ipv6Addr::UNSPECIFIED, 137, FORGED),
        // Pieces of messages that can't be checked: 1.
        forge::ipv6(EVERYBODY, own.0, Ipv6Addr::UNSPECIFIED, 44, &fragment()),
        forge::udp((EVERYBODY, Ipv4Addr::BROADCAST), own, 9, HONEST),
    ];
    send(session, program, &frames)
}

/// Lets whoever is less urgent than the driver run.
pub fn pause() {
    // The bank's server is more urgent than any stack: on the way back whoever waits goes on.
    let _ = BANK.usage(&rt::Kernel);
}

/// Has alice echo a datagram, and answers when she asks where it came from.
pub fn call(
    session: &mut Session<This>,
    program: &'static This,
    config: &Config,
) -> Result<(), Lost> {
    let own = (config.mac, own_address(config));
    let deadline = program.now() + PATIENCE;
    let mut again = 0;
    while program.now() < deadline {
        if program.now() > again {
            send(session, program, &[forge::udp(ALICE, own, 7, HONEST)])?;
            again = program.now() + 200_000_000;
        }
        let Some(frame) = session.receive()? else {
            // The stack is of no higher priority than this.
            pause();
            continue;
        };
        let mut bytes = vec![0; frame.len()];
        let read = session.receive_memory().read(frame.offset(), &mut bytes);
        read.map_err(|_| Lost::Revoked)?;
        session.give_back(frame);
        session.flush(program)?;
        if let Some(asker) = forge::asks_for(&bytes, own.1) {
            let answer = forge::arp(asker.0, own.0, 2, own, asker, HONEST);
            send(session, program, &[answer])?;
        }
        let is_echo = bytes.get(6..12) == Some(&ALICE.0[..]) && bytes.get(23) == Some(&17);
        if is_echo && bytes.get(42..42 + HONEST.len()) == Some(HONEST) {
            info!("alice answered");
            return Ok(());
        }
    }
    info!("FAILED: alice did not answer");
    Ok(())
}

/// The user's IPv4 address.
pub fn own_address(config: &Config) -> Ipv4Addr {
    match config.ipv4 {
        Ipv4::Static { address, .. } => address,
        _ => Ipv4Addr::UNSPECIFIED,
    }
}
