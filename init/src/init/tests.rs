//! init on a fake machine: what it starts, what it does when things die, what it gives back.

mod attach;
mod boot;
mod console;
mod copier;
mod death;
mod hang;
mod inject;
mod random;
mod revoke;
mod share;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;

use abi::cap::Kind;

use super::{Due, Init};
use crate::archive::tests::archive;
use crate::boot::Boot;
use crate::fake::{OBJECTS, PRIME_ID, World};
use crate::pci::address::Address;
use crate::pci::card::tests::network_card;
use crate::pci::fake::Machine;
use crate::user::{Member, Phase};

std::thread_local! {
    static LOGGED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        LOGGED.with(|lines| lines.borrow_mut().push(format!("{}", record.args())));
    }
    fn flush(&self) {}
}

/// What was logged by this test since it was last asked.
fn logged() -> String {
    LOGGED.with(|lines| lines.take()).join("\n")
}

/// An archive in memory that lives as long as the tests do.
fn bytes_of(files: &[(&str, &[u8])]) -> &'static [u8] {
    Box::leak(archive(files).into_boxed_slice())
}

/// A static ELF64 program of a few pages.
fn program() -> Vec<u8> {
    let mut elf = vec![0u8; 120 + 16];
    elf[..8].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0]);
    let mut put = |at: usize, value: u64, width: usize| {
        elf[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
    };
    put(16, 2, 2); // e_type: executable
    put(18, 62, 2); // e_machine: x86_64
    put(20, 1, 4);
    put(24, 0x40_0000, 8); // e_entry
    put(32, 64, 8); // e_phoff
    put(52, 64, 2);
    put(54, 56, 2);
    put(56, 1, 2); // e_phnum
    put(64, 1, 4); // p_type: load
    put(68, 5, 4); // p_flags: read, execute
    put(72, 120, 8); // p_offset
    put(80, 0x40_0000, 8); // p_vaddr
    put(96, 16, 8); // p_filesz
    put(104, 5 * 4096, 8); // p_memsz
    elf
}

const TWO_USERS: &str = "[[user]]\nname = 'alice'\nipv4 = '10.0.2.21/24'\nipv6 = 'off'\n\
                         bind_addresses = true\n[[user]]\nname = 'bob'\nservices = ['http']\n";

/// A machine with a card, whose device notes when it is reset.
fn world() -> &'static World {
    let _ = log::set_logger(&Logger);
    log::set_max_level(log::LevelFilter::Info);
    logged();
    let machine = Machine::with([(Address::new(0, 2, 0), network_card())]);
    let world: &'static World = Box::leak(Box::new(World::new(machine)));
    *world.pci.device.borrow_mut() = Some(Box::new(|bytes, offset, written| {
        // The window's data, in front of the status register.
        if offset == 0x98 {
            if written == Some(0) {
                world.note("device reset");
            }
            bytes[0x98] = 0;
        }
    }));
    world
}

fn boot(command_line: &str) -> Boot {
    Boot {
        archive: 0x4000_0000,
        archive_bytes: 1,
        frames: OBJECTS as u32,
        cpus: 1,
        command_line: command_line.into(),
    }
}

/// Boots with these files beside the programs.
fn start_with(world: &'static World, line: &str, files: &[(&str, &[u8])]) -> Init<'static, World> {
    let mut init = Init::new(world, boot(line), bytes_of(files)).unwrap();
    init.start();
    init
}

/// Boots with a manifest, until nothing is left to do.
fn start(world: &'static World, line: &str, manifest: &str) -> Init<'static, World> {
    let program = program();
    let files = [
        ("bin/ethdrv", &program[..]),
        ("bin/netstack", &program[..]),
        ("bin/copier", &program[..]),
        ("bin/watchdog", &program[..]),
        ("bin/test", &program[..]),
        ("etc/manifest.toml", manifest.as_bytes()),
    ];
    let mut init = start_with(world, line, &files);
    settle(&mut init);
    init
}

/// Turns until nothing is due soon.
fn settle(init: &mut Init<'static, World>) {
    for _ in 0..10_000 {
        let world = init.host;
        // Who waits for a frame looks again and again.
        let next = init.timers.next();
        let looks = next.is_some() && next == init.timers.when(&Due::Frames);
        let soon = next.is_some_and(|at| !looks && at < world.now.get() + 500_000_000);
        if world.bits.borrow().is_empty() && init.work.is_empty() && !soon {
            return;
        }
        init.turn();
    }
    panic!(
        "init does not come to rest: {:?} {:?}",
        init.work, init.timers
    );
}

/// Turns until the time, and then until nothing is due soon.
fn pass(init: &mut Init<'static, World>, nanoseconds: u64) {
    let until = init.host.now.get() + nanoseconds;
    while !init.work.is_empty()
        || !init.host.bits.borrow().is_empty()
        || init.timers.next().is_some_and(|at| at <= until)
    {
        init.turn();
    }
    init.host.now.set(init.host.now.get().max(until));
    settle(init);
}

/// Types at the console; answers what it shows.
fn type_line(init: &mut Init<'static, World>, line: &str) -> String {
    init.host.console.borrow_mut().clear();
    for piece in line.as_bytes().chunks(40) {
        init.host.serial.borrow_mut().extend(piece);
        let bit = init.host.serial_bit.get().unwrap();
        init.host.bits.borrow_mut().insert(bit);
        settle(init);
    }
    String::from_utf8(init.host.console.borrow().clone()).unwrap()
}

fn member<'i>(init: &'i Init<'static, World>, name: &str) -> &'i Member {
    init.members.get(init.members.find(name).unwrap()).unwrap()
}

fn is_running(init: &Init<'static, World>, name: &str) -> bool {
    matches!(member(init, name).phase, Phase::Running { .. })
}

/// The process of a name, if it exists.
fn process(world: &World, name: &str) -> Option<u64> {
    let objects = world.objects.borrow();
    let found = objects
        .iter()
        .find(|(_, object)| object.kind == Kind::Process && object.process.name == name);
    found.map(|(number, _)| *number)
}

/// The limit of the bank in a slot.
fn limit(world: &World, bank: sys::Cap<sys::bank::Bank>) -> u64 {
    bank.usage(world).unwrap().limit
}

/// Objects of the whole system.
fn total(world: &World) -> u64 {
    world.bought(PRIME_ID)
}
