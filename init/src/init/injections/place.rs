//! Where a fault came in, in words: at which entry of whom, and whether before what it asked for.

use alloc::format;
use alloc::string::{String, ToString};

use abi::cap::Kind;
use abi::probe::How;
use sys::object::Place;

/// An entry, and when the fault came: before what it asks for, unless it is an interrupt, which is taken
/// first, or init was not waiting, and came only when it was its turn.
pub(super) fn describe(place: &Place) -> String {
    /// From here on vectors are interrupts, not faults.
    const INTERRUPTS: u8 = 32;
    let name: String = place
        .name
        .iter()
        .take_while(|byte| **byte != 0)
        .map(|byte| char::from(*byte))
        .collect();
    let entry = place.entry;
    let (how, taken) = match entry.how {
        How::Call => {
            let kind = Kind::from_u8(entry.kind).map_or("nothing", Kind::name);
            let (number, method) = (entry.number, entry.method);
            let call = format!("system call {number} on {kind}, method {method}");
            (call, false)
        }
        How::Interrupt if entry.number < INTERRUPTS => (format!("fault {}", entry.number), false),
        How::Interrupt => (format!("interrupt {}", entry.number), true),
        How::Idle => (format!("interrupt {} while nobody ran", entry.number), true),
        How::Instruction | How::Nothing => ("an instruction".to_string(), false),
    };
    let when = match (place.at_once, taken) {
        (true, false) => "before",
        (true, true) => "right after",
        (false, _) => "some time after",
    };
    format!("{when} {how} of {name} at {:#x}", place.instruction)
}

#[cfg(test)]
mod tests {
    use abi::probe::Entry;

    use super::*;

    #[test]
    fn before_is_said_only_of_what_had_not_come_to_pass() {
        let place = |how, number, at_once| Place {
            name: *b"alice\0\0\0\0\0\0\0\0\0\0\0",
            instruction: 0x40_1000,
            entry: Entry {
                how,
                number,
                kind: Kind::Page as u8,
                method: 3,
            },
            at_once,
        };
        for (how, number, at_once, said) in [
            (How::Call, 1, true, "before system call 1 on page, method 3"),
            (
                How::Call,
                1,
                false,
                "some time after system call 1 on page, method 3",
            ),
            (How::Interrupt, 14, true, "before fault 14"),
            (How::Interrupt, 33, true, "right after interrupt 33"),
            (
                How::Idle,
                33,
                false,
                "some time after interrupt 33 while nobody ran",
            ),
        ] {
            let text = describe(&place(how, number, at_once));
            let said = format!("{said} of alice at 0x401000");
            assert_eq!(text.to_lowercase(), said);
        }
    }
}
