//! The first serial port, for output. Input is init's business.
//!
//! 16550 UART: PC16550D data sheet, section 8.

use x86_64::instructions::port::Port;

const BASE: u16 = 0x3f8;
const LINE_STATUS: u16 = BASE + 5;
const TRANSMITTER_EMPTY: u8 = 1 << 5;

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
}

/// Writes bytes. A port that doesn't take them in time loses them.
pub fn write(bytes: &[u8]) {
    let mut status = Port::<u8>::new(LINE_STATUS);
    let mut data = Port::<u8>::new(BASE);
    for byte in bytes {
        for _ in 0..100_000 {
            // SAFETY: reading the line status register only clears error bits.
            if unsafe { status.read() } & TRANSMITTER_EMPTY != 0 {
                break;
            }
            core::hint::spin_loop();
        }
        // SAFETY: the transmitter takes any byte.
        unsafe { data.write(*byte) };
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
