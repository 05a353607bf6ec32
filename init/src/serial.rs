//! The receiving half of the serial line: a 16550 at 0x3f8, interrupt 4.
//!
//! The kernel set the line's speed and format, and sends on it; init only receives.

use alloc::vec::Vec;

use sys::object::{IoPort, Irq};
use sys::{Cap, Error, Sys};

/// Its ports (PC convention for the first serial line).
pub const FIRST_PORT: u16 = 0x3f8;
/// How many.
pub const PORTS: u16 = 8;
/// Its interrupt.
pub const INTERRUPT: u8 = 4;

/// Receive buffer.
const DATA: u16 = FIRST_PORT;
/// Interrupt enable; bit 0: when data is there.
const INTERRUPT_ENABLE: u16 = FIRST_PORT + 1;
/// FIFO control: enable, trigger at one byte.
const FIFO_CONTROL: u16 = FIRST_PORT + 2;
/// Modem control: data terminal ready, request to send, and OUT2, which lets the interrupt through
/// on a PC.
const MODEM_CONTROL: u16 = FIRST_PORT + 4;
/// Line status; bit 0: data is there.
const LINE_STATUS: u16 = FIRST_PORT + 5;

/// Most bytes taken at a time, so that a flood from the line doesn't keep init from its other work.
const AT_ONCE: usize = 64;

/// The serial line.
#[derive(Clone, Copy, Debug)]
pub struct Serial {
    ports: Cap<IoPort>,
    interrupt: Cap<Irq>,
}

/// What was received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// There may be more: no interrupt will tell.
    pub more: bool,
}

impl Serial {
    /// Makes the line interrupt when something is received. `interrupt` is bound already.
    ///
    /// # Errors
    /// Those of the invocations.
    pub fn start(sys: &impl Sys, ports: Cap<IoPort>, interrupt: Cap<Irq>) -> Result<Serial, Error> {
        let serial = Serial { ports, interrupt };
        ports.write_u8(sys, FIFO_CONTROL, 0x01)?;
        ports.write_u8(sys, MODEM_CONTROL, 0x0b)?;
        ports.write_u8(sys, INTERRUPT_ENABLE, 0x01)?;
        interrupt.unmask(sys)?;
        Ok(serial)
    }

    /// Takes what was received.
    ///
    /// # Errors
    /// Those of the invocations.
    pub fn take(&self, sys: &impl Sys) -> Result<Taken, Error> {
        // First unmask, then empty the buffer: the interrupt is an edge, and comes again only when the
        // buffer was empty in between.
        self.interrupt.unmask(sys)?;
        let mut taken = Taken::default();
        while self.ports.read_u8(sys, LINE_STATUS)? & 1 != 0 {
            if taken.bytes.len() == AT_ONCE {
                taken.more = true;
                break;
            }
            taken.bytes.push(self.ports.read_u8(sys, DATA)?);
        }
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::cap::CapAddr;
    use abi::error::Status;
    use abi::method::{io_port, irq};
    use alloc::collections::VecDeque;
    use core::cell::RefCell;
    use sys::{Event, Message, Reply};

    #[derive(Default)]
    struct Uart {
        received: RefCell<VecDeque<u8>>,
        written: RefCell<Vec<(u64, u64)>>,
    }

    impl Sys for Uart {
        fn call(&self, capability: CapAddr, message: &Message) -> Reply {
            let mut reply = Reply::default();
            let words = &message.words;
            if capability == 2 {
                assert_eq!(words[0], irq::UNMASK);
                return reply;
            }
            assert_eq!(words[2], 1);
            match (words[0], words[1] - 0x3f8) {
                (io_port::WRITE, port) => self.written.borrow_mut().push((port, words[3])),
                (io_port::READ, 0) => {
                    reply.words[0] = self.received.borrow_mut().pop_front().unwrap().into();
                }
                (io_port::READ, 5) => {
                    // Other bits may be anything.
                    reply.words[0] = 0x60 | u64::from(!self.received.borrow().is_empty());
                }
                other => panic!("{other:?}"),
            }
            reply
        }
        fn send(&self, _: CapAddr, _: &Message) -> Status {
            unreachable!()
        }
        fn wait(&self, _: [CapAddr; 4]) -> Event {
            unreachable!()
        }
        fn reply_and_wait(&self, _: Status, _: &Message) -> Event {
            unreachable!()
        }
        fn resume(&self, _: CapAddr, _: Status, _: &Message) -> Status {
            unreachable!()
        }
        fn poll(&self, _: [CapAddr; 4]) -> Option<Event> {
            unreachable!()
        }
        fn save_caller(&self, _: CapAddr) -> Status {
            unreachable!()
        }
    }

    #[test]
    fn a_flood_is_taken_in_pieces() {
        let uart = Uart::default();
        let serial = Serial::start(&uart, Cap::at(1), Cap::at(2)).unwrap();
        assert_eq!(*uart.written.borrow(), [(2, 1), (4, 0x0b), (1, 1)]);
        assert_eq!(serial.take(&uart).unwrap(), Taken::default());
        uart.received.borrow_mut().extend([7; AT_ONCE + 1]);
        let taken = serial.take(&uart).unwrap();
        assert_eq!((taken.bytes.len(), taken.more), (AT_ONCE, true));
        let taken = serial.take(&uart).unwrap();
        assert_eq!((taken.bytes.len(), taken.more), (1, false));
    }
}
