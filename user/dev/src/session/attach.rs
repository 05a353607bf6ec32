//! Attaching.

use abi::cap::{CapAddr, Rights};
use sys::bank::Bank;
use sys::object::Notify;
use sys::{Cap, Error};

use super::{Receiver, Sender, Session};
use crate::port::{AttachError, Into, Link, Offer, Port};
use crate::program::Program;
use crate::refusal::Refusal;
use crate::segment::TransmitSegment;

impl<P: Program> Session<P> {
    /// Attaches to a port. The session's receive pages are paid by `bank`; `notify` is signalled when
    /// the session was [asked](Session::ask).
    ///
    /// # Errors
    /// The driver's refusal; what slots and places say.
    pub fn attach(
        program: &P,
        port: Port,
        bank: Cap<Bank>,
        segment: &TransmitSegment<P>,
        receive_pages: u16,
        notify: Cap<Notify>,
    ) -> Result<Self, AttachError> {
        let local = |status| AttachError {
            status,
            refusal: Refusal::Unknown,
        };
        let mut slots = Slots::<P, 5> {
            program,
            taken: [0; 5],
        };
        slots.fill().map_err(local)?;
        let [receive, link, kick, session_bank, offered] = slots.taken;
        let caps = Into {
            segment: Cap::at(receive),
            link: Link::at(link),
            kick: Cap::at(kick),
            bank: Cap::at(session_bank),
        };
        let transmit_memory = program.own(segment.place());
        let mut receiver = Receiver::new();
        let begun = receiver
            .begin(&transmit_memory)
            .and_then(|()| Sender::begin(&transmit_memory));
        begun.map_err(|_| local(Error::new(abi::error::EFAULT)))?;
        // The driver reads the segment and pins it; it need not write.
        let (into, index) = program.table_of(offered);
        let rights = Rights::READ | Rights::PIN;
        into.put(program.sys(), index, segment.table().address(), rights)
            .map_err(local)?;
        let offer = Offer {
            bank,
            segment: Cap::at(offered),
            notify,
            transmit_pages: segment.pages(),
            receive_pages,
        };
        let attached = port.attach(program.sys(), &offer, &caps)?;
        let place = program
            .map(caps.segment, Rights::READ)
            .inspect_err(|_| {
                // The session is of no use; if the driver is gone, so is the session.
                let _ = caps.link.detach(program.sys());
            })
            .map_err(local)?;
        program.give_slot(offered);
        slots.taken = [0; 5];
        receiver.bound(attached.receive_pages.into(), attached.frame_limit);
        Ok(Session {
            receive_memory: program.shared(&place),
            transmit_memory,
            receiver,
            sender: Sender::new(segment.pages(), attached.frame_limit),
            frame_limit: attached.frame_limit,
            mac: attached.mac,
            place,
            caps,
        })
    }
}

/// Slots that are given back unless taken over.
struct Slots<'a, P: Program, const N: usize> {
    program: &'a P,
    taken: [CapAddr; N],
}

impl<P: Program, const N: usize> Slots<'_, P, N> {
    fn fill(&mut self) -> Result<(), Error> {
        for slot in &mut self.taken {
            *slot = self.program.take_slot()?;
        }
        Ok(())
    }
}

impl<P: Program, const N: usize> Drop for Slots<'_, P, N> {
    fn drop(&mut self) {
        for slot in self.taken {
            if slot != abi::cap::NONE {
                self.program.give_slot(slot);
            }
        }
    }
}
