//! Campaigns of stacks that do everything wrong, at random, from seeds: the driver goes on, ends their
//! sessions with reasons that name what they did, and loses nobody else's frame.
//! `cargo mk faults --level fuzz --scenario vandals` plays many seeds.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use manifest::Strategy;
use system::{Boot, Case, Entry, Net, Peer, frames, seconds};

use super::common::{HOST, HOST_MAC, ask, at, eventually, is_well, to_user, wait_up};

pub const CASES: &[Entry] = &[(
    "hostile.vandals_of_any_seed_are_named_and_cost_nobody_a_frame",
    vandals,
)];

/// How many seeds, unless `USUFRUCT_SEEDS` says how many; and the first, unless `USUFRUCT_SEED` does.
const SEEDS: u32 = 1;
/// What a session's end can be called in the log: each names what was done.
const REASONS: &str = "is no transmit page|reach beyond the page|flags 0x[0-9a-f]+ on a frame|\
    is in transmission already|isn't whole: it breaks off|short of its end|\
    has no bytes|goes on in an entry that isn't there|ring index went from|is no receive page|\
    frames of a page that holds fewer|a return with an offset or flags";

fn number(name: &str, otherwise: u32) -> Result<u32> {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .with_context(|| format!("{name} is no number: {text}")),
        Err(_) => Ok(otherwise),
    }
}

fn vandals(case: &Case) -> Result<()> {
    let first = number("USUFRUCT_SEED", 1)?;
    for seed in first..first + number("USUFRUCT_SEEDS", SEEDS)? {
        let counted = vandal(case, seed).with_context(|| format!("seed {seed}"))?;
        // `cargo mk faults --level fuzz` reads it.
        println!("vandal{seed}: {counted}");
    }
    Ok(())
}

/// A vandal among alice and bob, with its own way to receive, and theirs. What was checked, in counts.
fn vandal(case: &Case, seed: u32) -> Result<String> {
    let ways = [
        Strategy::Copy,
        Strategy::Flip,
        Strategy::Hybrid { threshold: None },
    ];
    let name = format!("vandal{seed}");
    let mut users = mk::users::manifest(3)?;
    for (n, user) in (0..).zip(&mut users.user) {
        user.strategy = ways[(seed + n) as usize % ways.len()];
    }
    users.user[2].name = name.parse()?;
    users.user[2].sealed = seed.is_multiple_of(2);
    users.user[2].ipv6 = manifest::Ipv6Setting::Off;
    let boot = Boot::new(case).manifest(users);
    let mut guest = boot.stand_in("netstack", "rogue").net(Net::Wire).start()?;
    wait_up(&guest, &["alice", "bob"])?;
    let mut peer = Peer::new(guest.take_wire()?, HOST_MAC, &[&format!("{HOST}/24")])?;
    let for_vandal = frames::udp4(&to_user(3), 5, 9, &[3; 700]);
    let deadline = Instant::now() + seconds(90);
    let mut rounds = 0;
    while !guest.has_shown("vandalised [0-9]+ sessions")? {
        ensure!(
            Instant::now() < deadline,
            "the vandal does not come to its end"
        );
        for _ in 0..24 {
            peer.wire().send(&for_vandal)?;
        }
        let (answered, _) = peer.udp_echo_load(at(2, 7), &[2; 200], 100, 8, seconds(20))?;
        ensure!(
            answered == 100,
            "bob answered {answered} of 100 in round {rounds}"
        );
        rounds += 1;
    }
    ensure!(rounds > 3, "only {rounds} rounds");
    let console = guest.console();
    let misbehaved = regex::Regex::new("session [0-9]+ misbehaved: ([^\r\n]*)")?;
    let reasons = regex::Regex::new(REASONS)?;
    let mut named = 0;
    for found in misbehaved.captures_iter(&console) {
        ensure!(reasons.is_match(&found[1]), "no reason: {}", &found[0]);
        named += 1;
    }
    ensure!(named > 3, "only {named} sessions ended for misbehaviour");
    ensure!(!guest.has_shown("(alice|bob|ethdrv|watchdog)[^\n]* stopped:|panicked|FAILED")?);
    for k in 1..=2 {
        eventually(seconds(15), || is_well(&mut peer, k))?;
    }
    // It may come back, honest; then all that was its is taken back.
    eventually(seconds(15), || is_well(&mut peer, 3))?;
    guest.send_line(&format!("revoke {name}"))?;
    guest.expect(&format!("{name} is gone"), seconds(20))?;
    eventually(seconds(10), || {
        // What the device had of its pages stays in limbo until others' frames have filled them.
        peer.udp_echo_load(at(2, 7), &[2; 200], 100, 8, seconds(20))?;
        let found = ask(&mut guest, "invariants", "kernel: ", "invariants [^\n]*\n")?;
        ensure!(
            !found.contains("BROKEN") && found.contains(" + 0 in limbo"),
            "{found}"
        );
        Ok(())
    })?;
    Ok(format!(
        "{} echoes, {named} sessions ended with a reason",
        100 * rounds
    ))
}
