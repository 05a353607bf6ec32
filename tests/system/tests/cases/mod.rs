//! One module a subject. A case is `("subject.what_holds", function)` in its module's `CASES`.

mod accounting;
mod boots;
mod common;
mod console;
mod copier;
mod curl;
mod drivers;
mod faults;
mod figures;
mod guests;
mod harness;
mod hostile;
mod injections;
mod jumbo;
mod local;
mod network;
mod numbered;
mod residue;
mod revoke;
mod stalls;
mod starve;
mod streams;
mod vandals;
mod wire;

use system::Entry;

/// All cases.
pub const ALL: &[&[Entry]] = &[
    accounting::CASES,
    boots::CASES,
    console::CASES,
    copier::CASES,
    curl::CASES,
    drivers::CASES,
    faults::CASES,
    figures::CASES,
    guests::CASES,
    harness::CASES,
    hostile::CASES,
    injections::CASES,
    jumbo::CASES,
    local::CASES,
    network::CASES,
    numbered::CASES,
    residue::CASES,
    revoke::CASES,
    stalls::CASES,
    starve::CASES,
    vandals::CASES,
    wire::CASES,
];
