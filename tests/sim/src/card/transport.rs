//! The card, as the driver reaches it.

use std::rc::Rc;

use ethdrv::transport::{
    DeviceFault, Full, Information, Interest, Piece, Received, Refused, Transport, fit,
};

use super::queues::Lie;
use super::{Card, HEADROOM};
use crate::context::Context;

/// The card, as the driver reaches it: each call is a step.
pub struct CardTransport {
    pub(super) card: Rc<Card>,
    pub(super) context: Context,
}

impl Transport for CardTransport {
    fn information(&self) -> Information {
        self.card.information()
    }

    fn link(&mut self) -> bool {
        true
    }

    fn post(&mut self, buffer: Piece, token: u16) -> Result<(), Full> {
        let mut queues = self.card.queues.borrow_mut();
        let capacity = self.card.information().receive_capacity;
        let fits = token < capacity && !queues.has_buffer(token);
        queues.new_buffers.push((buffer, token));
        drop(queues);
        self.context
            .claim(fits, || format!("buffer {token} was posted twice"));
        Ok(())
    }

    fn receive(
        &mut self,
        _: impl FnOnce(u16, u32) -> Option<u16>,
    ) -> Result<Option<Received>, DeviceFault> {
        self.context.step();
        let mut queues = self.card.queues.borrow_mut();
        match queues.next_lie(true) {
            Some(Lie::Receive(token, length)) => {
                return Ok(Some(Received {
                    token,
                    offset: HEADROOM,
                    length,
                    more: false,
                }));
            }
            Some(_) => return Err(DeviceFault { what: "nonsense" }),
            None => {}
        }
        Ok(queues.filled.pop_front())
    }

    fn transmit(&mut self, pieces: &[Piece], token: u16) -> Result<(), Refused> {
        let information = self.card.information();
        if !fit(pieces, information.pieces.into()) {
            self.context
                .claim(false, || format!("no queue takes such a frame: {pieces:?}"));
            return Err(Refused::Unfit);
        }
        let mut queues = self.card.queues.borrow_mut();
        let (frames, new) = (&queues.frames, &queues.new_frames);
        if frames.len() + new.len() + queues.left.len()
            >= usize::from(information.transmit_capacity)
        {
            return Err(Refused::Full);
        }
        let known = queues.has_frame(token);
        let fits = token < information.transmit_capacity && !known;
        queues.new_frames.push((pieces.to_vec(), token));
        drop(queues);
        self.context
            .claim(fits, || format!("frame {token} was queued twice"));
        Ok(())
    }

    fn transmitted(&mut self) -> Result<Option<u16>, DeviceFault> {
        self.context.step();
        let mut queues = self.card.queues.borrow_mut();
        match queues.next_lie(false) {
            Some(Lie::Transmit(token)) => return Ok(Some(token)),
            Some(_) => return Err(DeviceFault { what: "nonsense" }),
            None => {}
        }
        Ok(queues.reported.pop_front())
    }

    fn flush(&mut self) {
        self.context.step();
        let mut queues = self.card.queues.borrow_mut();
        let (buffers, frames) = (
            std::mem::take(&mut queues.new_buffers),
            std::mem::take(&mut queues.new_frames),
        );
        queues.buffers.extend(buffers);
        queues.frames.extend(frames);
    }

    fn ask(&mut self, interest: Interest) -> bool {
        self.context.step();
        let mut queues = self.card.queues.borrow_mut();
        queues.interest = interest;
        let lies = !queues.lies.is_empty();
        interest.receive && (lies || !queues.filled.is_empty())
            || interest.transmit && (lies || !queues.reported.is_empty())
    }

    fn quiet(&mut self) {
        self.card.queues.borrow_mut().interest = Interest::default();
    }
}
