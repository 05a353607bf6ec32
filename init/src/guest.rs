//! The program of `program=`: one guest beside the users, or instead of them, with init's authorities.
//!
//! It is for tests and benches, and trusted like init. It finds in its `GRANT` slots
//!
//! | slot | what |
//! | --- | --- |
//! | +0 | the verifier |
//! | +1 | all interrupts |
//! | +2 | all I/O ports |
//! | +3 | all device memory |
//! | +4 | all PCI functions |
//! | +5 | reset: it ends a test with its own verdict |
//!
//! and in its bank's slot a bank of its own with every right. Its arguments are the text of
//! `program-arguments=`. With `users=off` nobody else uses the devices.

use alloc::format;
use alloc::string::{String, ToString};

use abi::PRIORITIES;
use abi::boot::slot;
use rt::child::{Grant, STACK_PAGES};
use sys::Cap;
use sys::bank::{Bank, BankRights};
use sys::object::Process;

use crate::boot::{AfterProgram, PROGRAM_ENDED};
use crate::destroy::destroy_step;
use crate::failure::{Failure, Trying};
use crate::host::{Host, PRIME, RESET, bit, priority};
use crate::init::{Init, Work};
use crate::launch::{Held, Order, image, image_name};
use crate::supervise::report::{self, Subject};

/// Names that are the system's own: no user has them.
pub const SELF_NAMES: [&str; 5] = [
    "kernel",
    "spacebank",
    "init",
    "watchdog",
    crate::ethernet::NAME,
];

/// The authorities that the guest gets, from its first `GRANT` slot on.
const AUTHORITIES: [u16; 6] = [
    slot::INIT_VERIFIER,
    slot::INIT_IRQ,
    slot::INIT_IO_PORT,
    slot::INIT_DEVICE_MEMORY,
    slot::INIT_DEVICE_DMA,
    slot::INIT_RESET,
];

/// The guest.
#[derive(Clone, Debug)]
pub struct Guest {
    /// The file that it runs.
    pub file: String,
    /// Its bank.
    pub bank: Cap<Bank>,
    /// Its process and root table.
    pub held: Held,
    /// Whether it runs. Otherwise its bank is being destroyed, or gone.
    pub running: bool,
}

impl Guest {
    /// Its name: the file's.
    pub fn name(&self) -> &str {
        image_name(&self.file)
    }
}

impl<H: Host> Init<'_, H> {
    /// Starts the guest.
    pub(crate) fn start_guest(&mut self, file: &str) {
        match self.try_start_guest(file) {
            Ok(()) => log::info!("{} runs, out of {file}", image_name(file)),
            Err(failure) => {
                log::error!("{}", failure.during(format_args!("program={file}")));
                self.guest_ended();
            }
        }
    }

    fn try_start_guest(&mut self, file: &str) -> Result<(), Failure> {
        let (host, sys) = (self.host, self.host.sys());
        let take = || host.take_slot().trying("taking slots");
        let image = image(&self.archive, file)?;
        // Known from now on, so that what is made of it is given back when the rest fails.
        let guest = self.guest.insert(Guest {
            file: file.to_string(),
            bank: Cap::at(take()?),
            held: Held {
                process: take()?,
                root: take()?,
            },
            running: true,
        });
        let limit = self
            .options
            .program_bank
            .unwrap_or(u64::from(self.boot.frames) / 4);
        PRIME
            .sub_bank(sys, limit, false, guest.bank)
            .map_err(|error| Failure::buying(sys, PRIME, "making its bank", error))?;
        let grants = AUTHORITIES.iter().zip(slot::GRANT..);
        let grants: alloc::vec::Vec<Grant> =
            grants.map(|(from, to)| Grant::new(to, *from)).collect();
        let order = Order {
            name: guest.name(),
            file,
            arguments: self.options.program_arguments.as_bytes(),
            priority: priority::STACK,
            stack_pages: STACK_PAGES,
            bank: guest.bank,
            bank_rights: BankRights::all(),
            grants: &grants,
            bit: bit::GUEST,
        };
        self.launcher.launch(host, &image, &order, guest.held)?;
        // It stands in for all of the system: for drivers, too.
        let process: Cap<Process> = Cap::at(guest.held.process);
        process
            .set_ceiling(sys, PRIORITIES as u8 - 1)
            .trying("letting it give any priority")
    }

    /// The guest stopped: says why.
    pub(crate) fn guest_stopped(&mut self) {
        let sys = self.host.sys();
        let Some(guest) = self.guest.as_mut().filter(|guest| guest.running) else {
            return;
        };
        let process = Cap::at(guest.held.process);
        if !crate::supervise::has_stopped(sys, process) {
            return;
        }
        let subject = Subject {
            name: guest.name(),
            image: guest.name(),
        };
        report::lines(sys, process, subject)
            .iter()
            .for_each(|line| log::error!("{line}"));
        self.guest_ended();
    }

    /// What follows when the guest has ended, as `after=` says.
    pub(crate) fn guest_ended(&mut self) {
        match self.options.after {
            AfterProgram::Halt => {
                log::error!("halting, because the program has ended");
                if let Err(error) = RESET.halt(self.host.sys(), PROGRAM_ENDED) {
                    log::error!("{}", Failure::of("halting", error));
                }
            }
            AfterProgram::Stay => {
                if let Some(guest) = self.guest.as_mut() {
                    guest.running = false;
                    self.add_work(Work::EmptyGuest);
                }
            }
        }
    }

    /// A step of destroying the guest's bank; answers whether there is more.
    pub(crate) fn empty_guest(&mut self) -> bool {
        let Some(guest) = &self.guest else {
            return false;
        };
        let whose = format!("program {}", guest.name());
        if destroy_step(self.host.sys(), guest.bank, &whose) {
            return true;
        }
        if let Some(guest) = self.guest.take() {
            for slot in [guest.bank.address(), guest.held.process, guest.held.root] {
                self.host.give_slot(slot);
            }
        }
        false
    }
}
