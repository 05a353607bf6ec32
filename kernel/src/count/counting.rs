//! What a kernel that counts does to count.

use core::cell::Cell;

use abi::count::{EVENTS, Event, OBSERVE, READ, mark, note};

use crate::Kernel;
use crate::error::{INVALID, METHOD, OK, Result};
use crate::frame::Frame;
use crate::invoke::Answer;
use crate::machine::Machine;
use crate::process::{Process, Registers};

/// What was counted.
pub(crate) struct Counts {
    totals: [Cell<u64>; EVENTS],
    /// The process that observes.
    observer: Cell<Frame>,
    /// It runs, or there is none.
    paused: Cell<bool>,
}

impl Counts {
    pub const fn new() -> Counts {
        Counts {
            totals: [const { Cell::new(0) }; EVENTS],
            observer: Cell::new(Frame::NONE),
            paused: Cell::new(true),
        }
    }
}

impl<M: Machine> Kernel<'_, M> {
    /// Counts an event, or several.
    #[inline]
    pub(crate) fn count(&self, event: Event, times: u64) {
        if !self.counts.paused.get() {
            let total = &self.counts.totals[event as usize];
            total.set(total.get().wrapping_add(times));
        }
    }

    /// A process runs from now on.
    pub(crate) fn now_runs(&self, process: &Process) {
        let observer = self.counts.observer.get();
        let paused = observer == Frame::NONE || observer == process.frame.get();
        if self.counts.paused.replace(paused) != paused {
            self.machine.mark(match paused {
                true => mark::PAUSE,
                false => mark::RESUME,
            });
        }
    }

    /// `NOTE`: a program tells of a loop of its own.
    pub(crate) fn note(&self, registers: &mut Registers) {
        let [bytes, instructions, ..] = registers.words();
        self.count(Event::Notes, 1);
        self.count(Event::LoopInstructions, instructions);
        match registers.rdi {
            note::COPIED => {
                self.count(Event::Copies, 1);
                self.count(Event::BytesCopied, bytes);
            }
            note::ZEROED => self.count(Event::ProgramZeroed, bytes),
            _ => return registers.rax = u64::from(INVALID),
        }
        registers.rax = u64::from(OK);
    }

    /// The methods of `Reset` that are about counting.
    pub(crate) fn invoke_counts(
        &self,
        observer: &Process,
        method: u64,
        first: u64,
    ) -> Result<Answer> {
        let totals = &self.counts.totals;
        match method {
            OBSERVE => {
                totals.iter().for_each(|total| total.set(0));
                self.counts.observer.set(observer.frame.get());
                self.counts.paused.set(true);
                self.machine.mark(mark::BEGIN);
                Ok(Answer::NOTHING)
            }
            READ => {
                let from = totals.get(first as usize..).ok_or(INVALID)?;
                if first == 0 {
                    self.machine.mark(mark::READ);
                }
                let mut words = [0; 6];
                for (word, total) in words.iter_mut().zip(from) {
                    *word = total.get();
                }
                Ok(Answer::words(words))
            }
            _ => Err(METHOD),
        }
    }
}
