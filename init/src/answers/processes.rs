//! `ps`: the processes.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use sys::Cap;
use sys::bank::Bank;
use sys::object::{Process, ProcessInfo};

use crate::console::table::{Align, Table, memory, per_cent};
use crate::host::{CLOCK, Host, PRIME, PROCESS, SPACEBANK};
use crate::init::Init;
use crate::launch::image_name;
use crate::supervise::report::state_words;
use crate::usage::CpuMark;

const COLUMNS: &[(&str, Align)] = &[
    ("process", Align::Left),
    ("program", Align::Left),
    ("priority", Align::Right),
    ("CPU", Align::Right),
    ("since boot", Align::Right),
    ("cycles", Align::Right),
    ("switches", Align::Right),
    ("memory", Align::Right),
    ("state", Align::Left),
];

/// A process that init can ask.
struct Known {
    name: String,
    image: &'static str,
    info: ProcessInfo,
    pages: Option<u64>,
}

impl<H: Host> Init<'_, H> {
    /// The processes, and how much of the processor each had since `ps` was asked before.
    pub(crate) fn answer_processes(&mut self) -> String {
        let Ok(time) = CLOCK.now(self.host.sys()) else {
            return "The clock does not answer.\n".into();
        };
        let known = self.known_processes();
        let cycles = known
            .iter()
            .map(|known| (known.name.clone(), known.info.cycles));
        let mark = CpuMark {
            ticks: time.ticks,
            cycles: cycles.collect(),
        };
        let mut table = Table::new(COLUMNS);
        let (mut recent, mut ever, mut span) = (0, 0, 0);
        for process in &known {
            let (ran, ticks) = mark.since(&self.mark, &process.name);
            (recent, ever, span) = (recent + ran, ever + process.info.cycles, ticks);
            table.row([
                process.name.clone(),
                process.image.into(),
                process.info.priority.to_string(),
                per_cent(ran, ticks),
                per_cent(process.info.cycles, time.ticks),
                process.info.cycles.to_string(),
                process.info.switches.to_string(),
                process.pages.map_or("-".into(), memory),
                state_words(&process.info).into(),
            ]);
        }
        let rest = time.ticks.saturating_sub(ever);
        table.row([
            "(the rest)".into(),
            String::new(),
            String::new(),
            per_cent(span.saturating_sub(recent), span),
            per_cent(rest, time.ticks),
            rest.to_string(),
        ]);
        self.mark = mark;
        let mut text = table.render();
        text.push_str(
            "CPU is since `ps` was asked before; the rest is the kernel and idling. Switches are of a CPU to \
             the process's address space. spacebank's memory is counted with init's.\n",
        );
        text
    }

    fn known_processes(&self) -> Vec<Known> {
        let sys = self.host.sys();
        let mut known = Vec::new();
        let mut add = |name: &str, image, process: Cap<Process>, pages| {
            if let Ok(info) = process.info(sys) {
                known.push(Known {
                    name: name.into(),
                    image,
                    info,
                    pages,
                });
            }
        };
        let pages = |bank: Cap<Bank>| bank.usage(sys).ok().map(|usage| usage.bought);
        add("spacebank", "spacebank", SPACEBANK, None);
        add("init", "init", PROCESS, self.own_pages());
        let driver = &self.driver;
        add(
            crate::ethernet::NAME,
            image_name(crate::ethernet::FILE),
            Cap::at(driver.held.process),
            pages(driver.bank),
        );
        let dog = &self.watchdog;
        if dog.has_bank {
            let name = crate::init::WATCHDOG;
            add(name, name, Cap::at(dog.held.process), pages(dog.bank));
        }
        if let Some(guest) = &self.guest {
            add(
                guest.name(),
                "",
                Cap::at(guest.held.process),
                pages(guest.bank),
            );
        }
        for (_, member) in self.members.iter().filter(|(_, member)| member.has_bank) {
            // The user's bank counts what its copier's has, too.
            let mut memory = pages(member.slots.bank);
            for (name, file, process) in member.processes() {
                add(&name, image_name(file), process, memory.take());
            }
        }
        known
    }

    /// What the prime bank itself holds: init's own, and what the kernel made before spacebank ran,
    /// spacebank and its records among it.
    fn own_pages(&self) -> Option<u64> {
        let sys = self.host.sys();
        let kinds = (1..=abi::cap::STORAGE_KINDS as u8).filter_map(abi::cap::Kind::from_u8);
        kinds.map(|kind| PRIME.usage_of_kind(sys, kind).ok()).sum()
    }
}
