//! The kernel's objects, typed: one method for each of `abi::method`.
//!
//! What each does, and its errors, stands in [`abi::method`]; these add only types.

use abi::cap::{CapAddr, Rights};
use abi::method;

use crate::{Cap, Error, Message, Sys};

/// A page of memory.
pub enum Page {}

impl Cap<Page> {
    /// Clears the page's home.
    pub fn unmap(self, sys: &impl Sys) -> Result<(), Error> {
        sys.call(self.address(), &Message::new(&[method::page::UNMAP]))
            .ok()
            .map(|_| ())
    }

    /// Reads six words at a byte offset.
    pub fn read(self, sys: &impl Sys, offset: u64) -> Result<[u64; 6], Error> {
        let words = sys
            .call(self.address(), &Message::new(&[method::page::READ, offset]))
            .ok()?;
        Ok(words)
    }

    /// Writes a word at a byte offset.
    pub fn write(self, sys: &impl Sys, offset: u64, word: u64) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::page::WRITE, offset, 1, word]),
        )
        .ok()
        .map(|_| ())
    }
}

/// A page-table page of any level.
pub enum Table {}

impl Cap<Table> {
    /// Maps a page (level 1) or a table one level below.
    pub fn map<T>(
        self,
        sys: &impl Sys,
        index: u64,
        what: Cap<T>,
        rights: Rights,
    ) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::table::MAP, index, rights.bits() as u64])
                .with_caps(&[what.address()]),
        )
        .ok()
        .map(|_| ())
    }

    /// Clears entries; answers how many were in use.
    pub fn unmap(self, sys: &impl Sys, index: u64, count: u64) -> Result<u64, Error> {
        let words = sys
            .call(
                self.address(),
                &Message::new(&[method::table::UNMAP, index, count]),
            )
            .ok()?;
        Ok(words[0])
    }

    /// Takes rights from an entry.
    pub fn protect(self, sys: &impl Sys, index: u64, rights: Rights) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::table::PROTECT, index, rights.bits() as u64]),
        )
        .ok()
        .map(|_| ())
    }

    /// Maps device memory.
    pub fn map_device(
        self,
        sys: &impl Sys,
        index: u64,
        count: u64,
        rights: Rights,
        first: u64,
        memory: Cap<DeviceMemory>,
    ) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[
                method::table::MAP_DEVICE,
                index,
                count,
                rights.bits() as u64,
                first,
            ])
            .with_caps(&[memory.address()]),
        )
        .ok()
        .map(|_| ())
    }

    /// What an entry holds (0 empty, 1 page, 2 table, 3 device memory), and its rights.
    pub fn query(self, sys: &impl Sys, index: u64) -> Result<(u64, Rights), Error> {
        let words = sys
            .call(
                self.address(),
                &Message::new(&[method::table::QUERY, index]),
            )
            .ok()?;
        Ok((words[0], Rights::from_bits_truncate(words[1] as u8)))
    }
}

/// 128 capability slots.
pub enum CapTable {}

impl Cap<CapTable> {
    /// Copies a capability into a slot, keeping only these rights.
    pub fn put(
        self,
        sys: &impl Sys,
        slot: u16,
        from: CapAddr,
        rights: Rights,
    ) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::cap_table::PUT, slot as u64, rights.bits() as u64])
                .with_caps(&[from]),
        )
        .ok()
        .map(|_| ())
    }

    /// Copies a slot's capability to an address of one's own.
    pub fn get(self, sys: &impl Sys, slot: u16, into: CapAddr) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::cap_table::GET, slot as u64]).receiving(&[into]),
        )
        .ok()
        .map(|_| ())
    }

    /// Empties slots.
    pub fn clear(self, sys: &impl Sys, slot: u16, count: u16) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::cap_table::CLEAR, slot as u64, count as u64]),
        )
        .ok()
        .map(|_| ())
    }

    /// Moves a capability within the table.
    pub fn relocate(self, sys: &impl Sys, from: u16, to: u16) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::cap_table::MOVE, from as u64, to as u64]),
        )
        .ok()
        .map(|_| ())
    }

    /// Kind (as a number) and rights of a slot's capability.
    pub fn describe(self, sys: &impl Sys, slot: u16) -> Result<(u8, Rights), Error> {
        let words = sys
            .call(
                self.address(),
                &Message::new(&[method::cap_table::DESCRIBE, slot as u64]),
            )
            .ok()?;
        Ok((words[0] as u8, Rights::from_bits_truncate(words[1] as u8)))
    }
}

/// What [`Cap::<Process>::info`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessInfo {
    /// State, as `abi::method::process::state`.
    pub state: u8,
    /// Priority.
    pub priority: u8,
    /// Cycles of the time-stamp counter it ran.
    pub cycles: u64,
    /// Cause of its fault (low 8 bits) and access (next 8).
    pub fault: u64,
    /// Address of its fault.
    pub fault_address: u64,
    /// Instruction pointer of its fault.
    pub fault_instruction: u64,
    /// Its last invocation, packed as `abi::method::process::INFO` says.
    pub last_invocation: u64,
}

/// A single-threaded protection domain.
pub enum Process {}

impl Cap<Process> {
    /// Sets registers, root table, space and keeper of a stopped process.
    pub fn configure(
        self,
        sys: &impl Sys,
        start: Registers,
        root: Cap<CapTable>,
        space: Cap<Table>,
        keeper: CapAddr,
    ) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[
                method::process::CONFIGURE,
                start.instruction,
                start.stack,
                start.priority as u64,
                start.argument,
            ])
            .with_caps(&[root.address(), space.address(), keeper]),
        )
        .ok()
        .map(|_| ())
    }

    /// Runs it.
    pub fn start(self, sys: &impl Sys) -> Result<(), Error> {
        sys.call(self.address(), &Message::new(&[method::process::START]))
            .ok()
            .map(|_| ())
    }

    /// Stops it.
    pub fn stop(self, sys: &impl Sys) -> Result<(), Error> {
        sys.call(self.address(), &Message::new(&[method::process::STOP]))
            .ok()
            .map(|_| ())
    }

    /// Makes a start capability with a badge.
    pub fn make_start(self, sys: &impl Sys, badge: u64, into: CapAddr) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::process::MAKE_START, badge]).receiving(&[into]),
        )
        .ok()
        .map(|_| ())
    }

    /// Makes a capability to notify it by a bit.
    pub fn make_notify(self, sys: &impl Sys, bit: u64, into: CapAddr) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::process::MAKE_NOTIFY, bit]).receiving(&[into]),
        )
        .ok()
        .map(|_| ())
    }

    /// Arms a fault entry; instruction 0 for none.
    pub fn set_fault_entry(
        self,
        sys: &impl Sys,
        instruction: u64,
        stack: u64,
    ) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::process::SET_FAULT_ENTRY, instruction, stack]),
        )
        .ok()
        .map(|_| ())
    }

    /// State, accounting and fault.
    pub fn info(self, sys: &impl Sys) -> Result<ProcessInfo, Error> {
        let words = sys
            .call(self.address(), &Message::new(&[method::process::INFO]))
            .ok()?;
        Ok(ProcessInfo {
            state: words[0] as u8,
            priority: (words[0] >> 8) as u8,
            cycles: words[1],
            fault: words[2],
            fault_address: words[3],
            fault_instruction: words[4],
            last_invocation: words[5],
        })
    }

    /// Six registers of a group.
    pub fn registers(self, sys: &impl Sys, group: u64) -> Result<[u64; 6], Error> {
        let words = sys
            .call(
                self.address(),
                &Message::new(&[method::process::REGISTERS, group]),
            )
            .ok()?;
        Ok(words)
    }

    /// Six words of its memory.
    pub fn read_memory(self, sys: &impl Sys, address: u64) -> Result<[u64; 6], Error> {
        let words = sys
            .call(
                self.address(),
                &Message::new(&[method::process::READ_MEMORY, address]),
            )
            .ok()?;
        Ok(words)
    }

    /// Names it for reports; the first 16 bytes count.
    pub fn set_name(self, sys: &impl Sys, name: &str) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[
                method::process::SET_NAME,
                name_word(name, 0),
                name_word(name, 8),
            ]),
        )
        .ok()
        .map(|_| ())
    }

    /// Sets its priority.
    pub fn set_priority(self, sys: &impl Sys, priority: u8) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::process::SET_PRIORITY, priority as u64]),
        )
        .ok()
        .map(|_| ())
    }
}

/// Where a process starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// Instruction pointer.
    pub instruction: u64,
    /// Stack pointer.
    pub stack: u64,
    /// Priority.
    pub priority: u8,
    /// First argument, in `rdi`.
    pub argument: u64,
}

/// Eight bytes of a name, little-endian, padded with zeros.
fn name_word(name: &str, from: usize) -> u64 {
    let mut bytes = [0; 8];
    for (to, byte) in bytes.iter_mut().zip(name.bytes().skip(from)) {
        *to = byte;
    }
    u64::from_le_bytes(bytes)
}

/// 512 slots through which one device function does DMA.
pub enum Aperture {}

impl Cap<Aperture> {
    /// Gives it a window.
    pub fn set_window(self, sys: &impl Sys, window: Cap<Table>) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::aperture::SET_WINDOW]).with_caps(&[window.address()]),
        )
        .ok()
        .map(|_| ())
    }

    /// Pins the frame at a place into a slot; answers its DMA address.
    pub fn pin(
        self,
        sys: &impl Sys,
        slot: u16,
        segment: Cap<Table>,
        index: u16,
        direction: u8,
    ) -> Result<u64, Error> {
        let words = sys
            .call(
                self.address(),
                &Message::new(&[
                    method::aperture::PIN,
                    slot as u64,
                    index as u64,
                    direction as u64,
                ])
                .with_caps(&[segment.address()]),
            )
            .ok()?;
        Ok(words[0])
    }

    /// Ends a pin.
    pub fn unpin(self, sys: &impl Sys, slot: u16) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::aperture::UNPIN, slot as u64]),
        )
        .ok()
        .map(|_| ())
    }

    /// Pins a batch; answers how many were pinned.
    pub fn pin_batch(
        self,
        sys: &impl Sys,
        batch: Cap<Page>,
        segment: Cap<Table>,
        offset: u64,
        count: u64,
    ) -> Result<u64, Error> {
        let words = sys
            .call(
                self.address(),
                &Message::new(&[method::aperture::PIN_BATCH, offset, count])
                    .with_caps(&[batch.address(), segment.address()]),
            )
            .ok()?;
        Ok(words[0])
    }

    /// Unpins a batch; answers how many were unpinned.
    pub fn unpin_batch(
        self,
        sys: &impl Sys,
        batch: Cap<Page>,
        offset: u64,
        count: u64,
    ) -> Result<u64, Error> {
        let words = sys
            .call(
                self.address(),
                &Message::new(&[method::aperture::UNPIN_BATCH, offset, count])
                    .with_caps(&[batch.address()]),
            )
            .ok()?;
        Ok(words[0])
    }

    /// Slots whose owner is gone: count, then five words of packed slots.
    pub fn limbo(self, sys: &impl Sys) -> Result<[u64; 6], Error> {
        let words = sys
            .call(self.address(), &Message::new(&[method::aperture::LIMBO]))
            .ok()?;
        Ok(words)
    }

    /// Names who is told when a slot's owner goes.
    pub fn set_limbo_notify(self, sys: &impl Sys, notify: Cap<Notify>) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::aperture::SET_LIMBO_NOTIFY]).with_caps(&[notify.address()]),
        )
        .ok()
        .map(|_| ())
    }

    /// Slots pinned, slots in limbo, function bound to + 1 or 0.
    pub fn info(self, sys: &impl Sys) -> Result<(u64, u64, u64), Error> {
        let words = sys
            .call(self.address(), &Message::new(&[method::aperture::INFO]))
            .ok()?;
        Ok((words[0], words[1], words[2]))
    }
}

/// One notification bit of a process.
pub enum Notify {}

impl Cap<Notify> {
    /// Sets the bit. Never waits.
    pub fn signal(self, sys: &impl Sys) -> Result<(), Error> {
        Error::check(sys.send(self.address(), &Message::new(&[method::notify::SIGNAL])))
    }
}

/// A process to be started with messages; a server's own type says which methods.
pub enum Start {}

/// All storage.
pub enum Range {}

impl Cap<Range> {
    /// Sells an object as a capability with all rights.
    pub fn mint(self, sys: &impl Sys, oid: u32, kind: u8, into: CapAddr) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::range::MINT, oid as u64, kind as u64]).receiving(&[into]),
        )
        .ok()
        .map(|_| ())
    }

    /// Sells a batch into places or slots, all or none.
    pub fn mint_into(
        self,
        sys: &impl Sys,
        batch: Cap<Page>,
        destination: CapAddr,
        offset: u64,
        count: u64,
    ) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::range::MINT_INTO, offset, count])
                .with_caps(&[batch.address(), destination]),
        )
        .ok()
        .map(|_| ())
    }

    /// State of an object: kind, state, pins.
    pub fn query(self, sys: &impl Sys, oid: u32) -> Result<(u8, u8, u8), Error> {
        let words = sys
            .call(
                self.address(),
                &Message::new(&[method::range::QUERY, oid as u64]),
            )
            .ok()?;
        Ok((words[0] as u8, words[1] as u8, words[2] as u8))
    }

    /// Objects whose limbo ended: count, then five words of packed numbers.
    pub fn reap(self, sys: &impl Sys) -> Result<[u64; 6], Error> {
        let words = sys
            .call(self.address(), &Message::new(&[method::range::REAP]))
            .ok()?;
        Ok(words)
    }

    /// Object, kind and rights of a capability to storage.
    pub fn identify(self, sys: &impl Sys, capability: CapAddr) -> Result<(u32, u8, Rights), Error> {
        let words = sys
            .call(
                self.address(),
                &Message::new(&[method::range::IDENTIFY]).with_caps(&[capability]),
            )
            .ok()?;
        Ok((
            words[0] as u32,
            words[1] as u8,
            Rights::from_bits_truncate(words[2] as u8),
        ))
    }

    /// Names who is told when a limbo ends.
    pub fn set_notify(self, sys: &impl Sys, notify: Cap<Notify>) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::range::SET_NOTIFY]).with_caps(&[notify.address()]),
        )
        .ok()
        .map(|_| ())
    }

    /// Rescinds a batch. Answers how many entries were done, and whether it wants to go on.
    pub fn rescind(
        self,
        sys: &impl Sys,
        batch: Cap<Page>,
        offset: u64,
        count: u64,
    ) -> Result<(u64, bool), Error> {
        let message =
            Message::new(&[method::range::RESCIND, offset, count]).with_caps(&[batch.address()]);
        let (more, words) = sys.call(self.address(), &message).more()?;
        Ok((words[0], more))
    }
}

/// Interrupts, all or one.
pub enum Irq {}

impl Cap<Irq> {
    /// An ISA interrupt.
    pub fn isa(self, sys: &impl Sys, line: u8, into: CapAddr) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::irq::ISA, line as u64]).receiving(&[into]),
        )
        .ok()
        .map(|_| ())
    }

    /// An entry of a function's MSI-X table.
    pub fn msix(
        self,
        sys: &impl Sys,
        function: u16,
        entry: u16,
        into: CapAddr,
    ) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::irq::MSIX, function as u64, entry as u64]).receiving(&[into]),
        )
        .ok()
        .map(|_| ())
    }

    /// Names who is told.
    pub fn bind(self, sys: &impl Sys, notify: Cap<Notify>) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::irq::BIND]).with_caps(&[notify.address()]),
        )
        .ok()
        .map(|_| ())
    }

    /// Unmasks.
    pub fn unmask(self, sys: &impl Sys) -> Result<(), Error> {
        sys.call(self.address(), &Message::new(&[method::irq::UNMASK]))
            .ok()
            .map(|_| ())
    }

    /// Masks.
    pub fn mask(self, sys: &impl Sys) -> Result<(), Error> {
        sys.call(self.address(), &Message::new(&[method::irq::MASK]))
            .ok()
            .map(|_| ())
    }

    /// Gives the vector back.
    pub fn release(self, sys: &impl Sys) -> Result<(), Error> {
        sys.call(self.address(), &Message::new(&[method::irq::RELEASE]))
            .ok()
            .map(|_| ())
    }
}

/// A range of I/O ports.
pub enum IoPort {}

impl Cap<IoPort> {
    /// A part of the range.
    pub fn narrow(self, sys: &impl Sys, base: u16, count: u16, into: CapAddr) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::io_port::NARROW, base as u64, count as u64]).receiving(&[into]),
        )
        .ok()
        .map(|_| ())
    }

    /// Reads a byte.
    pub fn read_u8(self, sys: &impl Sys, port: u16) -> Result<u8, Error> {
        let words = sys
            .call(
                self.address(),
                &Message::new(&[method::io_port::READ, port as u64, 1]),
            )
            .ok()?;
        Ok(words[0] as u8)
    }

    /// Writes a byte.
    pub fn write_u8(self, sys: &impl Sys, port: u16, value: u8) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::io_port::WRITE, port as u64, 1, value as u64]),
        )
        .ok()
        .map(|_| ())
    }
}

/// A range of device memory.
pub enum DeviceMemory {}

impl Cap<DeviceMemory> {
    /// A part of the range.
    pub fn narrow(
        self,
        sys: &impl Sys,
        physical: u64,
        pages: u64,
        into: CapAddr,
    ) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::device_memory::NARROW, physical, pages]).receiving(&[into]),
        )
        .ok()
        .map(|_| ())
    }

    /// Physical address and pages.
    pub fn info(self, sys: &impl Sys) -> Result<(u64, u64), Error> {
        let words = sys
            .call(
                self.address(),
                &Message::new(&[method::device_memory::INFO]),
            )
            .ok()?;
        Ok((words[0], words[1]))
    }
}

/// DMA of all PCI functions, or of one.
pub enum DeviceDma {}

impl Cap<DeviceDma> {
    /// The capability for one function.
    pub fn function(self, sys: &impl Sys, function: u16, into: CapAddr) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::device_dma::FUNCTION, function as u64]).receiving(&[into]),
        )
        .ok()
        .map(|_| ())
    }

    /// Reads configuration space.
    pub fn config_read(self, sys: &impl Sys, offset: u16, width: u8) -> Result<u32, Error> {
        let words = sys
            .call(
                self.address(),
                &Message::new(&[method::device_dma::CONFIG_READ, offset as u64, width as u64]),
            )
            .ok()?;
        Ok(words[0] as u32)
    }

    /// Writes configuration space.
    pub fn config_write(
        self,
        sys: &impl Sys,
        offset: u16,
        width: u8,
        value: u32,
    ) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[
                method::device_dma::CONFIG_WRITE,
                offset as u64,
                width as u64,
                value as u64,
            ]),
        )
        .ok()
        .map(|_| ())
    }

    /// Binds an aperture to the function.
    pub fn bind(self, sys: &impl Sys, aperture: Cap<Aperture>) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::device_dma::BIND]).with_caps(&[aperture.address()]),
        )
        .ok()
        .map(|_| ())
    }

    /// Bus mastering on or off.
    pub fn set_master(self, sys: &impl Sys, on: bool) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::device_dma::SET_MASTER, on as u64]),
        )
        .ok()
        .map(|_| ())
    }

    /// Ends pins of the function's dead apertures; answers how many in this step, and whether it
    /// wants to go on.
    pub fn release(self, sys: &impl Sys) -> Result<(u64, bool), Error> {
        let (more, words) = sys
            .call(
                self.address(),
                &Message::new(&[method::device_dma::RELEASE]),
            )
            .more()?;
        Ok((words[0], more))
    }
}

/// A reading of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// Nanoseconds since boot.
    pub nanoseconds: u64,
    /// The time-stamp counter.
    pub ticks: u64,
    /// Its ticks a second.
    pub frequency: u64,
}

/// Time and timers.
pub enum Clock {}

impl Cap<Clock> {
    /// The time.
    pub fn now(self, sys: &impl Sys) -> Result<Time, Error> {
        let words = sys
            .call(self.address(), &Message::new(&[method::clock::NOW]))
            .ok()?;
        Ok(Time {
            nanoseconds: words[0],
            ticks: words[1],
            frequency: words[2],
        })
    }

    /// Sets the invoking process's timer; 0 disarms.
    pub fn arm(self, sys: &impl Sys, nanoseconds: u64, bit: u64) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::clock::ARM, nanoseconds, bit]),
        )
        .ok()
        .map(|_| ())
    }
}

/// Random numbers.
pub enum Random {}

impl Cap<Random> {
    /// Six random words.
    pub fn get(self, sys: &impl Sys) -> Result<[u64; 6], Error> {
        let words = sys
            .call(self.address(), &Message::new(&[method::random::GET]))
            .ok()?;
        Ok(words)
    }
}

/// The kernel's log.
pub enum Log {}

impl Cap<Log> {
    /// Writes a line that lies in a page.
    pub fn write(
        self,
        sys: &impl Sys,
        page: Cap<Page>,
        offset: u64,
        length: u64,
        level: u64,
    ) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::log::WRITE, offset, length, level])
                .with_caps(&[page.address()]),
        )
        .ok()
        .map(|_| ())
    }

    /// Writes bytes to the console as they are.
    pub fn console(
        self,
        sys: &impl Sys,
        page: Cap<Page>,
        offset: u64,
        length: u64,
    ) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::log::CONSOLE, offset, length]).with_caps(&[page.address()]),
        )
        .ok()
        .map(|_| ())
    }

    /// Sets the level, 1 to 5.
    pub fn set_level(self, sys: &impl Sys, level: u64) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::log::SET_LEVEL, level]),
        )
        .ok()
        .map(|_| ())
    }

    /// Names who is told after each line.
    pub fn set_notify(self, sys: &impl Sys, notify: Cap<Notify>) -> Result<(), Error> {
        sys.call(
            self.address(),
            &Message::new(&[method::log::SET_NOTIFY]).with_caps(&[notify.address()]),
        )
        .ok()
        .map(|_| ())
    }
}

/// Reboot and halt.
pub enum Reset {}

impl Cap<Reset> {
    /// Starts the machine again.
    pub fn reboot(self, sys: &impl Sys) -> Result<(), Error> {
        sys.call(self.address(), &Message::new(&[method::reset::REBOOT]))
            .ok()
            .map(|_| ())
    }

    /// Stops the machine with a code, 0 for success.
    pub fn halt(self, sys: &impl Sys, code: u64) -> Result<(), Error> {
        sys.call(self.address(), &Message::new(&[method::reset::HALT, code]))
            .ok()
            .map(|_| ())
    }
}
