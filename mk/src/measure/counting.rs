//! The kernel and the driver that count: built apart from the others, so that neither is ever taken for
//! the other.

use anyhow::Result;

use crate::artifacts::Artifacts;
use crate::programs::Programs;
use crate::verbs::Prepared;

/// The packages that are built so.
const PACKAGES: &[&str] = &["kernel", "ethdrv"];

/// Their feature.
const FEATURE: &str = "count-events";

/// Builds them.
///
/// # Errors
/// They can't be built.
pub(super) fn build(prepared: &Prepared) -> Result<Artifacts> {
    let checkout = &prepared.checkout;
    let programs = Programs::find(checkout)?.only(PACKAGES);
    let target = checkout.target().join("counting");
    Artifacts::build_variant(checkout, prepared.tools.bare, &programs, FEATURE, &target)
}
