//! What must hold of the counts: whatever they come to, and that they are what was reviewed. As one of
//! the checks of `test`.

use anyhow::{Context, Result};
use costmodel::{EVENTS, Event};
use crossover::native;
use crossover::nature::Nature;
use crossover::operations::{Operation, Operations};
use crossover::profile::Profile;
use crossover::report::{More, Report};
use crossover::study::Study;
use crossover::vectors::{ReadBy, Row, Strategy, Vectors};

use super::{Plan, measure, time};
use crate::machine::Accelerator;
use crate::verbs::Prepared;

/// Bytes of a frame that a page holds: it begins at the sixteenth.
const A_PAGE: u64 = 4080;

/// Bytes of a page.
const PAGE: u64 = 4096;

/// The reviewed counts, in the checkout.
const VECTORS: &str = "tests/bench/crossover.csv";
const OPERATIONS: &str = "tests/bench/operations.csv";

/// No frame takes so many nanoseconds, even under emulation on a busy host.
const LONGEST_FRAME: f64 = 1e9;

/// By how much instructions may differ from the reviewed ones, in hundredths. Events mayn't.
const TOLERANCE: u64 = 3;

/// Counts some rows of those that were reviewed, over as many frames, and isolated operations. Answers
/// what is wrong, a line each. That two boots agree in every number, and the kernel with the plugin, is
/// seen to by [`measure`].
///
/// # Errors
/// As for [`measure`].
pub fn check(prepared: &Prepared) -> Result<Vec<String>> {
    let plan = Plan {
        sizes: vec![64, 1514, 4081, 6144],
        batches: vec![1, 32],
        touched: vec![ReadBy::None, ReadBy::Header],
        ..Plan::full()
    };
    let measured = measure(prepared, &plan, &|_, _| {})?;
    let rows = measured.vectors.rows();
    let mut wrong: Vec<String> = rows.iter().filter_map(fault).collect();
    let root = prepared.checkout.root();
    let reviewed = Vectors::read(&root.join(VECTORS))?;
    wrong.extend(rows.iter().filter_map(|row| changed(row, &reviewed)));
    let reviewed = Operations::read(&root.join(OPERATIONS))?;
    let operations = measured.operations.context("no operation was counted")?;
    let done = operations.rows().iter();
    wrong.extend(done.clone().filter_map(operation_fault));
    wrong.extend(done.filter_map(|row| changed_operation(row, &reviewed)));
    if operations.rows().len() != reviewed.rows().len() {
        wrong.push(format!("{OPERATIONS}: there are more of them"));
    }
    let expected = plan.sizes.len() * plan.batches.len() * plan.strategies.len();
    if rows.len() < expected {
        wrong.push(format!("{} rows instead of {expected}", rows.len()));
    }
    // The report is made of them without a fault; its own tests say that it is well-formed.
    let study = Study::new(measured.vectors.clone(), Profile::built_in()?)?;
    let more = More {
        operations: Some(&operations),
        ..More::default()
    };
    Report::new(&study, &more)?;
    wrong.extend(check_time(prepared)?);
    Ok(wrong)
}

/// Times a few frames. Under emulation, where nothing can be said of what comes out but that it is a
/// time: what reads the clock is the same on hardware.
fn check_time(prepared: &Prepared) -> Result<Option<String>> {
    if native::hertz().is_err() {
        return Ok(None);
    }
    let plan = Plan {
        sizes: vec![64, 1514],
        batches: vec![4],
        strategies: vec![Strategy::Copy, Strategy::Exchange],
        touched: vec![ReadBy::Header],
        frames: 32,
        ..Plan::full()
    };
    let times = time(prepared, &plan, Accelerator::Tcg, 2, &|_, _| {})?;
    let right = times.rows().len() as u64 == plan.rows()
        && *times.nature() == Nature::EmulatedTime
        && (times.rows().iter()).all(|row| row.median() < LONGEST_FRAME);
    Ok((!right).then(|| format!("these are no frames' times: {times:?}")))
}

/// What is wrong with an operation: what it is for didn't happen as often as it was done.
fn operation_fault(row: &Operation) -> Option<String> {
    let bytes = u64::from(row.bytes);
    let expected: &[(Event, u64)] = match &row.name[..] {
        "trap" => &[(Event::Traps, 1)],
        "ipc" => &[(Event::Traps, 2), (Event::Switches, 2)],
        "signal" => &[(Event::Notifications, 1)],
        "map" | "unmap" => &[(Event::Traps, 1), (Event::Entries, 1)],
        "pin" => &[(Event::Pins, 1)],
        "unpin" => &[(Event::Unpins, 1)],
        "exchange" => &[(Event::Exchanges, 1), (Event::Entries, 2)],
        name if name.starts_with("copy_") => &[(Event::Copies, 1), (Event::BytesCopied, bytes)],
        name if name.starts_with("zero_") => &[(Event::ZeroedBytes, bytes)],
        _ => &[],
    };
    expected.iter().find_map(|(event, each)| {
        let (is, should) = (row.totals[*event as usize], each * row.times);
        let (name, event) = (&row.name, event.name());
        (is != should).then(|| format!("{name}, {} times: {is} {event}, not {should}", row.times))
    })
}

/// How a row differs from the reviewed one.
fn changed(row: &Row, reviewed: &Vectors) -> Option<String> {
    let like = |other: &&Row| {
        (other.setting(), other.bytes, other.frames) == (row.setting(), row.bytes, row.frames)
    };
    let Some(other) = reviewed.rows().iter().find(like) else {
        return Some(format!(
            "{row}, read: {:?}, {} frames: {VECTORS} has no such row",
            row.touched, row.frames
        ));
    };
    let counts = |row: &Row| (row.totals(), row.instructions.unwrap_or_default());
    let what = difference(counts(row), counts(other))?;
    Some(format!("{row}: {what} in {VECTORS}"))
}

/// How an operation differs from the reviewed one.
fn changed_operation(row: &Operation, reviewed: &Operations) -> Option<String> {
    let name = format!(
        "{} of {} bytes, {} together",
        row.name, row.bytes, row.together
    );
    let Some(other) = reviewed.row(row) else {
        return Some(format!("{name}: {OPERATIONS} has no such row"));
    };
    let counts = |row: &Operation| (row.totals, row.instructions);
    let what = match row.times == other.times {
        true => difference(counts(row), counts(other))?,
        false => format!("{} times, and {}", row.times, other.times),
    };
    Some(format!("{name}: {what} in {OPERATIONS}"))
}

/// In what counts differ by more than they may.
fn difference(
    (events, instructions): ([u64; EVENTS], u64),
    (reviewed, before): ([u64; EVENTS], u64),
) -> Option<String> {
    for event in Event::ALL {
        let (now, before) = (events[*event as usize], reviewed[*event as usize]);
        if now != before {
            return Some(format!("{} {now}, and {before}", event.name()));
        }
    }
    let apart = instructions.abs_diff(before) * 100;
    (apart > before * TOLERANCE).then(|| format!("{instructions} instructions, and {before}"))
}

/// What is wrong with a row.
fn fault(row: &Row) -> Option<String> {
    let bytes = row.frames * u64::from(row.bytes);
    let pages = row.frames * u64::from(row.bytes).div_ceil(A_PAGE);
    let (copied, exchanges, zeroed) = match row.strategy {
        Strategy::Copy => (bytes, 0, 0),
        Strategy::InPlace => (0, 0, 0),
        Strategy::Exchange => (0, pages, 0),
        Strategy::Sealed => (0, pages, pages * PAGE - bytes),
    };
    for (what, is, should) in [
        ("bytes copied", row.bytes_copied, copied),
        ("pages exchanged", row.exchanges, exchanges),
        ("entries written", row.entries_written, 2 * exchanges),
        ("bytes zeroed", row.zeroed_bytes, zeroed),
    ] {
        if is != should {
            return Some(format!("{row}: {is} {what}, not {should}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossover::vectors::{Iommu, Kind, Setting};

    fn row(strategy: Strategy, bytes: u32) -> Row {
        let setting = Setting {
            strategy,
            batch: 1,
            read: ReadBy::Any,
            cpus: 1,
            iommu: Iommu::Off,
        };
        Row::new(Kind::Counted, setting, bytes, 10)
    }

    #[test]
    fn a_copy_moves_exactly_the_frames_bytes() {
        let mut copy = row(Strategy::Copy, 100);
        copy.bytes_copied = 1000;
        assert_eq!(fault(&copy), None);
        copy.bytes_copied = 1016;
        assert!(
            fault(&copy)
                .unwrap()
                .contains("1016 bytes copied, not 1000")
        );
    }

    #[test]
    fn an_exchange_writes_two_entries_a_page_and_delivery_in_place_none() {
        let mut exchange = row(Strategy::Exchange, 4081);
        (exchange.exchanges, exchange.entries_written) = (20, 40);
        assert_eq!(fault(&exchange), None);
        exchange.entries_written = 41;
        assert!(fault(&exchange).is_some());
        let mut in_place = row(Strategy::InPlace, 64);
        assert_eq!(fault(&in_place), None);
        in_place.entries_written = 1;
        assert!(fault(&in_place).is_some());
    }

    #[test]
    fn a_changed_event_is_told_and_instructions_have_some_room() {
        let mut before = row(Strategy::Copy, 64);
        (before.traps, before.instructions) = (30, Some(10_000));
        let reviewed = Vectors::new("reviewed", vec![before.clone()]).unwrap();
        assert_eq!(changed(&before, &reviewed), None);
        let with = |traps, instructions| Row {
            traps,
            instructions: Some(instructions),
            ..before.clone()
        };
        assert_eq!(changed(&with(30, 10_300), &reviewed), None);
        let told = |row: &Row| changed(row, &reviewed).unwrap();
        assert!(told(&with(30, 9_699)).contains("9699 instructions, and 10000"));
        assert!(told(&with(31, 10_000)).contains("traps 31, and 30"));
        let longer = Row {
            frames: 20,
            ..before.clone()
        };
        assert!(told(&longer).contains("no such row"));
    }

    #[test]
    fn a_changed_operation_is_told() {
        let pin = Operation {
            name: "pin".into(),
            bytes: 0,
            together: 32,
            times: 32,
            totals: [0; EVENTS],
            instructions: 3200,
        };
        let reviewed = Operations::new("reviewed", vec![pin.clone()]).unwrap();
        assert_eq!(changed_operation(&pin, &reviewed), None);
        let mut other = pin.clone();
        other.totals[Event::Pins as usize] = 32;
        let told = changed_operation(&other, &reviewed).unwrap();
        assert!(told.contains("pins 32, and 0"), "{told}");
        other.together = 1;
        let told = changed_operation(&other, &reviewed).unwrap();
        assert!(told.contains("no such row"), "{told}");
    }

    #[test]
    fn sealing_zeroes_what_the_frame_leaves() {
        let mut sealed = row(Strategy::Sealed, 96);
        (sealed.exchanges, sealed.entries_written) = (10, 20);
        sealed.zeroed_bytes = 40_000;
        assert_eq!(fault(&sealed), None);
        sealed.zeroed_bytes = 0;
        assert!(fault(&sealed).is_some());
    }
}
