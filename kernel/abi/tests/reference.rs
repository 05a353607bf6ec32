//! The written reference (`docs/abi.md`) names every method with its number, and no other.

use std::collections::BTreeSet;

/// `(NAME, number)` of each method in the source.
fn methods_in_source() -> BTreeSet<(String, String)> {
    include_str!("../src/method.rs")
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub const ")?.strip_suffix(';'))
        .filter_map(|rest| rest.split_once(": u64 = "))
        .map(|(name, number)| (name.to_string(), number.to_string()))
        .collect()
}

/// `(NAME, number)` of each row of the reference's method tables.
fn methods_in_reference() -> BTreeSet<(String, String)> {
    let text = include_str!("../../../docs/abi.md");
    let methods = text
        .split("## Methods")
        .nth(1)
        .and_then(|rest| rest.split("## Batches").next());
    methods
        .expect("the reference has the sections Methods and Batches")
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            let name = cells.next()?.trim_end_matches('`');
            let number = cells.next()?;
            number.parse::<u64>().ok()?;
            Some((name.to_string(), number.to_string()))
        })
        .collect()
}

#[test]
fn every_method_stands_in_the_reference() {
    let (source, reference) = (methods_in_source(), methods_in_reference());
    assert!(
        source.len() > 50,
        "the source was not understood: {source:?}"
    );
    assert_eq!(source, reference);
}
