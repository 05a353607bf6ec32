//! What cases on the whole system share: alice and bob on a wire or behind forwarded ports, and
//! the console's answers.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use system::frames::{self, Ends, Mac};
use system::{Boot, Case, Guest, Net, Peer, milliseconds, seconds};

/// The host on the wire.
pub const HOST_MAC: Mac = [0x02, 0, 0, 0, 0, 0x99];
/// Its address: that of the users' router.
pub const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// Its address for IPv6.
pub const HOST_6: &str = "fe80::2";

/// Where a user is, from 1 in the manifest's order.
pub fn address(k: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 2, 20 + k)
}

/// A user's MAC address, from 1.
pub fn mac(k: u8) -> Mac {
    [0x02, 0x75, 0x73, 0, 0, k]
}

/// From the host to a user.
pub fn to_user(k: u8) -> Ends<Ipv4Addr> {
    Ends {
        from: HOST_MAC,
        from_ip: HOST,
        to: mac(k),
        to_ip: address(k),
    }
}

/// The port of a user's service.
pub fn at(k: u8, port: u16) -> SocketAddr {
    SocketAddr::from((address(k), port))
}

/// Bytes that repeat only after a long while.
pub fn data(length: usize) -> Vec<u8> {
    let word = |n: usize| (n as u32).wrapping_mul(2_654_435_761) >> 24;
    (0..length).map(|n| word(n) as u8).collect()
}

/// Waits until users are up, in whichever order they come.
pub fn wait_up(guest: &Guest, names: &[&str]) -> Result<()> {
    let deadline = Instant::now() + seconds(30);
    for name in names {
        while !guest.has_shown(&format!("{name}: address 10\\."))? {
            ensure!(Instant::now() < deadline, "{name} has no address");
            std::thread::sleep(milliseconds(10));
        }
    }
    Ok(())
}

/// Boots so, with a host on the wire; waits until alice and bob are up.
pub fn start_on_wire(boot: Boot) -> Result<(Guest, Peer)> {
    start_on_wire_of(1500, boot)
}

/// The same with a host whose link has another MTU.
pub fn start_on_wire_of(mtu: u16, boot: Boot) -> Result<(Guest, Peer)> {
    let mut guest = boot.net(Net::Wire).start()?;
    wait_up(&guest, &["alice", "bob"])?;
    let addresses = [format!("{HOST}/24"), format!("{HOST_6}/64")];
    let addresses = addresses.each_ref().map(String::as_str);
    let mut peer = Peer::carrying(mtu.into(), guest.take_wire()?, HOST_MAC, &addresses)?;
    for k in 1..=2 {
        peer.ping(IpAddr::V4(address(k)), seconds(10))?;
    }
    Ok((guest, peer))
}

/// alice and bob on a wire.
pub fn on_wire(case: &Case) -> Result<(Guest, Peer)> {
    start_on_wire(Boot::new(case))
}

/// alice and bob behind forwarded ports.
pub fn forwarded(case: &Case) -> Result<Guest> {
    let guest = Boot::new(case).net(Net::User).start()?;
    wait_up(&guest, &["alice", "bob"])?;
    Ok(guest)
}

/// alice and bob, who say nothing unless they are asked; alice with a copier before her stack.
pub fn alice_with_copier() -> Result<manifest::Manifest> {
    let mut manifest = mk::users::manifest(2)?;
    for user in &mut manifest.user {
        user.ipv6 = manifest::Ipv6Setting::Off;
    }
    manifest.user[0].copier = true;
    Ok(manifest)
}

/// alice, bob and a third user of this name, all of them `rogue`s; the third binds its addresses.
pub fn with_rogue<'a>(case: &'a Case, name: &str) -> Result<Boot<'a>> {
    let mut manifest = mk::users::manifest(3)?;
    manifest.user[2].name = name.parse()?;
    manifest.user[2].bind_addresses = true;
    manifest.user[2].ipv6 = manifest::Ipv6Setting::Off;
    Ok(Boot::new(case)
        .manifest(manifest)
        .stand_in("netstack", "rogue"))
}

/// Everything works for a user on the wire.
pub fn is_well(peer: &mut Peer, k: u8) -> Result<()> {
    peer.ping(IpAddr::V4(address(k)), seconds(10))?;
    ensure!(peer.udp_ask(at(k, 7), b"well?", seconds(10))? == b"well?");
    let page = peer.http_get(at(k, 80), "/", seconds(10))?;
    ensure!(page.status == 200, "{page:?}");
    Ok(())
}

/// Types a line, and returns what the console shows from one pattern to another, without lines of
/// the log.
pub fn ask(guest: &mut Guest, line: &str, begin: &str, end: &str) -> Result<String> {
    guest.send_line(line)?;
    let found = guest
        .expect(&format!("(?s){begin}.*?{end}"), seconds(20))
        .with_context(|| format!("the answer to {line:?}"))?;
    let lines = found.group(0)?.lines();
    let lines: Vec<&str> = lines.filter(|line| !line.contains("[  ")).collect();
    Ok(lines.join("\n"))
}

/// The tree of banks.
pub fn banks(guest: &mut Guest) -> Result<String> {
    ask(
        guest,
        "banks",
        "bank +limit +bought",
        "with what lies below\\.",
    )
}

/// A bank's limit, and what it has bought and in limbo.
pub fn bank(table: &str, name: &str) -> Result<[u64; 3]> {
    let row = table
        .lines()
        .find(|line| line.trim_start().starts_with(name));
    let row = row.with_context(|| format!("no bank {name} in\n{table}"))?;
    let numbers: Vec<u64> = row
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    numbers
        .get(..3)
        .and_then(|three| three.try_into().ok())
        .with_context(|| format!("{row:?} lacks amounts"))
}

/// The numbers of a table's row, in order; words that are none are left out.
pub fn figures(table: &str, name: &str) -> Result<Vec<u64>> {
    let row = table
        .lines()
        .find(|line| line.split_whitespace().next() == Some(name));
    let row = row.with_context(|| format!("no row {name} in\n{table}"))?;
    let numbers = row.split_whitespace().filter_map(|word| word.parse().ok());
    Ok(numbers.collect())
}

/// Each bank's name, indented as it hangs, with limit, bought and limbo.
pub fn holdings(table: &str) -> Vec<(String, [u64; 3])> {
    let rows = table.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let first = words.iter().position(|word| word.parse::<u64>().is_ok())?;
        let numbers: Vec<u64> = words[first..]
            .iter()
            .filter_map(|word| word.parse().ok())
            .collect();
        let indent = line.len() - line.trim_start().len();
        let name = format!("{}{}", " ".repeat(indent), words[..first].join(" "));
        Some((name, numbers.get(..3)?.try_into().ok()?))
    });
    rows.collect()
}

/// alice and bob on a wire, who say nothing unless they are asked.
pub fn quiet_on_wire(case: &Case) -> Result<(Guest, Peer)> {
    let mut manifest = mk::users::manifest(2)?;
    for user in &mut manifest.user {
        user.ipv6 = manifest::Ipv6Setting::Off;
    }
    start_on_wire(Boot::new(case).manifest(manifest))
}

/// What is whose, but for what alice and bob hold: that follows their traffic. Each bank's name and
/// limit, what others than the two have bought and have in limbo, and what the driver holds.
pub fn amounts(table: &str) -> Result<(Vec<String>, [u64; 3])> {
    let rows = table
        .lines()
        .skip(1)
        .filter(|line| !line.contains(" free. "));
    let names = rows.map(|row| {
        let words: Vec<&str> = row.split_whitespace().collect();
        let number = words.iter().position(|word| word.parse::<u64>().is_ok());
        words[..number.map_or(words.len(), |at| at + 1)].join(" ")
    });
    let names = names.collect();
    let [_, all, limbo] = bank(table, "prime")?;
    let [_, alice, _] = bank(table, "alice")?;
    let [_, bob, _] = bank(table, "bob")?;
    let [_, driver, _] = bank(table, "ethdrv")?;
    Ok((names, [all - alice - bob, limbo, driver]))
}

/// The sessions' table, and what was counted besides.
pub fn net(guest: &mut Guest) -> Result<String> {
    ask(
        guest,
        "net",
        "user +session +receives by +frames in",
        "The card: [^\n]*\n(the card: [^\n]*)?",
    )
}

/// How often `net` counted something for somebody.
pub fn counted(table: &str, whose: &str, what: &str) -> u64 {
    let line = table
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{whose}: ")));
    let mut counts = line.unwrap_or_default().split(", ");
    let count = counts.find_map(|count| count.strip_prefix(what)?.trim().parse().ok());
    count.unwrap_or(0)
}

/// GET over the host's own network; the answer's status and body.
pub fn get(port: u16, path: &str) -> Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("connecting")?;
    stream.set_read_timeout(Some(seconds(10)))?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: usufruct\r\nUser-Agent: curl/8\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context("reading")?;
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = answer.split_at(head.context("no head")? + 4);
    let head = String::from_utf8_lossy(head);
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    Ok((status.context("no status")?, body.to_vec()))
}

/// Asks for pages and datagrams in a thread, without a pause, until it is told to stop.
pub struct Asking {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<u32>>,
}

impl Asking {
    /// Asks for a user's page, and whose it is, over a forwarded port.
    pub fn pages(name: &'static str, port: u16) -> Asking {
        Asking::run(move || {
            let (status, body) = get(port, "/")?;
            let text = String::from_utf8_lossy(&body);
            ensure!(status == 200 && text.contains(name), "{status}: {text}");
            Ok(())
        })
    }

    /// Has datagrams echoed over a forwarded port.
    pub fn echoes(port: u16) -> Result<Asking> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect((Ipv4Addr::LOCALHOST, port))?;
        socket.set_read_timeout(Some(seconds(5)))?;
        let mut number = 0u64;
        Ok(Asking::run(move || {
            number += 1;
            socket.send(&number.to_le_bytes())?;
            let mut answer = [0; 64];
            let length = socket.recv(&mut answer)?;
            ensure!(answer[..length] == number.to_le_bytes());
            Ok(())
        }))
    }

    /// Downloads without end over one connection to a forwarded port, a page at a time, and holds every
    /// byte against its place.
    pub fn download(port: u16) -> Result<Asking> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("connecting")?;
        stream.set_read_timeout(Some(seconds(15)))?;
        write!(
            stream,
            "GET /bytes/{} HTTP/1.1\r\nHost: usufruct\r\n\r\n",
            1u64 << 40
        )?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).context("reading the head")?;
            head.extend(byte);
        }
        let mut place = 0u64;
        Ok(Asking::run(move || {
            let mut page = [0; 4096];
            stream.read_exact(&mut page).context("reading")?;
            for line in page.chunks_exact(16) {
                let wanted = format!("{place:015x}\n");
                ensure!(line == wanted.as_bytes(), "other bytes at {place}");
                place += 16;
            }
            Ok(())
        }))
    }

    fn run(mut ask: impl FnMut() -> Result<()> + Send + 'static) -> Asking {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut count = 0;
            while !told.load(Ordering::Relaxed) {
                ask().with_context(|| format!("after {count} good answers"))?;
                count += 1;
            }
            Ok(count)
        });
        Asking { stop, thread }
    }

    /// Stops; how many answers came. A single one that did not is an error.
    pub fn stop(self) -> Result<u32> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(result) => result,
            Err(_) => bail!("whoever asked panicked"),
        }
    }
}

/// Goes on with something until the console shows so many lines that match.
pub fn until(
    guest: &Guest,
    pattern: &str,
    count: usize,
    mut turn: impl FnMut() -> Result<()>,
) -> Result<()> {
    let regex = regex::Regex::new(pattern)?;
    let deadline = Instant::now() + seconds(15);
    loop {
        turn()?;
        if regex.find_iter(&guest.console()).count() >= count {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{pattern:?} did not appear");
    }
}

/// Tries until it works.
pub fn eventually<T>(within: Duration, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => std::thread::sleep(milliseconds(50)),
        }
    }
}

/// Whether a frame is the echo of a datagram of ours by a user, and its data.
pub fn echo_of(frame: &[u8], k: u8, port: u16) -> Option<&[u8]> {
    let (from, to, protocol, datagram) = frames::ipv4_parts(frame)?;
    let ports = datagram.get(..4)?;
    let ours = from == address(k) && to == HOST && protocol == frames::protocol::UDP;
    (ours && ports == [&[0, 7][..], &port.to_be_bytes()].concat()).then(|| &datagram[8..])
}
