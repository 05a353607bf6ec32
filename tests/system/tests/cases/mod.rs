//! One module a subject. A case is `("subject.what_holds", function)` in its module's `CASES`.

mod guests;
mod harness;
mod wire;

use system::Entry;

/// All cases.
pub const ALL: &[&[Entry]] = &[guests::CASES, harness::CASES, wire::CASES];
