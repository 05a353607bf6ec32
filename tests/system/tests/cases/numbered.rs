//! Numbered frames to several users at once, who receive in different ways: each gets exactly its own,
//! in order, unaltered, none twice, while strategies change and others come and go.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use system::{Case, Entry, Guest, seconds};

use super::common::{amounts, bank, banks, until};
use super::streams::{Streams, checkers, start};

pub const CASES: &[Entry] = &[
    (
        "numbered.each_gets_its_own_frames_while_strategies_change",
        strategies,
    ),
    (
        "numbered.long_frames_arrive_while_strategies_change",
        long_frames,
    ),
    (
        "numbered.a_revocation_in_any_strategy_costs_the_others_no_frame",
        revocations,
    ),
    (
        "numbered.streams_begin_again_when_the_driver_was_killed_in_any_strategy",
        deaths,
    ),
];

/// All ways to receive.
pub const WAYS: [&str; 6] = [
    "copy open",
    "flip open",
    "hybrid(600) open",
    "copy sealed",
    "flip sealed",
    "hybrid(600) sealed",
];

/// The names of users, from 1.
pub const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// Types a line, and goes on with the streams until its answer has come.
pub fn command(guest: &mut Guest, streams: &mut Streams, line: &str, answer: &str) -> Result<()> {
    let before = regex::Regex::new(answer)?
        .find_iter(&guest.console())
        .count();
    guest.send_line(line)?;
    until(guest, answer, before + 1, || streams.turn())
}

/// Has a user receive in this way from now on.
pub fn switch(guest: &mut Guest, streams: &mut Streams, name: &str, way: &str) -> Result<()> {
    let line = format!("strategy {name} {way}");
    let answer = format!("{name} receives by [^\n]* from now on");
    command(guest, streams, &line, &answer)
}

/// Nothing stopped that nobody stopped.
pub fn nothing_stopped(guest: &Guest) -> Result<()> {
    let stopped = guest.has_shown("stopped:|panicked|FAILED|misbehaved|unexplained")?;
    ensure!(!stopped, "something stopped");
    Ok(())
}

/// Changes everybody's way in turn, in an order of chance, while the streams go on.
fn change(guest: &mut Guest, streams: &mut Streams, users: usize, changes: u32) -> Result<()> {
    for _ in 0..changes {
        let name = NAMES[streams.below(users)];
        let way = WAYS[streams.below(WAYS.len())];
        switch(guest, streams, name, way)?;
        let more = 200 + streams.below(400) as u32;
        streams.go_on(more)?;
    }
    Ok(())
}

fn strategies(case: &Case) -> Result<()> {
    let (mut guest, mut streams) = start(checkers(case, 4, "flip")?, 4, 1514)?;
    for _ in 0..4 {
        change(&mut guest, &mut streams, 4, 10)?;
        streams.check()?;
    }
    ensure!(streams.sent() > 10_000, "only {}", streams.sent());
    let all = (1..=4).map(|user| streams.report(user));
    let all = all.collect::<Result<Vec<_>>>()?;
    let sum = |of: fn(&guest::numbered::Report) -> u32| all.iter().map(of).sum::<u32>();
    let (copied, exchanged) = (sum(|one| one.copied), sum(|one| one.exchanged));
    ensure!(copied > 1000 && exchanged > 1000, "{all:?}");
    nothing_stopped(&guest)
}

fn long_frames(case: &Case) -> Result<()> {
    let boot = checkers(case, 3, "flip")?.machine(|machine| machine.mtu = Some(9000));
    let (mut guest, mut streams) = start(boot, 3, 9014)?;
    change(&mut guest, &mut streams, 3, 12)?;
    streams.check()?;
    ensure!(streams.sent() > 2400, "only {}", streams.sent());
    nothing_stopped(&guest)
}

/// Revokes a user in the middle of everybody's streams, and spawns it again.
fn revoke(guest: &mut Guest, streams: &mut Streams, name: &str, user: u8) -> Result<()> {
    // Its own stream is under way when it goes: what is lost is its own.
    streams.go_on(100)?;
    streams.end(user);
    let gone = format!("{name} is gone");
    command(guest, streams, &format!("revoke {name}"), &gone)
}

fn revocations(case: &Case) -> Result<()> {
    let (mut guest, mut streams) = start(checkers(case, 3, "flip")?, 3, 1514)?;
    let before = banks(&mut guest)?;
    let mut left = None;
    for way in WAYS {
        for name in &NAMES[..3] {
            switch(&mut guest, &mut streams, name, way)?;
        }
        streams.go_on(300)?;
        revoke(&mut guest, &mut streams, "carol", 3)?;
        // Nothing of carol's is left, once the device is through with what it had of hers.
        let began = Instant::now();
        loop {
            streams.go_on(100)?;
            let table = banks(&mut guest)?;
            if bank(&table, "prime")?[2] == 0 {
                ensure!(!table.contains("carol"), "{way}:\n{table}");
                break;
            }
            ensure!(began.elapsed() < seconds(10), "{way}: in limbo\n{table}");
        }
        streams.check().map_err(|error| error.context(way))?;
        // But for the driver's, whose sessions by now are of another kind, each time the same is left.
        let table = banks(&mut guest)?;
        let (_, [all, _, driver]) = amounts(&table)?;
        let left = *left.get_or_insert(all - driver);
        ensure!(
            all - driver == left,
            "{way}: {left} were left before\n{table}"
        );
        let mac = "02:75:73:00:00:03";
        guest.send_line(&format!("spawn carol --mac {mac}"))?;
        streams.begin(3)?;
    }
    for name in &NAMES[..3] {
        switch(&mut guest, &mut streams, name, "copy open")?;
    }
    streams.check()?;
    let after = banks(&mut guest)?;
    for name in ["alice", "bob"] {
        ensure!(
            bank(&before, name)?[0] == bank(&after, name)?[0],
            "before\n{before}\nafter\n{after}"
        );
    }
    nothing_stopped(&guest)
}

fn deaths(case: &Case) -> Result<()> {
    let (mut guest, mut streams) = start(checkers(case, 3, "flip")?, 3, 1514)?;
    // Each death is waited for twice as long as the one before: so two, with all ways between them.
    for (death, ways) in (1..).zip(WAYS.chunks(3)) {
        for (name, way) in NAMES.iter().zip(ways) {
            switch(&mut guest, &mut streams, name, way)?;
        }
        streams.go_on(1500)?;
        // In the middle: frames are under way, pages are with the device.
        guest.send_line("kill ethdrv")?;
        guest.expect("ethdrv is killed\\.", seconds(10))?;
        guest.expect("ethdrv drives", seconds(30))?;
        for user in 1..=3 {
            streams
                .begin(user)
                .with_context(|| format!("death {death}"))?;
        }
        streams.go_on(1500)?;
        streams.check().with_context(|| format!("death {death}"))?;
        let report = streams.report(1)?;
        ensure!(report.sessions == death + 1, "death {death}: {report:?}");
        let table = banks(&mut guest)?;
        ensure!(bank(&table, "prime")?[2] == 0, "in limbo\n{table}");
    }
    nothing_stopped(&guest)
}
