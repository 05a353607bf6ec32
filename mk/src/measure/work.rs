//! Isolated operations: the lines that the guest prints about them, and the table that is made of these.

use abi::count::{EVENTS, Event};
use anyhow::{Context, Result, ensure};
use crossover::operations::{Operation, Operations};

use super::rows::model_events;

/// What a line says: an operation, so often (not at all: the command to do so), and what it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Work {
    /// The operation: name, bytes of one, how many by one invocation.
    key: (String, u64, u64),
    /// How often it was done.
    times: u64,
    /// Instructions of all but who observes.
    instructions: u64,
    /// Events, where they were counted.
    pub events: Option<[u64; EVENTS]>,
}

impl Work {
    /// Reads `work NAME BYTES TOGETHER TIMES INSTRUCTIONS EVENTS.`.
    pub(super) fn parse(line: &str) -> Option<Work> {
        let mut words = line.strip_prefix("work ")?.strip_suffix('.')?.split(' ');
        let name = words.next()?.to_string();
        let numbers: Vec<u64> = words.map(str::parse).collect::<Result<_, _>>().ok()?;
        let ([bytes, together, times, instructions], events) = numbers.split_first_chunk()?;
        let events = match events {
            [] => None,
            events => Some(events.try_into().ok()?),
        };
        Some(Work {
            key: (name, *bytes, *together),
            times: *times,
            instructions: *instructions,
            events,
        })
    }
}

/// What operations cost: instructions from the kernel as it is, events from the one that counts. Of each
/// operation there are two lines; what the command alone takes is taken off.
pub(super) fn operations(plain: &[Work], counted: &[Work]) -> Result<Operations> {
    ensure!(
        plain.len() == counted.len(),
        "the kernels printed different operations"
    );
    let (pairs, []) = plain.as_chunks::<2>() else {
        anyhow::bail!("an operation is there without its command");
    };
    let mut rows = Vec::new();
    for (plain, counted) in pairs.iter().zip(counted.as_chunks::<2>().0) {
        let [command, done] = plain;
        let keys = [done, &counted[0], &counted[1]].map(|line| (&line.key, line.times));
        let right = [
            (&command.key, done.times),
            (&command.key, 0),
            (&command.key, done.times),
        ];
        ensure!(
            command.times == 0 && keys == right,
            "the kernels printed different operations: {plain:?} and {counted:?}"
        );
        rows.push(operation(plain, counted).with_context(|| format!("{:?}", done.key))?);
    }
    Operations::new("what was counted", rows).context("what was counted can't be")
}

fn operation([command, done]: &[Work; 2], counted: &[Work; 2]) -> Result<Operation> {
    let (name, bytes, together) = &done.key;
    let less = "the command alone takes more";
    let [without, with] = counted
        .each_ref()
        .map(|line| line.events.context("events weren't counted"));
    let (without, with) = (without?, with?);
    let mut events = [0; EVENTS];
    for (event, (without, with)) in events.iter_mut().zip(without.iter().zip(with)) {
        *event = with.checked_sub(*without).context(less)?;
    }
    let mut operation = Operation {
        name: name.clone(),
        bytes: u32::try_from(*bytes)?,
        together: u32::try_from(*together)?,
        times: done.times,
        totals: [0; costmodel::EVENTS],
        instructions: (done.instructions)
            .checked_sub(command.instructions)
            .context(less)?,
    };
    for (event, total) in model_events(|event: Event| events[event as usize]) {
        operation.totals[event as usize] = total;
    }
    Ok(operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(times: u64, instructions: u64, pins: Option<u64>) -> Work {
        let events: String = match pins {
            Some(pins) => (Event::ALL.iter())
                .map(|event| match event {
                    Event::Pins => format!(" {pins}"),
                    Event::Traps => " 7".into(),
                    _ => " 0".into(),
                })
                .collect(),
            None => String::new(),
        };
        Work::parse(&format!("work pin 0 1 {times} {instructions}{events}.")).unwrap()
    }

    #[test]
    fn the_command_is_taken_off() {
        let plain = [line(0, 100, None), line(32, 1700, None)];
        let counted = [line(0, 1, Some(0)), line(32, 2, Some(32))];
        let operations = operations(&plain, &counted).unwrap();
        let [pin] = operations.rows() else {
            panic!("{operations:?}");
        };
        assert_eq!(
            (&pin.name[..], pin.times, pin.instructions),
            ("pin", 32, 1600)
        );
        assert_eq!(pin.totals[costmodel::Event::Pins as usize], 32);
        assert_eq!(pin.totals[costmodel::Event::Traps as usize], 0);
    }

    #[test]
    fn lines_that_do_not_belong_together_are_refused() {
        let plain = [line(0, 100, None), line(32, 1700, None)];
        let counted = [line(0, 1, Some(0)), line(16, 2, Some(32))];
        assert!(operations(&plain, &counted).is_err());
        assert!(operations(&plain, &counted[..1]).is_err());
        assert!(operations(&plain[..1], &counted[..1]).is_err());
        let more = [line(0, 1, Some(33)), line(32, 2, Some(32))];
        assert!(operations(&plain, &more).is_err());
    }

    #[test]
    fn only_whole_lines_are_read() {
        assert_eq!(Work::parse("work pin 0 1 32 1700"), None);
        assert_eq!(Work::parse("work pin 0 1 32 1700 5."), None);
        assert_eq!(Work::parse("row pin 0 1 32 1700."), None);
    }
}
