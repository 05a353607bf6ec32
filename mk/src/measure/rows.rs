//! Rows that the guest prints, and the vectors that are made of them.

use std::collections::BTreeMap;

use abi::count::{EVENTS, Event};
use anyhow::{Context, Result, bail, ensure};
use crossover::vectors::{Iommu, Kind, ReadBy, Row, Setting, Strategy, Vectors};

/// What was counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// How frames were delivered.
    pub strategy: Strategy,
    /// A frame's length.
    pub bytes: u32,
    /// Frames delivered together.
    pub batch: u32,
}

/// A row as the guest prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// What it is for.
    pub key: Key,
    /// What was read.
    pub touched: ReadBy,
    /// Frames that it is over.
    pub frames: u64,
    /// Instructions charged to the driver, to the recipient, and to nobody of driver, recipient and wire.
    pub instructions: [u64; 3],
    /// Switches of the CPU to the address space of driver or recipient.
    pub switches: u64,
    /// Events, where they were counted.
    pub events: Option<[u64; EVENTS]>,
}

const STRATEGIES: [(Strategy, &str); 4] = [
    (Strategy::Copy, "copy"),
    (Strategy::InPlace, "in_place"),
    (Strategy::Exchange, "exchange"),
    (Strategy::Sealed, "sealed"),
];

const TOUCHED: [(ReadBy, &str); 4] = [
    (ReadBy::None, "none"),
    (ReadBy::Header, "header"),
    (ReadBy::All, "all"),
    (ReadBy::Any, "any"),
];

fn name<T: PartialEq>(names: &[(T, &'static str)], wanted: T) -> &'static str {
    let found = names.iter().find(|(one, _)| *one == wanted);
    found.map_or("", |(_, name)| name)
}

fn named<T: Copy>(names: &[(T, &str)], wanted: &str) -> Option<T> {
    let found = names.iter().find(|(_, name)| *name == wanted);
    found.map(|(one, _)| *one)
}

/// The guest's word for a strategy.
pub(super) fn strategy_name(strategy: Strategy) -> &'static str {
    name(&STRATEGIES, strategy)
}

/// The guest's word for what is read.
pub(super) fn touched_name(touched: ReadBy) -> &'static str {
    name(&TOUCHED, touched)
}

impl Key {
    fn parse<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Key> {
        Some(Key {
            strategy: named(&STRATEGIES, words.next()?)?,
            bytes: words.next()?.parse().ok()?,
            batch: words.next()?.parse().ok()?,
        })
    }

    /// The setting that a line says can't be measured: `skip STRATEGY BYTES BATCH`.
    pub(super) fn skipped(line: &str) -> Option<Key> {
        Key::parse(&mut line.strip_prefix("skip ")?.split(' '))
    }
}

impl Counted {
    /// Reads `row STRATEGY BYTES BATCH TOUCHED FRAMES NUMBERS.`; the numbers are instructions, switches
    /// and events.
    pub(super) fn parse(line: &str) -> Option<Counted> {
        let line = line.strip_prefix("row ")?.strip_suffix('.')?;
        let mut words = line.split(' ');
        let key = Key::parse(&mut words)?;
        let touched = named(&TOUCHED, words.next()?)?;
        let frames = words.next()?.parse().ok()?;
        let numbers: Vec<u64> = words.map(str::parse).collect::<Result<_, _>>().ok()?;
        let ([driver, recipient, rest, switches], events) = numbers.split_first_chunk()?;
        let events = match events {
            [] => None,
            events => Some(events.try_into().ok()?),
        };
        Some(Counted {
            key,
            touched,
            frames,
            instructions: [*driver, *recipient, *rest],
            switches: *switches,
            events,
        })
    }

    /// How often an event happened; 0 where nobody counted.
    pub fn count(&self, event: Event) -> u64 {
        self.events.map_or(0, |events| events[event as usize])
    }

    /// Instructions of loops, to be taken off: those that programs noted, and one for each word that the
    /// kernel zeroed.
    fn loops(&self) -> u64 {
        self.count(Event::LoopInstructions) + self.count(Event::KernelZeroed) / 8
    }
}

/// The vectors: instructions from the kernel as it is, events from the one that counts.
pub(super) fn vectors(plain: &[Counted], counted: &[Counted]) -> Result<Vectors> {
    ensure!(
        plain.len() == counted.len(),
        "the kernels printed different rows"
    );
    let mut rows: BTreeMap<Key, Vec<(&Counted, &Counted)>> = BTreeMap::new();
    let mut order = Vec::new();
    for (plain, counted) in plain.iter().zip(counted) {
        let same = (plain.key, plain.touched, plain.frames)
            == (counted.key, counted.touched, counted.frames);
        ensure!(
            same,
            "the kernels printed different rows: {plain:?} and {counted:?}"
        );
        ensure!(
            plain.switches == counted.switches
                && counted.switches == counted.count(Event::Switches),
            "the CPU switched {} times as the kernel is, {} times and {} when it counts: {plain:?}",
            plain.switches,
            counted.switches,
            counted.count(Event::Switches),
        );
        let together = rows.entry(plain.key).or_default();
        if together.is_empty() {
            order.push(plain.key);
        }
        together.push((plain, counted));
    }
    let mut all = Vec::new();
    for key in order {
        let together = &rows[&key];
        let same_events = together
            .windows(2)
            .all(|two| two[0].1.events == two[1].1.events);
        let unread = together
            .iter()
            .find(|(plain, _)| plain.touched == ReadBy::None);
        match unread {
            // Reading changes nothing: what was read but for that is the reading itself.
            Some((plain, counted)) if same_events && together.len() > 1 => {
                all.push(row(plain, counted, ReadBy::Any)?);
            }
            _ => {
                for (plain, counted) in together {
                    all.push(row(plain, counted, plain.touched)?);
                }
            }
        }
    }
    Vectors::new("what was counted", all).context("what was counted is no vectors")
}

/// The events that the model knows, by what the kernel counted.
pub(super) fn model_events(of: impl Fn(Event) -> u64) -> [(costmodel::Event, u64); 13] {
    use costmodel::Event as Model;
    [
        (Model::Traps, of(Event::Traps)),
        (Model::LookUps, of(Event::LookUps)),
        (Model::Copies, of(Event::Copies)),
        (Model::BytesCopied, of(Event::BytesCopied)),
        (Model::Exchanges, of(Event::Exchanges)),
        (Model::Entries, of(Event::Entries)),
        (Model::PageFlushes, of(Event::PageFlushes)),
        (Model::FullFlushes, of(Event::FullFlushes)),
        (Model::Switches, of(Event::Switches)),
        (
            Model::ZeroedBytes,
            of(Event::KernelZeroed) + of(Event::ProgramZeroed),
        ),
        (Model::Notifications, of(Event::Notifications)),
        (Model::Pins, of(Event::Pins)),
        (Model::Unpins, of(Event::Unpins)),
    ]
}

fn row(plain: &Counted, counted: &Counted, read: ReadBy) -> Result<Row> {
    let setting = Setting {
        strategy: plain.key.strategy,
        batch: plain.key.batch,
        read,
        // One runs, and there is no IOMMU.
        cpus: 1,
        iommu: Iommu::Off,
    };
    let mut row = Row::new(Kind::Counted, setting, plain.key.bytes, plain.frames);
    for (event, total) in model_events(|event| counted.count(event)) {
        row = row.with(event, total);
    }
    let all: u64 = plain.instructions.iter().sum();
    match all.checked_sub(counted.loops()) {
        Some(instructions) => row.instructions = Some(instructions),
        None => bail!("{row}: its loops take more instructions than there are"),
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(touched: &str, recipient: u64, events: &[u64]) -> Counted {
        let events: String = events.iter().map(|count| format!(" {count}")).collect();
        let line = format!("row exchange 1514 4 {touched} 64 1000 {recipient} 5 32{events}.");
        Counted::parse(&line).unwrap()
    }

    fn events(loops: u64) -> [u64; EVENTS] {
        let mut events = [0; EVENTS];
        events[Event::Switches as usize] = 32;
        events[Event::Exchanges as usize] = 64;
        events[Event::Entries as usize] = 128;
        events[Event::LoopInstructions as usize] = loops;
        events[Event::KernelZeroed as usize] = 16;
        events
    }

    #[test]
    fn loops_are_taken_off_and_reading_too_where_it_changes_no_event() {
        let plain = [line("none", 200, &[]), line("all", 900, &[])];
        let counted = [line("none", 9, &events(100)), line("all", 9, &events(100))];
        let vectors = vectors(&plain, &counted).unwrap();
        let [row] = vectors.rows() else {
            panic!("{vectors:?}");
        };
        assert_eq!(row.touched, ReadBy::Any);
        assert_eq!(row.instructions, Some(1000 + 200 + 5 - 100 - 2));
        assert_eq!(
            (row.frames, row.exchanges, row.entries_written),
            (64, 64, 128)
        );
        assert_eq!((row.cpus, row.iommu, row.zeroed_bytes), (1, Iommu::Off, 16));
    }

    #[test]
    fn rows_whose_events_depend_on_reading_stay_apart() {
        let plain = [line("none", 200, &[]), line("all", 900, &[])];
        let counted = [line("none", 9, &events(100)), line("all", 9, &events(101))];
        let vectors = vectors(&plain, &counted).unwrap();
        let read: Vec<ReadBy> = vectors.rows().iter().map(|row| row.touched).collect();
        assert_eq!(read, [ReadBy::None, ReadBy::All]);
    }

    #[test]
    fn kernels_that_switch_differently_make_no_vectors() {
        let mut other = events(1);
        other[Event::Switches as usize] = 33;
        let error = vectors(&[line("none", 2, &[])], &[line("none", 2, &other)]).unwrap_err();
        assert!(error.to_string().contains("switched"), "{error}");
    }

    #[test]
    fn only_whole_rows_are_rows() {
        for wrong in [
            "row copy 64 1 none 64 1 2 3 4",
            "row copy 64 1 none 64 1 2 3.",
            "row copy 64 1 none 64 1 2 3 4 5.",
            "row cop 64 1 none 64 1 2 3 4.",
            "figure x 1 y",
        ] {
            assert_eq!(Counted::parse(wrong), None, "{wrong}");
        }
        assert!(Counted::parse("row copy 64 1 none 64 1 2 3 4.").is_some());
        let skipped = Key::skipped("skip sealed 65536 64").unwrap();
        assert_eq!((skipped.bytes, skipped.batch), (65536, 64));
    }
}
