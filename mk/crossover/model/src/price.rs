//! What a CPU charges.

/// Prices are kept in thousandths of a tick.
pub const MILLI: u64 = 1000;

/// Most ticks that a price may be: keeps sums in bounds.
pub const MOST_TICKS: u64 = 1 << 32;

macro_rules! prices {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $meaning:literal),* $(,)?) => {
        /// What there is a price for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(usize)]
        pub enum Price { $($(#[$doc])* $name),* }

        impl Price {
            /// All, in the order of their numbers.
            pub const ALL: &[Price] = &[$(Price::$name),*];

            /// Its name in a profile.
            pub const fn name(self) -> &'static str {
                match self { $(Price::$name => $text),* }
            }

            /// What is meant, in a few words.
            pub const fn meaning(self) -> &'static str {
                match self { $(Price::$name => $meaning),* }
            }
        }
    };
}

prices! {
    /// Entering the kernel and leaving it: what the hardware charges beyond the instructions. Asked
    /// where instructions were counted.
    Trap = "trap", "kernel entry and exit, beyond its instructions",
    /// An instruction of the path. Asked where instructions were counted.
    Instruction = "instruction", "an instruction of the path",
    /// A system call with its look-up, where nobody counted instructions (S).
    GuessedTrap = "guessed_trap", "a system call and its look-up, where instructions weren't counted (S)",
    /// Checking one exchange, where nobody counted instructions (V).
    GuessedExchange = "guessed_exchange", "checking one exchange, where instructions weren't counted (V)",
    /// A notification, where nobody counted instructions.
    GuessedNotification = "guessed_notification", "a notification, where instructions weren't counted",
    /// A pin or its end, where nobody counted instructions.
    GuessedPin = "guessed_pin", "a pin or its end, where instructions weren't counted",
    /// Writing a table entry (w).
    Entry = "entry", "writing a table entry (w)",
    /// Invalidating one page's translation (i).
    PageFlush = "page_flush", "invalidating one page (i)",
    /// Invalidating an address space, and what refilling it costs (Ff).
    FullFlush = "full_flush", "invalidating an address space, and refilling it (Ff)",
    /// The first use of an exchanged page, whose translation is gone (rf).
    Refill = "refill", "the first use of a page whose translation is gone (rf)",
    /// A switch of address space.
    Switch = "switch", "a switch of address space",
    /// Making one other CPU invalidate, and waiting for it (R0).
    Shootdown = "shootdown", "making another CPU invalidate (R0)",
    /// Each CPU more (r1).
    ShootdownMore = "shootdown_more", "each further CPU of a shootdown (r1)",
    /// Zeroing a byte (Z).
    ZeroedByte = "zeroed_byte", "zeroing a byte (Z)",
    /// Entering a page into an IOMMU's tables.
    IommuMap = "iommu_map", "entering a page into an IOMMU's tables",
    /// Taking a page out of an IOMMU's tables.
    IommuUnmap = "iommu_unmap", "taking a page out of an IOMMU's tables",
    /// Submitting an invalidation to an IOMMU.
    IommuInvalidation = "iommu_invalidation", "submitting an invalidation to an IOMMU",
    /// Waiting until an IOMMU has invalidated.
    IommuWait = "iommu_wait", "waiting until an IOMMU has invalidated",
    /// A copy from the cache, whatever its size (c0).
    CacheCopy = "cache_copy", "a copy from the cache, whatever its size (c0)",
    /// Each byte of it (a).
    CacheByte = "cache_byte", "each byte copied from the cache (a)",
    /// A copy from memory, whatever its size (c0).
    DramCopy = "dram_copy", "a copy from memory, whatever its size (c0)",
    /// Each byte of it (a).
    DramByte = "dram_byte", "each byte copied from memory (a)",
    /// Reading what the same core has just written, whatever its size.
    HotRead = "hot_read", "reading what this core has just copied, whatever its size",
    /// Each byte of it.
    HotByte = "hot_byte", "each byte read of what this core has just copied",
    /// What reading costs, as a share of what copying from the same place would. Not a price by
    /// itself: it is what couples the two.
    ReadShare = "read_share", "reading, as a share of copying from the same place",
}

/// How many there are.
pub const PRICES: usize = Price::ALL.len();

/// A CPU's prices, in thousandths of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prices(pub(crate) [u64; PRICES]);

impl Prices {
    /// Prices from their values in the order of [`Price::ALL`]; those above [`MOST_TICKS`] are taken
    /// for that.
    pub const fn new(milliticks: [u64; PRICES]) -> Prices {
        let mut prices = milliticks;
        let mut index = 0;
        while index < PRICES {
            if prices[index] > MOST_TICKS * MILLI {
                prices[index] = MOST_TICKS * MILLI;
            }
            index += 1;
        }
        Prices(prices)
    }

    /// One, in thousandths of a tick.
    pub const fn of(&self, price: Price) -> u64 {
        self.0[price as usize]
    }

    /// With another value for one, in thousandths of a tick.
    pub const fn with(mut self, price: Price, milliticks: u64) -> Prices {
        self.0[price as usize] = milliticks;
        Prices::new(self.0)
    }
}

/// Prices with their doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranges {
    /// The least that each may be.
    pub low: Prices,
    /// What each most likely is.
    pub likely: Prices,
    /// The most that each may be.
    pub high: Prices,
}

impl Ranges {
    /// Prices without doubt.
    pub const fn exactly(prices: Prices) -> Ranges {
        Ranges {
            low: prices,
            likely: prices,
            high: prices,
        }
    }
}
