//! Tells a counting kernel what this program copies and zeroes (`abi::count`).

use core::sync::atomic::{AtomicBool, Ordering};

use abi::count::note;

use crate::invoke;

/// What is written at present are zeros.
static ZEROING: AtomicBool = AtomicBool::new(false);

/// Says whether what is written from now on are zeros.
pub fn zeroing(yes: bool) {
    ZEROING.store(yes, Ordering::Relaxed);
}

/// So many bytes were moved, by a loop of so many instructions.
pub(crate) fn moved(bytes: usize, instructions: usize) {
    if bytes == 0 {
        return;
    }
    let kind = match ZEROING.load(Ordering::Relaxed) {
        true => note::ZEROED,
        false => note::COPIED,
    };
    invoke::note(kind, bytes as u64, instructions as u64);
}
