//! Reports on processes that look like anything.

use super::*;
use abi::cap::CapAddr;
use abi::error::{EFAULT, ENOSYS, Status, VOID, status};
use abi::method::process as method;
use alloc::collections::BTreeMap;
use sys::{Event, Message, Reply};

/// One process, faulted.
#[derive(Default)]
struct Corpse {
    info: [u64; 6],
    frame: u64,
    memory: BTreeMap<u64, u64>,
    gone: bool,
}

impl Corpse {
    fn answer(&self, message: &Message) -> Result<[u64; 6], Status> {
        match message.words[0] {
            _ if self.gone => Err(VOID),
            method::INFO => Ok(self.info),
            method::REGISTERS => Ok([self.info[4], 1, self.frame, 2, 3, 4]),
            method::READ_MEMORY => {
                let mut words = [0; 6];
                for (n, word) in words.iter_mut().enumerate() {
                    let address = message.words[1] + 8 * n as u64;
                    *word = *self.memory.get(&address).ok_or(status(EFAULT))?;
                }
                Ok(words)
            }
            _ => Err(status(ENOSYS)),
        }
    }
}

impl Sys for Corpse {
    fn call(&self, _: CapAddr, message: &Message) -> Reply {
        match self.answer(message) {
            Ok(words) => Reply {
                words,
                ..Reply::default()
            },
            Err(status) => Reply {
                status,
                ..Reply::default()
            },
        }
    }
    fn send(&self, _: CapAddr, _: &Message) -> Status {
        unreachable!()
    }
    fn wait(&self, _: [CapAddr; 4]) -> Event {
        unreachable!()
    }
    fn reply_and_wait(&self, _: Status, _: &Message) -> Event {
        unreachable!()
    }
    fn resume(&self, _: CapAddr, _: Status, _: &Message) -> Status {
        unreachable!()
    }
    fn poll(&self, _: [CapAddr; 4]) -> Option<Event> {
        unreachable!()
    }
    fn save_caller(&self, _: CapAddr) -> Status {
        unreachable!()
    }
}

const SUBJECT: Subject<'static> = Subject {
    name: "alice",
    image: "netstack",
};

fn report(corpse: &Corpse) -> Vec<String> {
    lines(corpse, Cap::at(40), SUBJECT)
}

#[test]
fn a_write_to_receive_memory_is_named() {
    let mut corpse = Corpse {
        // Page fault, present, write; last invocation: call of the bank, method 1.
        info: [
            0,
            0,
            0x301,
            0x2000_1000,
            0x40_1234,
            1 << 32 | u64::from(slot::BANK),
        ],
        frame: 0x101f_ffa0,
        ..Corpse::default()
    };
    for address in (0x101f_ff00..0x1020_0000).step_by(8) {
        corpse.memory.insert(address, 0);
    }
    corpse.memory.insert(0x101f_ffa0, 0x101f_fff0);
    corpse.memory.insert(0x101f_ffa8, 0x40_2000);
    corpse.memory.insert(0x101f_fff0, 0);
    corpse.memory.insert(0x101f_fff8, 0x40_3000);
    let lines = report(&corpse);
    assert_eq!(
        lines[0],
        "alice (netstack) stopped: page fault: writing 0x20001000, which it may not \
         (instruction 0x401234)"
    );
    assert_eq!(
        lines[1],
        "    last invocation: call of capability 4 (its bank), method 1"
    );
    assert!(lines[2].contains("rip 0x401234") && lines[2].contains("rbp 0x101fffa0"));
    // The last frame ends at the end of the stack, beyond which nothing can be read.
    assert_eq!(
        lines[5..],
        [
            "    #0 netstack 0x401234",
            "    #1 netstack 0x402000",
            "    #2 netstack 0x403000"
        ]
    );
}

#[test]
fn frames_that_lead_in_circles_end() {
    let mut corpse = Corpse {
        frame: 0x1000,
        ..Corpse::default()
    };
    for address in (0x1000..0x3000u64).step_by(8) {
        corpse.memory.insert(address, 0x1000);
    }
    assert_eq!(report(&corpse).len(), 5 + 2);
    // Upwards for ever is bounded, too.
    for address in (0x1000..0x3000u64).step_by(8) {
        corpse.memory.insert(address, address + 16);
    }
    assert_eq!(report(&corpse).len(), 5 + FRAMES);
}

#[test]
fn who_gave_up_is_not_taken_apart() {
    let corpse = Corpse {
        info: [0, 0, 7, 0, 0x40_0000, 0],
        ..Corpse::default()
    };
    let lines = report(&corpse);
    assert_eq!(lines.len(), 2);
    assert!(lines[0].contains("gave up"), "{}", lines[0]);
}

#[test]
fn a_process_that_is_gone_is_reported_all_the_same() {
    let corpse = Corpse {
        gone: true,
        ..Corpse::default()
    };
    assert!(report(&corpse)[0].contains("can't be asked why"));
}

#[test]
fn invocations_are_named() {
    assert_eq!(
        invocation(2 << 16 | 5 | 1 << 32),
        "send to capability 5 (log), method 1"
    );
    assert_eq!(invocation(3 << 16), "wait");
    assert_eq!(invocation(99 << 16), "none that is known");
    assert_eq!(
        invocation(17),
        "call of capability 17 (granted by init), method 0"
    );
}
