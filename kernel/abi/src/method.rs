//! What each kernel object answers to.
//!
//! Notation: `w1` to `w5` are the words after the method, `c0` to `c3` the capabilities sent; after
//! the arrow, the words and capabilities of the reply. *Needs* names rights of the invoked
//! capability. Besides the errors named, every method can answer `ENOSYS` (unknown method), `EINVAL`
//! (index, count or flag out of range), `EBADF` (argument of another kind) and `EPERM` or `EACCES`
//! (missing right).

/// `Page`.
pub mod page {
    /// Clears the page's home, if it has one. Needs all rights.
    pub const UNMAP: u64 = 1;
    /// `w1` byte offset (multiple of 8) → `w0`..`w5` six words of the page. Needs `READ`.
    pub const READ: u64 = 2;
    /// `w1` byte offset (multiple of 8), `w2` count (1 to 3), `w3`.. words to write. Needs `WRITE`.
    pub const WRITE: u64 = 3;
}

/// `Table` of any level. All need `MANAGE`.
pub mod table {
    /// `w1` index, `w2` rights; `c0` a page (level 1) or a table one level below. The entry grants
    /// the rights that both `w2` and `c0` have. `EEXIST`: entry in use. `EBUSY`: the page is mapped
    /// elsewhere. `EMLINK`: the table has four parents. `EINVAL`: write with execute; in an address
    /// space, an index above 254.
    pub const MAP: u64 = 1;
    /// `w1` first index, `w2` count (1 to 64) → `w0` entries that were in use.
    pub const UNMAP: u64 = 2;
    /// `w1` index, `w2` rights: the entry keeps only these. `ENOENT`: entry empty.
    pub const PROTECT: u64 = 3;
    /// `w1` first index, `w2` count (1 to 64), `w3` rights, `w4` first page within `c0`, a
    /// `DeviceMemory`: maps device memory, uncached. Level 1 only. `EEXIST`, `ERANGE`.
    pub const MAP_DEVICE: u64 = 4;
    /// `w1` index → `w0` 0 empty, 1 page, 2 table, 3 device memory; `w1` rights of the entry.
    pub const QUERY: u64 = 5;
}

/// `CapTable`. All need `MANAGE`.
pub mod cap_table {
    /// `w1` slot, `w2` rights to keep; `c0`: copies `c0` (a `Resume` moves) into the slot.
    pub const PUT: u64 = 1;
    /// `w1` slot → `c0` its capability (a `Resume` moves). `ENOENT`: empty or void.
    pub const GET: u64 = 2;
    /// `w1` first slot, `w2` count (1 to 128): empties them.
    pub const CLEAR: u64 = 3;
    /// `w1` from, `w2` to: moves a capability within the table. `ENOENT`.
    pub const MOVE: u64 = 4;
    /// `w1` slot → `w0` kind, `w1` rights. A void capability reads as `Void`.
    pub const DESCRIBE: u64 = 5;
}

/// `Process`.
pub mod process {
    /// `w1` instruction pointer, `w2` stack pointer, `w3` priority, `w4` first argument (`rdi`);
    /// `c0` root `CapTable` (`MANAGE`), `c1` `Table4` (`MANAGE`), `c2` keeper (`Notify`, optional).
    /// Only while stopped. Its ceiling is its priority then. Needs `CONTROL`. `EBUSY`: not stopped.
    /// `EMLINK`: four processes share the table already. `EPERM`: a priority above the invoker's
    /// ceiling.
    pub const CONFIGURE: u64 = 1;
    /// Runs it from where it stands. Needs `CONTROL`. `EINVAL`: not configured, or its space is gone.
    pub const START: u64 = 2;
    /// Stops it; a call that it waits in ends with `EPIPE` when it is started again. Whom it serves, and
    /// who calls it, waits until it is started again or rescinded: who must not wait for a server that
    /// others can stop sends instead of calling. Needs `CONTROL`.
    pub const STOP: u64 = 3;
    /// `w1` badge → `c0` `Start`. Needs `MANAGE`.
    pub const MAKE_START: u64 = 4;
    /// `w1` bit (below 4,096) → `c0` `Notify`. Needs `MANAGE`.
    pub const MAKE_NOTIFY: u64 = 5;
    /// `w1` instruction pointer (0: none), `w2` stack pointer. Needs `MANAGE`.
    pub const SET_FAULT_ENTRY: u64 = 6;
    /// → `w0` [state](state) (bits 0 to 7), priority (bits 8 to 15) and how often a CPU switched to its
    /// address space (bits 16 to 63), `w1` cycles, `w2` fault cause and access, `w3` fault address,
    /// `w4` fault instruction pointer, `w5` last invocation (capability address in bits 0 to 15, first
    /// word in bits 32 to 63).
    /// Needs `INSPECT`.
    pub const INFO: u64 = 7;
    /// `w1` group: 0 → rip rsp rbp rflags rax rbx, 1 → rcx rdx rsi rdi r8 r9, 2 → r10 r11 r12 r13 r14
    /// r15. Needs `CONTROL`.
    pub const REGISTERS: u64 = 8;
    /// `w1` address (multiple of 8) → `w0`..`w5` six words of its memory. Needs `CONTROL`. `EFAULT`.
    pub const READ_MEMORY: u64 = 9;
    /// `w1`, `w2` a name of up to 16 bytes, padded with zeros, little-endian; shown in reports. Needs
    /// `CONTROL`.
    pub const SET_NAME: u64 = 10;
    /// `w1` priority. Needs `CONTROL`. `EPERM`: above the invoker's ceiling.
    pub const SET_PRIORITY: u64 = 11;
    /// `w1` ceiling: the highest priority that it may give to processes. Needs `CONTROL`. `EPERM`:
    /// above the invoker's own.
    pub const SET_CEILING: u64 = 12;

    /// States of a process.
    pub mod state {
        /// Not running: new, stopped, or faulted (then its cause is not `None`).
        pub const STOPPED: u8 = 0;
        /// Running, or ready to.
        pub const READY: u8 = 1;
        /// Waits for a message or a notification.
        pub const WAITING: u8 = 2;
        /// Waits for a server to take its call.
        pub const QUEUED: u8 = 3;
        /// Waits for the answer to its call.
        pub const CALLING: u8 = 4;
    }
}

/// `Aperture`. All but `INFO` need `MANAGE`.
pub mod aperture {
    /// `c0` an empty `Table1` with `MANAGE`: becomes the window, entry *n* showing slot *n*. From
    /// then on only the aperture changes its entries. `EBUSY`: has a window, or holds pins; `EEXIST`: table in use.
    pub const SET_WINDOW: u64 = 1;
    /// `w1` slot, `w2` place, `w3` direction; `c0` segment (`PIN`; `WRITE` too for from-device) →
    /// `w0` DMA address (0 for no direction). `EACCES`: right missing; `EEXIST`: slot in use;
    /// `ENOENT`: place empty; `EBUSY`: the frame has two pins; `ENODEV`: aperture not bound, or no
    /// window.
    pub const PIN: u64 = 2;
    /// `w1` slot. `ENOENT`: not in use.
    pub const UNPIN: u64 = 3;
    /// `c0` page, `c1` segment, `w1` offset, `w2` count of [`Pin`](crate::batch::Pin) entries → `w0`
    /// entries pinned. Entries stand each for itself.
    pub const PIN_BATCH: u64 = 4;
    /// `c0` page, `w1` offset, `w2` count of [`Unpin`](crate::batch::Unpin) entries → `w0` unpinned.
    pub const UNPIN_BATCH: u64 = 5;
    /// → `w0` count (0 to 20), `w1`..`w5` slots whose owner is gone, 16 bits each, low first; each is
    /// told once.
    pub const LIMBO: u64 = 6;
    /// `c0` `Notify`: signalled when a slot's owner goes.
    pub const SET_LIMBO_NOTIFY: u64 = 7;
    /// → `w0` slots pinned, `w1` in limbo, `w2` function bound to + 1, or 0. Needs `INSPECT`.
    pub const INFO: u64 = 8;
    /// `w1`, `w2` places; `c0`, `c1` their segments (`MANAGE`, `READ`, `WRITE`): the pages there swap
    /// frames; pins, slots, windows and DMA addresses stay with the frames. `EACCES`: a right missing,
    /// of a segment or of an entry; `ENOENT`: a place empty; `EBUSY`: another function's aperture pins
    /// one of the frames; `EINVAL`: the same place; `ENODEV`: aperture not bound.
    pub const EXCHANGE: u64 = 9;
    /// `c0` page, `c1` a `CapTable` (`MANAGE`) that holds segments, `c2`, `c3` two more or nothing,
    /// `w1` offset, `w2` count of [`Exchange`](crate::batch::Exchange) entries → `w0` entries
    /// exchanged. Entries stand each for itself.
    pub const EXCHANGE_BATCH: u64 = 10;
}

/// `Notify`: any method, by call or send, sets its bit.
pub mod notify {
    /// The usual method.
    pub const SIGNAL: u64 = 1;
}

/// `Range`: only spacebank holds it.
pub mod range {
    /// `w1` object, `w2` kind → `c0` a capability with all rights. `EBUSY`: not free.
    pub const MINT: u64 = 1;
    /// `c0` page, `c1` destination (`CapTable`, or a table with `MANAGE`), `w1` offset, `w2` count of
    /// [`Mint`](crate::batch::Mint) entries → `w0` entries. All or nothing: the first entry that
    /// fails holds its error, which is the status too. In a table, kinds are `Page` (level 1) or
    /// tables one level below.
    pub const MINT_INTO: u64 = 2;
    /// `c0` page, `w1` offset, `w2` count of [`Rescind`](crate::batch::Rescind) entries → `w0` entries
    /// done. `MORE`: invoke again with the rest.
    pub const RESCIND: u64 = 3;
    /// → `w0` count (0 to 10), `w1`..`w5` objects whose limbo ended, 32 bits each, low first; they are
    /// free.
    pub const REAP: u64 = 4;
    /// `c0` any capability → `w0` object, `w1` kind, `w2` rights. `VOID`; `EBADF`: not storage.
    pub const IDENTIFY: u64 = 5;
    /// `c0` `Notify`: signalled when a limbo ends.
    pub const SET_NOTIFY: u64 = 6;
    /// `w1` object → `w0` kind, `w1` state (0 free, 1 live, 2 limbo), `w2` pins on its frame.
    pub const QUERY: u64 = 7;
}

/// `Irq`.
pub mod irq {
    /// `w1` ISA interrupt 0 to 15 → `c0` `Irq` for it, masked. Only on the capability for all.
    pub const ISA: u64 = 1;
    /// `w1` PCI function, `w2` entry of its MSI-X table → `c0` `Irq` for it, masked. Only on the
    /// capability for all. `ENODEV`: no such function, no MSI-X, or a table that would lie on something
    /// else than registers of devices; `ERANGE`: the table has no such entry; `ENOMEM`: no vector left.
    pub const MSIX: u64 = 2;
    /// `c0` `Notify`: signalled by each interrupt.
    pub const BIND: u64 = 3;
    /// Unmasks. A level-triggered line is masked again each time it fires, before anybody is told: its
    /// driver unmasks it when it has seen to its device.
    pub const UNMASK: u64 = 4;
    /// Masks.
    pub const MASK: u64 = 5;
    /// Masks, and gives the vector back; the capability is void afterwards.
    pub const RELEASE: u64 = 6;
}

/// `IoPort`.
pub mod io_port {
    /// `w1` first port, `w2` count → `c0` `IoPort` for these. `ERANGE`.
    pub const NARROW: u64 = 1;
    /// `w1` port, `w2` width in bytes (1, 2, 4) → `w0` value. `ERANGE`.
    pub const READ: u64 = 2;
    /// `w1` port, `w2` width in bytes (1, 2, 4), `w3` value. `ERANGE`.
    pub const WRITE: u64 = 3;
}

/// `DeviceMemory`.
pub mod device_memory {
    /// `w1` physical address (page-aligned), `w2` pages → `c0` `DeviceMemory` for these. `ERANGE`:
    /// outside; RAM, configuration space, interrupt controllers, IOMMU or an MSI-X table.
    pub const NARROW: u64 = 1;
    /// → `w0` physical address, `w1` pages.
    pub const INFO: u64 = 2;
}

/// `DeviceDma`. A PCI function is bus << 8 | device << 3 | function.
pub mod device_dma {
    /// `w1` function → `c0` `DeviceDma` for it. Only on the capability for all. `ENODEV`.
    pub const FUNCTION: u64 = 1;
    /// `w1` byte offset, `w2` width (1, 2, 4) → `w0` value. Needs `CONFIGURE`.
    pub const CONFIG_READ: u64 = 2;
    /// `w1` byte offset, `w2` width (1, 2, 4), `w3` value. The kernel keeps bus mastering and the
    /// MSI-X control to itself: those bits are left as they are. Needs `CONFIGURE`.
    pub const CONFIG_WRITE: u64 = 3;
    /// `c0` `Aperture` (`CONTROL`): binds it to this function. Needs `CONTROL`. `EBUSY`: bound.
    pub const BIND: u64 = 4;
    /// `w1` 1 or 0: bus mastering on or off. Needs `CONTROL`. `EBUSY`: pins of dead apertures are
    /// still held, and on was asked.
    pub const SET_MASTER: u64 = 5;
    /// Ends the pins of this function's dead apertures; the function must have been reset. Needs
    /// `CONTROL`. `EBUSY`: bus mastering is on. `MORE`. → `w0` pins ended in this step.
    pub const RELEASE: u64 = 6;
}

/// `Clock`.
pub mod clock {
    /// → `w0` nanoseconds since boot, `w1` time-stamp counter, `w2` its ticks a second.
    pub const NOW: u64 = 1;
    /// `w1` time in nanoseconds since boot (0: disarm), `w2` bit: sets this bit of the *invoking*
    /// process then. A process has one timer.
    pub const ARM: u64 = 2;
}

/// `Random`.
pub mod random {
    /// → `w0`..`w5` random words.
    pub const GET: u64 = 1;
}

/// `Log`.
pub mod log {
    /// `c0` page, `w1` offset, `w2` length (up to 1,024), `w3` level (1 error to 5 trace): one line,
    /// printed with time and process → `w0` the level above which lines are dropped, so that
    /// programs need not format them. No bytes print nothing. Without `CONTROL`, a process may log 256
    /// lines at once and 64 a second, all such processes together 1,024 and 256; what is beyond that, or
    /// finds too little room because the console is behind, is dropped and counted, and how many were is
    /// told in one line later.
    pub const WRITE: u64 = 1;
    /// `c0` page, `w1` offset, `w2` length (up to 1,024): bytes for the console as they are. Needs
    /// `CONTROL`. `EAGAIN`: the console is too far behind; nothing was printed.
    pub const CONSOLE: u64 = 2;
    /// `w1` level, 0 (none) to 5: lines above it are dropped and not counted. Needs `CONTROL`.
    pub const SET_LEVEL: u64 = 3;
    /// `c0` `Notify`: signalled after each line, so that a prompt can be drawn again. Needs `CONTROL`.
    pub const SET_NOTIFY: u64 = 4;
}

/// `Reset`.
pub mod reset {
    /// Starts the machine again.
    pub const REBOOT: u64 = 1;
    /// `w1` code (0 for success): stops the machine.
    pub const HALT: u64 = 2;
}

/// `Probe`: for those who inject faults on purpose. An *entry* is anything that has the CPU enter the
/// kernel: a system call, a fault, an interrupt. Entries of the process that is told don't count, nor calls of the probe.
/// While entries are watched, each costs some 100 instructions more; otherwise nothing.
pub mod probe {
    /// `w1` entry, from 1; `c0` `Notify`, `c1` a process (`INSPECT`; optional). From now on entries are
    /// watched and counted: all, or those that `c1` makes. Before the kernel does what the entry asks
    /// for, it is put back, `c0`'s process is told, and if it waits, it runs before anybody else does,
    /// however urgent. (An interrupt can't be put back: it is taken, and then nobody but `c0`'s process
    /// goes on.) `w1` 0: counted only, `c0` isn't needed.
    pub const ARM: u64 = 1;
    /// `w1` first address, `w2` end, `w3` instruction, from 1; `c0` `Notify`, `c1` a process (`CONTROL`).
    /// As `ARM`, but instructions are counted that the process runs from `w1` on, where it must come in,
    /// while it stays below `w2`, and it is stopped before the one of that number. `w3` 0: counted only.
    pub const STEP: u64 = 2;
    /// Entries are watched no more.
    pub const DISARM: u64 = 3;
    /// `w1` [`FORGET`](crate::probe::FORGET), [`GO_ON`](crate::probe::GO_ON), both or 0 → `w0` entries,
    /// `w1` instructions since it was armed, `w2` 1 when it has stopped somebody since then, `w3` the longest
    /// stretch with interrupts off (ticks of the time-stamp counter) since this was last forgotten, `w4` the
    /// entry that took it, packed as [`Entry`](crate::probe::Entry) says.
    pub const READ: u64 = 4;
    /// Where somebody was stopped → `w0`, `w1` the process's name, `w2` its instruction pointer, `w3` the
    /// entry, packed. `ENOENT`: nobody was.
    pub const WHERE: u64 = 5;
    /// Compares a piece of what the kernel knows twice. `w1` 0 begins; [`WHOLE`](crate::probe::WHOLE) begins
    /// too, and free frames are looked through as well. `MORE` → `w1` to `w5`, to be handed back as they are
    /// for the next piece; they are all that is kept of it. Otherwise → `w0` 0, or the number of the first
    /// disagreement (it is printed, too), `w1` 1 when calls came and went all the time, so that they could
    /// not be compared with their answers. `EINVAL`: no such words were handed out.
    pub const AUDIT: u64 = 6;
    /// → `w0` objects free, `w1` live, `w2` in limbo, at this instant.
    pub const CENSUS: u64 = 7;
}
