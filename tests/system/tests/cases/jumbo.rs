//! Frames of several pages, as a link with an MTU of 9,000 carries them, from the guest and to it: in
//! each way to receive and each way to pin what is sent.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use manifest::{Pinning, Strategy};
use system::{Boot, Case, Entry, Guest, Peer, seconds};

use super::common::{address, at, data, start_on_wire_of};
use super::numbered::nothing_stopped;

pub const CASES: &[Entry] = &[
    ("jumbo.datagrams_and_pings_of_9000_bytes_come_back", packets),
    (
        "jumbo.connections_use_segments_of_several_pages_both_ways",
        connections,
    ),
];

const MTU: u16 = 9000;
/// Longest frame on such a link.
const LONGEST: usize = 14 + MTU as usize;

/// alice, who receives so, and bob the other way: one of them has the pages that she sends from pinned for
/// the session, the other for each frame.
fn start(case: &Case, pinning: [Pinning; 2]) -> Result<(Guest, Peer)> {
    let mut manifest = mk::users::manifest(2)?;
    let ways = [Strategy::Copy, Strategy::Flip].into_iter().zip(pinning);
    for (user, (strategy, pinning)) in manifest.user.iter_mut().zip(ways) {
        user.strategy = strategy;
        user.pinning = pinning;
    }
    let boot = Boot::new(case).manifest(manifest);
    start_on_wire_of(MTU, boot.machine(|machine| machine.mtu = Some(MTU)))
}

/// Does something in all four ways: with each user in turn.
fn in_all_ways(case: &Case, mut act: impl FnMut(&mut Peer, u8) -> Result<()>) -> Result<()> {
    let (session, frame) = (Pinning::Session, Pinning::Frame);
    for pinning in [[session, frame], [frame, session]] {
        let (guest, mut peer) = start(case, pinning)?;
        for k in 1..=2 {
            act(&mut peer, k).with_context(|| format!("user {k}, pinned {pinning:?}"))?;
        }
        nothing_stopped(&guest)?;
    }
    Ok(())
}

fn packets(case: &Case) -> Result<()> {
    in_all_ways(case, |peer, k| {
        // On both sides of what a page holds, and of what two do.
        for length in [1, 1472, 4054, 4055, 4096, 8150, 8151, 8971, 8972] {
            let data = data(length);
            peer.heard();
            let answer = peer.udp_ask(at(k, 7), &data, seconds(10))?;
            ensure!(answer == data, "{length} bytes came back otherwise");
            let longest = peer.heard().longest;
            ensure!(longest >= 42 + length, "{length} bytes in {longest}");
        }
        let (answered, _) = peer.udp_echo_load(at(k, 7), &data(8972), 300, 4, seconds(30))?;
        ensure!(answered == 300, "{answered} of 300 answered");
        ensure!(peer.heard().over_a_page >= 300);
        for length in [1472, 4054, 8000] {
            peer.ping_with(IpAddr::V4(address(k)), &data(length), seconds(10))?;
        }
        ensure!(peer.heard().longest == 42 + 8000);
        Ok(())
    })
}

fn connections(case: &Case) -> Result<()> {
    let all = data(1 << 20);
    in_all_ways(case, |peer, k| {
        let stream = peer.tcp_connect(at(k, 7), seconds(10))?;
        peer.heard();
        for piece in all.chunks(100_003) {
            peer.tcp_send(&stream, piece, seconds(30))?;
            let back = peer.tcp_receive(&stream, piece.len(), seconds(30))?;
            ensure!(back == piece, "other bytes came back");
        }
        let heard = peer.heard();
        ensure!(heard.longest == LONGEST, "{heard:?}");
        // Half of what came at least, or segments are seldom full.
        let half = (all.len() / 2).div_ceil(LONGEST);
        ensure!(heard.over_a_page as usize >= half, "{heard:?}");
        peer.tcp_close(stream, seconds(10))
    })
}
