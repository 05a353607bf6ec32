//! The main loop.
//!
//! Requests come first. spacebank has the highest priority, so what it does unasked must not go on at
//! a stretch, or it would stop the drivers. So between two background steps it waits for requests for
//! [`PAUSE`] nanoseconds, by an alarm of the kernel's clock; a request that comes meanwhile is served
//! at once, and one that comes during a step is served after it. Where there is no clock (in slot
//! `abi::boot::slot::CLOCK`), a step is done whenever no request is pending, and after
//! [`PATIENCE`] requests even so: nobody can keep the reaper from its work by asking for more.
//!
//! DESIGN gives this work to a reaper of lowest priority. That would be a process of its own, which
//! would have to be told by spacebank and to call it for each step; the pause has the same effect (the
//! work takes a bounded share of the machine and delays a request by one step at most) and leaves one
//! program less to trust.

use sys::{Event, Mem, Sys};

use crate::kernel::ARGUMENT;
use crate::record::Records;
use crate::server::{Answer, Server};

/// The notification bit that the kernel sets when a limbo ends.
pub const LIMBO_BIT: u64 = 0;
/// The notification bit of the alarm.
pub const ALARM_BIT: u64 = 1;
/// Nanoseconds from one background step to the next.
pub const PAUSE: u64 = 200_000;
/// Requests served before a background step, where there is no clock.
pub const PATIENCE: u32 = 16;

/// When the next background step is due.
#[derive(Default)]
pub(crate) struct Pace {
    /// The alarm is set.
    armed: bool,
    /// There is no clock.
    unclocked: bool,
    /// Requests since the last step.
    requests: u32,
    /// The last step failed: no more until something else happens.
    stuck: bool,
}

impl<R: Records, M: Mem> Server<'_, R, M> {
    /// Serves for ever.
    pub fn serve(&mut self, sys: &impl Sys) -> ! {
        let mut answer = None;
        loop {
            answer = self.turn(sys, answer);
        }
    }

    /// One turn of the loop: gives the answer that is owed, takes what comes next and deals with it.
    /// The answer that comes out of that goes into the next turn.
    pub fn turn(&mut self, sys: &impl Sys, answer: Option<Answer>) -> Option<Answer> {
        match self.next(sys, answer) {
            Event::Request(request) => {
                self.pace.requests = self.pace.requests.saturating_add(1);
                let answer = self.handle(sys, &request);
                request.call.then_some(answer)
            }
            Event::Notified { group, bits } => {
                self.notified(sys, group, bits);
                None
            }
        }
    }

    /// Deals with notifications.
    pub fn notified(&mut self, sys: &impl Sys, group: u16, bits: u64) {
        if group != 0 {
            return;
        }
        let alarm = bits & 1 << ALARM_BIT != 0;
        self.pace.armed &= !alarm;
        let limbo = bits & 1 << LIMBO_BIT != 0;
        if limbo {
            self.reaper.limbo_ended();
        }
        // Frames that come back are free for sale at once; only a flood of them waits its turn.
        if alarm || limbo {
            self.step_unasked(sys);
        }
    }

    fn step_unasked(&mut self, sys: &impl Sys) {
        self.pace.requests = 0;
        self.pace.stuck = self.background_step(sys).is_err();
    }

    /// Answers, and takes what comes next; meanwhile, background work.
    fn next(&mut self, sys: &impl Sys, answer: Option<Answer>) -> Event {
        if self.at_rest(sys) {
            return match answer {
                Some(answer) => sys.reply_and_wait(answer.status, &answer.message()),
                None => sys.wait(receive()),
            };
        }
        if let Some(answer) = answer {
            self.kernel(sys).answer(answer.status, &answer.message());
        }
        if self.pace.requests >= PATIENCE {
            self.step_unasked(sys);
        }
        while self.reaper.has_work() && !self.pace.stuck {
            if let Some(event) = sys.poll(receive()) {
                return event;
            }
            self.step_unasked(sys);
        }
        self.pace.stuck = false;
        sys.wait(receive())
    }

    /// Whether there is nothing to do unasked before the next event. Sets the alarm if it must be set.
    fn at_rest(&mut self, sys: &impl Sys) -> bool {
        if !self.reaper.has_work() || self.pace.armed {
            return true;
        }
        if !self.pace.unclocked {
            self.pace.armed = self.kernel(sys).alarm(PAUSE, ALARM_BIT).is_ok();
            self.pace.unclocked = !self.pace.armed;
        }
        self.pace.armed
    }
}

const fn receive() -> [u16; 4] {
    [ARGUMENT, 0, 0, 0]
}
