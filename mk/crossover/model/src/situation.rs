//! In what situation a frame is delivered.

/// How much of a frame its recipient reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Touched {
    /// Nothing: it passes the frame on.
    None,
    /// The first [`HEADER`] bytes.
    Header,
    /// Every byte.
    All,
}

/// The bytes that a recipient reads who looks at headers only: two cache lines.
pub const HEADER: u32 = 128;

impl Touched {
    /// All that there are.
    pub const ALL: [Touched; 3] = [Touched::None, Touched::Header, Touched::All];

    /// How many bytes of a frame are read.
    pub const fn bytes(self, frame: u32) -> u32 {
        match self {
            Touched::None => 0,
            Touched::Header if frame > HEADER => HEADER,
            Touched::Header | Touched::All => frame,
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Touched::None => "none",
            Touched::Header => "header",
            Touched::All => "all",
        }
    }
}

/// Where the frame lies when it is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// In a cache that the core shares: the device wrote into it.
    Cache,
    /// In memory only.
    Dram,
}

impl Source {
    /// Both.
    pub const ALL: [Source; 2] = [Source::Cache, Source::Dram];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Source::Cache => "cache",
            Source::Dram => "dram",
        }
    }
}

/// In what situation a frame is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Situation {
    /// How much of it is read.
    pub touched: Touched,
    /// Where it lies.
    pub source: Source,
    /// How many CPUs may cache translations of the address space that changes. More than one: the
    /// recipient runs on another than the driver.
    pub cpus: u16,
}
