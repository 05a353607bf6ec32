//! Errors that name the line and the key.
//!
//! The checks work on the finished types and know keys, not lines; the TOML reader knows spans,
//! not keys. Both are brought together here by walking the document's spanned tree.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::text::NotThat;

/// One step towards a value: a key of a table, or a position in an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// The way from the document's top to a value.
pub(super) type Path = alloc::vec::Vec<Step>;

/// Something that a check found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub path: Path,
    pub message: String,
}

impl Problem {
    /// A problem with one user's setting.
    pub fn user(index: usize, key: &str, message: impl Into<String>) -> Problem {
        let path = [
            Step::Key("user".into()),
            Step::Index(index),
            Step::Key(key.into()),
        ];
        Problem {
            path: path.into(),
            message: message.into(),
        }
    }

    /// A problem with a setting of a section, or with a whole section.
    pub fn section(section: &str, key: Option<&str>, message: impl Into<String>) -> Problem {
        let mut path = Path::from([Step::Key(section.into())]);
        path.extend(key.map(|key| Step::Key(key.into())));
        Problem {
            path,
            message: message.into(),
        }
    }
}

/// Why a manifest was refused: prints as `line 12: user[1].mac: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError {
    line: Option<usize>,
    key: String,
    message: String,
}

impl ManifestError {
    /// The line, counted from 1, where it has one.
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    /// The key, such as `user[1].mac`; empty where the text is not TOML at all.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is wrong, and what would be right.
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn too_long(length: usize) -> ManifestError {
        let message = format!(
            "{length} bytes are too many: at most {} are read",
            super::MAX_TEXT
        );
        ManifestError {
            line: None,
            key: String::new(),
            message,
        }
    }

    pub(super) fn from_toml(text: &str, error: &toml::de::Error) -> ManifestError {
        // serde says "field" and "variant" for what a reader of the manifest calls a key.
        let message = error.message().replace("unknown field", "unknown key");
        let mut message = message.replace("missing field", "missing key");
        let span = error.span();
        let mut key = String::new();
        match (&span, DeTable::parse(text)) {
            (Some(span), Ok(document)) => {
                let mut path = Path::new();
                path_at(document.get_ref(), span, &mut path);
                key = show(&path);
            }
            // No document, so no key: the text in question has to do.
            (Some(span), Err(_)) => match text.get(span.clone()).map(str::trim) {
                None | Some("") => {}
                Some(part) => message = format!("{message} at {:?}", NotThat::shorten(part)),
            },
            (None, _) => {}
        }
        ManifestError {
            line: span.map(|span| line_at(text, span.start)),
            key,
            message,
        }
    }

    pub(super) fn from_problem(text: &str, problem: Problem) -> ManifestError {
        let line = DeTable::parse(text)
            .ok()
            .and_then(|document| span_of(document.get_ref(), &problem.path))
            .map(|span| line_at(text, span.start));
        ManifestError {
            line,
            key: show(&problem.path),
            message: problem.message,
        }
    }

    pub(super) fn from_unwritten(problem: Problem) -> ManifestError {
        ManifestError {
            line: None,
            key: show(&problem.path),
            message: problem.message,
        }
    }

    pub(super) fn from_render(error: &toml::ser::Error) -> ManifestError {
        ManifestError {
            line: None,
            key: String::new(),
            message: error.to_string(),
        }
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

impl core::error::Error for ManifestError {}

fn show(path: &[Step]) -> String {
    let mut shown = String::new();
    for step in path {
        match step {
            Step::Key(key) if shown.is_empty() => shown.push_str(key),
            Step::Key(key) => {
                shown.push('.');
                shown.push_str(key);
            }
            Step::Index(index) => shown.push_str(&format!("[{index}]")),
        }
    }
    shown
}

fn line_at(text: &str, offset: usize) -> usize {
    let before = &text.as_bytes()[..offset.min(text.len())];
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

fn within(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// Follows the innermost key or value whose span holds `span`; returns whether there was one.
fn path_at(table: &DeTable<'_>, span: &Range<usize>, path: &mut Path) -> bool {
    for (key, value) in table {
        path.push(Step::Key(key.get_ref().to_string()));
        if within(&key.span(), span) || path_in(value, span, path) {
            return true;
        }
        path.pop();
    }
    false
}

fn path_in(value: &Spanned<DeValue<'_>>, span: &Range<usize>, path: &mut Path) -> bool {
    // The span of a table written under a [header] covers only the header, so its members are
    // looked at first, whatever the table's own span.
    match value.get_ref() {
        DeValue::Table(table) if path_at(table, span, path) => return true,
        DeValue::Array(array) => {
            for (index, element) in array.iter().enumerate() {
                path.push(Step::Index(index));
                if path_in(element, span, path) {
                    return true;
                }
                path.pop();
            }
        }
        _ => {}
    }
    within(&value.span(), span)
}

/// The span of the value at `path`, or of the nearest thing around it that the text has (a key
/// that was left out has no span; the user or section that lacks it has).
fn span_of(table: &DeTable<'_>, path: &[Step]) -> Option<Range<usize>> {
    let (Step::Key(first), rest) = path.split_first()? else {
        return None;
    };
    let (key, value) = table
        .iter()
        .find(|(key, _)| key.get_ref().as_ref() == first)?;
    if rest.is_empty() {
        return Some(key.span());
    }
    Some(span_in(value, rest).unwrap_or(key.span()))
}

fn span_in(value: &Spanned<DeValue<'_>>, path: &[Step]) -> Option<Range<usize>> {
    match (value.get_ref(), path.split_first()?) {
        (DeValue::Table(table), _) => span_of(table, path).or(Some(value.span())),
        (DeValue::Array(array), (Step::Index(index), rest)) => {
            let element = array.get(*index)?;
            span_in(element, rest).or(Some(element.span()))
        }
        _ => Some(value.span()),
    }
}
