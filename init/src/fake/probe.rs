//! The kernel's probe, as far as init sees it: it counts nothing, and stops when the test says so.

use abi::error::{ENOENT, Status, VOID, status};
use abi::method::probe as method;
use abi::probe::{Entry, How};
use sys::Message;

use super::{OBJECTS, PRIME_ID, Thing, World};

/// What the probe was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The entry to stop at.
    pub entry: u64,
    /// Bit of init's that is set then.
    pub bit: u64,
    /// Whose entries are counted, if not all.
    pub process: Option<u64>,
}

impl World {
    pub(super) fn call_probe(&self, message: &Message) -> Result<[u64; 6], Status> {
        let w = message.words;
        match w[0] {
            method::ARM => {
                let process = match (message.caps[1], self.thing(message.caps[1])) {
                    (0, _) => None,
                    (_, Some(Thing::Object(process))) => Some(process),
                    _ => return Err(VOID),
                };
                self.watched.set(Some(Watched {
                    entry: w[1],
                    bit: self.bit(message.caps[0]).expect("nobody is told"),
                    process,
                }));
                Ok([0; 6])
            }
            method::DISARM => {
                self.watched.set(None);
                Ok([0; 6])
            }
            method::READ => Ok([17, 0, 0, 0, 0, 0]),
            method::WHERE => {
                let name = u64::from_le_bytes(*b"ethdrv\0\0");
                let entry = Entry {
                    how: How::Call,
                    number: 1,
                    kind: abi::cap::Kind::Aperture as u8,
                    method: 2,
                };
                match self.stopped.get() {
                    true => Ok([name, 0, 0x40_1000, entry.pack(), 1, 0]),
                    false => Err(status(ENOENT)),
                }
            }
            method::AUDIT => {
                let uncompared = self.uncompared.get().into();
                Ok([self.violation.get(), uncompared, 0, 0, 0, 0])
            }
            method::CENSUS => {
                let live = self.bought(PRIME_ID) + self.leaked.get();
                Ok([OBJECTS - live, live, 0, 0, 0, 0])
            }
            other => panic!("probe method {other}"),
        }
    }

    /// The entry comes that the probe waits for.
    pub fn entry_comes(&self) {
        let watched = self.watched.get().expect("the probe is armed");
        self.stopped.set(true);
        self.bits.borrow_mut().insert(watched.bit);
    }
}
