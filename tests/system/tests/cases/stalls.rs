//! Connections that move much data never stand still: no burst overruns a receiver's pages, whatever the
//! strategy, and neither a window that was opened without a word nor a delayed acknowledgement makes both
//! ends wait for a timer.

use std::time::Duration;

use anyhow::{Result, ensure};
use manifest::Strategy;
use system::{Boot, Case, Entry, Guest, Peer, milliseconds, seconds};

use super::common::{at, net, start_on_wire_of};

pub const CASES: &[Entry] = &[
    ("stalls.a_wait_for_a_timer_is_seen", seen),
    ("stalls.no_long_stream_stands_still", usual),
    ("stalls.no_long_stream_of_jumbo_frames_stands_still", jumbo),
];

/// What a long stream carries: many times the widest window.
const BYTES: usize = 10 << 20;
/// How long nothing may come while neither end has anything to do: many times the 10 ms that an
/// acknowledgement may wait at either end, and a quarter of the second that a sender waits at least before
/// it takes a segment for lost (RFC 6298, section 2.4).
const MOST: Duration = Duration::from_millis(250);

/// How each of the users receives, with how many pages if not as many as is usual, and whether sealed.
const WAYS: [(Strategy, Option<u16>, bool); 5] = [
    (Strategy::Copy, None, false),
    (Strategy::Flip, None, false),
    (
        Strategy::Hybrid {
            threshold: Some(600),
        },
        None,
        false,
    ),
    (Strategy::Flip, None, true),
    // Too few for the widest window.
    (Strategy::Flip, Some(64), false),
];

/// One user for each way, on a link of this MTU. They keep quiet.
fn boot(case: &Case, mtu: u16) -> Result<Boot<'_>> {
    let mut manifest = mk::users::manifest(WAYS.len() as u32)?;
    for (user, (strategy, pages, sealed)) in manifest.user.iter_mut().zip(WAYS) {
        user.strategy = strategy;
        user.receive_slots = pages;
        user.sealed = sealed;
        user.ipv6 = manifest::Ipv6Setting::Off;
    }
    let boot = Boot::new(case).manifest(manifest);
    Ok(boot.machine(|machine| machine.mtu = Some(mtu)))
}

/// Otherwise the watch might be blind.
fn seen(case: &Case) -> Result<()> {
    let (guest, mut peer) = start_on_wire_of(1500, boot(case, 1500)?)?;
    let stream = peer.tcp_connect(at(1, 7), seconds(10))?;
    let watch = peer.watch(&guest)?;
    for _ in 0..2 {
        peer.tcp_send(&stream, b"and then?", seconds(10))?;
        peer.tcp_receive(&stream, 9, seconds(10))?;
        // Both ends wait for what the other one might say.
        peer.run(milliseconds(1000))?;
    }
    let longest = watch.longest()?;
    ensure!(longest > MOST, "the longest was {longest:?}");
    peer.tcp_close(stream, seconds(10))
}

fn usual(case: &Case) -> Result<()> {
    let (mut guest, mut peer) = start_on_wire_of(1500, boot(case, 1500)?)?;
    streams(&mut guest, &mut peer)
}

fn jumbo(case: &Case) -> Result<()> {
    let (mut guest, mut peer) = start_on_wire_of(9000, boot(case, 9000)?)?;
    streams(&mut guest, &mut peer)
}

/// A stream to each of the users, and one from each.
fn streams(guest: &mut Guest, peer: &mut Peer) -> Result<()> {
    let data = vec![7; BYTES];
    for k in 1..=WAYS.len() as u8 {
        let to = peer.tcp_connect(at(k, 9), seconds(10))?;
        let watch = peer.watch(guest)?;
        peer.tcp_send(&to, &data, seconds(120))?;
        moved(guest, watch.longest()?, "to", k)?;
        peer.tcp_close(to, seconds(10))?;
        let from = peer.tcp_connect(at(k, 19), seconds(10))?;
        let watch = peer.watch(guest)?;
        peer.tcp_receive(&from, BYTES, seconds(120))?;
        moved(guest, watch.longest()?, "from", k)?;
        peer.tcp_abort(from);
    }
    Ok(())
}

/// It stood still for no longer than it may have.
fn moved(guest: &mut Guest, longest: Duration, direction: &str, k: u8) -> Result<()> {
    ensure!(
        longest < MOST,
        "{direction} user {k}: stood still for {longest:?}\n{}",
        net(guest)?
    );
    Ok(())
}
