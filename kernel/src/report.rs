//! What the kernel says: its log, and reports of faults that no keeper takes.

use core::fmt::{self, Write};

use abi::cap::{Kind, Rights};
use abi::fault::Cause;
use abi::method::{log, reset};

use crate::Kernel;
use crate::error::{AGAIN, INVALID, METHOD, Result};
use crate::frame::{Frame, Words};
use crate::invoke::{Answer, Invocation};
use crate::machine::Machine;
use crate::process::Process;

/// Longest line that a process may log at once.
const LINE: usize = 1024;

/// Code with which the machine halts when spacebank or init has died.
const VITAL_DIED: u64 = 1;

/// Frames of a backtrace at most.
const DEPTH: usize = 24;

impl<M: Machine> Kernel<'_, M> {
    /// Methods of the `Log`.
    pub(crate) fn invoke_log(&self, call: &Invocation) -> Result<Answer> {
        let [method, offset, length, level, ..] = call.words();
        match method {
            log::WRITE | log::CONSOLE => {
                let mut bytes = [0; LINE];
                if method == log::CONSOLE {
                    call.capability.needs(Rights::CONTROL)?;
                }
                let bytes = self.read_text(call, offset, length, &mut bytes)?;
                if method == log::CONSOLE {
                    return match self.print_bytes(bytes) {
                        true => Ok(Answer::NOTHING),
                        false => Err(AGAIN),
                    };
                }
                if !(1..=5).contains(&level) {
                    return Err(INVALID);
                }
                if level <= self.log_level.get() && !bytes.is_empty() {
                    let trusted = call.capability.rights().contains(Rights::CONTROL);
                    self.log_line(call.invoker, trusted, bytes);
                }
                return Ok(Answer::word(self.log_level.get()));
            }
            log::SET_LEVEL => {
                call.capability.needs(Rights::CONTROL)?;
                if offset > 5 {
                    return Err(INVALID);
                }
                self.log_level.set(offset);
            }
            log::SET_NOTIFY => {
                call.capability.needs(Rights::CONTROL)?;
                self.log_notify.set(self.binding(&call.argument(self, 0)?)?);
            }
            _ => return Err(METHOD),
        }
        Ok(Answer::NOTHING)
    }

    /// Copies text out of a page that goes with a call.
    fn read_text<'b>(
        &self,
        call: &Invocation,
        offset: u64,
        length: u64,
        into: &'b mut [u8; LINE],
    ) -> Result<&'b [u8]> {
        let page = call.argument(self, 0)?;
        let row = self.object_of(&page, Kind::Page)?;
        page.needs(Rights::READ)?;
        let fits = length <= LINE as u64 && offset <= abi::PAGE_SIZE as u64 - length;
        if !fits {
            return Err(INVALID);
        }
        let words: &Words = self.view(row.frame.get());
        let text = &mut into[..length as usize];
        for (n, byte) in text.iter_mut().enumerate() {
            let at = offset as usize + n;
            *byte = (words.get(at / 8) >> (8 * (at % 8))) as u8;
        }
        Ok(text)
    }

    /// Prints a line of a process's, without anything that a terminal would obey.
    fn log_line(&self, process: &Process, trusted: bool, text: &[u8]) {
        let line = format_args!("{}: {}", process.name(), Plain(text));
        self.say_for(process, trusted, line);
    }

    /// Reports the fault of a process whose keeper is gone, or who has none.
    pub(crate) fn report_fault(&self, process: &Process) {
        if !self.may_report(process) {
            return;
        }
        let preserved = match process.in_fault.get() {
            0 => process.preserved.get(),
            _ => process.fault_preserved.get(),
        };
        self.say_report(process, format_args!(
            "kernel: {} stopped: {} at address {:#x}, instruction {:#x} (last invoked capability {}, method {})",
            process.name(),
            Cause::from_u8(process.cause.get()).name(),
            process.fault_address.get(),
            preserved.rip,
            process.fault_invocation.get() & 0xffff,
            process.fault_invocation.get() >> 32,
        ));
        self.backtrace(process, preserved.rip, preserved.rbp);
    }

    /// Prints the return addresses that a process's frame pointers lead to. Its memory may hold
    /// anything: addresses must rise, and their number is bounded.
    fn backtrace(&self, process: &Process, instruction: u64, mut frame: u64) {
        let name = process.name();
        self.say_report(process, format_args!("    #0 {name} {instruction:#x}"));
        for n in 1..DEPTH {
            let word = |address: u64| {
                let (page, offset) = self.translate(process.space.get(), address)?;
                Some(self.view::<Words>(page).get(offset / 8))
            };
            if !frame.is_multiple_of(8) || process.space.get() == Frame::NONE {
                return;
            }
            let (Some(next), Some(address)) = (word(frame), word(frame.wrapping_add(8))) else {
                return;
            };
            if address == 0 {
                return;
            }
            self.say_report(process, format_args!("    #{n} {name} {address:#x}"));
            if next <= frame {
                return;
            }
            frame = next;
        }
    }

    /// Stops the machine with a failure if this process, which has stopped for good, is spacebank or
    /// init: they keep everybody else, nobody keeps them, and whoever waits for them would wait for
    /// ever.
    pub(crate) fn end_without(&self, process: &Process) {
        let oid = self.frame_row(process.frame.get()).owner.get();
        if !self.vital.get().contains(&oid) {
            return;
        }
        self.say(format_args!(
            "kernel: the machine stops: nothing can go on without {}",
            process.name()
        ));
        self.flush_console();
        self.machine.halt(VITAL_DIED);
    }

    pub(crate) fn invoke_reset(&self, call: &Invocation) -> Result<Answer> {
        let [method, code, ..] = call.words();
        #[cfg(feature = "count-events")]
        if matches!(method, abi::count::OBSERVE | abi::count::READ) {
            return self.invoke_counts(call.invoker, method, code);
        }
        if !matches!(method, reset::REBOOT | reset::HALT) {
            return Err(METHOD);
        }
        self.flush_console();
        match method {
            reset::REBOOT => self.machine.reboot(),
            _ => self.machine.halt(code),
        }
        Ok(Answer::NOTHING)
    }
}

/// Text of anybody's, printed without control characters.
struct Plain<'t>(&'t [u8]);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                f.write_char(if character.is_control() {
                    ' '
                } else {
                    character
                })?;
            }
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}
