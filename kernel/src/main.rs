//! The bootable kernel: the PC under the portable kernel, and the way from boot to the first program.
#![no_std]
#![no_main]

mod arch {
    pub mod x86_64;
}

use core::cell::Cell;
use core::fmt::Write;
use core::ops::Range;

use arch::x86_64::machine::{Pc, load_first_space, upper_half};
use arch::x86_64::memory::{Mapped, Memory, make_kernel_space, physical};
use arch::x86_64::random::Random;
use arch::x86_64::serial::{self, Serial};
use arch::x86_64::{addresses_end, apic, descriptors, entry, set_control_registers};
use arch::x86_64::{set_stop_ports, silence_old_controllers, stop, time};
use kernel::Kernel;
use kernel::frame::{Frame, FrameRow};
use kernel::genesis::archive::Archive;
use kernel::genesis::{Boot, MOST_OBJECTS};
use kernel::msix::Functions;
use kernel::object::ObjectRow;
use kernel::options::Options;
use kernel::platform::Platform;
use kernel::pvh::Handover;
use kernel::ram::Shortage;
use spin::Mutex;

/// The kernel on a PC.
pub type PcKernel = Kernel<'static, Pc>;

/// The kernel's state and what guards it.
struct Guarded(PcKernel);

// SAFETY: the kernel's cells are reached only through the lock below, by one CPU at a time.
unsafe impl Send for Guarded {}

static KERNEL: Mutex<Option<Guarded>> = Mutex::new(None);

/// Does something with the kernel, under its lock.
#[inline(always)]
pub fn with_kernel<T>(act: impl FnOnce(&PcKernel) -> T) -> T {
    let guard = KERNEL.lock();
    match guard.as_ref() {
        Some(kernel) => act(&kernel.0),
        None => panic!("an entry before the kernel was made"),
    }
}

/// Prints what still waits for the console, whoever has the kernel's lock: on the way out of a panic.
pub fn flush_console() {
    if KERNEL.is_locked() {
        // SAFETY: this is the only CPU, with interrupts off: who has the lock is who panicked, and
        // doesn't go on. Both get shared references only.
        unsafe { KERNEL.force_unlock() };
    }
    if let Some(kernel) = KERNEL.lock().as_ref() {
        kernel.0.flush_console();
    }
}

/// The way from the boot code, with the address of PVH's start-info structure, to the first program.
pub extern "sysv64" fn start(info: u64) -> ! {
    serial::initialise();
    // SAFETY: only the kernel runs, and it writes to nothing but its image while it copies what the loader
    // handed over, and while it reads ACPI's tables.
    let mapped = unsafe { Mapped::new() };
    let Some(handover) = Handover::copy(&mapped, info, addresses_end()) else {
        fail(format_args!("not started by a PVH loader"));
    };
    let options = Options::parse(handover.command_line());
    set_stop_ports(options.exit_port, 0);
    let has_huge_pages = set_control_registers();
    let mut memory =
        Memory::new(&handover).unwrap_or_else(|unusable| fail(format_args!("{unusable}")));
    let space = make_kernel_space(&mut memory, handover.regions(), has_huge_pages)
        .unwrap_or_else(|shortage| fail(format_args!("{shortage}")));
    let upper = upper_half(space);
    // SAFETY: it maps the kernel's image and all RAM where the boot tables have them.
    unsafe { load_first_space(space) };
    // SAFETY: once, at boot, with interrupts off, segments first.
    unsafe {
        descriptors::initialise();
        entry::initialise();
    }
    silence_old_controllers();
    let platform = Platform::read(&mapped, handover.regions(), handover.root_pointer);
    set_stop_ports(options.exit_port, platform.power_port);
    memory
        .withhold(handover.regions(), &platform)
        .unwrap_or_else(|in_use| fail(format_args!("{in_use}")));
    let archive_pages = archive_frames(&handover).count();
    let unused = memory.keep(MOST_OBJECTS.saturating_sub(archive_pages));
    if platform.local_apic == 0 {
        fail(format_args!(
            "no local APIC: the memory map has RAM where it should be"
        ));
    }
    if !apic::initialise(platform.local_apic) {
        fail(format_args!("no local APIC at {:#x}", platform.local_apic));
    }
    if !time::calibrate() {
        fail(format_args!(
            "no clock: neither the interval timer nor the CPU tells the time-stamp counter's rate"
        ));
    }
    let (random, genuine) = Random::new();
    let cpus = platform.cpus;
    let mut pc = Pc {
        space,
        upper,
        platform,
        regions: handover.regions,
        msix: Functions::NONE,
        random,
        exit_port: options.exit_port,
    };
    pc.msix = Functions::find(&pc);
    let without_interrupts = pc.msix.left_out;
    let kernel = make_kernel(pc, memory, &handover);
    kernel.set_log_level(options.log_level);
    #[cfg(feature = "planted-faults")]
    plant(&kernel, options.planted);
    if unused > 0 {
        kernel.say(format_args!(
            "kernel: {} MiB of RAM stay unused: spacebank has room for {MOST_OBJECTS} pages",
            unused / 256,
        ));
    }
    if without_interrupts > 0 {
        kernel.say(format_args!(
            "kernel: {without_interrupts} PCI functions with MSI-X too many: they get no interrupts"
        ));
    }
    begin(kernel, &handover, options.init, genuine, cpus)
}

/// Has the kernel make the mistake that the command line names.
#[cfg(feature = "planted-faults")]
fn plant(kernel: &PcKernel, name: Option<&str>) {
    let Some(name) = name else { return };
    match kernel::planted::Fault::ALL
        .into_iter()
        .find(|fault| fault.name() == name)
    {
        Some(fault) => kernel.plant(Some(fault)),
        None => fail(format_args!("there is no fault {name} to plant")),
    }
}

/// Makes the kernel's tables out of the memory that is left.
fn make_kernel(pc: Pc, mut memory: Memory, handover: &Handover) -> PcKernel {
    let archive = archive_frames(handover);
    let archive_count = archive.clone().count();
    let most = memory.pages() + archive_count;
    let end = memory.end().max(handover.archive.end);
    let frame_rows = end.div_ceil(abi::PAGE_SIZE as u64) as usize + 1;
    let tables = (|| {
        let frames: *mut FrameRow = memory.allocate(frame_rows * size_of::<FrameRow>())?.cast();
        let objects: *mut ObjectRow = memory.allocate(most * size_of::<ObjectRow>())?.cast();
        let timers: *mut Cell<Frame> = memory.allocate(most * size_of::<Frame>())?.cast();
        let console: *mut Cell<u8> = memory.allocate(kernel::console::BYTES)?.cast();
        Ok((frames, objects, timers, console))
    })();
    let (frames, objects, timers, console) =
        tables.unwrap_or_else(|shortage: Shortage| fail(format_args!("{shortage}")));
    let mut count = 0;
    for frame in archive.chain(memory.frames()) {
        // SAFETY: no more frames are left than there were when the table was sized.
        unsafe { objects.add(count).write(ObjectRow::free(frame)) };
        count += 1;
        // Free objects own zeroed frames; the loader and the firmware left theirs anyhow.
        if count > archive_count {
            // SAFETY: a frame of usable RAM that nobody has been given yet.
            unsafe { zero_unless_zero(physical(frame.physical()).cast()) };
        }
    }
    for n in 0..frame_rows {
        // SAFETY: the table has so many rows.
        unsafe { frames.add(n).write(FrameRow::empty()) };
    }
    // SAFETY: all rows up to these counts are written (a zeroed timer place is `Frame::NONE`), any
    // bytes wait for the console, and the memory is the kernel's for good.
    unsafe {
        Kernel::new(
            pc,
            core::slice::from_raw_parts(objects, count),
            core::slice::from_raw_parts(frames, frame_rows),
            core::slice::from_raw_parts(timers, count),
            core::slice::from_raw_parts(console, kernel::console::BYTES),
        )
    }
}

/// Zeroes a frame that isn't zero. Most are at boot, and a virtual machine's host gives it memory for
/// what it writes only.
///
/// # Safety
/// There are 4,096 mapped bytes, aligned to 8, and nobody else reads or writes them.
unsafe fn zero_unless_zero(words: *mut u64) {
    const WORDS: usize = abi::PAGE_SIZE / size_of::<u64>();
    // SAFETY: as promised by the caller.
    unsafe {
        let is_zero = core::slice::from_raw_parts(words, WORDS)
            .chunks_exact(8)
            .all(|chunk| chunk.iter().fold(0, |all, word| all | word) == 0);
        if !is_zero {
            core::ptr::write_bytes(words, 0, WORDS);
        }
    }
}

/// The frames in which the archive lies: `Memory::new` has made sure that it lies in RAM.
fn archive_frames(handover: &Handover) -> impl Iterator<Item = Frame> + Clone + use<> {
    let Range { start, end } = handover.archive;
    (start >> 12..end.div_ceil(4096)).map(|n| Frame(n as u32))
}

/// Starts the first programs: spacebank, and the one that is called `first`.
fn begin(kernel: PcKernel, handover: &Handover, first: &str, genuine: bool, cpus: u32) -> ! {
    let Range { start, end } = handover.archive;
    // SAFETY: the module's bytes, in RAM, mapped for good; its pages are read-only to everybody.
    let bytes = unsafe { core::slice::from_raw_parts(physical(start), (end - start) as usize) };
    let Some(archive) = Archive::open(bytes) else {
        fail(format_args!("the boot archive is no tar archive"));
    };
    let (Some(spacebank), Some(init)) = (archive.program("spacebank"), archive.program(first))
    else {
        fail(format_args!(
            "the boot archive lacks bin/spacebank or bin/{first}"
        ));
    };
    let boot = Boot {
        spacebank,
        init,
        archive_pages: archive_frames(handover).count(),
        archive_bytes: bytes.len(),
        command_line: handover.command_line(),
        cpus: 1,
    };
    let sold = match kernel.genesis(&boot) {
        Ok(sold) => sold,
        Err(error) => fail(format_args!("{error}")),
    };
    let [free, live, _] = kernel.census();
    kernel.say(format_args!(
        "kernel: {} MiB in {} pages, {sold} for the system; 1 of {cpus} CPUs runs; {} MHz",
        (free + live) / 256,
        free + live,
        time::frequency() / 1_000_000,
    ));
    if !genuine {
        kernel.say(format_args!(
            "kernel: this CPU has no random numbers: keys and ports can be guessed"
        ));
    }
    *KERNEL.lock() = Some(Guarded(kernel));
    let mut registers = Default::default();
    let first = with_kernel(|kernel| {
        kernel
            .after_interrupt(&mut registers)
            .map_or(core::ptr::null(), core::ptr::from_ref)
    });
    // SAFETY: everything is initialised, and the kernel loaded the process's space when it chose it.
    unsafe { entry::enter(first) }
}

/// Says why the system can't start, and stops.
fn fail(why: core::fmt::Arguments) -> ! {
    let _ = writeln!(Serial, "usufruct can't start: {why}\r");
    stop(arch::x86_64::FAILED)
}
