//! What guest programs print, and how they end.

use core::fmt::{self, Write};

use abi::boot::slot;
use rt::text::{LINE, Lines, Sink};
use rt::{Kernel, message_page};
use sys::object::{Log, Reset};
use sys::{Cap, Mem, Sys};

/// Where in the message page lines are put together: behind all batches.
const BUFFER: usize = message_page::BATCH_BYTES - LINE;

const LOG: Cap<Log> = Cap::at(slot::LOG);
const RESET: Cap<Reset> = Cap::at(slot::INIT_RESET);

/// The code with which a program stops the machine when something failed.
pub const FAILED: u64 = 2;

struct Console;

impl Sink for Console {
    fn put(&mut self, offset: usize, bytes: &[u8]) {
        // Lines keep to the buffer.
        let _ = message_page::batch().write(BUFFER + offset, bytes);
    }

    fn flush(&mut self, length: usize) {
        let length = length.min(LINE - 2);
        self.put(length, b"\r\n");
        let (page, offset) = (message_page::PAGE, BUFFER as u64);
        // As it is, where the program may; else as a line of the log.
        if LOG
            .console(&Kernel, page, offset, length as u64 + 2)
            .is_err()
        {
            let level = log::Level::Error as u64;
            let _ = LOG.write(&Kernel, page, offset, length as u64, level);
        }
    }
}

/// Prints a line on the console: see [`say!`](crate::say).
pub fn line(arguments: fmt::Arguments<'_>) {
    let _ = Lines::new(Console).write_fmt(arguments);
}

/// Prints a line on the console.
#[macro_export]
macro_rules! say {
    ($($arguments:tt)*) => {
        $crate::report::line(core::format_args!($($arguments)*))
    };
}

/// Counts what was right and what was not.
#[derive(Debug, Default)]
pub struct Tally {
    right: u32,
    wrong: u32,
}

impl Tally {
    /// Notes a result, and prints it.
    pub fn note(&mut self, name: &str, result: Result<(), impl fmt::Display>) {
        match result {
            Ok(()) => {
                self.right += 1;
                say!("ok {name}");
            }
            Err(error) => {
                self.wrong += 1;
                say!("FAILED {name}: {error}");
            }
        }
    }

    /// Prints the sums.
    pub fn tell(&self, program: &str) {
        say!("{program}: {} ok, {} FAILED", self.right, self.wrong);
    }

    /// Prints the sums and stops the machine.
    pub fn finish(self, program: &str) -> ! {
        self.tell(program);
        stop(if self.wrong == 0 { 0 } else { FAILED })
    }
}

/// Stops the machine; without the authority to do so, waits for ever.
pub fn stop(code: u64) -> ! {
    if let Err(error) = RESET.halt(&Kernel, code) {
        say!("can't stop the machine: {error}");
    }
    loop {
        Kernel.wait([0; 4]);
    }
}
