//! Campaigns with a simulator that says what a test has it say.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;

use super::picture::picture;
use super::table::table;
use super::{Campaign, Extent, Scenario, Totals};

const HEADING: &str = r#"{"scenario":"tiny","driver":["idle","<copying>"],"kernel":["page","more","pin"],"revocations":2}"#;
const SOUND: &str = r#"{"scenario":"tiny","seed":1,"steps":40,"over":true,"checks":[["books",3],["pins",1]],"counts":{},"coverage":[[0,0,7],[1,2,1]],"failure":null}"#;
const FAILED: &str = r#"{"scenario":"tiny","seed":17,"steps":9,"over":false,"checks":[["books",2]],"counts":{},"coverage":[[1,0,4]],"failure":{"what":"kernel: residue","again":"cargo run -p sim --release -- --scenario tiny --seed 17 --trace"}}"#;

fn totals(lines: &[&str]) -> Totals {
    let mut totals = Totals::default();
    lines.iter().for_each(|line| totals.line(line).unwrap());
    totals
}

/// A program that says these lines, and ends with this status.
fn simulator(lines: &[&str], status: u8) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sim");
    let said: Vec<String> = lines
        .iter()
        .map(|line| format!("echo '{line}'\n"))
        .collect();
    let script = format!("#!/bin/sh\n{}echo lost >&2\nexit {status}\n", said.concat());
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    (folder, path)
}

fn play(lines: &[&str], status: u8) -> anyhow::Result<Totals> {
    let campaign = Campaign {
        seed: 1,
        extent: Extent::Seeds(1),
        steps: 50,
        scenario: "tiny".into(),
        planted: None,
    };
    let (_folder, sim) = simulator(lines, status);
    campaign.play(&sim)
}

#[test]
fn runs_are_added_up() {
    let totals = totals(&[HEADING, HEADING, SOUND, SOUND]);
    assert!(totals.is_sound());
    let [tiny] = &totals.scenarios[..] else {
        panic!("{totals:?}");
    };
    assert_eq!((tiny.runs, tiny.over, tiny.steps), (2, 2, 80));
    assert_eq!(tiny.coverage, [[14, 0, 0], [0, 0, 2]]);
    assert_eq!(tiny.checks, [("books".into(), 6), ("pins".into(), 2)]);
    assert_eq!(
        (tiny.checked(), tiny.revoked(), tiny.pairs()),
        (8, 14, (2, 6))
    );
}

#[test]
fn a_failure_shows_its_seed_and_the_command_that_plays_it_again() {
    let totals = play(&[HEADING, FAILED], 1).unwrap();
    assert_eq!(totals.failures(), 1);
    assert!(!totals.is_sound(), "this decides the exit code");
    let table = table(&totals);
    assert!(table.contains("tiny, seed 17: kernel: residue"), "{table}");
    let command = "\n    cargo run -p sim --release -- --scenario tiny --seed 17 --trace\n";
    assert!(table.contains(command), "{table}");
    assert!(
        picture(&totals.scenarios[0])
            .unwrap()
            .contains("1 failures")
    );
}

#[test]
fn many_failures_are_shown_in_part_and_counted() {
    let mut lines = vec![HEADING];
    lines.extend([FAILED; 8]);
    let table = table(&totals(&lines));
    assert_eq!(table.matches("seed 17: kernel").count(), 5);
    assert!(table.contains("and 3 more of tiny"), "{table}");
}

#[test]
fn a_campaign_without_runs_is_no_success() {
    let nothing = Totals::default();
    assert!(!nothing.is_sound());
    assert!(table(&nothing).contains("Nothing was tried."));
    let heading = totals(&[HEADING]);
    assert!(!heading.is_sound());
    assert!(table(&heading).contains("Nothing was tried."));
    // Even of nothing there is a picture.
    for scenario in [&heading.scenarios[0], &Scenario::default()] {
        let picture = picture(scenario).unwrap();
        roxmltree::Document::parse(&picture).unwrap();
    }
}

#[test]
fn the_picture_is_xml_with_all_labels_and_counts() {
    let totals = totals(&[HEADING, SOUND]);
    let picture = picture(&totals.scenarios[0]).unwrap();
    let document = roxmltree::Document::parse(&picture).unwrap();
    assert_eq!(document.root_element().tag_name().name(), "svg");
    let texts = document
        .descendants()
        .filter(|node| node.has_tag_name("text"));
    let texts: Vec<String> = texts
        .map(|node| node.text().unwrap_or_default().trim().to_owned())
        .collect();
    for label in ["idle", "<copying>", "page", "more", "pin", "7", "1"] {
        assert!(texts.iter().any(|text| text == label), "{label}: {texts:?}");
    }
    // Four pairs of six were not tried.
    assert_eq!(picture.matches("#F1F3F5").count(), 4);
}

#[test]
fn a_simulator_that_dies_is_an_error() {
    let error = play(&[HEADING, SOUND], 101).unwrap_err().to_string();
    assert!(error.contains("101") && error.contains("lost"), "{error}");
    // Without a failure, even the status of one.
    assert!(play(&[HEADING, SOUND], 1).is_err());
}

#[test]
fn runs_that_are_missing_are_an_error() {
    let error = play(&[HEADING], 0).unwrap_err().to_string();
    assert!(error.contains("0 runs of 1"), "{error}");
}

#[test]
fn lines_that_mean_nothing_are_refused() {
    for lines in [
        &["{}"][..],
        &["oops"],
        &[SOUND],
        &[
            HEADING,
            r#"{"scenario":"tiny","checks":[],"coverage":[[9,9,1]]}"#,
        ],
    ] {
        let mut totals = Totals::default();
        let taken: anyhow::Result<()> = lines.iter().try_for_each(|line| totals.line(line));
        let error = taken.unwrap_err().to_string();
        assert!(error.contains("doesn't understand"), "{error}");
    }
}
