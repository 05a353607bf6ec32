//! The wire and its peer, proved without a guest's driver: QEMU's own network (10.0.2.2) on one
//! side of a hub, the wire on the other; and two peers with nothing but a wire between them.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use system::frames::{self, Ends};
use system::{Boot, Case, Entry, Guest, Net, Payload, Peer, Wire, seconds};

pub const CASES: &[Entry] = &[
    ("wire.raw_frames_reach_qemus_network_and_come_back", raw),
    ("wire.a_peer_pings_qemus_network", ping),
    ("wire.what_does_not_come_is_missed_in_time", silence),
];

const MAC: frames::Mac = [0x02, 0, 0, 0, 0, 0x99];
const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 99);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

/// A guest that does nothing, on a hub with QEMU's user networking and the wire.
fn hub(case: &Case) -> Result<(Guest, Wire)> {
    let folder = case.scratch().to_path_buf();
    let mut arguments = Vec::new();
    let (to_guest, to_host) = (folder.join("to-guest"), folder.join("to-host"));
    for netdev in [
        "user,id=slirp".to_string(),
        format!(
            "dgram,id=wire,local.type=unix,local.path={},remote.type=unix,remote.path={}",
            to_guest.display(),
            to_host.display()
        ),
        "hubport,id=hub0,hubid=0,netdev=slirp".to_string(),
        "hubport,id=hub1,hubid=0,netdev=wire".to_string(),
        "hubport,id=net0,hubid=0".to_string(),
    ] {
        arguments.extend(["-netdev".to_string(), netdev]);
    }
    let boot = Boot::new(case)
        .payload(Payload::Hang)
        .net(Net::Custom(folder, arguments));
    let mut guest = boot.start()?;
    guest.expect("payload: up", seconds(30))?;
    let wire = guest.take_wire()?;
    Ok((guest, wire))
}

fn raw(case: &Case) -> Result<()> {
    let (_guest, mut wire) = hub(case)?;
    wire.send(&frames::arp_request(MAC, HOST, GATEWAY))?;
    let is_answer = |frame: &[u8]| frames::arp_answer(frame, GATEWAY).is_some();
    let answer = wire.receive_where(seconds(10), is_answer)?;
    let gateway = frames::arp_answer(&answer, GATEWAY).context("it was one")?;
    ensure!(frames::destination(&answer) == Some(MAC), "{answer:02x?}");

    let ends = Ends {
        from: MAC,
        from_ip: HOST,
        to: gateway,
        to_ip: GATEWAY,
    };
    wire.send(&frames::ping4(&ends, 7, 1, b"made by hand"))?;
    wire.receive_where(seconds(10), |frame| {
        let reply = frames::ipv4_parts(frame);
        reply.is_some_and(|(from, to, protocol, message)| {
            (from, to, protocol) == (GATEWAY, HOST, frames::protocol::ICMP)
                && message.first() == Some(&0)
                && message.ends_with(b"made by hand")
        })
    })?;
    Ok(())
}

fn ping(case: &Case) -> Result<()> {
    let (_guest, wire) = hub(case)?;
    let mut peer = Peer::new(wire, MAC, &["10.0.2.99/24"])?;
    peer.ping(GATEWAY.into(), seconds(10))?;
    Ok(())
}

fn silence(case: &Case) -> Result<()> {
    let (_guest, mut wire) = hub(case)?;
    let nobody = Ipv4Addr::new(10, 0, 2, 250);
    wire.send(&frames::arp_request(MAC, HOST, nobody))?;
    let short = Duration::from_millis(300);
    let heard = wire.listen(short)?;
    ensure!(
        heard
            .iter()
            .all(|frame| frames::arp_answer(frame, nobody).is_none()),
        "{heard:02x?}"
    );
    ensure!(
        wire.receive_where(short, |frame| frames::source(frame) == Some(MAC))
            .is_err()
    );
    let mut peer = Peer::new(wire, MAC, &["10.0.2.99/24"])?;
    let error = peer
        .ping(nobody.into(), short)
        .err()
        .context("nobody must not answer")?;
    ensure!(error.to_string().contains("10.0.2.250"), "{error:#}");
    Ok(())
}
