//! Completion of the word before the cursor.

use alloc::string::String;
use alloc::vec::Vec;

use super::command::ENTRIES;
use super::injection::Injecting;
use super::receiving::Receiving;
use crate::manifest::{LogLevel, UserSpec};

/// Names that words may stand for.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Programs that can be killed.
    pub programs: Vec<String>,
    /// Users that can be revoked.
    pub users: Vec<String>,
}

/// What a word may become.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// What to insert at the cursor: what all candidates have in common, and a space if there is
    /// only one.
    pub insert: String,
    /// The candidates, if there are several and nothing can be inserted.
    pub choices: Vec<String>,
}

/// Completes the last word of what stands before the cursor.
pub fn complete(before: &str, names: &Names) -> Completion {
    let word = before.rsplit(' ').next().unwrap_or("");
    let earlier: Vec<&str> = before[..before.len() - word.len()]
        .split_ascii_whitespace()
        .collect();
    let all: Vec<&str> = match earlier.as_slice() {
        [] | ["help"] => ENTRIES.iter().map(|entry| entry.name).collect(),
        ["kill"] => names.programs.iter().map(String::as_str).collect(),
        ["strategy", _, words @ ..] => {
            let sealing = |word: &&str| ["sealed", "open"].contains(word);
            let (said, chosen) = (words.iter().any(sealing), !words.iter().all(sealing));
            let open = |word: &&str| if sealing(word) { !said } else { !chosen };
            Receiving::WORDS.iter().copied().filter(open).collect()
        }
        ["inject"] => Injecting::WORDS.into(),
        ["inject", "kill"] | ["inject", .., "of"] => {
            names.programs.iter().map(String::as_str).collect()
        }
        ["inject", "device"] => ["stall"].into(),
        ["inject", .., "at"] => ["entry", "frame"].into(),
        ["inject", _, _] => ["at"].into(),
        ["inject", _, _, "at", "entry", _] => ["of"].into(),
        ["revoke" | "strategy"] | ["inject", "revoke" | "session"] => {
            names.users.iter().map(String::as_str).collect()
        }
        ["log"] => LogLevel::ALL.iter().map(|level| level.word()).collect(),
        // After an option comes its value, which only the user knows.
        ["spawn", _, .., last] if last.starts_with("--") && !last.contains('=') => Vec::new(),
        ["spawn", _, ..] => {
            let given = |option: &str| earlier.contains(&option);
            let options = UserSpec::OPTIONS.iter().map(|(option, _)| *option);
            options.filter(|option| !given(option)).collect()
        }
        _ => Vec::new(),
    };
    let mut fits: Vec<&str> = all
        .into_iter()
        .filter(|name| name.starts_with(word))
        .collect();
    fits.sort_unstable();
    fits.dedup();
    let Some((first, others)) = fits.split_first() else {
        return Completion::default();
    };
    let common = others
        .iter()
        .fold(*first, |common, other| shared(common, other));
    let mut insert: String = common[word.len()..].into();
    if others.is_empty() {
        insert.push(' ');
    }
    let choices = if insert.is_empty() {
        fits.into_iter().map(String::from).collect()
    } else {
        Vec::new()
    };
    Completion { insert, choices }
}

/// The beginning that two words share.
fn shared<'a>(a: &'a str, b: &str) -> &'a str {
    let length = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    a.get(..length).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names() -> Names {
        Names {
            programs: ["ethdrv", "alice", "albert"].map(String::from).into(),
            users: ["alice", "albert"].map(String::from).into(),
        }
    }

    fn inserted(before: &str) -> String {
        complete(before, &names()).insert
    }

    #[test]
    fn completes_commands_names_and_options() {
        assert_eq!(inserted("us"), "ers ");
        assert_eq!(inserted("kill e"), "thdrv ");
        assert_eq!(inserted("revoke a"), "l");
        assert_eq!(inserted("revoke ali"), "ce ");
        assert_eq!(inserted("log de"), "bug ");
        assert_eq!(inserted("help sp"), "awn ");
        assert_eq!(inserted("spawn carol --sh"), "are ");
        assert_eq!(inserted("spawn carol --share "), "");
        assert_eq!(inserted("spawn carol --share 2 --sh"), "");
        assert_eq!(inserted("spawn ca"), "");
        assert_eq!(inserted("kill alice x"), "");
        assert_eq!(inserted("inject rev"), "oke ");
        assert_eq!(inserted("inject revoke ali"), "ce ");
        assert_eq!(inserted("inject revoke alice "), "at ");
        assert_eq!(inserted("inject kill ethdrv at f"), "rame ");
        assert_eq!(inserted("inject kill ethdrv at entry 7 "), "of ");
        assert_eq!(inserted("inject kill ethdrv at entry 7 of alb"), "ert ");
        assert_eq!(inserted("inject device s"), "tall ");
        assert_eq!(inserted("strategy ali"), "ce ");
        assert_eq!(inserted("strategy alice h"), "ybrid ");
        assert_eq!(inserted("strategy alice hybrid(7) "), "");
        assert_eq!(inserted("strategy alice sealed f"), "lip ");
        assert_eq!(inserted("strategy alice sealed o"), "");
        assert_eq!(inserted("strategy alice flip c"), "");
    }

    #[test]
    fn lists_choices_when_nothing_more_is_common() {
        let completion = complete("revoke al", &names());
        assert_eq!(completion.insert, "");
        assert_eq!(completion.choices, ["albert", "alice"]);
        assert!(complete("", &names()).choices.contains(&"help".into()));
    }

    proptest! {
        #[test]
        fn no_line_breaks_it(before in "[ -~]{0,60}") {
            complete(&before, &names());
        }
    }
}
