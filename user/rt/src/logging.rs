//! `log`'s macros over the kernel's log.
//!
//! The kernel puts time and process before each line and drops lines above its level; with every line
//! it tells that level, and what it would drop is no longer formatted. A program that logs nothing
//! meanwhile learns of a new level with its next line.

use core::fmt::Write;

use abi::boot::slot;
use log::{Level, LevelFilter, Log, Metadata, Record};
use sys::object::Log as LogObject;
use sys::{Cap, Mem};

use crate::invoke::Kernel;
use crate::message_page;
use crate::text::{Lines, Sink};

/// Lines by way of a buffer in the message page.
struct PageSink {
    offset: usize,
    level: Level,
}

impl Sink for PageSink {
    fn put(&mut self, offset: usize, bytes: &[u8]) {
        // The sink's contract keeps this within the buffer.
        let _ = message_page::line(self.offset).write(offset, bytes);
    }

    fn flush(&mut self, length: usize) {
        let log: Cap<LogObject> = Cap::at(slot::LOG);
        let (offset, length, level) = (self.offset as u64, length as u64, self.level as u64);
        let printed = log.write(&Kernel, message_page::PAGE, offset, length, level);
        // A program without a log is silent.
        log::set_max_level(filter(printed.unwrap_or(0)));
    }
}

/// The levels that the kernel prints, as it says whenever it takes a line.
fn filter(level: u64) -> LevelFilter {
    match level {
        0 => LevelFilter::Off,
        1 => LevelFilter::Error,
        2 => LevelFilter::Warn,
        3 => LevelFilter::Info,
        4 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    }
}

/// Lines of a panic.
pub(crate) fn report() -> impl Write {
    Lines::new(PageSink {
        offset: message_page::REPORT,
        level: Level::Error,
    })
}

struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let sink = PageSink {
                offset: message_page::LOG,
                level: record.level(),
            };
            let _ = Lines::new(sink).write_fmt(*record.args());
        }
    }

    fn flush(&self) {}
}

/// Makes `log`'s macros work.
pub(crate) fn start() {
    // Fails only when a logger is set already; that one is as good.
    let _ = log::set_logger(&Logger);
    // An empty line prints nothing, but tells the level.
    PageSink {
        offset: message_page::LOG,
        level: Level::Error,
    }
    .flush(0);
}
