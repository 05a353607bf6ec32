//! The report: a table, a picture and a page that belong together.

use std::fs;
use std::path::{Path, PathBuf};

use crate::anchors;
use crate::chart;
use crate::native::Calibration;
use crate::operations::Operations;
use crate::output;
use crate::page;
use crate::study::Study;
use crate::times::Times;
use crate::vectors;

/// A report that can't be made or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A picture.
    #[error(transparent)]
    Chart(#[from] chart::Error),
    /// The table.
    #[error(transparent)]
    Table(#[from] vectors::Error),
    /// The anchors.
    #[error(transparent)]
    Anchors(#[from] anchors::Error),
    /// The page.
    #[error("the page: {0}")]
    Page(#[from] askama::Error),
    /// A file can't be written.
    #[error("{file}: {source}")]
    File {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// What a report shows besides a study, where it is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct More<'a> {
    /// Isolated operations that were counted.
    pub operations: Option<&'a Operations>,
    /// Copies that were timed on this machine.
    pub calibration: Option<&'a Calibration>,
    /// What frames took by a clock.
    pub times: Option<&'a Times>,
}

/// A report, not written yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// `crossover.csv`: all answers.
    pub csv: String,
    /// `crossover.svg`: what frames cost on the first CPU that has an answer.
    pub svg: String,
    /// `crossover.html`: everything, in one file that needs no other.
    pub html: String,
}

impl Report {
    /// The report of a study, and of what else there is.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn new(study: &Study, more: &More<'_>) -> Result<Report, Error> {
        let csv = output::to_csv(&output::lines(study))?;
        let (first, cell) =
            page::first(study).ok_or_else(|| chart::Error::Nothing("any CPU".into()))?;
        Ok(Report {
            csv,
            svg: chart::costs(study, first, &cell)?,
            html: page::html(study, more, &anchors::built_in()?)?,
        })
    }

    /// Writes the three files into a folder, which is made where it isn't there.
    ///
    /// # Errors
    /// A file can't be written.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        let wrong = |file: &Path| {
            let file = file.to_owned();
            move |source| Error::File { file, source }
        };
        fs::create_dir_all(folder).map_err(wrong(folder))?;
        for (name, text) in [
            ("crossover.csv", &self.csv),
            ("crossover.svg", &self.svg),
            ("crossover.html", &self.html),
        ] {
            let file = folder.join(name);
            fs::write(&file, text).map_err(wrong(&file))?;
        }
        Ok(())
    }
}
