//! The cases, by what is invoked.

mod aperture;
mod bank;
mod cap_table;
mod devices;
mod invocation;
mod page;
mod process;
mod services;
mod table;
mod unknown;

use crate::Case;

/// All of them.
pub const GROUPS: &[&[Case]] = &[
    invocation::CASES,
    unknown::CASES,
    page::CASES,
    table::CASES,
    cap_table::CASES,
    process::CASES,
    aperture::CASES,
    devices::CASES,
    services::CASES,
    bank::CASES,
];
