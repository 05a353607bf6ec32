//! Why a program died, for people: cause, registers, last invocation, and how it came there.
//!
//! All of it is read from a process that may have been made to look like anything: addresses are
//! followed upwards only, for a bounded number of steps.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::boot::slot;
use abi::fault::{Access, Cause};
use abi::invoke::Op;
use sys::object::{Process, ProcessInfo};
use sys::{Cap, Sys};

/// Most frames of a backtrace.
const FRAMES: usize = 32;

/// Which process a report is about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The process's name.
    pub name: &'a str,
    /// The program that it runs, as its symbols are looked up by: the file's name.
    pub image: &'a str,
}

/// The cause of a fault, in words: `page fault: writing 0x1000, which is not mapped`.
pub fn cause(info: &ProcessInfo) -> String {
    let cause = Cause::from_u8(info.fault as u8);
    let access = Access::from_bits_truncate((info.fault >> 8) as u8);
    match cause {
        Cause::Page => {
            let what = match () {
                () if access.contains(Access::FETCH) => "executing",
                () if access.contains(Access::WRITE) => "writing",
                () => "reading",
            };
            let why = if access.contains(Access::PRESENT) {
                "which it may not"
            } else {
                "where nothing is mapped"
            };
            format!("page fault: {what} {:#x}, {why}", info.fault_address)
        }
        _ => cause.name().into(),
    }
}

/// The lines of a report.
pub fn lines(sys: &impl Sys, process: Cap<Process>, subject: Subject<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let info = match process.info(sys) {
        Ok(info) => info,
        Err(error) => {
            lines.push(format!(
                "{} stopped, and can't be asked why: {error}",
                subject.name
            ));
            return lines;
        }
    };
    lines.push(format!(
        "{} ({}) stopped: {} (instruction {:#x})",
        subject.name,
        subject.image,
        cause(&info),
        info.fault_instruction
    ));
    lines.push(format!(
        "    last invocation: {}",
        invocation(info.last_invocation)
    ));
    // A program that gives up has said why, and how it came there; its registers mean nothing.
    if Cause::from_u8(info.fault as u8) == Cause::Declined {
        return lines;
    }
    let names = [
        ["rip", "rsp", "rbp", "rflags", "rax", "rbx"],
        ["rcx", "rdx", "rsi", "rdi", "r8", "r9"],
        ["r10", "r11", "r12", "r13", "r14", "r15"],
    ];
    let mut frame = 0;
    for (group, names) in names.iter().enumerate() {
        let Ok(values) = process.registers(sys, group as u64) else {
            continue;
        };
        if group == 0 {
            frame = values[2];
        }
        let mut line = String::from("   ");
        for (name, value) in names.iter().zip(values) {
            line.push_str(&format!(" {name} {value:#x}"));
        }
        lines.push(line);
    }
    backtrace(
        sys,
        process,
        subject.image,
        info.fault_instruction,
        frame,
        &mut lines,
    );
    lines
}

/// The last invocation, packed as `abi::method::process::INFO` says.
pub fn invocation(packed: u64) -> String {
    let (address, method) = (packed as u16, packed >> 32);
    match Op::from_u8((packed >> 16) as u8) {
        Some(op @ (Op::Call | Op::Send)) => {
            let verb = if op == Op::Call { "call of" } else { "send to" };
            format!(
                "{verb} capability {address}{}, method {method}",
                slot_name(address)
            )
        }
        Some(Op::ReplyWait) => "answer, then wait".into(),
        Some(Op::Wait) => "wait".into(),
        Some(Op::Poll) => "look for messages".into(),
        Some(Op::SaveCaller) => "keep the caller for later".into(),
        Some(Op::FaultReturn) => "return from a fault".into(),
        Some(Op::FaultDecline) => "give up".into(),
        Some(Op::Yield) => "let others run".into(),
        Some(Op::Null) => "nothing".into(),
        None => "none that is known".into(),
    }
}

/// What a program's conventional slots hold.
fn slot_name(address: u16) -> &'static str {
    match address {
        slot::ROOT => " (its capability table)",
        slot::PROCESS => " (its process)",
        slot::SPACE => " (its address space)",
        slot::BANK => " (its bank)",
        slot::LOG => " (log)",
        slot::CLOCK => " (clock)",
        slot::RANDOM => " (random)",
        slot::MESSAGE => " (its message page)",
        slot::GRANT..24 => " (granted by init)",
        _ => "",
    }
}

fn backtrace(
    sys: &impl Sys,
    process: Cap<Process>,
    image: &str,
    instruction: u64,
    mut frame: u64,
    lines: &mut Vec<String>,
) {
    lines.push(format!("    #0 {image} {instruction:#x}"));
    for number in 1..FRAMES {
        let Some([next, back]) = two_words(sys, process, frame) else {
            return;
        };
        if back == 0 {
            return;
        }
        lines.push(format!("    #{number} {image} {back:#x}"));
        if next <= frame {
            return;
        }
        frame = next;
    }
}

/// Two words of a process's memory. Six are read at once, and all six must be there: where they
/// reach beyond the end of the stack, those before are read instead.
fn two_words(sys: &impl Sys, process: Cap<Process>, address: u64) -> Option<[u64; 2]> {
    if address == 0 || !address.is_multiple_of(8) {
        return None;
    }
    if let Ok(words) = process.read_memory(sys, address) {
        return Some([words[0], words[1]]);
    }
    let words = process.read_memory(sys, address.checked_sub(32)?).ok()?;
    Some([words[4], words[5]])
}

#[cfg(test)]
mod tests {
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
}
