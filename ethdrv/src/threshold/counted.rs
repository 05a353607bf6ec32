//! What frames cost in events, as counted: totals over so many frames each. Made from the reviewed
//! figures (tests/bench/crossover.csv and figures.txt) by a test of the crossover crate, which fails
//! where they differ.

use costmodel::EVENTS;

/// Totals over a number of frames of one length.
pub(super) struct Counted {
    pub bytes: u32,
    pub frames: u64,
    /// In the order of `costmodel::Event::ALL`.
    pub events: [u64; EVENTS],
    pub instructions: Option<u64>,
}

/// Tenths of an instruction that a pair takes in a call that exchanges 32.
pub(super) const EXCHANGE_CALL: u64 = 1068;

/// Frames that are copied, in batches of 32.
pub(super) const COPY: &[Counted] = &[
    Counted {
        bytes: 64,
        frames: 256,
        events: [
            24, 16, 256, 16384, 0, 0, 0, 0, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0,
        ],
        instructions: Some(217475),
    },
    Counted {
        bytes: 128,
        frames: 256,
        events: [
            24, 16, 256, 32768, 0, 0, 0, 0, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0,
        ],
        instructions: Some(217447),
    },
    Counted {
        bytes: 256,
        frames: 256,
        events: [
            24, 16, 256, 65536, 0, 0, 0, 0, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0,
        ],
        instructions: Some(218699),
    },
    Counted {
        bytes: 512,
        frames: 256,
        events: [
            24, 16, 256, 131072, 0, 0, 0, 0, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0,
        ],
        instructions: Some(220335),
    },
    Counted {
        bytes: 1024,
        frames: 256,
        events: [
            24, 16, 256, 262144, 0, 0, 0, 0, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0,
        ],
        instructions: Some(231630),
    },
    Counted {
        bytes: 1514,
        frames: 256,
        events: [
            24, 16, 256, 387584, 0, 0, 0, 0, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0,
        ],
        instructions: Some(237554),
    },
    Counted {
        bytes: 2032,
        frames: 256,
        events: [
            24, 16, 256, 520192, 0, 0, 0, 0, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0,
        ],
        instructions: Some(244472),
    },
    Counted {
        bytes: 2033,
        frames: 256,
        events: [
            32, 16, 512, 520448, 0, 0, 0, 0, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0,
        ],
        instructions: Some(428238),
    },
    Counted {
        bytes: 3072,
        frames: 256,
        events: [
            32, 16, 512, 786432, 0, 0, 0, 0, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0,
        ],
        instructions: Some(451239),
    },
    Counted {
        bytes: 4080,
        frames: 256,
        events: [
            32, 16, 768, 1044480, 0, 0, 0, 0, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0,
        ],
        instructions: Some(560710),
    },
    Counted {
        bytes: 4081,
        frames: 256,
        events: [
            32, 16, 768, 1044736, 0, 0, 0, 0, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0,
        ],
        instructions: Some(560710),
    },
    Counted {
        bytes: 4096,
        frames: 256,
        events: [
            32, 16, 768, 1048576, 0, 0, 0, 0, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0,
        ],
        instructions: Some(559690),
    },
    Counted {
        bytes: 4097,
        frames: 256,
        events: [
            32, 16, 1024, 1048832, 0, 0, 0, 0, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0,
        ],
        instructions: Some(817334),
    },
    Counted {
        bytes: 6144,
        frames: 256,
        events: [
            40, 16, 1280, 1572864, 0, 0, 0, 0, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0,
        ],
        instructions: Some(922762),
    },
    Counted {
        bytes: 8192,
        frames: 256,
        events: [
            40, 16, 1536, 2097152, 0, 0, 0, 0, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0,
        ],
        instructions: Some(1035090),
    },
    Counted {
        bytes: 9014,
        frames: 256,
        events: [
            40, 16, 1792, 2307584, 0, 0, 0, 0, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0,
        ],
        instructions: Some(1187077),
    },
];

/// Frames whose pages are exchanged, in batches of 32.
pub(super) const EXCHANGE: &[Counted] = &[
    Counted {
        bytes: 64,
        frames: 256,
        events: [32, 56, 0, 0, 256, 512, 0, 8, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0],
        instructions: Some(445946),
    },
    Counted {
        bytes: 128,
        frames: 256,
        events: [32, 56, 0, 0, 256, 512, 0, 8, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0],
        instructions: Some(451887),
    },
    Counted {
        bytes: 256,
        frames: 256,
        events: [32, 56, 0, 0, 256, 512, 0, 8, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0],
        instructions: Some(451887),
    },
    Counted {
        bytes: 512,
        frames: 256,
        events: [32, 56, 0, 0, 256, 512, 0, 8, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0],
        instructions: Some(451887),
    },
    Counted {
        bytes: 1024,
        frames: 256,
        events: [32, 56, 0, 0, 256, 512, 0, 8, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0],
        instructions: Some(451891),
    },
    Counted {
        bytes: 1514,
        frames: 256,
        events: [32, 56, 0, 0, 256, 512, 0, 8, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0],
        instructions: Some(451887),
    },
    Counted {
        bytes: 2032,
        frames: 256,
        events: [32, 56, 0, 0, 256, 512, 0, 8, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0],
        instructions: Some(451887),
    },
    Counted {
        bytes: 2033,
        frames: 256,
        events: [32, 56, 0, 0, 256, 512, 0, 8, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0],
        instructions: Some(451887),
    },
    Counted {
        bytes: 3072,
        frames: 256,
        events: [32, 56, 0, 0, 256, 512, 0, 8, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0],
        instructions: Some(451891),
    },
    Counted {
        bytes: 4080,
        frames: 256,
        events: [32, 56, 0, 0, 256, 512, 0, 8, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0],
        instructions: Some(451887),
    },
    Counted {
        bytes: 4081,
        frames: 256,
        events: [40, 56, 0, 0, 512, 1024, 0, 8, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0],
        instructions: Some(943796),
    },
    Counted {
        bytes: 4096,
        frames: 256,
        events: [40, 56, 0, 0, 512, 1024, 0, 8, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0],
        instructions: Some(943796),
    },
    Counted {
        bytes: 4097,
        frames: 256,
        events: [40, 56, 0, 0, 512, 1024, 0, 8, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0],
        instructions: Some(943792),
    },
    Counted {
        bytes: 6144,
        frames: 256,
        events: [40, 56, 0, 0, 512, 1024, 0, 8, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0],
        instructions: Some(943792),
    },
    Counted {
        bytes: 8192,
        frames: 256,
        events: [
            48, 96, 0, 0, 768, 1536, 0, 16, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0,
        ],
        instructions: Some(1343256),
    },
    Counted {
        bytes: 9014,
        frames: 256,
        events: [
            48, 96, 0, 0, 768, 1536, 0, 16, 16, 0, 0, 8, 0, 0, 0, 0, 0, 0,
        ],
        instructions: Some(1343256),
    },
];
