//! What a stack can see in its receive memory of frames that aren't its own is what its way to receive
//! says: by copying, and sealed, nothing; by flipping, frames that landed in its pages, and nothing but
//! frames.
//!
//! The frames themselves are the secrets: each eight bytes say whose they are. Memory that no frame comes
//! from has another mark, and addresses, tables and code are not made of the bytes that frames are
//! made of.

use std::time::Instant;

use anyhow::{Result, ensure};
use guest::numbered::Report;
use system::{Case, Entry, Guest, seconds};

use super::numbered::{NAMES, WAYS, nothing_stopped, switch};
use super::streams::{Streams, checkers, start};

pub const CASES: &[Entry] = &[
    (
        "residue.a_stack_sees_of_others_frames_what_its_strategy_says",
        strategies,
    ),
    (
        "residue.long_frames_leave_nothing_behind_either",
        long_frames,
    ),
    ("residue.a_users_pages_show_the_next_one_nothing", next_user),
];

/// Buffers that the device holds at most.
const QUEUE: u32 = 256;

/// Whether a stack that receives so may glimpse frames of others.
fn may_glimpse(way: &str) -> bool {
    way.ends_with("open") && !way.starts_with("copy")
}

/// Has a user search, and checks that it saw no more than it may. Answers how much of others it saw.
fn search(streams: &mut Streams, user: u8, way: &str) -> Result<Report> {
    let report = streams.search(user)?;
    ensure!(
        report.private == 0 && report.unexplained == 0,
        "{way}: user {user} sees memory that no frame comes from: {report:?}"
    );
    Ok(report)
}

/// The same once the user has gone over to this way, and again while frames come.
fn check(streams: &mut Streams, user: u8, way: &str, frames: u32) -> Result<u32> {
    if may_glimpse(way) {
        streams.go_on(frames)?;
        return Ok(search(streams, user, way)?.others);
    }
    // Going over takes its time: pages that the device has come back with frames of anybody's first.
    streams.go_on(2 * QUEUE)?;
    let began = Instant::now();
    while search(streams, user, way)?.others > 0 {
        ensure!(
            began.elapsed() < seconds(15),
            "{way}: user {user} still sees others' frames"
        );
        streams.go_on(QUEUE)?;
    }
    for _ in 0..2 {
        streams.go_on(frames / 2)?;
        let report = search(streams, user, way)?;
        ensure!(
            report.others == 0,
            "{way}: user {user} sees others' frames: {report:?}"
        );
    }
    Ok(0)
}

/// One user, the victim of all others' secrets or the spy, goes from each way to each other.
fn all_switches(guest: &mut Guest, streams: &mut Streams, frames: u32) -> Result<()> {
    let mut glimpsed = 0;
    for way in every_change(WAYS.len()) {
        switch(guest, streams, NAMES[0], WAYS[way])?;
        glimpsed += check(streams, 1, WAYS[way], frames)?;
    }
    // Otherwise the search might be blind.
    ensure!(glimpsed > 0, "flipping never showed a frame of others");
    streams.check()
}

/// Numbers below `count`, in an order in which each follows once upon each other one: 0 1 0 2 0 3, 1 2
/// 1 3, 2 3, 0.
fn every_change(count: usize) -> impl Iterator<Item = usize> {
    let pairs = (0..count).flat_map(move |one| (one + 1..count).map(move |other| [one, other]));
    pairs.flatten().chain([0])
}

fn strategies(case: &Case) -> Result<()> {
    let (mut guest, mut streams) = start(checkers(case, 3, "flip")?, 3, 1514)?;
    switch(&mut guest, &mut streams, NAMES[2], "flip sealed")?;
    all_switches(&mut guest, &mut streams, 150)?;
    // The sealed one, all the time.
    let report = search(&mut streams, 3, "flip sealed")?;
    ensure!(report.others == 0, "{report:?}");
    nothing_stopped(&guest)
}

fn long_frames(case: &Case) -> Result<()> {
    let boot = checkers(case, 2, "flip")?.machine(|machine| machine.mtu = Some(9000));
    let (mut guest, mut streams) = start(boot, 2, 9014)?;
    for way in [
        "flip open",
        "flip sealed",
        "hybrid(600) sealed",
        "copy open",
    ] {
        switch(&mut guest, &mut streams, NAMES[0], way)?;
        check(&mut streams, 1, way, 120)?;
    }
    streams.check()?;
    nothing_stopped(&guest)
}

fn next_user(case: &Case) -> Result<()> {
    let (mut guest, mut streams) = start(checkers(case, 2, "flip")?, 2, 1514)?;
    for way in ["copy open", "flip sealed"] {
        streams.go_on(300)?;
        streams.end(2);
        guest.send_line("revoke bob")?;
        guest.expect("bob is gone", seconds(20))?;
        let words = if way.ends_with("sealed") {
            "--strategy flip --sealed yes"
        } else {
            "--strategy copy"
        };
        guest.send_line(&format!("spawn bob --mac 02:75:73:00:00:02 {words}"))?;
        streams.begin(2)?;
        check(&mut streams, 2, way, 150)?;
    }
    streams.check()?;
    nothing_stopped(&guest)
}
