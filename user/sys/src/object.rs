//! The kernel's objects, typed: a file for each object, one method for each of `abi::method`.
//!
//! What each does, and its errors, stands in [`abi::method`]; these add only types.

mod aperture;
mod cap_table;
mod clock;
mod device_dma;
mod device_memory;
mod io_port;
mod irq;
mod log;
mod notify;
mod page;
mod probe;
mod process;
mod random;
mod range;
mod reset;
mod table;

pub use aperture::Aperture;
pub use cap_table::CapTable;
pub use clock::{Clock, Time};
pub use device_dma::DeviceDma;
pub use device_memory::DeviceMemory;
pub use io_port::IoPort;
pub use irq::Irq;
pub use log::Log;
pub use notify::{Notify, Start};
pub use page::Page;
pub use probe::{Audit, AuditCursor, AuditPiece, Census, Place, Probe, Reading};
pub use process::{Process, ProcessInfo, Registers};
pub use random::Random;
pub use range::Range;
pub use reset::Reset;
pub use table::Table;

use abi::invoke::WORDS;

use crate::{Cap, Error, Message, Sys};

impl<T> Cap<T> {
    /// Calls, and answers the words.
    fn invoke(self, sys: &impl Sys, message: &Message) -> Result<[u64; WORDS], Error> {
        sys.call(self.address(), message).ok()
    }

    /// Calls for an answer without words.
    fn perform(self, sys: &impl Sys, message: &Message) -> Result<(), Error> {
        self.invoke(sys, message).map(|_| ())
    }
}
