//! Prints what an echo costs: a UDP datagram in, through driver and stack, and out again. The word
//! `echoes=N` on the kernel's command line says how many are counted instead of 4,096.
//!
//! The program is the *wire process* of [`ethdrv::wire`], and the host at its other end. It starts the
//! ethernet driver on the simulated wire and one user's stack with the echo service, in init's place
//! (`init=echo`), learns the stack's address by ARP, and sends it datagrams.
//!
//! `echo.udp64.1`: datagrams of 64 bytes (frames of 106), each sent when the last came back;
//! `echo.udp64.32`: 32 on their way at any time; `echo.udp1400.32`: so with 1,400 bytes. A figure is the
//! cycles that the kernel charged to driver and stack (`Process::INFO`), and all that nobody of the
//! three was charged with (spacebank, idling), divided by the echoes. The kernel's own time is in it: it is
//! charged to the process that entered the kernel. What the wire process itself takes is not: a
//! network does not run on this CPU. `.driver`, `.stack` and `.rest` are the parts.
//!
//! These are with copying, and one user. `.flip`: with a second user who sends and receives nothing; both
//! flip, so that half of the frames come in pages of the recipient's, and the other half are exchanged.
//! `.hybrid`: so too, from 600 bytes on. `.frame`: with a third user, who echoes by copying, and whose
//! transmit pages are pinned for each frame instead of for the session.
//!
//! `switches.echo64.*`: how often, an echo, the CPU switched to the address space of driver or stack.
//!
//! The wire process is less urgent than both, so it runs when they have nothing left to do: what is on
//! its way arrives together. Every echo is compared byte for byte with what was sent.
#![no_std]
#![no_main]

extern crate alloc;

mod peer;
mod wire;

use core::net::Ipv4Addr;

use dev::settings::{Pinning, Receive, Strategy};
use guest::report;
use guest::say;
use guest::statistics::Tenths;
use guest::wired::{self, Failure, System, User};
use netstack::config::{Config, Ipv4, Ipv6, Services};
use rt::Kernel;
use rt::clock::ticks;
use sys::Cap;
use sys::object::{Process, ProcessInfo};

use peer::Peer;
use wire::WireProcess;

rt::entry!(main);

/// Echoes measured, unless the command line says how many.
const ECHOES: u64 = 4096;
/// The length in bytes from which on `hybrid` flips here: between the two that are measured.
const THRESHOLD: u16 = 600;
/// Echoes before that.
const WARM_UP: u64 = 512;
/// Pages each way, as a user gets by default.
const PORT_PAGES: u16 = 128;

/// A user's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Station {
    /// MAC.
    pub mac: [u8; 6],
    /// IPv4.
    pub address: Ipv4Addr,
}

impl Station {
    const fn new(number: u8) -> Station {
        Station {
            mac: [2, 0, 0, 0, 0, number],
            address: Ipv4Addr::new(10, 0, 2, 20 + number),
        }
    }
}

/// Who echoes.
pub const ECHO: Station = Station::new(1);
/// Who sends and receives nothing.
pub const IDLE: Station = Station::new(2);
/// Who echoes out of pages that are pinned for each frame.
pub const PER_FRAME: Station = Station::new(3);

fn main() {
    let code = match run() {
        Ok(()) => 0,
        Err(failure) => {
            say!("echo: {failure}");
            report::FAILED
        }
    };
    report::stop(code)
}

fn run() -> Result<(), Failure> {
    let boot = wired::boot()?;
    let echoes = echoes(&boot.command_line)?;
    let (mut system, cable) = System::start(&boot, peer::FRAME as u32)?;
    let stack = add_stack(&mut system, "echo", ECHO, Pinning::default())?;
    let mut wire = WireProcess { cable, stack };
    let mut peer = Peer::new(ECHO);
    wire.resolve(&system, &mut peer)?;
    measure_all(&system, &mut wire, &mut peer, echoes, "")?;
    // With one user alone, each frame would lie in a page of the recipient's.
    add_stack(&mut system, "idle", IDLE, Pinning::default())?;
    system.add_receive_slots()?;
    for (suffix, strategy) in [(".flip", Strategy::Flip), (".hybrid", Strategy::Hybrid)] {
        system.set_receive(Receive {
            strategy,
            threshold: THRESHOLD,
            ..Receive::default()
        })?;
        let before = system.ways()?;
        measure_all(&system, &mut wire, &mut peer, echoes, suffix)?;
        let after = system.ways()?;
        let [_, in_place, exchanged] = [0, 1, 2].map(|n| after[n] - before[n]);
        if in_place == 0 || exchanged == 0 {
            return Err(Failure::Wrong(
                "nothing was delivered in place, or nothing exchanged",
            ));
        }
        say!("echo{suffix}: {in_place} frames in place, {exchanged} exchanged");
    }
    system.set_receive(Receive::default())?;
    let station = PER_FRAME;
    wire.stack = add_stack(&mut system, "frame", station, Pinning::Frame)?;
    peer.turn_to(station);
    wire.resolve(&system, &mut peer)?;
    measure_each(&system, &mut wire, &mut peer, echoes, ".frame", &RUNS[1..])
}

/// What is measured: name, name of the switches, bytes of payload, datagrams on their way.
const RUNS: [(&str, &str, usize, u64); 3] = [
    ("udp64.1", "echo64.1", 64, 1),
    ("udp64.32", "echo64.32", 64, 32),
    ("udp1400.32", "", 1400, 32),
];

/// Starts a user's stack, with the echo service.
fn add_stack(
    system: &mut System,
    name: &str,
    Station { mac, address }: Station,
    pinning: Pinning,
) -> Result<Cap<Process>, Failure> {
    let config = Config {
        ipv4: Ipv4::Static {
            address,
            prefix_length: 24,
            gateway: None,
        },
        ipv6: Ipv6::Off,
        services: Services {
            echo: true,
            ..Services::NONE
        },
        ..Config::new(name, mac)
    };
    system.add_user(&User {
        program: "netstack",
        arguments: &wired::postcard(&config)?,
        grants: &[],
        mac,
        pages: PORT_PAGES,
        share: 1,
        pinning,
    })
}

/// Measures and prints all figures of a strategy.
fn measure_all(
    system: &System,
    wire: &mut WireProcess,
    peer: &mut Peer,
    echoes: u64,
    suffix: &str,
) -> Result<(), Failure> {
    measure_each(system, wire, peer, echoes, suffix, &RUNS)
}

/// Measures and prints some figures.
fn measure_each(
    system: &System,
    wire: &mut WireProcess,
    peer: &mut Peer,
    echoes: u64,
    suffix: &str,
    runs: &[(&str, &str, usize, u64)],
) -> Result<(), Failure> {
    for &(name, switches, payload, outstanding) in runs {
        let spent = measure(system, wire, peer, payload, (outstanding, echoes))?;
        let each = |total: u64| Tenths((total * 10 + echoes / 2) / echoes);
        let all = spent.driver + spent.stack + spent.rest;
        say!("figure echo.{name}{suffix} {} instructions", each(all));
        for (part, cycles) in [
            ("driver", spent.driver),
            ("stack", spent.stack),
            ("rest", spent.rest),
        ] {
            say!(
                "figure echo.{name}{suffix}.{part} {} instructions ungated",
                each(cycles)
            );
        }
        if !switches.is_empty() {
            // To a thousandth: at 32 outstanding they are a fraction.
            let mills = (spent.switches * 1000 + echoes / 2) / echoes;
            let (whole, rest) = (mills / 1000, mills % 1000);
            say!("figure switches.{switches}{suffix} {whole}.{rest:03} switches");
        }
    }
    Ok(())
}

/// How many echoes the command line asks for.
fn echoes(command_line: &str) -> Result<u64, Failure> {
    let mut words = command_line.split_ascii_whitespace();
    match words.find_map(|word| word.strip_prefix("echoes=")) {
        None => Ok(ECHOES),
        Some(number) => match number.parse() {
            Ok(count) if count > 0 => Ok(count),
            _ => Err(Failure::Wrong("echoes=N needs a number above 0")),
        },
    }
}

/// What echoes took.
struct Spent {
    driver: u64,
    stack: u64,
    rest: u64,
    switches: u64,
}

/// What the kernel counted until now.
struct Counted {
    at: u64,
    driver: ProcessInfo,
    stack: ProcessInfo,
    own: ProcessInfo,
}

impl Counted {
    fn now(system: &System, stack: Cap<Process>) -> Result<Counted, Failure> {
        let info = |process: Cap<Process>| process.info(&Kernel).map_err(Failure::Count);
        Ok(Counted {
            driver: info(system.driver)?,
            stack: info(stack)?,
            // The last one, so that what it counts ends where the reading of the counter does.
            own: info(guest::children::SELF)?,
            at: ticks(),
        })
    }
}

fn measure(
    system: &System,
    wire: &mut WireProcess,
    peer: &mut Peer,
    payload: usize,
    (outstanding, echoes): (u64, u64),
) -> Result<Spent, Failure> {
    wire.echo(system, peer, payload, outstanding, WARM_UP)?;
    let before = Counted::now(system, wire.stack)?;
    wire.echo(system, peer, payload, outstanding, echoes)?;
    let after = Counted::now(system, wire.stack)?;
    let driver = after.driver.cycles - before.driver.cycles;
    let stack = after.stack.cycles - before.stack.cycles;
    let own = after.own.cycles - before.own.cycles;
    Ok(Spent {
        driver,
        stack,
        rest: (after.at - before.at)
            .checked_sub(driver + stack + own)
            .ok_or(Failure::Wrong("more cycles were charged than passed"))?,
        switches: after.driver.switches - before.driver.switches + after.stack.switches
            - before.stack.switches,
    })
}
