//! Faults that are armed at the console of the live system, each by its own command.

use anyhow::{Result, ensure};
use system::{Boot, Case, Entry, Guest, Peer, frames, seconds};

use super::common::{
    ask, at, counted, eventually, is_well, net, on_wire, quiet_on_wire, start_on_wire, to_user,
    until,
};

pub const CASES: &[Entry] = &[
    ("inject.a_bank_is_destroyed_at_an_entry", revoke_at_entry),
    ("inject.a_bank_is_destroyed_at_a_frame", revoke_at_frame),
    ("inject.a_session_alone_is_ended_at_an_entry", session),
    ("inject.a_driver_is_killed_at_a_frame", kill_at_frame),
    (
        "inject.a_driver_is_killed_at_an_entry_of_its_own",
        kill_at_entry,
    ),
    ("inject.a_device_that_stalls_is_reset", stall),
    ("inject.what_cant_be_is_said", wrong),
    ("invariants.are_checked_in_a_live_system", invariants),
    (
        "invariants.are_checked_while_traffic_goes_on",
        invariants_under_traffic,
    ),
];

/// The live system agrees with itself.
pub fn sound(guest: &mut Guest) -> Result<String> {
    let found = ask(guest, "invariants", "kernel: ", "invariants [^\n]*\n")?;
    ensure!(!found.contains("BROKEN"), "{found}");
    ensure!(found.contains("invariants hold."), "{found}");
    Ok(found)
}

/// Arms a fault.
fn arm(guest: &mut Guest, what: &str) -> Result<()> {
    guest.send_line(&format!("inject {what}"))?;
    guest.expect(&format!("Armed: {what}\\."), seconds(10))?;
    Ok(())
}

/// Frames to alice and echoes of bob's until the console has shown a pattern so often; bob loses none.
fn busy_until(guest: &Guest, peer: &mut Peer, pattern: &str, count: usize) -> Result<()> {
    let for_alice = frames::udp4(&to_user(1), 5, 7, &[1; 600]);
    until(guest, pattern, count, || {
        for _ in 0..8 {
            peer.wire().send(&for_alice)?;
        }
        let (answered, _) = peer.udp_echo_load(at(2, 7), &[2; 200], 50, 8, seconds(20))?;
        ensure!(answered == 50, "bob answered {answered} of 50");
        Ok(())
    })
}

fn revoke_at_entry(case: &Case) -> Result<()> {
    let (mut guest, mut peer) = quiet_on_wire(case)?;
    let places = [(777, ""), (55, " of ethdrv"), (40, " of alice")];
    for (round, (n, of)) in (1..).zip(places) {
        arm(&mut guest, &format!("revoke alice at entry {n}{of}"))?;
        let injected =
            "Injected (before|[a-z ]*after) [^\n]* of [a-z]+ at 0x[0-9a-f]+: revoke alice";
        busy_until(&guest, &mut peer, injected, round)?;
        guest.expect(
            &format!("Injected (before|[a-z ]*after) [^\n]*{of}[^\n]* at 0x"),
            seconds(10),
        )?;
        guest.expect("alice is gone", seconds(10))?;
        sound(&mut guest)?;
        guest.send_line("spawn alice --mac 02:75:73:00:00:01 --ipv6 off --ipv4 10.0.2.21/24")?;
        guest.expect("alice is up", seconds(20))?;
        guest.send_line("inject list")?;
        guest.expect("No fault is armed\\.", seconds(10))?;
    }
    is_well(&mut peer, 2)
}

fn revoke_at_frame(case: &Case) -> Result<()> {
    let (mut guest, mut peer) = quiet_on_wire(case)?;
    arm(&mut guest, "revoke alice at frame 100")?;
    guest.send_line("inject list")?;
    guest.expect("revoke alice at frame 100 \\([0-9]+ so far\\)", seconds(10))?;
    busy_until(
        &guest,
        &mut peer,
        "Injected after [0-9]+ frames: revoke alice",
        1,
    )?;
    let found = guest.expect("Injected after ([0-9]+) frames: revoke alice", seconds(10))?;
    ensure!(
        found.group(1)?.parse::<u32>()? >= 100,
        "{}",
        found.group(0)?
    );
    guest.expect("alice is gone", seconds(10))?;
    sound(&mut guest)?;
    is_well(&mut peer, 2)
}

fn session(case: &Case) -> Result<()> {
    let (mut guest, mut peer) = quiet_on_wire(case)?;
    arm(&mut guest, "session alice at entry 500")?;
    busy_until(
        &guest,
        &mut peer,
        "Injected (before|[a-z ]*after) [^\n]*: session alice",
        1,
    )?;
    guest.expect(
        "session alice\\. Its bank was destroyed in [0-9]+ steps",
        seconds(10),
    )?;
    // Her stack attaches again by itself.
    guest.expect("alice: attached again", seconds(20))?;
    eventually(seconds(15), || is_well(&mut peer, 1))?;
    let table = net(&mut guest)?;
    ensure!(counted(&table, "alice", "sessions") == 2, "{table}");
    sound(&mut guest)?;
    is_well(&mut peer, 2)
}

/// The driver was ended, and comes back; connections live on.
fn comes_back(guest: &mut Guest, peer: &mut Peer) -> Result<()> {
    guest.expect("ethdrv drives", seconds(30))?;
    // What is asked before they have attached again is lost.
    for name in ["alice", "bob"] {
        eventually(seconds(30), || {
            let attached = guest.has_shown(&format!("{name}: attached again"))?;
            ensure!(attached, "{name} has not attached again");
            Ok(())
        })?;
    }
    for k in 1..=2 {
        eventually(seconds(30), || is_well(peer, k))?;
    }
    sound(guest)?;
    Ok(())
}

fn kill_at_frame(case: &Case) -> Result<()> {
    let (mut guest, mut peer) = on_wire(case)?;
    arm(&mut guest, "kill ethdrv at frame 100")?;
    let for_alice = frames::udp4(&to_user(1), 5, 7, &[1; 600]);
    until(
        &guest,
        "Injected after [0-9]+ frames: kill ethdrv",
        1,
        || {
            // While there is no driver, the card takes nothing.
            let _ = peer.wire().send(&for_alice);
            std::thread::sleep(system::milliseconds(1));
            Ok(())
        },
    )?;
    guest.expect("kill ethdrv\\. ethdrv is killed\\.", seconds(10))?;
    comes_back(&mut guest, &mut peer)
}

fn kill_at_entry(case: &Case) -> Result<()> {
    let (mut guest, mut peer) = on_wire(case)?;
    arm(&mut guest, "kill ethdrv at entry 64 of ethdrv")?;
    let for_alice = frames::udp4(&to_user(1), 5, 7, &[1; 600]);
    until(
        &guest,
        "Injected (before|[a-z ]*after) [^\n]* of ethdrv at [^\n]*: kill ethdrv",
        1,
        || {
            let _ = peer.wire().send(&for_alice);
            std::thread::sleep(system::milliseconds(1));
            Ok(())
        },
    )?;
    comes_back(&mut guest, &mut peer)
}

fn stall(case: &Case) -> Result<()> {
    let (mut guest, mut peer) = on_wire(case)?;
    guest.send_line("inject device stall")?;
    guest.expect(
        "Injected now: device stall\\. The card reaches memory no more",
        seconds(10),
    )?;
    // Somebody has to want something of it, or nobody notices.
    guest.send_line("spawn carol")?;
    guest.expect("ethdrv[^\n]*(takes nothing|ended|stopped)", seconds(30))?;
    comes_back(&mut guest, &mut peer)
}

fn wrong(case: &Case) -> Result<()> {
    let (mut guest, _peer) = quiet_on_wire(case)?;
    for (line, right) in [
        ("inject", "usage: inject FAULT"),
        ("inject explode", "doesn't know .explode."),
        ("inject revoke alcie at entry 5", "did you mean alice"),
        ("inject kill init", "nothing could go on without it"),
        ("inject revoke alice at noon", "at entry N"),
        ("inject kill ethdrv at entry 0", "a number from 1 on"),
        ("inject clear", "0 were armed"),
        ("help inject", "a fault on purpose"),
        ("help invariants", "say what was checked"),
        ("invariants all", "takes nothing"),
    ] {
        guest.send_line(line)?;
        guest.expect(&format!("\n[^\n]*{right}"), seconds(10))?;
    }
    Ok(())
}

fn invariants(case: &Case) -> Result<()> {
    let (mut guest, _peer) = quiet_on_wire(case)?;
    let found = sound(&mut guest)?;
    for what in [
        "free frames are zeroed",
        "banks: 4 ",
        "sessions: 2 ports",
        "processes: 5 ",
    ] {
        ensure!(found.contains(what), "{what}: {found}");
    }
    Ok(())
}

/// On a machine where that takes a second or so; before the kernel looked piece by piece, nothing came
/// through meanwhile.
fn invariants_under_traffic(case: &Case) -> Result<()> {
    /// Datagrams of a round; one is on its way at a time.
    const ROUND: u32 = 10;
    /// Those that come back at least, all in all.
    const LEAST: u32 = 100;
    let boot = Boot::new(case).machine(|machine| machine.memory = 1024);
    let (mut guest, mut peer) = start_on_wire(boot)?;
    is_well(&mut peer, 2)?;
    guest.send_line("invariants")?;
    let mut answered = 0;
    until(&guest, "invariants [^\n]*hold", 1, || {
        let (round, _) = peer.udp_echo_load(at(2, 7), &[2; 200], ROUND, 1, seconds(20))?;
        ensure!(round == ROUND, "bob answered {round} of {ROUND}");
        answered += round;
        Ok(())
    })?;
    ensure!(
        answered >= LEAST,
        "bob answered {answered} while the kernel looked at its tables"
    );
    sound(&mut guest)?;
    Ok(())
}
