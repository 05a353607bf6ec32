//! Counting events. **Only a kernel that was built with the feature `count-events` knows of this**, and
//! no kernel that does anything else than be measured is: an ordinary one answers `ENOSYS` and `EINVAL`.
//!
//! One process *observes*: it stands for what isn't to be counted, such as the device and the network.
//! While it runs, nothing is counted. Programs that copy tell the kernel how much ([`NOTE`]), so that
//! all counts are in one place and belong to the same stretch of time.

/// Method of `Reset`: from now on the invoker observes, and all counts are zero.
pub const OBSERVE: u64 = 0x100;
/// Method of `Reset`: `w1` the first [event](Event) → `w0`..`w5` how often it and the next five happened.
pub const READ: u64 = 0x101;

/// Operation (bits 0 to 7 of `rax`): the program has moved `rsi` bytes in a loop that took `rdx`
/// instructions; `rdi` says [how](note). It is itself no trap.
pub const NOTE: u8 = 0x80;

/// What a program notes.
pub mod note {
    /// It copied.
    pub const COPIED: u64 = 0;
    /// It zeroed.
    pub const ZEROED: u64 = 1;
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Event { $($(#[$doc])* $name),* }

        impl Event {
            /// All of them, as they are numbered.
            pub const ALL: &[Event] = &[$(Event::$name),*];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $(Event::$name => $text),* }
            }
        }
    };
}

events! {
    /// System calls, and faults and interrupts that came while a process ran.
    Traps = "traps",
    /// Capabilities found by their addresses.
    LookUps = "look_ups",
    /// Pairs of pages that were exchanged.
    Exchanges = "exchanges",
    /// Entries written into tables that the CPU walks.
    Entries = "entries_written",
    /// Invalidations of one page's translation.
    PageFlushes = "page_flushes",
    /// Invalidations of all of an address space's.
    FullFlushes = "full_flushes",
    /// Switches of the CPU to another address space.
    Switches = "switches",
    /// Bytes that the kernel zeroed.
    KernelZeroed = "kernel_zeroed",
    /// Notifications sent.
    Notifications = "notifications",
    /// Frames pinned.
    Pins = "pins",
    /// Pins given back.
    Unpins = "unpins",
    /// Copies that programs noted.
    Copies = "copies",
    /// Bytes of these.
    BytesCopied = "bytes_copied",
    /// Bytes that programs noted as zeroed.
    ProgramZeroed = "program_zeroed",
    /// Instructions of the loops that programs noted.
    LoopInstructions = "loop_instructions",
    /// Notes.
    Notes = "notes",
}

/// How many kinds there are.
pub const EVENTS: usize = Event::ALL.len();

/// What a counting kernel shows to who watches the machine from outside: it executes an instruction that
/// does nothing, `nop dword ptr [rax + MARK]`, whose displacement is one of these.
pub mod mark {
    /// The observer runs from now on.
    pub const PAUSE: u32 = 0x7573_7501;
    /// Somebody else does.
    pub const RESUME: u32 = 0x7573_7502;
    /// All counts are zero.
    pub const BEGIN: u32 = 0x7573_7503;
    /// The counts are being read.
    pub const READ: u32 = 0x7573_7504;
}
