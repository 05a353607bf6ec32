//! What is counted.

/// Events are kept in millionths: a mean over a batch of 250 stays exact enough.
pub const UNIT: u64 = 1_000_000;

/// Most events of one kind that a frame may cost. Far above anything real: it keeps sums in bounds.
pub const MOST_EVENTS: u64 = 1 << 32;

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        /// A kind of event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum Event { $($(#[$doc])* $name),* }

        impl Event {
            /// All kinds, in the order of the columns.
            pub const ALL: &[Event] = &[$(Event::$name),*];

            /// Its column's name.
            pub const fn name(self) -> &'static str {
                match self { $(Event::$name => $text),* }
            }
        }
    };
}

events! {
    /// Entries into the kernel by an instruction, each with its return.
    Traps = "traps",
    /// Capabilities looked up. Their cost is part of the instructions.
    LookUps = "look_ups",
    /// Copies begun.
    Copies = "copies",
    /// Bytes that copies moved.
    BytesCopied = "bytes_copied",
    /// Pairs of pages that were exchanged. (A page delivered where it lay is none.)
    Exchanges = "exchanges",
    /// Page table entries written.
    Entries = "entries_written",
    /// Invalidations of one page's translation.
    PageFlushes = "page_flushes",
    /// Invalidations of a whole address space's.
    FullFlushes = "full_flushes",
    /// Switches of the CPU to another address space.
    Switches = "switches",
    /// Rounds in which other CPUs were made to invalidate.
    Shootdowns = "shootdowns",
    /// Bytes zeroed.
    ZeroedBytes = "zeroed_bytes",
    /// Notifications sent.
    Notifications = "notifications",
    /// Frames pinned for a device.
    Pins = "pins",
    /// Pins given back.
    Unpins = "unpins",
    /// Entries written into IOMMU tables.
    IommuMaps = "iommu_maps",
    /// Entries taken out of IOMMU tables.
    IommuUnmaps = "iommu_unmaps",
    /// Invalidations submitted to an IOMMU.
    IommuInvalidations = "iommu_invalidations",
    /// Times that the CPU waited until an IOMMU had invalidated.
    IommuWaits = "iommu_waits",
}

/// How many kinds there are.
pub const EVENTS: usize = Event::ALL.len();

/// More events than [`MOST_EVENTS`] a frame, or no frames at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

/// What a frame cost: a mean, in millionths of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Events {
    counts: [u64; EVENTS],
    /// Instructions of the path, without those of loops that copy or zero. `None`: nobody counted.
    instructions: Option<u64>,
}

impl Events {
    /// No events, and instructions not counted.
    pub const NONE: Events = Events {
        counts: [0; EVENTS],
        instructions: None,
    };

    /// The mean of `totals` (and `instructions`, where counted) over `frames` frames.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn mean(
        totals: &[u64; EVENTS],
        instructions: Option<u64>,
        frames: u64,
    ) -> Result<Events, TooMany> {
        let mut counts = [0; EVENTS];
        for (count, total) in counts.iter_mut().zip(totals) {
            *count = mean(*total, frames)?;
        }
        let instructions = match instructions {
            Some(total) => Some(mean(total, frames)?),
            None => None,
        };
        Ok(Events {
            counts,
            instructions,
        })
    }

    /// With so many whole events of a kind.
    pub const fn with(mut self, event: Event, count: u32) -> Events {
        self.counts[event as usize] = count as u64 * UNIT;
        self
    }

    /// With one event of a kind in `frames` frames.
    pub const fn with_one_in(mut self, event: Event, frames: u32) -> Events {
        let frames = if frames == 0 { 1 } else { frames };
        self.counts[event as usize] = UNIT / frames as u64;
        self
    }

    /// With so many whole instructions.
    pub const fn with_instructions(mut self, count: u32) -> Events {
        self.instructions = Some(count as u64 * UNIT);
        self
    }

    /// Events of a kind, in millionths.
    pub const fn of(&self, event: Event) -> u64 {
        self.counts[event as usize]
    }

    /// Instructions in millionths, where they were counted.
    pub const fn instructions(&self) -> Option<u64> {
        self.instructions
    }

    /// What lies between two: `done` of `whole` parts of the way from `self` to `other`. Instructions
    /// only where both have them.
    pub(crate) fn between(&self, other: &Events, done: u32, whole: u32) -> Events {
        let mix = |from: u64, to: u64| -> u64 {
            let whole = u128::from(whole.max(1));
            let done = u128::from(done).min(whole);
            // Both are at most MOST_EVENTS * UNIT: the mean of the two fits.
            ((u128::from(from) * (whole - done) + u128::from(to) * done) / whole) as u64
        };
        let mut counts = [0; EVENTS];
        for (index, count) in counts.iter_mut().enumerate() {
            *count = mix(self.counts[index], other.counts[index]);
        }
        Events {
            counts,
            instructions: match (self.instructions, other.instructions) {
                (Some(from), Some(to)) => Some(mix(from, to)),
                _ => None,
            },
        }
    }
}

fn mean(total: u64, frames: u64) -> Result<u64, TooMany> {
    let each = (u128::from(total) * u128::from(UNIT))
        .checked_div(u128::from(frames))
        .ok_or(TooMany)?;
    if each > u128::from(MOST_EVENTS) * u128::from(UNIT) {
        return Err(TooMany);
    }
    u64::try_from(each).map_err(|_| TooMany)
}
