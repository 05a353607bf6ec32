//! The model against published figures.

use crossover::anchors::{self, Role};

#[test]
fn the_model_misses_no_anchor_by_more_than_was_registered() {
    let outcomes = anchors::built_in().unwrap();
    let mut worse = Vec::new();
    for anchor in &outcomes {
        println!(
            "{}: published {:?}, model {:.4} {} ({:.4} to {:.4}): {}, registered {}",
            anchor.name,
            anchor.published,
            anchor.model.likely,
            anchor.unit,
            anchor.model.low,
            anchor.model.high,
            anchor.verdict(),
            anchor.registered
        );
        if !anchor.holds() {
            worse.push(format!("{} by {:.4}", anchor.name, anchor.miss()));
        }
    }
    assert!(
        worse.is_empty(),
        "missed by more than registered: {worse:?}"
    );
}

#[test]
fn what_a_price_was_made_from_is_met() {
    let outcomes = anchors::built_in().unwrap();
    let inputs = outcomes.iter().filter(|anchor| anchor.role == Role::Input);
    assert!(inputs.clone().count() > 0);
    inputs.for_each(|anchor| assert_eq!(anchor.miss(), 1.0, "{}", anchor.name));
}

#[test]
fn a_miss_that_grew_is_found() {
    let text = include_str!("../../anchors.toml").replace("miss = 1.40", "miss = 1.01");
    let outcomes = anchors::check(&text).unwrap();
    let failing: Vec<&str> = outcomes
        .iter()
        .filter(|anchor| !anchor.holds())
        .map(|anchor| anchor.name.as_str())
        .collect();
    assert_eq!(failing, ["sDDF's copier, a packet"]);
}

#[test]
fn wrong_anchors_are_named() {
    let text = include_str!("../../anchors.toml");
    for (right, wrong, word) in [
        ("lies = \"dram\"", "lies = \"disk\"", "cache or dram"),
        ("copies = 1", "copys = 1", "copys"),
        ("profile = \"skylake-sp\"", "profile = \"i486\"", "i486"),
        ("miss = 1.17", "miss = 0.5", "at least 1"),
        ("frames = 32", "frames = 0", "frames"),
        ("cpus = 1", "cpu = 1", "cpu"),
    ] {
        let error = anchors::check(&text.replacen(right, wrong, 1)).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn the_documentation_shows_what_the_model_says() {
    let page = include_str!("../../../../docs/crossover.md");
    for anchor in anchors::built_in().unwrap() {
        let likely = anchor.model.likely;
        let shown = match anchor.unit {
            "cycles" if likely >= 1000.0 => {
                format!("{},{:03}", likely as u32 / 1000, likely as u32 % 1000)
            }
            _ if anchor.name.contains("share of a strict") => format!("{:.0} %", likely * 100.0),
            _ => format!("{likely:.2} "),
        };
        assert!(
            page.contains(&format!("| {shown}")),
            "{}: {shown}",
            anchor.name
        );
    }
}
