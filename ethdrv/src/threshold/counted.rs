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
        frames: 64,
        events: [6, 4, 64, 4096, 0, 0, 0, 0, 4, 0, 0, 2, 0, 0, 0, 0, 0, 0],
        instructions: Some(53333),
    },
    Counted {
        bytes: 512,
        frames: 64,
        events: [6, 4, 64, 32768, 0, 0, 0, 0, 4, 0, 0, 2, 0, 0, 0, 0, 0, 0],
        instructions: Some(54134),
    },
    Counted {
        bytes: 1514,
        frames: 64,
        events: [6, 4, 64, 96896, 0, 0, 0, 0, 4, 0, 0, 2, 0, 0, 0, 0, 0, 0],
        instructions: Some(56753),
    },
    Counted {
        bytes: 4080,
        frames: 64,
        events: [8, 4, 192, 261120, 0, 0, 0, 0, 4, 0, 0, 2, 0, 0, 0, 0, 0, 0],
        instructions: Some(141199),
    },
    Counted {
        bytes: 4097,
        frames: 64,
        events: [8, 4, 256, 262208, 0, 0, 0, 0, 4, 0, 0, 2, 0, 0, 0, 0, 0, 0],
        instructions: Some(203794),
    },
    Counted {
        bytes: 9014,
        frames: 64,
        events: [10, 4, 448, 576896, 0, 0, 0, 0, 4, 0, 0, 2, 0, 0, 0, 0, 0, 0],
        instructions: Some(296589),
    },
];

/// Frames whose pages are exchanged, in batches of 32.
pub(super) const EXCHANGE: &[Counted] = &[
    Counted {
        bytes: 64,
        frames: 64,
        events: [8, 14, 0, 0, 64, 128, 0, 2, 4, 0, 0, 2, 0, 0, 0, 0, 0, 0],
        instructions: Some(113519),
    },
    Counted {
        bytes: 512,
        frames: 64,
        events: [8, 14, 0, 0, 64, 128, 0, 2, 4, 0, 0, 2, 0, 0, 0, 0, 0, 0],
        instructions: Some(113519),
    },
    Counted {
        bytes: 1514,
        frames: 64,
        events: [8, 14, 0, 0, 64, 128, 0, 2, 4, 0, 0, 2, 0, 0, 0, 0, 0, 0],
        instructions: Some(107639),
    },
    Counted {
        bytes: 4080,
        frames: 64,
        events: [8, 14, 0, 0, 64, 128, 0, 2, 4, 0, 0, 2, 0, 0, 0, 0, 0, 0],
        instructions: Some(113519),
    },
    Counted {
        bytes: 4097,
        frames: 64,
        events: [10, 14, 0, 0, 128, 256, 0, 2, 4, 0, 0, 2, 0, 0, 0, 0, 0, 0],
        instructions: Some(235595),
    },
    Counted {
        bytes: 9014,
        frames: 64,
        events: [12, 24, 0, 0, 192, 384, 0, 4, 4, 0, 0, 2, 0, 0, 0, 0, 0, 0],
        instructions: Some(335628),
    },
];
