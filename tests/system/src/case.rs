//! Named cases, run by libtest-mimic, and what a failing one says.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use anyhow::{Context, Result};
use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

use crate::console::Transcript;
use crate::guest::EndState;

/// A case's name and what it does.
pub type Entry = (&'static str, fn(&Case) -> Result<()>);

/// Most cases at once: QEMU and its peer each keep a CPU busy.
const AT_ONCE: usize = 2;

/// How many lines of a console a failing case prints.
const TAIL: usize = 40;

/// A case under way.
#[derive(Debug)]
pub struct Case {
    name: &'static str,
    scratch: TempDir,
    guests: RefCell<Vec<Rc<Record>>>,
}

/// What is kept of a guest for the report, when the guest itself may be gone.
#[derive(Debug)]
pub(crate) struct Record {
    pub transcript: Transcript,
    pub end: EndState,
    /// The program in init's place, if there was one.
    pub init: Option<String>,
}

impl Case {
    fn new(name: &'static str) -> Result<Case> {
        let scratch = tempfile::Builder::new()
            .prefix("usufruct-case-")
            .tempdir()?;
        Ok(Case {
            name,
            scratch,
            guests: RefCell::default(),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.name
    }

    /// A folder for the case's files; gone when the case ends.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// A folder of its own in the case's folder.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let count = self.guests.borrow().len();
        let folder = self.scratch.path().join(format!("{name}{count}"));
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("can't make {}", folder.display()))?;
        Ok(folder)
    }

    pub(crate) fn keep(&self, record: Rc<Record>) {
        self.guests.borrow_mut().push(record);
    }

    fn report(&self, what: &str) -> String {
        let mut text = what.to_string();
        for (number, guest) in (1..).zip(self.guests.borrow().iter()) {
            let mut symbols = crate::boot::symbols();
            if let (Some(symbols), Some(name)) = (&mut symbols, &guest.init) {
                symbols.alias("init", name);
            }
            let end = guest.end.text();
            text.push_str(&format!(
                "\n\nguest {number}: {end}\nguest {number}: the last lines of its console:"
            ));
            for line in guest.transcript.tail(TAIL) {
                let names = symbols.as_mut().and_then(|symbols| symbols.annotate(&line));
                text.push_str(&format!("\n    | {line}"));
                if let Some(names) = names {
                    text.push_str(&format!(" {names}"));
                }
            }
        }
        text.push_str(&format!(
            "\n\nagain: cargo mk test --only qemu --exact {}",
            self.name
        ));
        text
    }
}

/// Runs the cases that the command line selects, as libtest would.
pub fn run(lists: &[&[Entry]]) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(arguments.test_threads.unwrap_or(AT_ONCE).min(AT_ONCE));
    let trials = lists
        .iter()
        .flat_map(|list| list.iter())
        .map(|(name, body)| {
            let (name, body) = (*name, *body);
            Trial::test(name, move || one(name, body).map_err(Failed::from))
        });
    let trials = trials.collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Runs a case; an error or panic comes back as its report.
fn one(name: &'static str, body: fn(&Case) -> Result<()>) -> Result<(), String> {
    let case = Case::new(name).map_err(|error| format!("{error:#}"))?;
    let what = match catch_unwind(AssertUnwindSafe(|| body(&case))) {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => format!("{error:#}"),
        Err(panic) => panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_else(|| "it panicked".into()),
    };
    Err(case.report(&what))
}

/// Runs a case's body as the harness would and returns the report of its failure: for the cases
/// that prove the harness.
pub fn report_of(name: &'static str, body: fn(&Case) -> Result<()>) -> Result<(), String> {
    one(name, body)
}
