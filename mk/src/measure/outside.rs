//! The kernel's counts against those of QEMU's plugin, which sees instructions.

use abi::count::Event;
use anyhow::{Result, ensure};

use super::Counted;
use crate::plugin::Seen;

/// Instructions that the copy routine takes for no bytes (user/rt/src/try_access.rs): the others are
/// those of its loops.
const ROUTINE: u64 = 14;

/// What both see: its name, the kernel's count, and the plugin's.
type Seer = (&'static str, fn(&Counted) -> u64, fn(&Seen) -> u64);

const BOTH: [Seer; 6] = [
    (
        "entries into the kernel (traps, and notes of copies)",
        |row| row.count(Event::Traps) + row.count(Event::Notes),
        |seen| seen.entries,
    ),
    (
        "moves to CR3 (switches, and flushes of everything)",
        |row| row.count(Event::Switches) + row.count(Event::FullFlushes),
        |seen| seen.loads,
    ),
    (
        "invlpg (flushes of a page)",
        |row| row.count(Event::PageFlushes),
        |seen| seen.pages,
    ),
    (
        "bytes zeroed by the kernel",
        |row| row.count(Event::KernelZeroed),
        |seen| seen.zeroed,
    ),
    (
        "bytes moved by the driver (copied and zeroed)",
        |row| row.count(Event::BytesCopied) + row.count(Event::ProgramZeroed),
        |seen| seen.moved,
    ),
    (
        "instructions of its loops",
        |row| row.count(Event::LoopInstructions),
        |seen| seen.routine.wrapping_sub(ROUTINE * seen.copies),
    ),
];

/// Compares row by row. Answers a line for each event: how many of it both counted.
///
/// # Errors
/// They differ.
pub(super) fn compare(rows: &[Counted], seen: &[Seen]) -> Result<Vec<String>> {
    ensure!(
        rows.len() == seen.len(),
        "the kernel's counts were read {} times, and {} rows printed",
        seen.len(),
        rows.len()
    );
    let mut lines = Vec::new();
    for (name, kernel, plugin) in BOTH {
        let mut total = 0;
        for (row, seen) in rows.iter().zip(seen) {
            let (inside, outside) = (kernel(row), plugin(seen));
            ensure!(
                inside == outside,
                "{name}: the kernel counts {inside}, the plugin {outside}: {row:?}, {seen:?}"
            );
            total += inside;
        }
        lines.push(format!("{name}: {total}"));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::count::EVENTS;

    fn row(event: Event, count: u64) -> Counted {
        let mut events = [0; EVENTS];
        events[event as usize] = count;
        let mut row = Counted::parse("row copy 64 1 none 64 1 2 3 4.").unwrap();
        row.events = Some(events);
        row
    }

    #[test]
    fn what_both_see_must_be_equal() {
        let seen = Seen {
            pages: 7,
            ..Seen::default()
        };
        let lines = compare(&[row(Event::PageFlushes, 7)], &[seen]).unwrap();
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with("invlpg") && line.ends_with(": 7"))
        );
        assert!(compare(&[row(Event::PageFlushes, 8)], &[seen]).is_err());
        assert!(compare(&[row(Event::PageFlushes, 7)], &[]).is_err());
    }

    #[test]
    fn the_instructions_of_an_empty_copy_belong_to_no_loop() {
        let seen = Seen {
            routine: 2 * ROUTINE + 60,
            copies: 2,
            ..Seen::default()
        };
        assert!(compare(&[row(Event::LoopInstructions, 60)], &[seen]).is_ok());
    }
}
