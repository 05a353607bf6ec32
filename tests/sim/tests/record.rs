//! What a run counts, and says to a program that reads.

use sim::checks::Check;
use sim::coverage::Operation;
use sim::record;
use sim::scenario::{Report, Scenario};
use sim::world::Settings;

fn play(scenario: Scenario) -> Report {
    scenario.play(Settings {
        steps: 60_000,
        ..Settings::from_seed(3)
    })
}

#[test]
fn checks_and_revocations_are_counted() {
    for scenario in Scenario::ALL {
        let report = play(scenario);
        let made = |check| report.checks.iter().any(|one| one.0 == check && one.1 > 0);
        let [stacks, frames] = [Check::Authority, Check::Frame].map(made);
        // Devices write where there is a driver, and who is hostile is watched where nobody else is.
        let hostile = scenario == Scenario::Invocations;
        assert_eq!([Check::Dma, Check::Reach].map(made), [!hostile, hostile]);
        let stacked = [Scenario::Ethernet, Scenario::Accounting].contains(&scenario);
        assert_eq!([stacks, frames], [stacked; 2], "{scenario:?}");
        for check in [Check::Object, Check::Residue, Check::Books, Check::Return] {
            assert!(made(check), "{check:?} of {scenario:?}");
        }
        // Each row is one of the picture's, and there is something on both of its sides, where there
        // is a driver.
        let rows = scenario.activities();
        assert!(report.coverage.iter().all(|pair| rows.contains(&pair.0)));
        let revoked = |pair: &&(_, Operation, _)| (pair.1 as usize) < Operation::REVOCATIONS;
        let count = report.coverage.iter().filter(revoked).count();
        let all = report.coverage.len() + usize::from(hostile);
        assert!((1..all).contains(&count));
    }
}

#[test]
fn a_run_is_a_line_that_its_scenarios_heading_explains() {
    let scenario = Scenario::Storage;
    let (heading, run) = (record::heading(scenario), record::run(&play(scenario)));
    let names = |name: &str| heading[name].as_array().map_or(0, Vec::len) as u64;
    assert_eq!(run["scenario"], heading["scenario"]);
    assert!(run["failure"].is_null() && run["steps"].as_u64() > Some(0));
    for cell in run["coverage"].as_array().unwrap() {
        assert!(cell[0].as_u64() < Some(names("driver")), "{cell}");
        assert!(cell[1].as_u64() < Some(names("kernel")), "{cell}");
    }
}
