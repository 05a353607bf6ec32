//! The nearest of some words to a mistyped one.

use alloc::vec::Vec;

/// Longest word that is compared; nobody mistypes a name to this length.
const LONGEST: usize = 32;

/// The word nearest to `given`, if one is near: of which it is the beginning, or that takes at most
/// two changes (one in words of up to three letters).
pub fn nearest<'a>(given: &str, words: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    if given.len() > LONGEST {
        return None;
    }
    let mut begun = words.clone().filter(|word| word.starts_with(given));
    if let (Some(word), None) = (begun.next(), begun.next()) {
        return Some(word);
    }
    let most = if given.len() <= 3 { 1 } else { 2 };
    words
        .map(|word| (distance(given, word), word))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Changes between two words: letters put in, left out, replaced, or swapped with the next
/// (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut rows: Vec<Vec<usize>> = Vec::with_capacity(a.len() + 1);
    rows.push((0..=b.len()).collect());
    for i in 1..=a.len() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i);
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_mistyped_words() {
        let words = ["help", "halt", "users", "spawn", "ps", "ports"];
        let near = |given| nearest(given, words.into_iter());
        assert_eq!(near("spwan"), Some("spawn"));
        assert_eq!(near("user"), Some("users"));
        assert_eq!(near("hlt"), Some("halt"));
        assert_eq!(near("po"), Some("ports"));
        assert_eq!(near("pss"), Some("ps"));
        assert_eq!(near("quit"), None);
        assert_eq!(near(&"x".repeat(1000)), None);
    }

    #[test]
    fn counts_changes() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
