//! What a stack receives, gives back and sends.

use std::collections::VecDeque;

use dev::session::{Frame, Lost, Session};
use sys::Mem;

use super::{Manner, Stack};
use crate::checks::Check;
use crate::network::{self, Stamp, WIRE, groups};
use crate::program::Program;

impl Stack {
    /// Receives what has come.
    pub(super) fn take_in(
        &mut self,
        session: &mut Session<Program>,
        held: &mut VecDeque<Frame>,
    ) -> Result<bool, Lost> {
        let mut busy = false;
        for _ in 0..4 {
            let moment = self.network.moment();
            let Some(frame) = session.receive()? else {
                self.network.drained(self.user, moment);
                break;
            };
            busy = true;
            let mut bytes = vec![0; frame.len()];
            let read = frame.read(session.receive_memory(), &mut bytes);
            if read.is_err() {
                self.context
                    .world()
                    .count("receive memory gone while a frame was read");
                return Err(Lost::Revoked);
            }
            self.context.world().checks.count(Check::Frame);
            if bytes.first().is_some_and(|first| first & 1 != 0) {
                self.context.world().count("frames to groups received");
            }
            if let Err(claim) = self.network.arrived(self.user, &bytes) {
                self.context.claim(false, || claim);
            }
            held.push_back(frame);
            self.context.world().count("frames received");
        }
        Ok(busy)
    }

    /// Gives back what it holds: a steady stack at once, another when it likes. Answers how
    /// many pages.
    pub(super) fn hand_back(
        &mut self,
        session: &mut Session<Program>,
        held: &mut VecDeque<Frame>,
    ) -> u32 {
        let all = self.manner == Manner::Steady;
        let count = match all {
            true => held.len(),
            false => self.dice().below(held.len() as u64 + 1) as usize,
        };
        let mut pages = 0;
        for frame in held.drain(..count) {
            pages += network::pages(frame.len());
            session.give_back(frame);
        }
        pages
    }

    /// Sends something to somebody.
    pub(super) fn send(&mut self, session: &mut Session<Program>, epoch: u32) -> Result<(), Lost> {
        if !self.dice().one_in(3) || session.room()? == 0 {
            return Ok(());
        }
        let length = self.card.length(self.context.world());
        let length = length.min(session.send_limit() as usize);
        if length > abi::PAGE_SIZE {
            self.context
                .world()
                .count("frames of several pieces to send");
        }
        if !self.network.is_open(self.user) {
            // Without a driver, or with another one behind the copier.
            let stale = Stamp {
                from: self.user,
                to: WIRE,
                epoch,
                sequence: 0,
            };
            return match self.interposed {
                true => self.put(session, &stale.frame(length)),
                false => Ok(()),
            };
        }
        let to = match self.dice().one_in(10) {
            true => *self.dice().pick(&groups::ALL),
            false => {
                let mut others = self.network.open_users();
                others.retain(|party| *party != self.user);
                others.push(WIRE);
                *self.dice().pick(&others)
            }
        };
        let pages = network::pages(length);
        let Some(stamp) = self.network.next(self.user, to, pages) else {
            return Ok(());
        };
        self.put(session, &stamp.frame(length))
    }

    pub(super) fn put(&self, session: &mut Session<Program>, frame: &[u8]) -> Result<(), Lost> {
        let offset = session.buffer();
        let wrote = session.transmit_memory().write(offset, frame);
        self.context
            .claim(wrote.is_ok(), || format!("its own memory: {wrote:?}"));
        let sent = session.send(frame.len() as u32)?;
        self.context.claim(sent, || {
            "there was room, and a frame was not sent".to_owned()
        });
        Ok(())
    }
}
