//! Drivers die, and connections go on.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use anyhow::{Result, ensure};
use manifest::Service;
use system::{Boot, Case, Entry, Guest, Net, seconds};

use super::common::{alice_with_copier, amounts, banks, eventually, forwarded, wait_up};

pub const CASES: &[Entry] = &[
    (
        "faults.a_connection_goes_on_while_drivers_die",
        connection_outlives_drivers,
    ),
    (
        "copier.a_connection_through_it_goes_on_while_drivers_die",
        connection_through_a_copier,
    ),
];

/// Bytes of a stream, all different from their neighbours' neighbours.
fn pattern(at: u64) -> u8 {
    (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

/// Has a connection's bytes echoed until it is told to stop; how many came back, each where it belongs.
fn echo_stream(
    port: u16,
    stop: &Arc<AtomicBool>,
    done: &Arc<AtomicU64>,
) -> Result<JoinHandle<Result<()>>> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(seconds(40)))?;
    let (mut writing, told) = (stream.try_clone()?, Arc::clone(stop));
    let writer = std::thread::spawn(move || -> Result<u64> {
        let mut at = 0;
        while !told.load(Ordering::Relaxed) {
            let piece: Vec<u8> = (at..at + 1000).map(pattern).collect();
            writing.write_all(&piece)?;
            at += 1000;
        }
        writing.shutdown(std::net::Shutdown::Write)?;
        Ok(at)
    });
    let (mut reading, done) = (stream, Arc::clone(done));
    Ok(std::thread::spawn(move || {
        let (mut at, mut buffer) = (0, [0; 4096]);
        loop {
            let length = reading.read(&mut buffer)?;
            if length == 0 {
                break;
            }
            for byte in &buffer[..length] {
                ensure!(*byte == pattern(at), "byte {at} is altered");
                at += 1;
            }
            done.store(at, Ordering::Relaxed);
        }
        let sent = writer
            .join()
            .map_err(|_| anyhow::anyhow!("the writer panicked"))??;
        ensure!(at == sent, "of {sent} bytes, {at} came back");
        Ok(())
    }))
}

fn connection_outlives_drivers(case: &Case) -> Result<()> {
    outlives_drivers(forwarded(case)?, &WAYS)
}

fn connection_through_a_copier(case: &Case) -> Result<()> {
    let boot = Boot::new(case).manifest(alice_with_copier()?);
    let guest = boot.net(Net::User).start()?;
    wait_up(&guest, &["alice", "bob"])?;
    outlives_drivers(guest, &["copy open"; 4])
}

/// How alice and bob receive when the driver dies; the last way takes a segment more of the driver's for
/// each of them.
const WAYS: [&str; 4] = ["copy open", "flip open", "hybrid(600) open", SEALED];
const SEALED: &str = "flip sealed";
/// Objects of the driver's own buffers, where anybody flips: at most so many pages as the card takes
/// buffers, and the segment that they lie in.
const BUFFERS: u64 = 256 + 1;

fn outlives_drivers(mut guest: Guest, ways: &[&str]) -> Result<()> {
    let before = amounts(&banks(&mut guest)?)?;
    let (stop, done) = <(Arc<AtomicBool>, Arc<AtomicU64>)>::default();
    let stream = echo_stream(guest.port("alice", Service::Echo)?, &stop, &done)?;
    let gets_on = || {
        let was = done.load(Ordering::Relaxed);
        eventually(seconds(40), || {
            let is = done.load(Ordering::Relaxed);
            ensure!(is >= was + 50_000, "{was} bytes before, {is} after");
            ensure!(!stream.is_finished(), "the connection ended");
            Ok(())
        })
    };
    for way in ways {
        for name in ["alice", "bob"] {
            guest.send_line(&format!("strategy {name} {way}"))?;
            guest.expect(
                &format!("{name} receives by [^\n]* from now on"),
                seconds(10),
            )?;
        }
        gets_on()?;
        guest.send_line("kill ethdrv")?;
        guest.expect("ethdrv is killed\\.", seconds(10))?;
        guest.expect("ethdrv drives", seconds(30))?;
        gets_on().map_err(|error| error.context(format!("after a death in {way}")))?;
        // Whatever the dead driver had is given back; what the new one has is as much, and where anybody
        // flips as many buffers of its own as were lacking so far.
        let hidden = if *way == SEALED { 2 } else { 0 };
        let buffers = if way.starts_with("copy") { 0 } else { BUFFERS };
        let (names, [all, limbo, driver]) = &before;
        eventually(seconds(10), || {
            let after = amounts(&banks(&mut guest)?)?;
            let (names_after, [all_after, limbo_after, driver_after]) = &after;
            let same = names == names_after
                && limbo == limbo_after
                && all - driver == all_after - driver_after
                && (driver + hidden..=driver + hidden + buffers).contains(driver_after);
            ensure!(
                same,
                "{way}: {before:#?} and {hidden} more expected, or up to {buffers} besides, but {after:#?}"
            );
            Ok(())
        })?;
    }
    stop.store(true, Ordering::Relaxed);
    stream
        .join()
        .map_err(|_| anyhow::anyhow!("the reader panicked"))??;
    ensure!(!guest.has_shown("alice[^\n]* stopped:")?);
    Ok(())
}
