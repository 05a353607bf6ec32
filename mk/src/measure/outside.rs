//! The kernel's counts against those of QEMU's plugin, which sees instructions.

use abi::count::{EVENTS, Event};
use anyhow::{Result, ensure};

use crate::plugin::Seen;

/// Instructions that the copy routine takes for no bytes (user/rt/src/try_access.rs): the others are
/// those of its loops.
const ROUTINE: u64 = 14;

/// A stretch of time in which a kernel counted.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    /// What for.
    pub name: String,
    /// What it counted.
    pub events: [u64; EVENTS],
}

impl Stretch {
    fn count(&self, event: Event) -> u64 {
        self.events[event as usize]
    }
}

/// What both see: its name, the kernel's count, and the plugin's.
type Seer = (&'static str, fn(&Stretch) -> u64, fn(&Seen) -> u64);

const BOTH: [Seer; 6] = [
    (
        "entries into the kernel (traps, and notes of copies)",
        |of| of.count(Event::Traps) + of.count(Event::Notes),
        |seen| seen.entries,
    ),
    (
        "moves to CR3 (switches, and flushes of everything)",
        |of| of.count(Event::Switches) + of.count(Event::FullFlushes),
        |seen| seen.loads,
    ),
    (
        "invlpg (flushes of a page)",
        |of| of.count(Event::PageFlushes),
        |seen| seen.pages,
    ),
    (
        "bytes zeroed by the kernel",
        |of| of.count(Event::KernelZeroed),
        |seen| seen.zeroed,
    ),
    (
        "bytes moved by programs (copied and zeroed)",
        |of| of.count(Event::BytesCopied) + of.count(Event::ProgramZeroed),
        |seen| seen.moved,
    ),
    (
        "instructions of the driver's loops",
        |of| of.count(Event::LoopInstructions),
        |seen| seen.routine.wrapping_sub(ROUTINE * seen.copies),
    ),
];

/// Compares stretch by stretch. Answers a line for each event: how many of it both counted.
///
/// # Errors
/// They differ.
pub(super) fn compare(stretches: &[Stretch], seen: &[Seen]) -> Result<Vec<String>> {
    ensure!(
        stretches.len() == seen.len(),
        "the kernel's counts were read {} times, and {} lines printed",
        seen.len(),
        stretches.len()
    );
    let mut lines = Vec::new();
    for (name, kernel, plugin) in BOTH {
        let mut total = 0;
        for (stretch, seen) in stretches.iter().zip(seen) {
            let (inside, outside) = (kernel(stretch), plugin(seen));
            ensure!(
                inside == outside,
                "{name}: the kernel counts {inside}, the plugin {outside}: {}, {seen:?}",
                stretch.name
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

    fn stretch(event: Event, count: u64) -> Stretch {
        let mut events = [0; EVENTS];
        events[event as usize] = count;
        let name = "copy".into();
        Stretch { name, events }
    }

    #[test]
    fn what_both_see_must_be_equal() {
        let seen = Seen {
            pages: 7,
            ..Seen::default()
        };
        let lines = compare(&[stretch(Event::PageFlushes, 7)], &[seen]).unwrap();
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with("invlpg") && line.ends_with(": 7"))
        );
        assert!(compare(&[stretch(Event::PageFlushes, 8)], &[seen]).is_err());
        assert!(compare(&[stretch(Event::PageFlushes, 7)], &[]).is_err());
    }

    #[test]
    fn the_instructions_of_an_empty_copy_belong_to_no_loop() {
        let seen = Seen {
            routine: 2 * ROUTINE + 60,
            copies: 2,
            ..Seen::default()
        };
        assert!(compare(&[stretch(Event::LoopInstructions, 60)], &[seen]).is_ok());
    }
}
