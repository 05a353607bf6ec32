//! A row of a file of event vectors.

use std::fmt;

use costmodel::{EVENTS, Event, Touched};
use serde::{Deserialize, Serialize};

use super::Setting;

/// Where a row comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It was counted.
    Counted,
    /// The design foretells it. Nobody counted.
    Expected,
}

/// How frames reach their recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Each is copied.
    Copy,
    /// The device filled the recipient's own page.
    InPlace,
    /// The device filled another's page, which is exchanged for one of the recipient's.
    Exchange,
    /// Exchanged out of a pool that recipients can't see; the rest of the page is zeroed.
    Sealed,
}

impl Strategy {
    /// The ways to deliver without a copy.
    pub const FLIPS: [Strategy; 3] = [Strategy::InPlace, Strategy::Exchange, Strategy::Sealed];

    /// Its name, as people read it.
    pub const fn name(self) -> &'static str {
        match self {
            Strategy::Copy => "copy",
            Strategy::InPlace => "in place",
            Strategy::Exchange => "exchange",
            Strategy::Sealed => "sealed exchange",
        }
    }
}

/// How much of the frames was read when a row was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadBy {
    /// Nothing.
    None,
    /// Headers.
    Header,
    /// All.
    All,
    /// The row stands for each of them: reading changes none of its counts.
    Any,
}

impl From<Touched> for ReadBy {
    fn from(touched: Touched) -> ReadBy {
        match touched {
            Touched::None => ReadBy::None,
            Touched::Header => ReadBy::Header,
            Touched::All => ReadBy::All,
        }
    }
}

/// What the IOMMU did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Iommu {
    /// There is none, or it is off.
    Off,
    /// Pages are mapped as long as they are pinned.
    Static,
    /// Mapped while posted; each is invalidated at once.
    Strict,
    /// Mapped while posted; invalidated many at a time.
    Lazy,
}

impl Iommu {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Iommu::Off => "off",
            Iommu::Static => "static",
            Iommu::Strict => "strict",
            Iommu::Lazy => "lazy",
        }
    }
}

/// What the right values of a column are.
pub(super) fn right(column: &str) -> &'static str {
    match column {
        "kind" => "counted or expected",
        "strategy" => "copy, in_place, exchange or sealed",
        "touched" => "none, header, all or any",
        "iommu" => "off, static, strict or lazy",
        "instructions" => "a whole number, or nothing where nobody counted",
        _ => "a whole number",
    }
}

macro_rules! row {
    ($($field:ident = $event:ident),* $(,)?) => {
        /// Totals over `frames` frames of `bytes` bytes each. The columns after `frames` are events
        /// ([`Event`] says what they mean).
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(missing_docs, reason = "the fields after `frames` are named for their events")]
        pub struct Row {
            /// Where it comes from.
            pub kind: Kind,
            /// How frames were delivered.
            pub strategy: Strategy,
            /// A frame's length.
            pub bytes: u32,
            /// Frames delivered together.
            pub batch: u32,
            /// How much of them was read.
            pub touched: ReadBy,
            /// CPUs that may cache translations of the address space that changes.
            pub cpus: u16,
            /// What the IOMMU did.
            pub iommu: Iommu,
            /// How many frames the totals are over.
            pub frames: u64,
            $(pub $field: u64,)*
            /// Instructions of the path, without those of loops that copy or zero. Empty: not counted.
            pub instructions: Option<u64>,
        }

        impl Row {
            /// The totals, in the order of [`Event::ALL`].
            pub fn totals(&self) -> [u64; EVENTS] {
                let mut totals = [0; EVENTS];
                $(totals[Event::$event as usize] = self.$field;)*
                totals
            }

            /// With the total of an event.
            pub fn with(mut self, event: Event, total: u64) -> Row {
                match event { $(Event::$event => self.$field = total),* }
                self
            }

            /// A row without events.
            pub fn new(kind: Kind, setting: Setting, bytes: u32, frames: u64) -> Row {
                Row {
                    kind,
                    strategy: setting.strategy,
                    bytes,
                    batch: setting.batch,
                    touched: setting.read,
                    cpus: setting.cpus,
                    iommu: setting.iommu,
                    frames,
                    $($field: 0,)*
                    instructions: None,
                }
            }
        }

        #[cfg(test)]
        pub(super) const COLUMNS: &[(&str, Event)] = &[$((stringify!($field), Event::$event)),*];
    };
}

row! {
    traps = Traps,
    look_ups = LookUps,
    copies = Copies,
    bytes_copied = BytesCopied,
    exchanges = Exchanges,
    entries_written = Entries,
    page_flushes = PageFlushes,
    full_flushes = FullFlushes,
    switches = Switches,
    shootdowns = Shootdowns,
    zeroed_bytes = ZeroedBytes,
    notifications = Notifications,
    pins = Pins,
    unpins = Unpins,
    iommu_maps = IommuMaps,
    iommu_unmaps = IommuUnmaps,
    iommu_invalidations = IommuInvalidations,
    iommu_waits = IommuWaits,
}

impl Row {
    /// What it was counted for.
    pub const fn setting(&self) -> Setting {
        Setting {
            strategy: self.strategy,
            batch: self.batch,
            read: self.touched,
            cpus: self.cpus,
            iommu: self.iommu,
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} bytes, batch {}, {} CPUs, IOMMU {}",
            self.strategy.name(),
            self.bytes,
            self.batch,
            self.cpus,
            self.iommu.name()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_for_their_events() {
        assert_eq!(COLUMNS.len(), EVENTS);
        for (column, event) in COLUMNS {
            assert_eq!(*column, event.name());
        }
    }
}
