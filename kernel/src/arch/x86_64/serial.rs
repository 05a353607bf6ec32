//! The first serial port, for output. Input is init's business.
//!
//! 16550 UART: PC16550D data sheet, section 8.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use x86_64::instructions::port::Port;

use super::time;

const BASE: u16 = 0x3f8;
const LINE_STATUS: u16 = BASE + 5;
const TRANSMITTER_EMPTY: u8 = 1 << 5;
const INTERRUPT_IDENTIFICATION: u16 = BASE + 2;
/// Set in the identification register while the FIFOs are on (section 8.6.2).
const FIFOS: u8 = 3 << 6;
/// Bytes that the transmitter's FIFO holds.
const FIFO: usize = 16;
/// How long a port that takes nothing is waited for, in parts of a second: 800 times what it needs for a
/// byte.
const PATIENCE: u64 = 14;

/// Bytes that the port takes when its transmitter is empty.
static CAPACITY: AtomicUsize = AtomicUsize::new(1);

/// Sets the port to 115,200 baud, 8 bits, no parity, FIFOs on, interrupts off.
pub fn initialise() {
    for (register, value) in [
        (1, 0u8),
        (3, 0x80),
        (0, 1),
        (1, 0),
        (3, 3),
        (2, 0xc7),
        (4, 0x0b),
    ] {
        // SAFETY: these are the UART's own registers, which no Rust memory depends on.
        unsafe { Port::new(BASE + register).write(value) };
    }
    // SAFETY: reading the register acknowledges an interrupt at most, and they are off.
    let identification = unsafe { Port::<u8>::new(INTERRUPT_IDENTIFICATION).read() };
    if identification & FIFOS == FIFOS {
        CAPACITY.store(FIFO, Ordering::Relaxed);
    }
}

/// Gives the port as many bytes as it takes without waiting; answers how many.
pub fn give(bytes: &[u8]) -> usize {
    let capacity = CAPACITY.load(Ordering::Relaxed);
    let mut given = 0;
    for piece in bytes.chunks(capacity) {
        if !is_empty() {
            break;
        }
        for byte in piece {
            // SAFETY: the transmitter takes any byte, and has room for these.
            unsafe { Port::new(BASE).write(*byte) };
        }
        given += piece.len();
    }
    given
}

fn is_empty() -> bool {
    // SAFETY: reading the line status register only clears error bits.
    unsafe { Port::<u8>::new(LINE_STATUS).read() & TRANSMITTER_EMPTY != 0 }
}

/// Writes bytes, waiting for the port, where there is no kernel yet or any more. A port that takes none
/// for a time is waited for no longer: then, and ever after, what it doesn't take at once is lost.
pub fn write(bytes: &[u8]) {
    static SILENT: AtomicBool = AtomicBool::new(false);
    let mut rest = bytes;
    let mut since = time::ticks();
    while !rest.is_empty() {
        let given = give(rest);
        rest = &rest[given..];
        if given != 0 {
            since = time::ticks();
        } else if SILENT.load(Ordering::Relaxed) {
            return;
        } else if time::ticks().wrapping_sub(since) > time::frequency() / PATIENCE {
            SILENT.store(true, Ordering::Relaxed);
        }
        core::hint::spin_loop();
    }
}

/// The console, for `write!` where there is no kernel yet or any more.
pub struct Serial;

impl core::fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        write(text.as_bytes());
        Ok(())
    }
}
