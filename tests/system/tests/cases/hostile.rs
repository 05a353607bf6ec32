//! Stacks that do what they can to get at what isn't theirs. What they try is in
//! `tests/guest/src/rogue`; here are the others, who must not notice, and the wire.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use manifest::Strategy;
use system::frames::{self, Mac};
use system::{Boot, Case, Entry, Guest, Net, Peer, Wire, milliseconds, seconds};

use super::common::{
    HOST, HOST_MAC, address, at, counted, eventually, is_well, mac, net, to_user, wait_up,
};

pub const CASES: &[Entry] = &[
    (
        "hostile.receive_memory_is_read_only_whatever_a_stack_tries",
        prober,
    ),
    (
        "hostile.what_leaves_is_what_was_checked_whoever_rewrites_it",
        racer,
    ),
    (
        "hostile.each_breach_of_the_protocol_ends_its_session_alone",
        liar,
    ),
];

/// alice, bob, who receive by flipping, and a third user of this name, whose addresses are bound, and who
/// receives so.
fn start(case: &Case, name: &str, strategy: Strategy) -> Result<(Guest, Wire)> {
    let mut manifest = mk::users::manifest(3)?;
    for (user, strategy) in manifest
        .user
        .iter_mut()
        .zip([Strategy::Flip, Strategy::Flip, strategy])
    {
        user.strategy = strategy;
    }
    manifest.user[2].name = name.parse()?;
    manifest.user[2].bind_addresses = true;
    manifest.user[2].ipv6 = manifest::Ipv6Setting::Off;
    let boot = Boot::new(case).manifest(manifest);
    let mut guest = boot.stand_in("netstack", "rogue").net(Net::Wire).start()?;
    wait_up(&guest, &["alice", "bob"])?;
    let wire = guest.take_wire()?;
    Ok((guest, wire))
}

/// A host on the wire again.
fn peer(wire: Wire) -> Result<Peer> {
    Peer::new(wire, HOST_MAC, &[&format!("{HOST}/24")])
}

/// Fills the wire with frames to all three, until the console shows the pattern.
fn flood(guest: &Guest, wire: &mut Wire, pattern: &str, within: Duration) -> Result<()> {
    let frames = [1, 2, 3].map(|k| frames::udp4(&to_user(k), 5, 9, &[k; 1000]));
    let deadline = Instant::now() + within;
    while !guest.has_shown(pattern)? {
        ensure!(Instant::now() < deadline, "{pattern:?} did not appear");
        for frame in frames.iter().cycle().take(24) {
            wire.send(frame)?;
        }
        wire.listen(milliseconds(2))?;
    }
    Ok(())
}

fn prober(case: &Case) -> Result<()> {
    let (mut guest, mut wire) = start(case, "prober", Strategy::Flip)?;
    let sums = "prober: ([0-9]+) ok, ([0-9]+) FAILED";
    // The host may be busy: the prober itself says when frames cease to come.
    flood(&guest, &mut wire, sums, seconds(180))?;
    let sums = guest.expect(sums, seconds(1))?;
    ensure!(sums.group(2)? == "0", "{} ways work", sums.group(2)?);
    let tried: u32 = sums.group(1)?.parse()?;
    ensure!(tried >= 48, "only {tried} checks");
    let mut peer = peer(wire)?;
    for k in 1..=3 {
        eventually(seconds(15), || is_well(&mut peer, k))?;
    }
    ensure!(!guest.has_shown("FAILED [^\n]|(alice|bob|ethdrv)[^\n]* stopped:")?);
    Ok(())
}

/// Whether a frame of the third user's is one that it may send: source and IPv4 source are its own.
fn is_own(frame: &[u8]) -> bool {
    match frames::ipv4_parts(frame) {
        Some((from, ..)) => from == address(3),
        None => frames::kind(frame) == Some(frames::ether_type::ARP),
    }
}

fn racer(case: &Case) -> Result<()> {
    let (mut guest, mut wire) = start(case, "racer", Strategy::Flip)?;
    let own: Mac = mac(3);
    let (mut honest, deadline) = (0, Instant::now() + seconds(40));
    while !guest.has_shown("raced with [0-9]+ frames")? {
        ensure!(Instant::now() < deadline, "the race does not end");
        for frame in wire.listen(milliseconds(20))? {
            let source = frames::source(&frame);
            ensure!((1..=3).any(|k| source == Some(mac(k))), "{frame:02x?}");
            if source == Some(own) {
                ensure!(is_own(&frame), "not what was checked: {frame:02x?}");
                honest += 1;
            }
        }
    }
    ensure!(honest > 50, "only {honest} frames left");
    let mut peer = peer(wire)?;
    eventually(seconds(15), || is_well(&mut peer, 3))?;
    let table = net(&mut guest)?;
    // Some were forged when they were looked at, or there was no race.
    let forged = counted(&table, "racer", "source MAC not the port's")
        + counted(&table, "racer", "IPv4 source not bound");
    ensure!(forged > 0, "{honest} were honest, and none forged\n{table}");
    ensure!(!guest.has_shown("FAILED")?);
    Ok(())
}

/// What the driver says of each breach, in the order in which `rogue` commits them.
const BREACHES: [&str; 19] = [
    "place 999 is no transmit page",
    "place 0 is no transmit page",
    "5000 bytes from 0 on reach beyond the page",
    "60 bytes from 4090 on reach beyond the page",
    "60 bytes from 4294967295 on reach beyond the page",
    "flags 0x8000 on a frame to send",
    "a frame that goes on in an entry that isn't there",
    "goes on after 60 bytes from 0 on in place",
    "place 998 is no transmit page",
    "a piece of a frame, in place 4, has no bytes",
    "is in transmission already",
    "ring index went from 0 to 257",
    "ring index went from 0 to 2147483648",
    "ring index went from 0 to 4294967295",
    "place 1 is no receive page",
    "gave back 1 frames of a page that holds fewer",
    "gave back 0 frames of a page that holds fewer",
    "gave back 4294967295 frames of a page that holds fewer",
    "a return with an offset or flags",
];

fn liar(case: &Case) -> Result<()> {
    let (mut guest, wire) = start(case, "liar", Strategy::Copy)?;
    let mut peer = peer(wire)?;
    let mut told = 0;
    let deadline = Instant::now() + seconds(60);
    // Of a length that fills ring and pages alike: the driver looks at what the liar says of either only
    // when it must.
    let for_liar = frames::udp4(&to_user(3), 5, 9, &[3; 250]);
    let misbehaved = regex::Regex::new("session [0-9]+ misbehaved: [^\n]*")?;
    while told < BREACHES.len() {
        ensure!(Instant::now() < deadline, "only {told} breaches were told");
        for _ in 0..64 {
            peer.wire().send(&for_liar)?;
        }
        let (answered, _) = peer.udp_echo_load(at(2, 7), &[2; 200], 100, 8, seconds(20))?;
        ensure!(answered == 100, "bob answered {answered} of 100");
        told = misbehaved.find_iter(&guest.console()).count();
    }
    let console = guest.console();
    for (found, breach) in misbehaved.find_iter(&console).zip(BREACHES) {
        ensure!(found.as_str().contains(breach), "{}", found.as_str());
    }
    // It may come back, honest.
    for k in 1..=3 {
        eventually(seconds(15), || is_well(&mut peer, k))?;
    }
    let table = net(&mut guest)?;
    let ended = counted(&table, "liar", "sessions ended for misbehaviour");
    ensure!(ended == BREACHES.len() as u64, "{table}");
    ensure!(!guest.has_shown("FAILED")?);
    Ok(())
}
