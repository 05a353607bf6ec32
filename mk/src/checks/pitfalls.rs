//! That each pitfall of drivers and rings has a test whose name says so, and that docs/pitfalls.md names
//! these tests, all of them and no others.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use regex::Regex;

/// Pitfalls that must have a test: those of revocation, DMA, rings and clients.
const NUMBERS: std::ops::RangeInclusive<u32> = 9..=27;
/// Where the tests are listed.
const PAGE: &str = "docs/pitfalls.md";

/// What isn't as it should be, a line each.
///
/// # Errors
/// A file can't be read.
pub fn pitfalls(root: &Path) -> Result<Vec<String>> {
    let mut tests = BTreeSet::new();
    let declared = Regex::new(r#"(?:fn |")(?:[a-z]+\.)?(pitfall_[0-9]+_[a-z0-9_]+)"#)?;
    collect(root, &declared, &mut tests)?;
    let page = fs::read_to_string(root.join(PAGE)).with_context(|| PAGE.to_owned())?;
    let named = Regex::new(r"pitfall_[0-9]+_[a-z0-9_]+")?;
    let listed: BTreeSet<String> = named
        .find_iter(&page)
        .map(|name| name.as_str().to_owned())
        .collect();
    Ok(complaints(&tests, &listed))
}

fn complaints(tests: &BTreeSet<String>, listed: &BTreeSet<String>) -> Vec<String> {
    let has_test = |number: &u32| {
        let start = format!("pitfall_{number}_");
        tests.iter().any(|name| name.starts_with(&start))
    };
    let untested = NUMBERS
        .filter(|number| !has_test(number))
        .map(|number| format!("no test's name begins with pitfall_{number}_"));
    let unlisted = tests.difference(listed);
    let unlisted = unlisted.map(|name| format!("{PAGE} doesn't name {name}"));
    let unknown = listed.difference(tests);
    let unknown = unknown.map(|name| format!("{PAGE} names {name}, and there is no such test"));
    untested.chain(unlisted).chain(unknown).collect()
}

/// Names of tests in a folder's sources, and those of the folders in it.
fn collect(folder: &Path, declared: &Regex, tests: &mut BTreeSet<String>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if entry.file_type()?.is_dir() {
            if name != "target" && !name.starts_with('.') {
                collect(&path, declared, tests)?;
            }
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let found = declared.captures_iter(&text);
            tests.extend(found.map(|captures| captures[1].to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A checkout with these tests and this page, and others' among what was built.
    fn checkout(tests: &str, page: &str) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        for folder in ["docs", "one/tests", "target"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        fs::write(root.path().join("one/tests/some.rs"), tests).unwrap();
        let built = format!("fn {}_and_built()", name(9));
        fs::write(root.path().join("target/some.rs"), built).unwrap();
        fs::write(root.path().join(PAGE), page).unwrap();
        pitfalls(root.path()).unwrap()
    }

    /// A test's name. (This file must not look as if it had such tests.)
    fn name(number: u32) -> String {
        format!("pitfall_{number}_is_met")
    }

    fn all() -> Vec<String> {
        NUMBERS.map(name).collect()
    }

    fn source(names: &[String]) -> String {
        names
            .iter()
            .map(|name| format!("fn {name}() {{}}\n"))
            .collect()
    }

    #[test]
    fn tests_of_all_pitfalls_that_are_listed_are_as_it_should_be() {
        // A case in QEMU has a subject before its name.
        let (test, case) = (
            format!("fn {}", name(23)),
            format!("(\"some.{}\"", name(23)),
        );
        let source = source(&all()).replace(&test, &case);
        assert_eq!(checkout(&source, &all().join("\n")), [""; 0]);
    }

    #[test]
    fn a_pitfall_without_a_test_is_told() {
        let names = &all()[1..];
        let told = checkout(&source(names), &names.join("\n"));
        assert_eq!(told, ["no test's name begins with pitfall_9_"]);
    }

    #[test]
    fn a_page_that_is_not_true_is_told() {
        let page = all()
            .join("\n")
            .replace(&name(12), &format!("{}_again", name(12)));
        let told = checkout(&source(&all()), &page);
        let expected = [
            format!("{PAGE} doesn't name {}", name(12)),
            format!("{PAGE} names {}_again, and there is no such test", name(12)),
        ];
        assert_eq!(told, expected);
    }
}
