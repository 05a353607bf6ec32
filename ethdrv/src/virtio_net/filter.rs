//! What the device is to receive (5.1.6.5.1, 5.1.6.5.2).
//!
//! A virtio-net device receives everything until it is told otherwise. Whoever knows which stations
//! and groups there are says so here, as often as it changes; the commands then go out one at a time,
//! and nobody waits for one. The order is such that no frame is missed: a new table goes out before
//! the device stops receiving everything. What doesn't fit a table, and what the device refuses, falls
//! back to receiving everything: the driver's own demultiplexer drops what is for nobody.

use sys::Mem;
use virtio::queue::{Area, Error};
use virtio::{Buffer, Queue};

use dev::mac::Mac;

/// Most addresses of a table: what QEMU holds; it receives everything beyond that, too.
pub const MOST: usize = 64;

/// Buffers of a command: itself, and the answer. There is one at a time.
pub const BUFFERS: u16 = 2;

/// Class of the receive-mode commands, and the two used: receive everything, receive all groups.
const MODE: u8 = 0;
const MODE_PROMISCUOUS: u8 = 0;
const MODE_ALL_GROUPS: u8 = 1;
/// Class of the address commands, and the one used: set the table.
const ADDRESSES: u8 = 1;
const ADDRESSES_TABLE: u8 = 0;
/// The device's answer to a command that it followed.
const FOLLOWED: u8 = 0;

/// Where a command lies in the page, and where its answer does.
const COMMAND: usize = 0;
const ANSWER: usize = 2048;
/// Nothing that a device answers.
const NO_ANSWER: u8 = 0xff;

/// A set of addresses.
#[derive(Clone, Copy)]
struct Table {
    /// Stations first, then groups.
    addresses: [Mac; MOST],
    stations: usize,
    groups: usize,
    /// There were more than fit.
    overflow: bool,
}

impl Table {
    const EMPTY: Table = Table {
        addresses: [Mac::from_word(0); MOST],
        stations: 0,
        groups: 0,
        overflow: false,
    };

    fn new(stations: impl Iterator<Item = Mac>, groups: impl Iterator<Item = Mac>) -> Self {
        let mut table = Self::EMPTY;
        // However many there are, not more are looked at than fit, and one.
        for (number, (address, is_group)) in stations
            .map(|station| (station, false))
            .chain(groups.map(|group| (group, true)))
            .enumerate()
        {
            let Some(place) = table.addresses.get_mut(number) else {
                table.overflow = true;
                break;
            };
            *place = address;
            match is_group {
                false => table.stations += 1,
                true => table.groups += 1,
            }
        }
        table
    }
}

/// What is sent next, or was sent last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    SetTable,
    NotPromiscuous,
    NotAllGroups,
    Promiscuous,
    Done,
}

/// How far the device follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It receives everything: it was not told otherwise yet, or there were too many addresses.
    Everything,
    /// It receives what is in the table.
    Table,
    /// It refused a command: it should receive everything, but who knows.
    Refused,
}

/// The commands for a filter, and the queue that they take.
pub struct Filter<M> {
    queue: Queue<M, ()>,
    page: Area<M>,
    table: Table,
    step: Step,
    in_flight: bool,
    /// The table changed while a command for the last one was in flight.
    changed: bool,
    /// The device refused a command for this table.
    refused: bool,
    mode: Mode,
}

impl<M: Mem> Filter<M> {
    /// Commands over this queue, each written to this page.
    pub(super) fn new(queue: Queue<M, ()>, page: Area<M>) -> Self {
        Self {
            queue,
            page,
            table: Table::EMPTY,
            step: Step::Done,
            in_flight: false,
            changed: false,
            refused: false,
            mode: Mode::Everything,
        }
    }

    pub(super) const fn queue(&mut self) -> &mut Queue<M, ()> {
        &mut self.queue
    }

    /// What the device receives.
    pub(super) const fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether a command waits for its answer.
    pub(super) const fn is_busy(&self) -> bool {
        self.in_flight
    }

    /// Sets what is to be received from now on, and sends the first command, unless one is in flight.
    pub(super) fn set(
        &mut self,
        stations: impl Iterator<Item = Mac>,
        groups: impl Iterator<Item = Mac>,
    ) -> Result<(), Error> {
        self.table = Table::new(stations, groups);
        self.changed = true;
        self.send()
    }

    /// Takes an answer, if there is one, and sends the next command.
    pub(super) fn advance(&mut self) -> Result<(), Error> {
        let Some(done) = self.queue.take()? else {
            return Ok(());
        };
        self.in_flight = false;
        let answered = done.written.is_ok_and(|written| written >= 1);
        let followed = answered && self.page.memory.load_u8(ANSWER)? == FOLLOWED;
        self.step = match self.step {
            Step::SetTable if followed => Step::NotPromiscuous,
            Step::NotPromiscuous if followed => Step::NotAllGroups,
            Step::NotAllGroups if followed => {
                self.mode = Mode::Table;
                Step::Done
            }
            Step::SetTable | Step::NotPromiscuous | Step::NotAllGroups => {
                self.refused = true;
                Step::Promiscuous
            }
            Step::Promiscuous => {
                self.mode = if followed && !self.refused {
                    Mode::Everything
                } else {
                    Mode::Refused
                };
                Step::Done
            }
            Step::Done => Step::Done,
        };
        self.send()
    }

    /// Sends the command that is due.
    fn send(&mut self) -> Result<(), Error> {
        if self.in_flight {
            return Ok(());
        }
        if core::mem::take(&mut self.changed) {
            self.refused = false;
            self.step = if self.table.overflow {
                Step::Promiscuous
            } else {
                Step::SetTable
            };
        }
        let length = match self.step {
            Step::Done => return Ok(()),
            Step::SetTable => self.write_table()?,
            Step::NotPromiscuous => self.write(MODE, MODE_PROMISCUOUS, 0)?,
            Step::NotAllGroups => self.write(MODE, MODE_ALL_GROUPS, 0)?,
            Step::Promiscuous => self.write(MODE, MODE_PROMISCUOUS, 1)?,
        };
        self.page.memory.store_u8(ANSWER, NO_ANSWER)?;
        let address = self.page.address;
        let chain = [
            Buffer::to_device(address + COMMAND as u64, length as u32),
            Buffer::from_device(address + ANSWER as u64, 1),
        ];
        self.queue.post(&chain, ())?;
        self.in_flight = true;
        Ok(())
    }

    /// Writes a command with one byte of argument; answers its length.
    fn write(&self, class: u8, command: u8, argument: u8) -> Result<usize, Error> {
        let bytes = [class, command, argument];
        self.page.memory.write(COMMAND, &bytes)?;
        Ok(bytes.len())
    }

    /// Writes the command that sets the table: for stations and for groups their number (four bytes)
    /// and the addresses. Answers its length.
    fn write_table(&self) -> Result<usize, Error> {
        let memory = &self.page.memory;
        let mut end = COMMAND;
        let mut append = |bytes: &[u8]| {
            memory.write(end, bytes)?;
            end += bytes.len();
            Ok::<(), Error>(())
        };
        append(&[ADDRESSES, ADDRESSES_TABLE])?;
        let (stations, rest) = self.table.addresses.split_at(self.table.stations);
        for addresses in [stations, &rest[..self.table.groups]] {
            append(&(addresses.len() as u32).to_le_bytes())?;
            for address in addresses {
                append(&address.bytes())?;
            }
        }
        Ok(end - COMMAND)
    }
}

const _: () = assert!(COMMAND + 2 + 2 * 4 + 6 * MOST <= ANSWER);
