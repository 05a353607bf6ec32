//! The wire and its peer, proved without a guest's driver: QEMU's own network on one side of a hub,
//! the wire on the other. Its address 10.0.2.2 leads to this host's 127.0.0.1, where the cases
//! have servers of the standard library's.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use system::frames::{self, Ends};
use system::{Boot, Case, Entry, Guest, Net, Payload, Peer, Wire, seconds};

pub const CASES: &[Entry] = &[
    ("wire.raw_frames_reach_qemus_network_and_come_back", raw),
    ("wire.a_peer_pings_qemus_network", ping),
    ("wire.a_peer_moves_a_megabyte_over_tcp_and_back", tcp),
    ("wire.a_peer_is_told_of_refused_connections", tcp_refused),
    ("wire.a_peer_gets_a_page", http),
    ("wire.a_peer_counts_answered_datagrams", udp),
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

/// A server for one connection; and the way to it from the wire.
fn serve<T: Send + 'static>(
    work: impl FnOnce(std::net::TcpStream) -> std::io::Result<T> + Send + 'static,
) -> Result<(SocketAddr, JoinHandle<std::io::Result<T>>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept()?;
        stream.set_read_timeout(Some(seconds(30)))?;
        work(stream)
    });
    Ok((SocketAddr::from((GATEWAY, port)), server))
}

fn tcp(case: &Case) -> Result<()> {
    let (_guest, wire) = hub(case)?;
    let mut peer = Peer::new(wire, MAC, &["10.0.2.99/24"])?;
    let (address, server) = serve(|mut stream| {
        let mut data = vec![0; 1 << 20];
        stream.read_exact(&mut data)?;
        stream.write_all(&data)?;
        Ok(data)
    })?;
    let data: Vec<u8> = (0..1u32 << 20)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let stream = peer.tcp_connect(address, seconds(10))?;
    ensure!(peer.tcp_is_up(&stream));
    peer.tcp_send(&stream, &data, seconds(60))?;
    ensure!(
        peer.tcp_receive_to_end(&stream, seconds(60))? == data,
        "other bytes came back"
    );
    peer.tcp_close(stream, seconds(10))?;
    let received = server.join().ok().context("the server panicked")??;
    ensure!(received == data, "other bytes arrived");
    Ok(())
}

fn tcp_refused(case: &Case) -> Result<()> {
    let (_guest, wire) = hub(case)?;
    let mut peer = Peer::new(wire, MAC, &["10.0.2.99/24"])?;
    // A port that was free a moment ago.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port();
    let error = peer.tcp_connect((GATEWAY, port).into(), seconds(10)).err();
    let error = error.context("nobody listens there")?.to_string();
    ensure!(error.contains("refused"), "{error}");
    Ok(())
}

fn http(case: &Case) -> Result<()> {
    let (_guest, wire) = hub(case)?;
    let mut peer = Peer::new(wire, MAC, &["10.0.2.99/24"])?;
    let (address, server) = serve(|mut stream| {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            request.extend(byte);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nalice")?;
        Ok(String::from_utf8_lossy(&request).into_owned())
    })?;
    let response = peer.http_get(address, "/page", seconds(10))?;
    ensure!(
        (response.status, response.text()?) == (200, "alice"),
        "{response:?}"
    );
    let request = server.join().ok().context("the server panicked")??;
    ensure!(request.starts_with("GET /page HTTP/1.1\r\n"), "{request}");
    Ok(())
}

fn udp(case: &Case) -> Result<()> {
    let (_guest, wire) = hub(case)?;
    let mut peer = Peer::new(wire, MAC, &["10.0.2.99/24"])?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = SocketAddr::from((GATEWAY, socket.local_addr()?.port()));
    socket.set_read_timeout(Some(seconds(10)))?;
    // Answers the first 50 of 60 datagrams.
    let server = std::thread::spawn(move || -> std::io::Result<()> {
        let mut data = [0; 2048];
        for _ in 0..50 {
            let (length, from) = socket.recv_from(&mut data)?;
            socket.send_to(&data[..length], from)?;
        }
        Ok(())
    });
    ensure!(peer.udp_ask(address, b"hello", seconds(10))? == b"hello");
    let (answered, _) = peer.udp_echo_load(address, &[7; 64], 59, 4, Duration::from_millis(500))?;
    ensure!(answered == 49, "{answered} answers");
    server.join().ok().context("the server panicked")??;
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
