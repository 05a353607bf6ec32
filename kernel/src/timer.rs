//! Timers: one for each process, in a binary heap by deadline.
//!
//! The heap's array is made at boot, one place for each object, so arming can't fail and nothing
//! grows. Each process knows its place, so disarming needs no search.

use abi::NOTIFY_BITS;
use abi::method::clock as method;

use crate::Kernel;
use crate::error::{INVALID, METHOD, Result};
use crate::frame::Frame;
use crate::invoke::{Answer, Invocation};
use crate::machine::Machine;
use crate::process::Process;

const NANOSECONDS: u128 = 1_000_000_000;

impl<M: Machine> Kernel<'_, M> {
    /// Methods of the `Clock`.
    pub(crate) fn invoke_clock(&self, call: &Invocation) -> Result<Answer> {
        let [method, when, bit, ..] = call.words();
        match method {
            method::NOW => {
                let ticks = self.machine.ticks();
                let frequency = self.machine.frequency();
                Ok(Answer::words([
                    self.nanoseconds(ticks),
                    ticks,
                    frequency,
                    0,
                    0,
                    0,
                ]))
            }
            method::ARM => {
                if bit >= NOTIFY_BITS as u64 {
                    return Err(INVALID);
                }
                self.disarm(call.invoker);
                if when != 0 {
                    self.arm(call.invoker, self.tick_of(when), bit);
                }
                Ok(Answer::NOTHING)
            }
            _ => Err(METHOD),
        }
    }

    /// Nanoseconds since boot at a tick.
    pub(crate) fn nanoseconds(&self, tick: u64) -> u64 {
        let since = u128::from(tick.wrapping_sub(self.booted));
        (since * NANOSECONDS / u128::from(self.machine.frequency().max(1))) as u64
    }

    fn tick_of(&self, nanoseconds: u64) -> u64 {
        let ticks = u128::from(nanoseconds) * u128::from(self.machine.frequency()) / NANOSECONDS;
        // A deadline beyond the counter's range never comes, but must not wrap into the past.
        u64::try_from(ticks)
            .unwrap_or(u64::MAX)
            .saturating_add(self.booted)
            .min(u64::MAX - 1)
    }

    fn arm(&self, process: &Process, deadline: u64, bit: u64) {
        let place = self.armed.get();
        let Some(cell) = self.timers.get(place as usize) else {
            return;
        };
        self.armed.set(place + 1);
        process.deadline.set(deadline);
        process.timer_bit.set(bit);
        cell.set(process.frame.get());
        process.timer.set(place + 1);
        self.sift_up(place as usize);
        self.set_timer_by(deadline);
    }

    /// Takes a process's timer out of the heap.
    pub(crate) fn disarm(&self, process: &Process) {
        let Some(place) = process.timer.replace(0).checked_sub(1) else {
            return;
        };
        let last = self.armed.get() - 1;
        self.armed.set(last);
        let moved = self.timers[last as usize].replace(Frame::NONE);
        if last != place {
            self.timers[place as usize].set(moved);
            self.process(moved).timer.set(place + 1);
            self.sift_down(place as usize);
            self.sift_up(place as usize);
        }
    }

    fn deadline(&self, place: usize) -> u64 {
        self.process(self.timers[place].get()).deadline.get()
    }

    fn swap(&self, a: usize, b: usize) {
        self.timers[a].swap(&self.timers[b]);
        for place in [a, b] {
            self.process(self.timers[place].get())
                .timer
                .set(place as u32 + 1);
        }
    }

    fn sift_up(&self, mut place: usize) {
        while place > 0 && self.deadline(place) < self.deadline((place - 1) / 2) {
            self.swap(place, (place - 1) / 2);
            place = (place - 1) / 2;
        }
    }

    fn sift_down(&self, mut place: usize) {
        let armed = self.armed.get() as usize;
        loop {
            let mut least = place;
            for child in [2 * place + 1, 2 * place + 2] {
                if child < armed && self.deadline(child) < self.deadline(least) {
                    least = child;
                }
            }
            if least == place {
                return;
            }
            self.swap(place, least);
            place = least;
        }
    }

    /// Fires the timers that are due, at most this many, and sets the machine's for the next.
    pub(crate) fn fire_timers(&self, now: u64) {
        /// Timers that fire in one interrupt; the rest follow in the next, which comes at once.
        const AT_ONCE: usize = 32;
        for _ in 0..AT_ONCE {
            if self.armed.get() == 0 || self.deadline(0) > now {
                break;
            }
            let process = self.process(self.timers[0].get());
            self.disarm(process);
            self.signal(process, process.timer_bit.get());
        }
        if self.armed.get() != 0 {
            self.set_timer_by(self.deadline(0));
        }
    }
}
