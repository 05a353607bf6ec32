//! The expected vectors: what the design foretells of each strategy. Nobody counted them, and nothing
//! but tests uses them. `expected.csv` holds them, so that a change can be read.

use std::fs;
use std::path::Path;

use costmodel::Event;
use crossover::vectors::{Iommu, Kind, ReadBy, Row, Setting, Strategy, Vectors};

const HEAD: &str = "\
# EXPECTED, NOT COUNTED: what the design foretells, for tests of the crossover study only. Made by
# tests/it/expected.rs, which says how. A report over these says on each figure what they are.
";

const PAGE: u32 = 4096;
/// On either side of a page's end, and of the kernel's step to whole flushes at a batch of one.
const SIZES: [u32; 6] = [64, 4096, 4097, 16384, 16385, 65536];
const BATCHES: [u32; 4] = [1, 8, 32, 128];
/// More pages than this, and the kernel invalidates the whole address space.
const SINGLE: u64 = 8;
/// Invalidations that a lazy IOMMU driver saves up.
const LAZY: u64 = 250;

/// The rows. Each stands for 250 batches, so that every count is whole.
fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for strategy in [
        Strategy::Copy,
        Strategy::InPlace,
        Strategy::Exchange,
        Strategy::Sealed,
    ] {
        for iommu in [Iommu::Off, Iommu::Static, Iommu::Strict, Iommu::Lazy] {
            for cpus in [1, 2] {
                for batch in BATCHES {
                    let setting = Setting {
                        strategy,
                        batch,
                        read: ReadBy::Any,
                        cpus,
                        iommu,
                    };
                    rows.extend(SIZES.map(|bytes| row(setting, bytes)));
                }
            }
        }
    }
    rows
}

fn row(setting: Setting, bytes: u32) -> Row {
    let batches = LAZY;
    let frames = batches * u64::from(setting.batch);
    let pages = frames * u64::from(bytes.div_ceil(PAGE));
    // A batch is announced by one notification, and the recipient runs and hands back the CPU.
    let row = Row::new(Kind::Expected, setting, bytes, frames)
        .with(Event::Notifications, batches)
        .with(
            Event::Switches,
            if setting.cpus > 1 { 0 } else { 2 * batches },
        );
    let exchanged = matches!(setting.strategy, Strategy::Exchange | Strategy::Sealed);
    // An exchange is one system call a batch more; it looks up both segments of each pair.
    let calls = if exchanged { 2 * batches } else { batches };
    let row = row.with(Event::Traps, calls);
    let row = match setting.strategy {
        Strategy::Copy => {
            return row
                .with(Event::LookUps, calls)
                .with(Event::Copies, pages)
                .with(Event::BytesCopied, frames * u64::from(bytes));
        }
        Strategy::InPlace => row.with(Event::LookUps, calls),
        Strategy::Exchange | Strategy::Sealed => flushed(setting, pages, batches, row)
            .with(Event::LookUps, calls + 2 * pages)
            .with(Event::Exchanges, pages)
            .with(Event::Entries, 2 * pages),
    };
    let row = match setting.strategy {
        Strategy::Sealed => row.with(
            Event::ZeroedBytes,
            pages * u64::from(PAGE) - frames * u64::from(bytes),
        ),
        _ => row,
    };
    // Copies come out of a pool that stays mapped; pages that change hands don't, unless mapped while
    // pinned.
    match setting.iommu {
        Iommu::Off | Iommu::Static => row,
        Iommu::Strict => mapped(row, pages, pages),
        Iommu::Lazy => mapped(row, pages, pages / LAZY),
    }
}

/// Page by page where few were touched, otherwise the address space at the end of the call; other
/// CPUs once a call.
fn flushed(setting: Setting, pages: u64, batches: u64, row: Row) -> Row {
    let places = 2 * pages;
    let row = match places / batches > SINGLE {
        true => row.with(Event::FullFlushes, batches),
        false => row.with(Event::PageFlushes, places),
    };
    row.with(
        Event::Shootdowns,
        if setting.cpus > 1 { batches } else { 0 },
    )
}

fn mapped(row: Row, pages: u64, invalidations: u64) -> Row {
    row.with(Event::IommuMaps, pages)
        .with(Event::IommuUnmaps, pages)
        .with(Event::IommuInvalidations, invalidations)
        .with(Event::IommuWaits, invalidations)
}

/// The vectors, out of the file.
pub fn vectors() -> Vectors {
    Vectors::read(&file()).unwrap()
}

fn file() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expected.csv")
}

#[test]
fn the_file_is_what_the_design_foretells() {
    let rows = Vectors::new("expected rows", rows()).unwrap();
    let text = format!("{HEAD}{}", rows.to_csv().unwrap());
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("expected.csv");
    fs::write(&made, &text).unwrap();
    assert!(
        fs::read_to_string(file()).is_ok_and(|there| there == text),
        "tests/expected.csv differs from {}: compare them, and copy it over if it is right",
        made.display()
    );
}
