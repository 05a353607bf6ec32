//! What the ethernet driver is told of counted events: made from the reviewed figures, never by hand.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use costmodel::{Path as Counts, Touched};
use crossover::vectors::{Iommu, ReadBy, Row, Strategy, Vectors};

/// The batch that the driver's default threshold is about: exchanges come together under load.
const BATCH: u32 = 32;
/// The figure of an exchange in a batch of so many.
const CALL: &str = "exchange.32";
/// Longer frames than the driver has are of no use to it, but for the first beyond.
const LONGEST: u32 = 16_384;

const HEAD: &str = "\
//! What frames cost in events, as counted: totals over so many frames each. Made from the reviewed
//! figures (tests/bench/crossover.csv and figures.txt) by a test of the crossover crate, which fails
//! where they differ.

use costmodel::EVENTS;

/// Totals over a number of frames of one length.
pub(super) struct Counted {
    pub bytes: u32,
    pub frames: u64,
    /// In the order of `costmodel::Event::ALL`.
    pub events: [u64; EVENTS],
    pub instructions: Option<u64>,
}
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The reviewed vectors.
pub fn reviewed() -> Vectors {
    Vectors::read(&root().join("tests/bench/crossover.csv")).unwrap()
}

fn table(name: &str, about: &str, rows: &[&Row]) -> String {
    let mut text = format!(
        "\n/// {about}, in batches of {BATCH}.\npub(super) const {name}: &[Counted] = &[\n"
    );
    for row in rows {
        let events: Vec<String> = row.totals().iter().map(u64::to_string).collect();
        writeln!(
            text,
            "    Counted {{\n        bytes: {},\n        frames: {},\n        events: [{}],\n        \
             instructions: {:?},\n    }},",
            row.bytes,
            row.frames,
            events.join(", "),
            row.instructions
        )
        .unwrap();
    }
    text + "];\n"
}

fn rows(vectors: &Vectors, strategy: Strategy) -> Vec<&Row> {
    let mut rows: Vec<&Row> = vectors
        .rows()
        .iter()
        .filter(|row| {
            row.strategy == strategy
                && (row.batch, row.cpus, row.iommu) == (BATCH, 1, Iommu::Off)
                && matches!(row.touched, ReadBy::Any | ReadBy::All)
                && row.bytes <= LONGEST
        })
        .collect();
    rows.sort_by_key(|row| row.bytes);
    rows
}

/// The reviewed figure of an exchange in a batch, in tenths of an instruction.
fn call() -> u64 {
    let text = fs::read_to_string(root().join("tests/bench/figures.txt")).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with(&format!("{CALL} ")));
    let value = line.unwrap().split_whitespace().nth(1).unwrap();
    (value.parse::<f64>().unwrap() * 10.0).round() as u64
}

#[test]
fn the_driver_is_told_what_was_counted() {
    let vectors = reviewed();
    assert!(vectors.counted());
    let copy = rows(&vectors, Strategy::Copy);
    let exchange = rows(&vectors, Strategy::Exchange);
    assert!(copy.len() > 1 && exchange.len() > 1);
    let mut text = HEAD.to_owned();
    let tenths = call();
    write!(
        text,
        "\n/// Tenths of an instruction that a pair takes in a call that exchanges {BATCH}.\n\
         pub(super) const EXCHANGE_CALL: u64 = {tenths};\n"
    )
    .unwrap();
    text += &table("COPY", "Frames that are copied", &copy);
    text += &table("EXCHANGE", "Frames whose pages are exchanged", &exchange);
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("counted.rs");
    fs::write(&made, &text).unwrap();
    let formatted = std::process::Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root())
        .arg(&made)
        .status();
    assert!(formatted.is_ok_and(|status| status.success()), "rustfmt");
    let text = fs::read_to_string(&made).unwrap();
    let there = root().join("ethdrv/src/threshold/counted.rs");
    assert!(
        fs::read_to_string(&there).is_ok_and(|there| there == text),
        "{} differs from {}: compare them, and copy it over if it is right",
        there.display(),
        made.display()
    );
}

#[test]
fn the_driver_is_told_of_everything_that_it_is_asked_about() {
    let vectors = reviewed();
    for strategy in [Strategy::Copy, Strategy::Exchange] {
        let path = vectors.path(strategy, BATCH, Touched::All, 1, Iommu::Off);
        let path: Counts<'_> = path.unwrap();
        assert!(path.sizes().0 <= 64 && path.sizes().1 >= 9014);
    }
}
