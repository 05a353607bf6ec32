//! A campaign for a program to read: a line of JSON for each scenario, and one for each run.

use serde_json::{Value, json};

use crate::coverage::Operation;
use crate::scenario::{Report, Scenario};

/// What the numbers in the lines of a scenario's runs stand for: `driver` names the rows and
/// `kernel` the columns of their `coverage`, of which the first `revocations` are what was revoked,
/// the others what a revocation came upon.
pub fn heading(scenario: Scenario) -> Value {
    json!({
        "scenario": scenario.name(),
        "driver": scenario.activities().iter().map(|one| one.name()).collect::<Vec<_>>(),
        "kernel": Operation::ALL.map(Operation::name),
        "revocations": Operation::REVOCATIONS,
    })
}

/// What came of a run. `coverage` holds row, column and count; `checks` what was checked, and how
/// often; `failure` what was found and the command that plays it again, or nothing.
pub fn run(report: &Report) -> Value {
    let rows = report.scenario.activities();
    let cell = |&(activity, operation, count)| {
        let row = rows.iter().position(|one| *one == activity)?;
        Some(json!([row, operation as usize, count]))
    };
    let checks = report.checks.iter();
    let failure = report.failure.as_ref();
    json!({
        "scenario": report.scenario.name(),
        "seed": report.settings.seed,
        "steps": report.steps,
        "over": report.over,
        "checks": checks.map(|(check, count)| json!([check.name(), count])).collect::<Vec<_>>(),
        "counts": report.counts,
        "coverage": report.coverage.iter().filter_map(cell).collect::<Vec<_>>(),
        "failure": failure.map(|what| json!({
            "what": what.to_string(),
            "again": report.command(),
        })),
    })
}
