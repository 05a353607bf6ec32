//! Cost profiles.

use costmodel::{MODERN, Price};
use crossover::profile::{Letter, Profile};

const GOOD: &str = include_str!("../../profiles/skylake-sp.toml");

fn refused(text: &str, words: &[&str]) {
    let error = Profile::parse("mine.toml", text).unwrap_err().to_string();
    for word in words.iter().chain(&["mine.toml", "right is"]) {
        assert!(error.contains(word), "{error}\nlacks {word}");
    }
}

/// The profile's text with the line of a parameter replaced.
fn with(parameter: &str, line: &str) -> String {
    let start = format!("{parameter} = ");
    let replaced = |old: &'static str| match old.starts_with(&start) {
        true => line.to_owned(),
        false => old.to_owned(),
    };
    GOOD.lines().map(|old| replaced(old) + "\n").collect()
}

#[test]
fn all_that_come_along_are_right() {
    let profiles = Profile::built_in().unwrap();
    assert_eq!(profiles.len(), 7);
    for profile in &profiles {
        assert_eq!(
            profile.entries().len(),
            Price::ALL.len() - if profile.iommu { 0 } else { 4 }
        );
        let again = Profile::parse("again", &profile.to_toml("")).unwrap();
        assert_eq!(&again, profile);
    }
    assert!(Profile::named("skylake-sp").is_ok());
    let error = Profile::named("i486").unwrap_err().to_string();
    assert!(error.contains("skylake-sp"), "{error}");
}

#[test]
fn drivers_start_from_the_likely_prices_of_a_profile() {
    let profile = Profile::named("sapphire-rapids").unwrap();
    for &price in Price::ALL {
        let likely = profile.ranges().likely.of(price);
        assert_eq!(MODERN.of(price), likely, "{}", price.name());
    }
}

#[test]
fn errors_name_file_parameter_and_what_is_right() {
    refused(
        &with("refill", ""),
        &["refill", "missing", "low, likely, high"],
    );
    let of = |low: &str, letter: &str| {
        format!(
            "refill = {{ low = {low}, likely = 80, high = 120, source = \"{letter}\", from = \"x\" }}"
        )
    };
    refused(
        &with("refill", &of("90", "E")),
        &["refill", "low 90", "ascending"],
    );
    refused(&with("refill", &of("-1", "E")), &["refill, low", "-1"]);
    refused(&with("refill", &of("nan", "E")), &["refill, low", "nan"]);
    refused(
        &with("refill", &of("1.2345", "E")),
        &["refill, low", "three decimals"],
    );
    refused(&with("refill", &of("\"x\"", "E")), &["refill, low"]);
    refused(&with("refill", &of("60", "Q")), &["refill, source", "F2"]);
    refused(&with("refill", "reffil = 3"), &["reffil"]);
    refused(&with("hertz", "hertz = 3"), &["hertz", "ticks a second"]);
    refused(
        &with("nature", "nature = \"a guess\""),
        &["nature", "calibrated"],
    );
    refused(
        &with("iommu", "iommu = false"),
        &["iommu_map", "iommu = false"],
    );
    refused(&with("name", "name = \"\""), &["name", "a text"]);
    refused("not toml", &["the text", "TOML"]);
}

#[test]
fn letters_have_meanings() {
    for letter in Letter::ALL {
        assert!(!letter.meaning().is_empty());
    }
}
