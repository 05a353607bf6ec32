//! Event vectors: what delivered frames cost in events, in a file.
//!
//! A row holds the *totals* over a number of frames, as whole numbers: what was counted, before any
//! division. Rows of one strategy and setting, by frame size, make a path of the model.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path as FilePath;

use costmodel::{Event, Events, MOST_EVENTS, Path, Point, Touched};

use crate::selection::Selection;

mod row;

pub use row::{Iommu, Kind, ReadBy, Row, Strategy};

/// A file of vectors that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It can't be read or written.
    #[error("{file}: {source}")]
    File {
        /// The file.
        file: String,
        /// Why not.
        source: std::io::Error,
    },
    /// It isn't what it should be.
    #[error("{file}: {what}")]
    Format {
        /// The file, or what else the text came from.
        file: String,
        /// What is wrong, where, and what is right.
        what: String,
    },
}

/// What a path was counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Setting {
    /// How frames were delivered.
    pub strategy: Strategy,
    /// Frames delivered together.
    pub batch: u32,
    /// How much of them was read.
    pub read: ReadBy,
    /// CPUs that may cache translations of the address space that changes.
    pub cpus: u16,
    /// What the IOMMU did.
    pub iommu: Iommu,
}

/// Event vectors, checked.
#[derive(Clone, Debug)]
pub struct Vectors {
    rows: Vec<Row>,
    paths: BTreeMap<Setting, Vec<Point>>,
}

impl Vectors {
    /// From rows. `file` is what errors name.
    ///
    /// # Errors
    /// No row, a row without frames or bytes, a setting of nothing, more events than a frame can cost,
    /// a setting and size that is there twice, or one setting with instructions at some sizes only.
    pub fn new(file: &str, rows: Vec<Row>) -> Result<Vectors, Error> {
        let wrong = |what: String| Error::Format {
            file: file.into(),
            what,
        };
        if rows.is_empty() {
            return Err(wrong("no row: there must be at least one".into()));
        }
        let mut paths: BTreeMap<Setting, Vec<Point>> = BTreeMap::new();
        for (index, row) in rows.iter().enumerate() {
            let at = |what: &str| wrong(format!("row {} ({row}): {what}", index + 1));
            if row.bytes == 0 || row.batch == 0 || row.cpus == 0 || row.frames == 0 {
                return Err(at("bytes, batch, cpus and frames must be at least 1"));
            }
            let events = Events::mean(&row.totals(), row.instructions, row.frames)
                .map_err(|_| at(&format!("at most {MOST_EVENTS} events of a kind a frame")))?;
            paths.entry(row.setting()).or_default().push(Point {
                bytes: row.bytes,
                events,
            });
        }
        for (setting, points) in &mut paths {
            points.sort_by_key(|point| point.bytes);
            Path::new(points).map_err(|error| wrong(format!("{setting:?}: {error}")))?;
        }
        Ok(Vectors { rows, paths })
    }

    /// Reads CSV text. Lines that start with `#` are comments.
    ///
    /// # Errors
    /// What [`new`](Vectors::new) refuses, and whatever is no row; the error names file, line and field.
    pub fn parse(file: &str, text: &str) -> Result<Vectors, Error> {
        let mut reader = csv::ReaderBuilder::new()
            .comment(Some(b'#'))
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let headers = reader.headers().cloned();
        let rows: Result<Vec<Row>, csv::Error> = match headers {
            Ok(_) => reader.deserialize().collect(),
            Err(error) => Err(error),
        };
        let rows = rows.map_err(|error| Error::Format {
            file: file.into(),
            what: explain(&error, reader.headers().ok()),
        })?;
        Vectors::new(file, rows)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// As [`parse`](Vectors::parse), or the file can't be read.
    pub fn read(file: &FilePath) -> Result<Vectors, Error> {
        let name = file.display().to_string();
        let text = fs::read_to_string(file).map_err(|source| Error::File {
            file: name.clone(),
            source,
        })?;
        Vectors::parse(&name, &text)
    }

    /// As CSV text.
    ///
    /// # Errors
    /// A row can't be written (which doesn't happen to one that was read).
    pub fn to_csv(&self) -> Result<String, Error> {
        crate::output::to_csv(&self.rows)
    }

    /// The rows, in the order in which they were given.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Whether every row was counted. Otherwise at least one is only expected.
    pub fn counted(&self) -> bool {
        self.rows.iter().all(|row| row.kind == Kind::Counted)
    }

    /// What is there for a setting, where `touched` may also be covered by a row for any.
    pub fn path(
        &self,
        strategy: Strategy,
        batch: u32,
        touched: Touched,
        cpus: u16,
        iommu: Iommu,
    ) -> Option<Path<'_>> {
        let setting = |read| Setting {
            strategy,
            batch,
            read,
            cpus,
            iommu,
        };
        let points = self
            .paths
            .get(&setting(ReadBy::from(touched)))
            .or_else(|| self.paths.get(&setting(ReadBy::Any)))?;
        Path::new(points).ok()
    }

    /// Those that a selection asks for.
    ///
    /// # Errors
    /// There is none.
    pub fn select(&self, selection: &Selection) -> Result<Vectors, Error> {
        let rows = self.rows.iter().filter(|row| selection.takes(row));
        Vectors::new("the vectors asked for", rows.cloned().collect())
    }

    /// In what these differ from others first, in words: a row that only one of them has, or a count.
    /// `None`: in nothing. What was counted twice must not differ.
    pub fn difference(&self, other: &Vectors) -> Option<String> {
        for (index, row) in self.rows.iter().enumerate() {
            let Some(again) = other.rows.get(index) else {
                return Some(format!("{row}: there once only"));
            };
            if row == again {
                continue;
            }
            if (row.setting(), row.bytes) != (again.setting(), again.bytes) {
                return Some(format!("row {}: {row}, and then {again}", index + 1));
            }
            let (one, two) = (row.totals(), again.totals());
            let event = Event::ALL
                .iter()
                .find(|event| one[**event as usize] != two[**event as usize]);
            return Some(match event {
                Some(event) => format!(
                    "{row}: {} {}, and then {}",
                    event.name(),
                    one[*event as usize],
                    two[*event as usize]
                ),
                None => format!(
                    "{row}: {:?} instructions of {} frames, and then {:?} of {}",
                    row.instructions, row.frames, again.instructions, again.frames
                ),
            });
        }
        let more = other.rows.get(self.rows.len())?;
        Some(format!("{more}: there the second time only"))
    }

    /// The settings that there are.
    pub fn settings(&self) -> impl Iterator<Item = &Setting> {
        self.paths.keys()
    }

    /// The batches, ascending.
    pub fn batches(&self) -> Vec<u32> {
        self.distinct(|setting| setting.batch)
    }

    /// The numbers of CPUs, ascending.
    pub fn cpus(&self) -> Vec<u16> {
        self.distinct(|setting| setting.cpus)
    }

    /// The IOMMU modes.
    pub fn iommus(&self) -> Vec<Iommu> {
        self.distinct(|setting| setting.iommu)
    }

    /// The strategies.
    pub fn strategies(&self) -> Vec<Strategy> {
        self.distinct(|setting| setting.strategy)
    }

    fn distinct<T: Ord>(&self, of: impl Fn(&Setting) -> T) -> Vec<T> {
        let set: std::collections::BTreeSet<T> = self.paths.keys().map(of).collect();
        set.into_iter().collect()
    }
}

/// What a CSV error means: the line, the field by name, and what is right.
fn explain(error: &csv::Error, headers: Option<&csv::StringRecord>) -> String {
    let csv::ErrorKind::Deserialize { pos, err } = error.kind() else {
        return error.to_string();
    };
    let line = pos.as_ref().map_or(0, csv::Position::line);
    let field = err
        .field()
        .and_then(|field| headers?.get(usize::try_from(field).ok()?));
    match field {
        Some(name) => format!(
            "line {line}, {name}: {}; right is {}",
            err.kind(),
            row::right(name)
        ),
        None => format!("line {line}: {}", err.kind()),
    }
}

/// The event of a column.
pub fn event(name: &str) -> Option<Event> {
    Event::ALL
        .iter()
        .copied()
        .find(|event| event.name() == name)
}
