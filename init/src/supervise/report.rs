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
use abi::method::process::state;
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
    let [_, frame] = registers(sys, process, &mut lines);
    let instruction = info.fault_instruction;
    backtrace(sys, process, subject.image, instruction, frame, &mut lines);
    lines
}

/// The lines of a report on a process that did not stop: where it stands.
pub fn standing(
    sys: &impl Sys,
    process: Cap<Process>,
    info: ProcessInfo,
    subject: Subject<'_>,
) -> Vec<String> {
    let mut lines = alloc::vec![
        format!(
            "{} ({}) {}",
            subject.name,
            subject.image,
            state_words(&info)
        ),
        format!("    last invocation: {}", invocation(info.last_invocation)),
    ];
    let [instruction, frame] = registers(sys, process, &mut lines);
    backtrace(sys, process, subject.image, instruction, frame, &mut lines);
    lines
}

/// What a process is doing, in words.
pub fn state_words(info: &ProcessInfo) -> &'static str {
    match (info.state, Cause::from_u8(info.fault as u8)) {
        (state::STOPPED, Cause::None) => "stopped",
        (state::STOPPED, cause) => cause.name(),
        (state::READY, _) => "runs",
        (state::WAITING, _) => "waits",
        (state::QUEUED, _) => "waits for a server",
        (state::CALLING, _) => "waits for an answer",
        _ => "?",
    }
}

/// Adds the registers; answers instruction and frame pointer, zero if they can't be had.
fn registers(sys: &impl Sys, process: Cap<Process>, lines: &mut Vec<String>) -> [u64; 2] {
    let names = [
        ["rip", "rsp", "rbp", "rflags", "rax", "rbx"],
        ["rcx", "rdx", "rsi", "rdi", "r8", "r9"],
        ["r10", "r11", "r12", "r13", "r14", "r15"],
    ];
    let mut place = [0; 2];
    for (group, names) in names.iter().enumerate() {
        let Ok(values) = process.registers(sys, group as u64) else {
            continue;
        };
        if group == 0 {
            place = [values[0], values[2]];
        }
        let mut line = String::from("   ");
        for (name, value) in names.iter().zip(values) {
            line.push_str(&format!(" {name} {value:#x}"));
        }
        lines.push(line);
    }
    place
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
mod tests;
