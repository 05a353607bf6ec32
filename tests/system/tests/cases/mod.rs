//! One module a subject. A case is `("subject.what_holds", function)` in its module's `CASES`.

mod harness;
mod wire;

use system::Entry;

/// All cases.
pub const ALL: &[&[Entry]] = &[harness::CASES, wire::CASES];
