//! What random clients do.

use proptest::prelude::*;
use proptest::sample::Index;

#[derive(Clone, Debug)]
pub enum Operation {
    Buy {
        bank: Index,
        kind: u8,
        count: u64,
        into: Index,
        any: bool,
        first: u64,
        rights: u8,
    },
    Sell {
        bank: Index,
        what: Index,
        own: bool,
    },
    SubBank {
        bank: Index,
        limit: u64,
        opaque: bool,
    },
    Destroy {
        bank: Index,
        notify: bool,
    },
    Remove {
        bank: Index,
    },
    SetLimit {
        bank: Index,
        limit: u64,
    },
    Inspect {
        bank: Index,
    },
    Verify {
        bank: Index,
    },
    Pin {
        what: Index,
    },
    Unpin {
        what: Index,
    },
    Work {
        what: Index,
        amount: usize,
    },
    Pieces {
        pieces: usize,
    },
    ClearTable,
    Background,
    Told,
}

pub fn operation() -> impl Strategy<Value = Operation> {
    let index = any::<Index>;
    let limit = || prop_oneof![1 => 0u64..20, 3 => 20u64..300, 1 => Just(u64::MAX)];
    let count = prop_oneof![1 => 1u64..6, 1 => 1u64..=64];
    let kind = prop_oneof![5 => Just(1u8), 2 => 2u8..=8];
    let rights = prop_oneof![6 => Just(3u8), 1 => any::<u8>()];
    prop_oneof![
        14 => (index(), kind, count, index(), prop::bool::weighted(0.1), 0u64..520, rights)
            .prop_map(|(bank, kind, count, into, any, first, rights)| {
                let first = if first < 400 { first % 120 } else { first };
                Operation::Buy { bank, kind, count, into, any, first, rights }
            }),
        5 => (index(), index(), prop::bool::weighted(0.8))
            .prop_map(|(bank, what, own)| Operation::Sell { bank, what, own }),
        6 => (index(), limit(), prop::bool::weighted(0.3))
            .prop_map(|(bank, limit, opaque)| Operation::SubBank { bank, limit, opaque }),
        3 => (index(), prop::bool::weighted(0.4))
            .prop_map(|(bank, notify)| Operation::Destroy { bank, notify }),
        2 => index().prop_map(|bank| Operation::Remove { bank }),
        2 => (index(), limit()).prop_map(|(bank, limit)| Operation::SetLimit { bank, limit }),
        1 => index().prop_map(|bank| Operation::Inspect { bank }),
        1 => index().prop_map(|bank| Operation::Verify { bank }),
        4 => index().prop_map(|what| Operation::Pin { what }),
        3 => index().prop_map(|what| Operation::Unpin { what }),
        1 => (index(), 0usize..60).prop_map(|(what, amount)| Operation::Work { what, amount }),
        2 => prop::sample::select(vec![1, 2, 4, 16, 64, 1000])
            .prop_map(|pieces| Operation::Pieces { pieces }),
        3 => Just(Operation::ClearTable),
        4 => Just(Operation::Background),
        3 => Just(Operation::Told),
    ]
}
