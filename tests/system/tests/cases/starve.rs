//! One user's traffic must not starve another's: its notifications, and the frames that come for it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use guest::numbered::{self, SHORTEST, kind};
use system::{Case, Entry, Guest, seconds};

use super::numbered::nothing_stopped;
use super::streams::{Streams, checkers, start};

pub const CASES: &[Entry] = &[
    (
        "starve.pitfall_23_a_storm_of_notifications_costs_a_neighbour_no_frame",
        storm,
    ),
    (
        "starve.pitfall_23_a_flood_for_one_user_costs_another_no_frame",
        flood,
    ),
];

/// Frames of the steady stream by which its rate is measured.
const MEASURED: u32 = 3000;
/// How many times as long they may take while a neighbour storms. It has as much right to the CPU as the
/// receiver, and each of its notifications costs the driver a round; the rest is the machine's noise.
const STORMED: u32 = 12;
/// Frames of the flood for each that is steady.
const FLOOD: u32 = 4;
/// How many times as long the steady frames may take in the flood: the wire carries so many more, and the
/// rest is for what the flooded user does with them, and for noise.
const FLOODED: u32 = (1 + FLOOD) * 4;
/// Less than this says nothing: a stall of the machine's is as long.
const LEAST: Duration = Duration::from_millis(200);

/// A user with a steady stream, 2, and its neighbour, 1, without.
fn neighbours(case: &Case) -> Result<(Guest, Streams)> {
    let (guest, mut streams) = start(checkers(case, 2, "flip")?, 2, 1514)?;
    streams.end(1);
    // Everything is warm.
    streams.go_on(500)?;
    Ok((guest, streams))
}

/// How long the frames of a measurement take, with something to do before each round.
fn measure(
    streams: &mut Streams,
    mut before: impl FnMut(&mut Streams) -> Result<()>,
) -> Result<Duration> {
    streams.check()?;
    let (began, until) = (Instant::now(), streams.sent() + MEASURED);
    while streams.sent() < until {
        before(streams)?;
        streams.turn()?;
    }
    streams.check()?;
    Ok(began.elapsed())
}

fn bounded(alone: Duration, beside: Duration, times: u32) -> Result<()> {
    let alone = alone.max(LEAST);
    ensure!(
        beside <= alone * times,
        "{MEASURED} frames took {alone:?} alone, and {beside:?} beside the other"
    );
    Ok(())
}

fn storm(case: &Case) -> Result<()> {
    let (guest, mut streams) = neighbours(case)?;
    let alone = measure(&mut streams, |_| Ok(()))?;
    // It is told again when it has ended, and finds what was told meanwhile one after the other.
    let piece = 500;
    let mut until = Instant::now();
    let beside = measure(&mut streams, |streams| {
        if Instant::now() >= until {
            until = Instant::now() + Duration::from_millis(piece);
            streams.storm(1, piece as u32)?;
        }
        Ok(())
    })?;
    bounded(alone, beside, STORMED)?;
    // It answers when its last storm is over.
    let report = streams.report(1)?;
    ensure!(report.kicks > 1000, "{report:?}");
    ensure!(streams.report(2)?.dropped == 0, "{report:?}");
    nothing_stopped(&guest)
}

fn flood(case: &Case) -> Result<()> {
    let (guest, mut streams) = neighbours(case)?;
    let alone = measure(&mut streams, |_| Ok(()))?;
    let mut frame = [0; SHORTEST];
    // Of no stream: user 1 looks at each, and tells of none.
    numbered::write(&mut frame, kind::NUMBERED, 1, 0, 0);
    let mut flooded = 0;
    let mut sent = streams.sent();
    let beside = measure(&mut streams, |streams| {
        let steady = streams.sent() - sent;
        sent = streams.sent();
        for _ in 0..FLOOD * steady.max(1) {
            streams.send(&frame)?;
            flooded += 1;
        }
        Ok(())
    })?;
    bounded(alone, beside, FLOODED)?;
    // But for the last round's.
    ensure!(flooded > FLOOD * MEASURED / 2, "only {flooded} frames");
    // What it could not take is its own loss.
    let began = Instant::now();
    while streams.report(1)?.stale == 0 {
        ensure!(began.elapsed() < seconds(10), "user 1 took nothing");
    }
    ensure!(streams.report(2)?.dropped == 0, "{:?}", streams.report(2)?);
    nothing_stopped(&guest)
}
