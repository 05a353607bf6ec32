//! The report: its files are well-formed, complete, and say what they are.

use std::fs;
use std::path::Path;

use crossover::native;
use crossover::operations::Operations;
use crossover::output::Line;
use crossover::profile::Profile;
use crossover::report::{More, Report};
use crossover::study::Study;
use crossover::times::{Time, Times};
use crossover::vectors::{Iommu, Kind, ReadBy, Row, Strategy, Vectors};
use html5ever::ParseOpts;
use html5ever::tendril::TendrilSink;
use markup5ever_rcdom::RcDom;

use crate::expected;
use crate::study::study;

#[test]
fn the_files_are_well_formed_and_say_what_they_are() {
    let study = study();
    let report = Report::new(&study, &More::default()).unwrap();
    // To be looked at.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
    report.write(&folder).unwrap();

    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let svg = read("crossover.svg");
    let parsed = roxmltree::Document::parse(&svg).unwrap();
    assert_eq!(parsed.root_element().tag_name().name(), "svg");
    assert!(svg.contains("EXPECTED from the design"));
    assert!(svg.contains("prediction by the cost model"));

    let html = read("crossover.html");
    let errors = html_errors(&html);
    assert!(errors.is_empty(), "{errors:?}");
    assert!(html.contains("Not a measurement"));
    for profile in study.profiles() {
        assert!(html.contains(&profile.name), "{}", profile.name);
    }
    for outside in ["http://", "https://", "src=", "<link", "@import", "url("] {
        // The name of SVG's namespace is no address that anything is fetched from.
        let html = html.replace("http://www.w3.org/2000/svg", "");
        assert!(!html.contains(outside), "the page asks for {outside}");
    }
}

#[test]
fn answers_survive_a_round_trip() {
    let study = study();
    let csv = Report::new(&study, &More::default()).unwrap().csv;
    let lines: Vec<Line> = csv::Reader::from_reader(csv.as_bytes())
        .deserialize()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(lines, crossover::output::lines(&study));
    assert_eq!(lines.len(), study.answers().len());
    assert!(lines.iter().any(|line| line.likely.0.is_none()));
}

#[test]
fn the_table_fits_a_terminal_and_says_what_it_is() {
    let study = study();
    let table = crossover::table::table(&study).unwrap();
    println!("{table}");
    for line in table.lines() {
        assert!(line.chars().count() <= 120, "{line}");
    }
    assert!(table.contains("EXPECTED from the design"));
    for profile in study.profiles() {
        assert_eq!(table.matches(&profile.name).count(), 2, "{}", profile.name);
    }
}

#[test]
fn names_with_markup_stay_names() {
    let mut profile = Profile::named("skylake-sp").unwrap();
    profile.name = "<script>alert(\"&\")</script>".into();
    let study = Study::new(expected::vectors(), vec![profile]).unwrap();
    let report = Report::new(&study, &More::default()).unwrap();
    assert!(!report.html.contains("<script>"));
    assert!(html_errors(&report.html).is_empty());
    roxmltree::Document::parse(&report.svg).unwrap();
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let report = Report {
        csv: String::new(),
        svg: String::new(),
        html: String::new(),
    };
    let error = report.write(&file.path().join("below")).unwrap_err();
    assert!(error.to_string().contains("below"), "{error}");
}

/// What a browser's parser would have to mend.
fn html_errors(html: &str) -> Vec<String> {
    let page = html5ever::parse_document(RcDom::default(), ParseOpts::default()).one(html);
    let errors = page.errors.borrow();
    errors.iter().map(ToString::to_string).collect()
}

/// Rows as if they had been counted: only to see what a report over counted ones says.
fn as_if_counted(rows: impl Iterator<Item = Row>) -> Vectors {
    let rows = rows.map(|row| Row {
        kind: Kind::Counted,
        instructions: Some(300 * row.frames),
        ..row
    });
    Vectors::new("as if counted", rows.collect()).unwrap()
}

#[test]
fn counted_vectors_carry_no_warning() {
    let rows = expected::vectors().rows().to_vec().into_iter();
    let study = Study::new(as_if_counted(rows), Profile::built_in().unwrap()).unwrap();
    let report = Report::new(&study, &More::default()).unwrap();
    assert!(!report.html.contains("Not a measurement"));
    assert!(!report.html.contains("EXPECTED"));
    assert!(report.html.contains("events counted (exact)"));
    assert!(report.html.contains("instructions counted (exact)"));
    assert!(report.svg.contains("events counted (exact)"));
}

#[test]
fn what_was_timed_here_is_shown_as_such() {
    let calibration = match native::calibrate(9) {
        Ok(calibration) => calibration,
        Err(error) => return assert_eq!(error, native::Error::Unavailable),
    };
    let base = Profile::named("sapphire-rapids").unwrap();
    let profiles = vec![calibration.profile(&base).unwrap(), base];
    let study = Study::new(expected::vectors(), profiles).unwrap();
    let more = More {
        calibration: Some(&calibration),
        ..More::default()
    };
    let report = Report::new(&study, &more).unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("calibrated");
    report.write(&folder).unwrap();
    assert!(html_errors(&report.html).is_empty());
    assert!(report.html.contains("time on hardware; the middle half"));
    assert!(report.html.contains("prices calibrated"));
}

/// Times as a clock might have given them.
fn times(on_hardware: bool) -> Times {
    let mut rows = Vec::new();
    for strategy in [Strategy::Copy, Strategy::InPlace, Strategy::Exchange] {
        for batch in [1, 32] {
            for bytes in [64, 1514, 4096] {
                let time = f64::from(100 + bytes / batch);
                rows.push(Time {
                    strategy,
                    bytes,
                    batch,
                    touched: ReadBy::Header,
                    samples: vec![time, time * 1.1, time * 0.9],
                });
            }
        }
    }
    Times::new("Some CPU".into(), on_hardware, rows).unwrap()
}

#[test]
fn what_a_clock_said_is_shown_as_time_on_hardware_or_under_emulation() {
    let study = study();
    for (on_hardware, nature) in [
        (true, "time on hardware"),
        (false, "time under emulation (not hardware)"),
    ] {
        let times = times(on_hardware);
        let more = More {
            times: Some(&times),
            ..More::default()
        };
        let report = Report::new(&study, &more).unwrap();
        assert!(html_errors(&report.html).is_empty());
        let section = report.html.split("<h2>By the clock</h2>").nth(1).unwrap();
        let section = section.split("<h2>").next().unwrap();
        assert!(section.contains(nature) && section.contains("Some CPU"));
    }
}

#[test]
fn the_reviewed_counts_make_a_well_formed_report() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let vectors = crate::driver::reviewed();
    let operations = Operations::read(&root.join("tests/bench/operations.csv")).unwrap();
    let study = Study::new(vectors, Profile::built_in().unwrap()).unwrap();
    let more = More {
        operations: Some(&operations),
        ..More::default()
    };
    let report = Report::new(&study, &more).unwrap();
    // To be looked at.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reviewed");
    report.write(&folder).unwrap();
    let errors = html_errors(&report.html);
    assert!(errors.is_empty(), "{errors:?}");
    assert!(report.html.contains("Isolated operations"));
    roxmltree::Document::parse(&report.svg).unwrap();
    for figure in report.html.split("<figure>").skip(1) {
        let figure = figure.split("</figure>").next().unwrap();
        roxmltree::Document::parse(figure).unwrap();
    }
    let lines = csv::Reader::from_reader(report.csv.as_bytes())
        .deserialize()
        .collect::<Result<Vec<Line>, _>>();
    assert_eq!(lines.unwrap(), crossover::output::lines(&study));
    assert_eq!(
        Operations::parse("again", &operations.to_csv()).unwrap(),
        operations
    );
}

#[test]
fn one_size_of_two_strategies_is_enough_for_a_report() {
    let rows = expected::vectors().rows().to_vec().into_iter();
    let few = rows.filter(|row| {
        matches!(row.strategy, Strategy::Copy | Strategy::Exchange)
            && (row.bytes, row.batch, row.cpus, row.iommu) == (4096, 32, 1, Iommu::Static)
    });
    let few = few.map(|row| Row {
        touched: ReadBy::All,
        ..row
    });
    // The Pentium III has no IOMMU, so there is no answer for it.
    let profiles = ["skylake-sp", "pentium-3"].map(|name| Profile::named(name).unwrap());
    let study = Study::new(as_if_counted(few), profiles.into()).unwrap();
    assert_eq!(study.answers().len(), 2);
    let report = Report::new(&study, &More::default()).unwrap();
    roxmltree::Document::parse(&report.svg).unwrap();
    assert!(html_errors(&report.html).is_empty());
}

#[test]
fn a_first_cpu_without_an_answer_is_passed_over() {
    let rows = expected::vectors().rows().to_vec().into_iter();
    let mapped = rows.filter(|row| row.iommu == Iommu::Static);
    let profiles = ["pentium-3", "skylake-sp"].map(|name| Profile::named(name).unwrap());
    let study = Study::new(as_if_counted(mapped), profiles.into()).unwrap();
    let report = Report::new(&study, &More::default()).unwrap();
    assert!(report.svg.contains("Skylake-SP"));
    assert!(html_errors(&report.html).is_empty());
}
