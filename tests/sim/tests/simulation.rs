//! Quick campaigns, and that they can fail.
//!
//! One run again: `SIM_SEED=17 cargo test -p sim --test simulation storage`, or, with everything that
//! happens, the command that a failure prints. `SIM_COUNT` and `SIM_STEPS` make campaigns longer.

use sim::plant::Plant;
use sim::scenario::{Report, Scenario};
use sim::shrink::shrink;
use sim::world::{Counts, Settings};

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {value}")),
    )
}

fn settings(seed: u64) -> Settings {
    Settings {
        steps: variable("SIM_STEPS").unwrap_or(if cfg!(miri) { 1_500 } else { 60_000 }),
        ..Settings::from_seed(seed)
    }
}

/// Plays some seeds, or the one that is asked for; answers what they came by.
fn campaign(scenario: Scenario, count: u64) -> Counts {
    let first = variable("SIM_SEED").unwrap_or(1);
    let count = match variable("SIM_SEED") {
        Some(_) => variable("SIM_COUNT").unwrap_or(1),
        None => variable("SIM_COUNT").unwrap_or(if cfg!(miri) { 1 } else { count }),
    };
    let mut counts = Counts::new();
    for seed in first..first + count {
        let report = scenario.play(settings(seed));
        assert!(
            report.failure.is_none(),
            "{report}\nthe shortest that fails like it:\n{}",
            shrink(&report)
        );
        for (what, number) in report.counts {
            *counts.entry(what).or_default() += number;
        }
    }
    counts
}

/// A campaign that doesn't come by these proves little.
fn came_by(counts: &Counts, all: &[&str]) {
    if cfg!(miri) || variable("SIM_SEED").is_some() || variable("SIM_STEPS").is_some() {
        return;
    }
    for what in all {
        let number = counts.get(what).copied().unwrap_or(0);
        assert!(number >= 10, "{what}: only {number}");
    }
}

#[test]
fn storage_comes_back_whatever_happens() {
    let counts = campaign(Scenario::Storage, 24);
    came_by(
        &counts,
        &[
            "users' banks destroyed",
            "sub-banks destroyed",
            "sub-banks removed",
            "objects sold back",
            "frames pinned",
            "pages exchanged",
            "exchanges refused",
            "exchanges refused because another function pins a frame",
            "pinned frames whose owner went",
            "audits with something in limbo",
            "audits in pieces, calls and all",
            "accesses to memory that was taken back",
            "programs ended by revocation",
            "turns lost",
        ],
    );
}

#[test]
fn frames_arrive_whatever_others_do() {
    let counts = campaign(Scenario::Ethernet, 32);
    came_by(
        &counts,
        &[
            "frames received",
            "frames sent to the wire",
            "frames of several pieces to send",
            "frames to groups received",
            "frames broken up by hand",
            "groups joined and left",
            "copiers",
            "notification storms",
            "storms of requests",
            "rates changed",
            "transmit pages swapped",
            "sessions",
            "sessions lost",
            "session banks destroyed through ports",
            "users' banks destroyed",
            "drivers killed",
            "strategies switched",
            "pages exchanged",
            "accesses to memory that was taken back",
            "audits with something in limbo",
            "audits in pieces, calls and all",
            "interrupts",
        ],
    );
}

/// Plays one run, which once failed.
#[cfg(not(miri))]
fn replay(scenario: Scenario, seed: u64, steps: u64) {
    let report = scenario.play(Settings {
        steps,
        ..Settings::from_seed(seed)
    });
    assert!(report.failure.is_none(), "{report}");
}

#[cfg(not(miri))]
#[test]
fn a_process_that_begins_at_inits_entry_is_no_second_init() {
    replay(Scenario::Invocations, 105, 1_000_000);
}

#[cfg(not(miri))]
#[test]
fn what_a_table_without_manage_holds_cannot_be_named_for_an_exchange() {
    replay(Scenario::Invocations, 125, 126_897);
}

#[cfg(not(miri))]
#[test]
fn a_batch_of_exchanges_may_bring_a_third_capability_that_is_no_table() {
    replay(Scenario::Invocations, 720, 1_000_000);
}

#[cfg(not(miri))]
#[test]
fn whoever_waits_for_its_own_end_too_often_is_destroyed_all_the_same() {
    replay(Scenario::Storage, 261, 400_000);
}

#[test]
fn hostile_processes_come_by_nothing_that_is_not_theirs() {
    let counts = campaign(Scenario::Invocations, 24);
    came_by(
        &counts,
        &[
            "invocations",
            "invocations that succeeded",
            "objects reached",
            "calls served by the victim",
            "users' banks destroyed",
            "accesses to memory that was taken back",
            "programs ended by revocation",
            "pins of what is no more",
            "pages exchanged",
        ],
    );
}

#[test]
fn users_who_come_and_go_leave_nothing_behind() {
    let counts = campaign(Scenario::Accounting, 8);
    came_by(
        &counts,
        &[
            "users who came and went",
            "users' banks destroyed",
            "session banks destroyed through ports",
            "sessions",
            "frames received",
            "pages exchanged",
            "programs ended by revocation",
        ],
    );
}

#[test]
fn the_same_seed_plays_the_same_run() {
    for scenario in Scenario::ALL {
        let play = || {
            let settings = Settings {
                steps: if cfg!(miri) { 600 } else { 20_000 },
                ..Settings::from_seed(4711)
            };
            let Report { steps, counts, .. } = scenario.play(settings);
            (steps, counts)
        };
        assert_eq!(play(), play(), "{}", scenario.name());
    }
}

/// A fault is found within a few runs.
fn is_found(scenario: Scenario, plant: Plant) {
    let found = (1..=if cfg!(miri) { 0 } else { 20 }).any(|seed| {
        let settings = Settings {
            plant: Some(plant),
            ..settings(seed)
        };
        scenario.play(settings).failure.is_some()
    });
    assert!(
        found || cfg!(miri),
        "{plant:?} was not found in {}",
        scenario.name()
    );
}

#[test]
fn translations_that_are_not_forgotten_are_found() {
    is_found(Scenario::Storage, Plant::KeepPages);
    is_found(Scenario::Storage, Plant::KeepAll);
    is_found(Scenario::Ethernet, Plant::KeepAll);
}

#[test]
fn frames_that_are_not_zeroed_are_found() {
    is_found(Scenario::Storage, Plant::DontZero);
    is_found(Scenario::Ethernet, Plant::DontZero);
}

#[test]
fn a_device_that_is_not_stopped_is_found() {
    is_found(Scenario::Ethernet, Plant::KeepMaster);
}

#[test]
fn a_device_that_writes_on_after_an_unpin_is_found() {
    is_found(Scenario::Storage, Plant::WriteOn);
}

#[test]
fn a_run_that_fails_is_shrunk() {
    if cfg!(miri) {
        return;
    }
    let settings = Settings {
        plant: Some(Plant::KeepAll),
        ..settings(1)
    };
    let long = Scenario::Storage.play(settings);
    let short = shrink(&long);
    assert!(long.failure.is_some() && short.failure.is_some());
    assert!(short.settings.steps < long.settings.steps, "{short}");
    let again = Scenario::Storage.play(short.settings);
    assert_eq!(
        (again.steps, again.failure),
        (short.steps, short.failure.clone())
    );
    assert!(short.settings.without != 0, "{}", short.command());
}
