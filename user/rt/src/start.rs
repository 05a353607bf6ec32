//! Start-up: from the first instruction to `main`.

use core::arch::global_asm;
use core::fmt::Display;
use core::sync::atomic::{AtomicU64, Ordering};

use sys::Sys;

use crate::invoke::Kernel;
use crate::{fault, logging};

/// What [`entry!`](crate::entry) makes of a program.
pub struct Program {
    /// Its name, as its symbols are looked up by.
    pub name: &'static str,
    /// Runs it.
    pub run: fn(),
}

unsafe extern "Rust" {
    /// The program that is linked here.
    safe static RT_PROGRAM: Program;
}

/// The program that is linked here.
pub(crate) fn program() -> &'static Program {
    &RT_PROGRAM
}

/// Makes a function the program: `fn()`, `fn() -> !` or `fn() -> Result<(), E>` where `E` can be
/// displayed.
///
/// A program that returns has finished: it keeps what it has and waits for nothing until somebody
/// ends it. One that returns an error prints it and gives up, which its keeper learns.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[unsafe(no_mangle)]
        static RT_PROGRAM: $crate::start::Program = $crate::start::Program {
            name: ::core::env!("CARGO_BIN_NAME"),
            run: || $crate::start::Main::run($main as fn() -> _),
        };
    };
}

/// Functions that can be a program.
pub trait Main {
    /// Runs it to its end.
    fn run(self);
}

impl Main for fn() {
    fn run(self) {
        self();
    }
}

impl Main for fn() -> ! {
    fn run(self) {
        self();
    }
}

impl<E: Display> Main for fn() -> Result<(), E> {
    fn run(self) {
        if let Err(error) = self() {
            log::error!("{error}");
            Kernel.decline();
        }
    }
}

global_asm!(
    ".pushsection .text.start, \"ax\", @progbits",
    ".global _start",
    "_start:",
    // A frame pointer of zero ends backtraces; the stack is aligned as for any call.
    "xor ebp, ebp",
    "and rsp, -16",
    "call {start}",
    "ud2",
    ".popsection",
    start = sym start,
);

static ARGUMENT: AtomicU64 = AtomicU64::new(0);

/// The word that whoever started the program gave it.
pub fn argument() -> u64 {
    ARGUMENT.load(Ordering::Relaxed)
}

extern "C" fn start(argument: u64) -> ! {
    ARGUMENT.store(argument, Ordering::Relaxed);
    fault::start();
    logging::start();
    (program().run)();
    loop {
        Kernel.wait([0; 4]);
    }
}
